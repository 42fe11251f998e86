//! What those who watch over a server are told of each queue: QSTATS for all queues, in bounded steps.
//!
//! Counts are of this run. Those of QSTATS are on disk, but not each of them before a reply: after a crash they may
//! be a little lower, and to a monitor a counter that falls has begun anew at zero.

use crate::queue::Queue;
use crate::{Now, QueueLine, Shard, Totals, limits};

/// Upper ends of the latencies that a [`Spread`] tells apart, in milliseconds: every other power of two, less one.
pub const SPREAD_ENDS_MS: [u64; 11] =
    [3, 15, 63, 255, 1_023, 4_095, 16_383, 65_535, 262_143, 1_048_575, 4_194_303];

/// A queue, as monitoring sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueSurvey<'a> {
    /// Its line of QLIST.
    pub line: QueueLine<'a>,
    /// Payload bytes of all jobs.
    pub bytes: u64,
    /// Bytes that the queue takes in memory.
    pub memory: u64,
    /// Workers that have claimed jobs of it.
    pub workers: u64,
    /// What happened in this run.
    pub totals: Totals,
    /// From ready to claimed.
    pub wait: Spread,
    /// From claimed to acked, nacked or lapsed.
    pub run: Spread,
}

/// How often a latency was how long, in this run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Spread {
    /// Those up to each of [`SPREAD_ENDS_MS`] and above the one before; the last are longer than all of them.
    pub counts: [u64; SPREAD_ENDS_MS.len() + 1],
    /// All of them together.
    pub sum_ms: u64,
}

impl Shard {
    /// Visits queues from a cursor on, about `count` of them; the next cursor, 0 at the end.
    pub fn survey(&self, now: Now, cursor: u32, count: usize, visit: &mut dyn FnMut(QueueSurvey<'_>)) -> u32 {
        self.visit_queues(cursor, count, |queue| visit(queue.survey(now.ms)))
    }

    /// A run begins: what happened so far was before it. Replay knows latencies of what is left of the log only, and the
    /// configuration file may have another rate now.
    pub(crate) fn begin_run(&mut self) {
        for ix in 0..self.queues.slots() {
            if self.queues.get(ix).is_some() {
                let (now, queue) = (self.last_now, &mut self.queues[ix]);
                queue.limit_debt(now);
                (queue.totals_before, queue.latencies) = (queue.all_totals(), None);
            }
        }
    }
}

impl Queue {
    /// What happened since the queue was made.
    pub(crate) fn all_totals(&self) -> Totals {
        let mut totals = self.totals;
        totals.superseded += self.superseded_pushes;
        totals
    }

    fn survey(&self, now: u64) -> QueueSurvey<'_> {
        let latencies = self.latencies.as_deref();
        QueueSurvey {
            line: self.line(now),
            bytes: self.bytes,
            memory: self.memory_bytes(limits::MEMORY_TOTAL_SAMPLES),
            workers: self.workers.as_deref().map_or(0, |workers| workers.entries.len() as u64),
            totals: self.all_totals().since(&self.totals_before),
            wait: latencies.map(|latencies| latencies.wait.spread()).unwrap_or_default(),
            run: latencies.map(|latencies| latencies.run.spread()).unwrap_or_default(),
        }
    }
}

impl Totals {
    fn since(self, before: &Totals) -> Totals {
        let Totals {
            pushed,
            duplicates,
            replaced,
            superseded,
            expired,
            claims,
            acked,
            nacked,
            released,
            lapsed,
            died,
            stale_acks,
        } = self;
        Totals {
            pushed: pushed.saturating_sub(before.pushed),
            duplicates: duplicates.saturating_sub(before.duplicates),
            replaced: replaced.saturating_sub(before.replaced),
            superseded: superseded.saturating_sub(before.superseded),
            expired: expired.saturating_sub(before.expired),
            claims: claims.saturating_sub(before.claims),
            acked: acked.saturating_sub(before.acked),
            nacked: nacked.saturating_sub(before.nacked),
            released: released.saturating_sub(before.released),
            lapsed: lapsed.saturating_sub(before.lapsed),
            died: died.saturating_sub(before.died),
            stale_acks: stale_acks.saturating_sub(before.stale_acks),
        }
    }
}
