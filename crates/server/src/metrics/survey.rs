//! All queues, looked at in steps: the biggest ones by themselves, and the sums of all others.

use stanchion_engine::{Counts, Now, Paused, PayloadBytes, QueueSurvey, Spread, Totals};

use super::labels::label;
use crate::lane::Lane;
use crate::limits::{METRICS_QUEUES_MAX, METRICS_STEP};
use crate::walk;

/// What was found.
#[derive(Default)]
pub(super) struct Survey {
    /// The biggest queues, the one with the most jobs first.
    pub(super) queues: Vec<QueueSeen>,
    /// The others together.
    pub(super) others: Others,
    /// What of the log lives.
    pub(super) live_bytes: u64,
    /// How much of the payloads is where.
    pub(super) payloads: PayloadBytes,
}

/// A queue.
pub(super) struct QueueSeen {
    /// Its name, as a label shows it.
    pub(super) name: String,
    pub(super) counts: Counts,
    pub(super) oldest_ready_ms: Option<u64>,
    pub(super) paused: Paused,
    pub(super) payload_bytes: u64,
    pub(super) memory_bytes: u64,
    pub(super) workers: u64,
    pub(super) totals: Totals,
    pub(super) wait: Spread,
    pub(super) run: Spread,
}

/// Queues that are not told apart.
#[derive(Default, Debug, PartialEq, Eq)]
pub(super) struct Others {
    /// How many they are.
    pub(super) queues: u64,
    pub(super) counts: Counts,
    /// Of the oldest ready job of all of them.
    pub(super) oldest_ready_ms: Option<u64>,
    /// How many are paused.
    pub(super) push_paused: u64,
    pub(super) claim_paused: u64,
    pub(super) payload_bytes: u64,
    pub(super) memory_bytes: u64,
    pub(super) workers: u64,
}

impl Survey {
    /// Looks at all queues of a lane.
    pub(super) async fn look(lane: &Lane) -> Survey {
        let mut survey = Survey::default();
        walk::for_each_step(lane, |engine, cursor| {
            let now = Now { ms: lane.clock.now_ms(), entropy: 0 };
            let next = engine.survey(now, cursor, METRICS_STEP, &mut |queue| survey.see(&queue));
            if next == 0 {
                survey.live_bytes += engine.live_bytes();
                let PayloadBytes { here, logged } = engine.payload_bytes();
                survey.payloads.here += here;
                survey.payloads.logged += logged;
            }
            next
        })
        .await;
        survey.leave_out();
        survey
    }

    /// Keeps a queue, and once there are twice as many as are told apart, only the biggest: sorting costs little then.
    fn see(&mut self, queue: &QueueSurvey<'_>) {
        self.queues.push(QueueSeen {
            name: label(queue.line.queue),
            counts: queue.line.counts,
            oldest_ready_ms: queue.line.oldest_ready_ms,
            paused: queue.line.paused,
            payload_bytes: queue.bytes,
            memory_bytes: queue.memory,
            workers: queue.workers,
            totals: queue.totals,
            wait: queue.wait,
            run: queue.run,
        });
        if self.queues.len() >= 2 * METRICS_QUEUES_MAX {
            self.leave_out();
        }
    }

    fn leave_out(&mut self) {
        self.queues.sort_unstable_by(|a, b| b.size().cmp(&a.size()).then_with(|| a.name.cmp(&b.name)));
        for queue in self.queues.drain(self.queues.len().min(METRICS_QUEUES_MAX)..) {
            self.others.add(&queue);
        }
    }
}

impl QueueSeen {
    /// What decides which queues are told apart: jobs, then how busy it is.
    fn size(&self) -> (u64, u64) {
        let Counts { ready, delayed, claimed, dead } = self.counts;
        (ready + delayed + claimed + dead, self.totals.pushed + self.totals.claims)
    }
}

impl Others {
    fn add(&mut self, queue: &QueueSeen) {
        self.queues += 1;
        self.counts.ready += queue.counts.ready;
        self.counts.delayed += queue.counts.delayed;
        self.counts.claimed += queue.counts.claimed;
        self.counts.dead += queue.counts.dead;
        self.oldest_ready_ms = self.oldest_ready_ms.max(queue.oldest_ready_ms);
        self.push_paused += u64::from(queue.paused.push);
        self.claim_paused += u64::from(queue.paused.claim);
        self.payload_bytes += queue.payload_bytes;
        self.memory_bytes += queue.memory_bytes;
        self.workers += queue.workers;
    }
}

#[cfg(test)]
mod tests {
    use stanchion_engine::QueueLine;

    use super::*;

    /// A queue with so many ready jobs, of which so many were claimed and came back.
    fn see(survey: &mut Survey, name: &str, ready: u64, claims: u64) {
        survey.see(&QueueSurvey {
            line: QueueLine {
                queue: name.as_bytes(),
                counts: Counts { ready, ..Counts::default() },
                oldest_ready_ms: (ready > 0).then_some(ready),
                paused: Paused { claim: ready == 0, push: false },
            },
            bytes: 10 * ready,
            memory: 100,
            workers: 1,
            totals: Totals { claims, ..Totals::default() },
            wait: Spread::default(),
            run: Spread::default(),
        });
    }

    #[test]
    fn the_biggest_queues_are_told_apart_and_the_others_summed() {
        let mut survey = Survey::default();
        let count = 5 * METRICS_QUEUES_MAX as u64;
        for n in 0..count {
            see(&mut survey, &n.to_string(), n, 0);
        }
        survey.leave_out();
        let shown: Vec<u64> = survey.queues.iter().map(|queue| queue.counts.ready).collect();
        let limit = METRICS_QUEUES_MAX as u64;
        assert_eq!(shown, (count - limit..count).rev().collect::<Vec<_>>());
        let left = count - limit;
        let jobs = left * (left - 1) / 2;
        let expected = Others {
            queues: left,
            counts: Counts { ready: jobs, ..Counts::default() },
            oldest_ready_ms: Some(left - 1),
            push_paused: 0,
            claim_paused: 1,
            payload_bytes: 10 * jobs,
            memory_bytes: 100 * left,
            workers: left,
        };
        assert_eq!(survey.others, expected);
    }

    #[test]
    fn of_queues_with_as_many_jobs_the_busiest_come_first() {
        let mut survey = Survey::default();
        for (name, claims) in [("b", 0), ("c", 7), ("a", 0)] {
            see(&mut survey, name, 1, claims);
        }
        survey.leave_out();
        let names: Vec<_> = survey.queues.iter().map(|queue| queue.name.as_str()).collect();
        assert_eq!(names, ["c", "a", "b"]);
    }
}
