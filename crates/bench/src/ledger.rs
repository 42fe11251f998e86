//! Proof that the work was real: every job that was pushed is claimed exactly once and acked exactly once.

use std::ops::Range;

use anyhow::{Result, ensure};

/// What one server was asked and what it answered, over all measurements.
#[derive(Default)]
pub struct Ledger {
    /// Jobs numbered below this were sent.
    sent: u64,
    added: u64,
    claimed: u64,
    acked: u64,
    /// One bit for each job that was claimed.
    seen: Vec<u64>,
}

impl Ledger {
    /// Numbers for the next `count` jobs.
    pub fn send(&mut self, count: u64) -> Range<u64> {
        let first = self.sent;
        self.sent += count;
        self.seen.resize((self.sent / 64 + 1) as usize, 0);
        first..self.sent
    }

    /// The server says that it added so many.
    pub fn added(&mut self, count: u64) {
        self.added += count;
    }

    /// The server handed out this job.
    ///
    /// # Errors
    /// It was never pushed, or was claimed before.
    pub fn claimed(&mut self, number: u64) -> Result<()> {
        ensure!(number < self.sent, "job {number} was claimed, but never pushed");
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        ensure!(self.seen[word] & bit == 0, "job {number} was claimed twice");
        self.seen[word] |= bit;
        self.claimed += 1;
        Ok(())
    }

    /// The server says that it ended so many.
    pub fn acked(&mut self, count: u64) {
        self.acked += count;
    }

    /// How many jobs were sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// How many of them the server says that it added.
    #[must_use]
    pub fn count_added(&self) -> u64 {
        self.added
    }

    /// How many jobs went the whole way.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.acked
    }

    /// Checks that nothing is missing beside `standing` jobs, which were pushed and wait. Valid when no job is under way.
    ///
    /// # Errors
    /// Something is missing.
    pub fn close(&self, standing: u64) -> Result<()> {
        let Ledger { sent, added, claimed, acked, .. } = self;
        ensure!(
            sent == added && *sent == claimed + standing && claimed == acked,
            "the books don't close: {sent} jobs sent, {added} added, {claimed} claimed, {acked} acked, {standing} stand"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_push(count: u64) -> Ledger {
        let mut ledger = Ledger::default();
        let _ = ledger.send(count);
        ledger.added(count);
        ledger
    }

    #[test]
    fn closes_when_each_job_was_claimed_and_acked_once() {
        let mut ledger = after_push(65);
        (0..65).for_each(|number| ledger.claimed(number).unwrap());
        ledger.acked(65);
        ledger.close(0).unwrap();
        assert_eq!(ledger.done(), 65);
    }

    #[test]
    fn a_job_claimed_twice_is_caught() {
        let mut ledger = after_push(2);
        ledger.claimed(1).unwrap();
        assert_eq!(ledger.claimed(1).unwrap_err().to_string(), "job 1 was claimed twice");
    }

    #[test]
    fn a_job_never_pushed_is_caught() {
        assert!(after_push(2).claimed(2).is_err());
    }

    #[test]
    fn what_stands_is_not_missing() {
        let mut ledger = after_push(3);
        ledger.claimed(0).unwrap();
        ledger.acked(1);
        ledger.close(2).unwrap();
        assert!(ledger.close(1).is_err());
    }

    #[test]
    fn a_lost_job_is_caught() {
        let mut ledger = after_push(2);
        ledger.claimed(0).unwrap();
        ledger.acked(1);
        assert!(ledger.close(0).unwrap_err().to_string().contains("2 added, 1 claimed, 1 acked"));
    }
}
