//! The shard and the log: replay of what was, and snapshots of what is before old segments are freed.

use crate::event::{Decoded, Event, Part, events, put_boot, split_part};
use crate::queue::At;
use crate::reclaim::Kept;
use crate::terms::JobSnapshot;
use crate::{Damaged, Lsn, Now, ReadPayloads, Shard, Step, limits};

impl Shard {
    /// Writes again what is based below `below`, about `bytes` of it in one record. Of payloads that are only in the
    /// log it needs those of [`Shard::reclaim_reads`]; at one that was not read it stops.
    pub fn reclaim(
        &mut self,
        now: Now,
        below: Lsn,
        bytes: usize,
        read: &ReadPayloads,
        log: &mut Vec<u8>,
    ) -> Step<usize> {
        let at = self.at(now);
        let start = log.len();
        // Even looking at so many queues that there is nothing to write takes its time.
        let pause_at = self.reclaim_at.saturating_add(limits::RECLAIM_QUEUES_MAX);
        while self.reclaim_at < self.queues.slots() {
            let ix = self.reclaim_at;
            if ix >= pause_at {
                return Step::More(log.len() - start);
            }
            if self.queues.get(ix).is_some() {
                let base = self.queues.base(ix);
                let queue = &mut self.queues[ix];
                let mut part = Part::new(log, at.now);
                let kept = queue.reclaim(at, &mut part, below, base, start + bytes, read);
                drop(part);
                match kept {
                    Kept::Some => return Step::More(log.len() - start),
                    Kept::Entries => {}
                    Kept::Queue => self.queues.rebase(ix, at.base),
                }
            }
            self.reclaim_at += 1;
        }
        self.reclaim_at = 0;
        Step::Done(log.len() - start)
    }

    /// Splits a record's body into parts: the queue whose shard each goes to (`None`: every shard), and the
    /// bytes for [`Shard::replay`].
    pub fn parts(body: &[u8]) -> impl Iterator<Item = Result<(Option<&[u8]>, &[u8]), Damaged>> {
        let mut left = body;
        std::iter::from_fn(move || {
            if left.is_empty() {
                return None;
            }
            let split = split_part(left);
            left = split.as_ref().map_or(&[][..], |&(_, _, rest)| rest);
            Some(split.map(|(part, whole, _)| match part {
                Decoded::Queue { queue, .. } => (Some(queue), whole),
                Decoded::Boot { .. } | Decoded::Mark => (None, whole),
            }))
        })
    }

    /// Applies a part of a record.
    ///
    /// # Errors
    /// The part can't be read: it was written by another version, or it is damaged.
    pub fn replay(&mut self, lsn: Lsn, part: &[u8]) -> Result<(), Damaged> {
        let (part, _, _) = split_part(part)?;
        self.begin(lsn);
        match part {
            Decoded::Mark => {}
            Decoded::Boot { now, grace_ms } => {
                self.last_now = self.last_now.max(now);
                let queues: Vec<u32> = self.queues.iter().map(|(ix, _)| ix).collect();
                for ix in queues {
                    self.queues[ix].grant_grace(now.saturating_add(grace_ms));
                    self.book_deadline(ix);
                }
            }
            Decoded::Queue { queue, now, events: bytes } => {
                self.last_now = self.last_now.max(now);
                self.replay_events(queue, At { base: lsn, now, spill_above: self.spill_above() }, bytes)?;
            }
        }
        Ok(())
    }

    fn replay_events(&mut self, name: &[u8], at: At, bytes: &[u8]) -> Result<(), Damaged> {
        let mut known = self.find(name);
        let mut based = None;
        for event in events(bytes) {
            let event = event?;
            if let Event::Based { base } = event {
                if base > at.base {
                    return Err(Damaged(format!("a snapshot of record {base}, which is yet to come")));
                }
                based = Some(base);
                continue;
            }
            let at = At { base: based.take().unwrap_or(at.base), ..at };
            if event == Event::QueueGone {
                if let Some(ix) = known.take() {
                    self.remove_queue(ix);
                    // Nobody waits during a replay, and a log may tell of very many.
                    while !self.doomed.is_empty() {
                        self.free_doomed();
                    }
                }
                continue;
            }
            let ix = match known {
                Some(ix) => ix,
                None if event.makes_queue() => self.find_or_make(name, at.now),
                None => continue,
            };
            known = Some(ix);
            if let Event::Push { id, .. }
            | Event::Replace { id, .. }
            | Event::Job(JobSnapshot { id, .. })
            | Event::JobBeside { job: JobSnapshot { id, .. }, .. } = event
            {
                self.last_id = self.last_id.max(id);
            }
            if matches!(event, Event::Queue { .. }) {
                self.queues.rebase(ix, at.base);
            }
            self.queues[ix].replay(at, &event)?;
        }
        if let Some(ix) = known {
            // It happened in an earlier run, whose listeners are gone.
            if let Some(notes) = &mut self.queues[ix].notes {
                notes.clear();
            }
            self.book_footprint(ix);
            self.settle(ix);
        }
        Ok(())
    }

    /// Encodes the event of a restart: a lease that would end sooner ends `lease_grace_ms` from now. The
    /// server stages it as the run's first record and replays it into each shard.
    pub fn boot_event(now: Now, lease_grace_ms: u64, log: &mut Vec<u8>) {
        put_boot(log, now.ms, lease_grace_ms);
    }

    /// The newest instant of any event.
    pub fn last_now(&self) -> u64 {
        self.last_now
    }
}
