//! Whether the server does its work, asked when somebody wants to know.
//!
//! It fails while commands are not served, while pushes are refused for want of disk or memory, and when work waits
//! and no worker is heard any more.

use stanchion_engine::{Now, QueueLine};
use stanchion_status::Health;
use stanchion_storage::Space;

use crate::lane::Lane;
use crate::lifecycle::Phase;
use crate::limits::{LIST_STEP, WORK_WAITS_MAX};
use crate::server::Server;
use crate::walk;

/// Ready jobs that nobody takes.
#[derive(Default, PartialEq, Eq, Debug)]
struct Waiting {
    queues: u64,
    jobs: u64,
    /// The queue of the oldest of them, and its age.
    oldest: Option<(String, u64)>,
}

/// All of it.
pub(crate) async fn check(server: &Server) -> Health {
    let mut health = Health::default();
    match server.lifecycle.phase() {
        Phase::Loading => health.problems.push(loading(server)),
        Phase::Serving => {}
        Phase::Stopping | Phase::Hurrying => {
            health.problems.push("stopping: it was told to end, and takes no connections".to_owned());
        }
        Phase::Failed => health.problems.push(failed(server)),
    }
    let Some(lane) = server.lane().filter(|_| health.is_well()) else { return health };
    look_at_disk(lane, &mut health);
    if lane.memory.is_full() {
        let bytes_max = server.memory_bytes_max();
        health.problems.push(format!(
            "memory full: jobs alone take all of maxmemory ({bytes_max} bytes), so pushes are refused; raise it, or have jobs done"
        ));
    }
    if lane.checkpoints.status().has_failed {
        health.notes.push("the last checkpoint could not be written: the next start takes longer".to_owned());
    }
    if server.workers.are_gone() {
        health.problems.extend(waiting(lane).await.problem());
    }
    health
}

fn loading(server: &Server) -> String {
    let state = server.loading.state();
    let left = state.left_secs().map_or_else(String::new, |secs| format!(", about {secs} s left"));
    format!("loading: {} % of the log read{left}", state.percent() as u64)
}

fn failed(server: &Server) -> String {
    let why = server.lifecycle.failure().unwrap_or_default();
    format!("failed: {why}; the server ends, and has to be started again")
}

fn look_at_disk(lane: &Lane, health: &mut Health) {
    let left_bytes = lane.log.room().left_bytes;
    match lane.log.space() {
        Space::Ample => {}
        Space::Low => {
            health.notes.push(format!("disk low: {left_bytes} bytes are left; once only the reserve is, pushes are refused"));
        }
        Space::Full => health.problems.push(format!(
            "disk full: pushes are refused, claims and acks go on in the reserve; {left_bytes} bytes are left"
        )),
        Space::Exhausted => health.problems.push(format!(
            "disk full: the reserve is used up, and whatever changes queues is refused; {left_bytes} bytes are left"
        )),
    }
}

async fn waiting(lane: &Lane) -> Waiting {
    let mut waiting = Waiting::default();
    walk::for_each_step(lane, |engine, cursor| {
        let now = Now { ms: lane.clock.now_ms(), entropy: 0 };
        engine.list(now, cursor, LIST_STEP, &mut |line| waiting.see(&line))
    })
    .await;
    waiting
}

impl Waiting {
    fn see(&mut self, line: &QueueLine<'_>) {
        let Some(age_ms) = line.oldest_ready_ms.filter(|_| !line.paused.claim) else { return };
        if u128::from(age_ms) < WORK_WAITS_MAX.as_millis() {
            return;
        }
        self.queues += 1;
        self.jobs += line.counts.ready;
        if self.oldest.as_ref().is_none_or(|(_, oldest_ms)| age_ms > *oldest_ms) {
            self.oldest = Some((line.queue.escape_ascii().to_string(), age_ms));
        }
    }

    fn problem(self) -> Option<String> {
        let Waiting { queues, jobs, oldest } = self;
        let (queue, age_ms) = oldest?;
        Some(format!(
            "workers gone: none is heard any more, and {jobs} ready jobs of {queues} queues wait, the oldest in queue {queue} for {} s",
            age_ms / 1_000
        ))
    }
}

#[cfg(test)]
mod tests {
    use stanchion_engine::{Counts, Paused};

    use super::*;
    use crate::Config;
    use crate::acl::Acl;
    use crate::server::Ports;
    use crate::tls::Tls;

    #[tokio::test]
    async fn each_phase_but_serving_is_a_problem() {
        let mut config = Config::default();
        let acl = Acl::open(&mut config).unwrap();
        let server = Server::new(config, acl, Ports::default(), Tls::off(), [0; 20]);
        let problems = async || check(&server).await.problems;
        assert_eq!(problems().await, ["loading: 0 % of the log read"]);
        server.lifecycle.enter(Phase::Serving);
        assert_eq!(problems().await, [""; 0]);
        server.lifecycle.stop();
        assert_eq!(problems().await, ["stopping: it was told to end, and takes no connections"]);
        server.lifecycle.fail("a sync failed".to_owned());
        let failed = "failed: a sync failed; the server ends, and has to be started again";
        assert_eq!(problems().await, [failed]);
    }

    fn line(queue: &'static str, ready: u64, oldest_ready_ms: Option<u64>) -> QueueLine<'static> {
        let counts = Counts { ready, ..Counts::default() };
        QueueLine { queue: queue.as_bytes(), counts, oldest_ready_ms, paused: Paused::default() }
    }

    #[test]
    fn work_waits_when_it_is_ready_for_long_and_may_be_claimed() {
        let long = WORK_WAITS_MAX.as_millis() as u64;
        let mut waiting = Waiting::default();
        let paused = Paused { claim: true, push: false };
        for line in [
            line("empty", 0, None),
            line("fresh", 5, Some(long - 1)),
            QueueLine { paused, ..line("paused", 5, Some(2 * long)) },
        ] {
            waiting.see(&line);
        }
        assert_eq!(waiting, Waiting::default());
        assert_eq!(Waiting::default().problem(), None);
        waiting.see(&line("mail", 5, Some(long)));
        waiting.see(&line("a\nb", 2, Some(long + 1_000)));
        waiting.see(&line("video", 1, Some(long)));
        let problem = waiting.problem().unwrap();
        assert_eq!(
            problem,
            "workers gone: none is heard any more, and 8 ready jobs of 3 queues wait, the oldest in queue a\\nb for 11 s"
        );
    }
}
