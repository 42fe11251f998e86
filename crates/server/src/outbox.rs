//! Replies on their way out, in the order of their requests.
//!
//! A reply that waits for the disk puts a barrier where it begins: nothing from there on is written before its
//! record is durable. So later replies wait behind it, and a pipeline of any depth waits once.

use std::collections::VecDeque;

use stanchion_engine::{Claimed, LoggedPayload, Shard};
use stanchion_protocol::{Proto, Reply};
use stanchion_storage::Lsn;

use crate::hold::Wait;
use crate::holes::Hole;
use crate::limits::{BUFFER_KEPT_BYTES, OUTPUT_PAUSE_BYTES};
use crate::waiter::{Answer, Handed};
use crate::{buffers, claims};

/// The replies of one connection that are not written yet.
#[derive(Default)]
pub(crate) struct Outbox {
    /// Encoded replies; the first `written` bytes are in the socket.
    buf: Vec<u8>,
    written: usize,
    /// Where `buf` begins in all that this connection was ever answered.
    base: u64,
    /// Ascending in both.
    barriers: VecDeque<Barrier>,
    /// Where the first reply begins that waits for the end of the current hold.
    pending: Option<u64>,
    /// Jobs in replies that are not written yet, by the end of their reply.
    handed: VecDeque<(u64, Handed)>,
    /// Payloads that are yet to be read into replies: nothing from the first of them on is written before. Ascending.
    holes: VecDeque<Hole>,
    /// Those of the reply that is being written, which count from the buffer's start.
    fresh_holes: Vec<Hole>,
}

/// Nothing from `at` on is written before `lsn` is durable.
struct Barrier {
    at: u64,
    lsn: Lsn,
}

impl Outbox {
    /// Replies come: there should be room for them.
    #[inline]
    pub(crate) fn prepare(&mut self) {
        buffers::borrow(&mut self.buf);
    }

    /// Nothing happens for a while: an empty buffer is of more use to others.
    #[inline]
    pub(crate) fn rest(&mut self) {
        buffers::give_back(&mut self.buf);
    }

    /// Writes a reply behind all others. One that waits is announced with [`Outbox::wait`] first.
    #[inline]
    pub(crate) fn reply(&mut self, proto: Proto) -> Reply<'_> {
        Reply::new(&mut self.buf, proto)
    }

    /// Writes a reply behind all others in which there may be holes.
    pub(crate) fn reply_with(&mut self, proto: Proto, write: impl FnOnce(&mut Reply<'_>, &mut Vec<Hole>)) {
        write(&mut Reply::new(&mut self.buf, proto), &mut self.fresh_holes);
        self.keep_holes();
    }

    /// The holes of a reply that was just written have their places among all replies.
    #[inline]
    fn keep_holes(&mut self) {
        if !self.fresh_holes.is_empty() {
            let base = self.base;
            self.holes.extend(self.fresh_holes.drain(..).map(|hole| hole.moved(base)));
        }
    }

    /// What the reply that is written next waits for.
    #[inline]
    pub(crate) fn wait(&mut self, wait: Wait) {
        match wait {
            Wait::No => {}
            Wait::Staged => {
                let position = self.position();
                self.pending.get_or_insert(position);
            }
            // Behind a reply that waits for the end of the hold it waits long enough.
            Wait::Lsn(lsn) if self.pending.is_none() => self.barrier(self.position(), lsn),
            Wait::Lsn(_) => {}
        }
    }

    /// The current hold has ended: its replies wait for this record.
    #[inline]
    pub(crate) fn end_hold(&mut self, last: Lsn) {
        if let Some(at) = self.pending.take() {
            self.barrier(at, last);
        }
    }

    fn barrier(&mut self, at: u64, lsn: Lsn) {
        if self.barriers.back().is_none_or(|last| last.lsn < lsn) {
            self.barriers.push_back(Barrier { at, lsn });
        }
    }

    /// Writes the reply of a claim, and remembers its jobs until it is in the socket.
    pub(crate) fn claimed(&mut self, engine: &Shard, claimed: &Claimed, meta: bool, proto: Proto) {
        let first = self.handed.len();
        let mut reply = Reply::new(&mut self.buf, proto);
        reply.array(claimed.len());
        claims::write_jobs(engine, claimed, meta, &mut reply, &mut self.fresh_holes, |job| {
            self.handed.push_back((0, Handed::of(job)));
        });
        self.keep_holes();
        self.handed_until_here(first);
    }

    /// Writes the reply of a claim that was answered elsewhere.
    pub(crate) fn answer(&mut self, answer: Answer) {
        if answer.lsn > 0 {
            self.wait(Wait::Lsn(answer.lsn));
        }
        let (first, before) = (self.handed.len(), self.position());
        self.holes.extend(answer.holes.into_iter().map(|hole| hole.moved(before)));
        self.buf.extend_from_slice(&answer.bytes);
        self.handed.extend(answer.jobs.into_iter().map(|job| (0, job)));
        self.handed_until_here(first);
    }

    /// The jobs from `first` on are in a reply that ends here.
    fn handed_until_here(&mut self, first: usize) {
        let end = self.position();
        self.handed.range_mut(first..).for_each(|(until, _)| *until = end);
    }

    /// The jobs of the newest replies, from the one that began at `position`: those of one claim.
    pub(crate) fn handed_since(&self, position: u64) -> impl Iterator<Item = &Handed> {
        self.handed.iter().rev().take_while(move |(until, _)| *until > position).map(|(_, job)| job)
    }

    /// Takes back what was put in from `position` on, and gives the jobs in it.
    pub(crate) fn drop_from(&mut self, position: u64) -> Vec<Handed> {
        self.buf.truncate((position - self.base) as usize);
        while self.barriers.back().is_some_and(|barrier| barrier.at >= position) {
            self.barriers.pop_back();
        }
        while self.holes.back().is_some_and(|hole| hole.at >= position) {
            self.holes.pop_back();
        }
        if self.pending.is_some_and(|at| at >= position) {
            self.pending = None;
        }
        let kept = self.handed.partition_point(|(until, _)| *until <= position);
        self.handed.drain(kept..).map(|(_, job)| job).collect()
    }

    /// Where the next reply begins.
    #[inline]
    pub(crate) fn position(&self) -> u64 {
        self.base + self.buf.len() as u64
    }

    /// How many bytes are not written yet.
    #[inline]
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.buf.len() - self.written
    }

    /// Whether so much is not written yet that no more should come.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.unsent_bytes() >= OUTPUT_PAUSE_BYTES
    }

    /// How many barriers there are.
    #[inline]
    pub(crate) fn barriers(&self) -> usize {
        self.barriers.len()
    }

    /// What may be written, now that everything up to `durable` is on the disk.
    pub(crate) fn ready(&mut self, durable: Lsn) -> &[u8] {
        while self.barriers.front().is_some_and(|barrier| barrier.lsn <= durable) {
            self.barriers.pop_front();
        }
        let end = match (self.barriers.front(), self.pending) {
            (Some(barrier), _) => (barrier.at - self.base) as usize,
            (None, Some(at)) => (at - self.base) as usize,
            (None, None) => self.buf.len(),
        };
        let end = match self.holes.front() {
            Some(hole) => end.min((hole.at - self.base) as usize),
            None => end,
        };
        &self.buf[self.written..end]
    }

    /// The payloads that are yet to be read into replies, in their order.
    pub(crate) fn holes(&self) -> impl ExactSizeIterator<Item = &Hole> {
        self.holes.iter()
    }

    /// Reads payloads into the first holes, until `read` can't.
    pub(crate) fn fill(&mut self, mut read: impl FnMut(&Hole, &mut [u8]) -> bool) {
        while let Some(hole) = self.holes.front() {
            let start = (hole.at - self.base) as usize;
            if !read(hole, &mut self.buf[start..start + hole.bytes()]) {
                return;
            }
            self.holes.pop_front();
        }
    }

    /// The payload of the first hole has another base by now.
    pub(crate) fn rebase_hole(&mut self, payload: LoggedPayload) {
        if let Some(hole) = self.holes.front_mut() {
            hole.payload = payload;
        }
    }

    /// The record that the front waits for, when nothing can be written before it is durable.
    pub(crate) fn awaits(&self) -> Option<Lsn> {
        self.barriers.front().map(|barrier| barrier.lsn)
    }

    /// So many bytes of [`Outbox::ready`] are in the socket.
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
        let position = self.base + self.written as u64;
        while self.handed.front().is_some_and(|(until, _)| *until <= position) {
            self.handed.pop_front();
        }
        if self.written == self.buf.len() {
            self.base = position;
            self.written = 0;
            self.buf.clear();
        } else if self.written >= BUFFER_KEPT_BYTES
            && self.written >= self.buf.len() / 2
            && self.unsent_bytes() < OUTPUT_PAUSE_BYTES
        {
            // Not while there is more: then no commands are run, so the buffer does not grow, and moving it takes long.
            self.buf.drain(..self.written);
            self.base = position;
            self.written = 0;
        }
    }

    /// Whether something has to happen before all of it may be written.
    pub(crate) fn is_held(&self) -> bool {
        !self.barriers.is_empty() || !self.holes.is_empty()
    }

    /// Drops whatever waits for the disk, since it will never get there. False when that cuts a payload: an error
    /// behind it would be taken for a part of the job.
    pub(crate) fn drop_waiting(&mut self, durable: Lsn) -> bool {
        let keep = self.written + self.ready(durable).len();
        let cuts_payload = self.holes.front().is_some_and(|hole| hole.at == self.base + keep as u64);
        self.buf.truncate(keep);
        self.holes.clear();
        self.barriers.clear();
        self.pending = None;
        !cuts_payload
    }

    /// The jobs of replies that are not in the socket: nobody got them.
    pub(crate) fn undelivered(&mut self) -> Vec<Handed> {
        self.handed.drain(..).map(|(_, job)| job).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(outbox: &mut Outbox, wait: Wait, text: &str) {
        outbox.wait(wait);
        outbox.reply(Proto::Resp2).raw(text.as_bytes());
    }

    fn take(outbox: &mut Outbox, durable: Lsn) -> String {
        let ready = String::from_utf8(outbox.ready(durable).to_vec()).unwrap();
        outbox.wrote(ready.len());
        ready
    }

    #[test]
    fn replies_wait_for_their_records_and_for_those_before_them() {
        let mut outbox = Outbox::default();
        put(&mut outbox, Wait::No, "a");
        put(&mut outbox, Wait::Staged, "b");
        put(&mut outbox, Wait::No, "c");
        assert_eq!(take(&mut outbox, 99), "a", "the hold of b has not ended");
        outbox.end_hold(5);
        put(&mut outbox, Wait::Lsn(3), "d");
        put(&mut outbox, Wait::Lsn(7), "e");
        assert_eq!(take(&mut outbox, 4), "");
        assert_eq!(outbox.awaits(), Some(5));
        assert_eq!(take(&mut outbox, 5), "bcd");
        assert_eq!(outbox.awaits(), Some(7));
        put(&mut outbox, Wait::No, "f");
        assert_eq!(take(&mut outbox, 7), "ef");
        assert_eq!((outbox.awaits(), outbox.unsent_bytes()), (None, 0));
    }

    #[test]
    fn a_short_write_keeps_the_rest() {
        let mut outbox = Outbox::default();
        put(&mut outbox, Wait::No, "abc");
        outbox.wrote(1);
        put(&mut outbox, Wait::Lsn(2), "d");
        assert_eq!(outbox.ready(1), b"bc");
        outbox.wrote(1);
        assert_eq!(take(&mut outbox, 2), "cd");
    }

    #[test]
    fn what_a_failed_log_holds_back_is_dropped() {
        let mut outbox = Outbox::default();
        put(&mut outbox, Wait::No, "a");
        put(&mut outbox, Wait::Staged, "b");
        outbox.end_hold(2);
        put(&mut outbox, Wait::Staged, "c");
        assert!(outbox.drop_waiting(1));
        assert_eq!(take(&mut outbox, 1), "a");
        assert_eq!(outbox.unsent_bytes(), 0);
    }

    #[test]
    fn no_error_follows_a_payload_that_was_cut() {
        for (barrier, may_follow) in [(false, false), (true, true)] {
            let mut outbox = Outbox::default();
            put(&mut outbox, Wait::No, "a");
            if barrier {
                outbox.wait(Wait::Lsn(2));
            }
            outbox.reply_with(Proto::Resp2, |reply, holes| {
                let payload = LoggedPayload { base: 1, id: stanchion_protocol::id::JobId(1), bytes: 300 };
                crate::holes::write_payload(b"q", stanchion_engine::Payload::Logged(payload), reply, holes);
            });
            assert_eq!(outbox.drop_waiting(1), may_follow, "behind a barrier nothing of it has gone out");
            assert!(!outbox.is_held());
        }
    }

    #[test]
    fn a_reply_that_nobody_wants_leaves_nothing() {
        let mut outbox = Outbox::default();
        put(&mut outbox, Wait::No, "a");
        let from = outbox.position();
        put(&mut outbox, Wait::Lsn(3), "b");
        put(&mut outbox, Wait::Staged, "c");
        assert!(outbox.drop_from(from).is_empty());
        outbox.end_hold(5);
        put(&mut outbox, Wait::No, "d");
        assert_eq!((take(&mut outbox, 0).as_str(), outbox.awaits()), ("ad", None));
        put(&mut outbox, Wait::Staged, "e");
        let from = outbox.position();
        put(&mut outbox, Wait::Staged, "f");
        outbox.drop_from(from);
        outbox.end_hold(7);
        assert_eq!((take(&mut outbox, 6).as_str(), outbox.awaits()), ("", Some(7)));
        assert_eq!(take(&mut outbox, 7), "e");
    }

    #[test]
    fn jobs_are_undelivered_until_their_whole_reply_is_written() {
        use stanchion_protocol::id::{Epoch, JobId, Receipt};
        let mut outbox = Outbox::default();
        let job = |id| Handed { queue: b"q"[..].into(), receipt: Receipt { id: JobId(id), epoch: Epoch(1) } };
        outbox.answer(Answer { bytes: b"12".to_vec(), lsn: 0, jobs: vec![job(1), job(2)], holes: vec![] });
        let second = outbox.position();
        outbox.answer(Answer { bytes: b"34".to_vec(), lsn: 0, jobs: vec![job(3)], holes: vec![] });
        assert_eq!(outbox.handed_since(second).count(), 1);
        outbox.wrote(3);
        let undelivered: Vec<_> = outbox.undelivered().iter().map(|job| job.receipt.id.0).collect();
        assert_eq!(undelivered, [3]);
    }

    #[test]
    fn a_reply_waits_for_its_payloads() {
        use stanchion_protocol::id::JobId;
        let hole = |outbox: &mut Outbox, id: u64| {
            outbox.reply_with(Proto::Resp2, |reply, holes| {
                let payload = LoggedPayload { base: id, id: JobId(id), bytes: 3 };
                crate::holes::write_payload(b"q", stanchion_engine::Payload::Logged(payload), reply, holes);
            });
        };
        let mut outbox = Outbox::default();
        put(&mut outbox, Wait::No, "a");
        hole(&mut outbox, 1);
        put(&mut outbox, Wait::Lsn(4), "b");
        hole(&mut outbox, 2);
        assert_eq!(take(&mut outbox, 0), "a$3\r\n");
        hole(&mut outbox, 3);
        let from = outbox.position();
        hole(&mut outbox, 4);
        outbox.drop_from(from);
        put(&mut outbox, Wait::No, "c");
        assert!(outbox.is_held() && outbox.holes().map(|hole| hole.payload.id.0).eq([1, 2, 3]));
        let mut left = 2;
        outbox.fill(|hole, into| {
            into.fill(b'0' + hole.payload.id.0 as u8);
            left -= 1;
            left >= 0
        });
        assert_eq!(take(&mut outbox, 0), "111\r\n");
        assert_eq!(take(&mut outbox, 4), "b$3\r\n222\r\n$3\r\n");
        outbox.fill(|_, into| {
            into.fill(b'3');
            true
        });
        assert_eq!(take(&mut outbox, 4), "333\r\nc");
        assert_eq!((outbox.is_held(), outbox.unsent_bytes()), (false, 0));
    }
}
