//! Pushes the jobs of `[schedules.NAME]`, each exactly once for each time that it is due, however many runners have
//! the same schedule.
//!
//! Every runner pushes, and the server keeps all but the first out: the dedupe key names schedule and time, and is
//! held until the next time is due and a while longer. So no runner is special, none has to remember anything, and
//! one that comes late is told that the job is there already. A push whose answer was lost is simply sent again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stanchion_client::{Backoff, Dedupe, Error, Push, PushStatus};
use tokio::task::{AbortHandle, JoinSet};

use crate::config::{Missed, Schedule};
use crate::counts::Tick;
use crate::limits::{DURATION_MAX, TICK_CLOCK_SKEW_MAX, TICK_LATE_MAX, WALL_CLOCK_LOOK};
use crate::phase::Phase;
use crate::runner::Shared;

/// The schedules at work.
#[derive(Debug)]
pub(crate) struct Scheduler {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    running: HashMap<String, (Schedule, AbortHandle)>,
}

impl Scheduler {
    pub(crate) fn new(shared: Arc<Shared>) -> Scheduler {
        Scheduler { shared, tasks: JoinSet::new(), running: HashMap::new() }
    }

    /// Works by these from now on. Those that stay as they are are not disturbed.
    pub(crate) fn set(&mut self, schedules: &[Schedule]) {
        self.running.retain(|_, (schedule, task)| {
            let stays = schedules.contains(schedule);
            if !stays {
                task.abort();
            }
            stays
        });
        for schedule in schedules {
            if !self.running.contains_key(&schedule.name) {
                let (shared, own) = (Arc::clone(&self.shared), schedule.clone());
                let task = self.tasks.spawn(async move {
                    tokio::select! {
                        () = keep(&shared, &own) => {}
                        () = shared.stop.reached(Phase::Draining) => {}
                    }
                });
                self.running.insert(schedule.name.clone(), (schedule.clone(), task));
            }
        }
        // What has ended is not kept.
        while self.tasks.try_join_next().is_some() {}
    }
}

/// Pushes whenever the schedule is due.
async fn keep(shared: &Shared, schedule: &Schedule) {
    let mut done = first_done(schedule, unix_seconds());
    loop {
        let Some(next) = schedule.ticks.next_after(done) else { return };
        let now = unix_seconds();
        if next > now {
            // In pieces, because the wall clock may be set, or the machine sleep.
            let wait = Duration::from_secs(next.abs_diff(now));
            tokio::time::sleep(wait.min(WALL_CLOCK_LOOK)).await;
            continue;
        }
        // Of several that were missed, only the newest one.
        let tick = schedule.ticks.last_until(now).unwrap_or(next).max(next);
        let following = schedule.ticks.next_after(tick);
        push(shared, schedule, tick, following).await;
        done = tick;
    }
}

/// The time up to which nothing is to be done when the runner begins. A schedule whose missed times are caught up
/// does its newest one; if another runner has pushed it, the server says so.
fn first_done(schedule: &Schedule, now: i64) -> i64 {
    match schedule.missed {
        Missed::Skip => now,
        Missed::Once => schedule.ticks.last_until(now).map_or(now, |tick| tick - 1),
    }
}

/// Pushes the job of one time, until the server has it or it is too late.
async fn push(shared: &Shared, schedule: &Schedule, tick: i64, following: Option<i64>) {
    let (queue, name) = (&schedule.queue, &schedule.name);
    let deadline = match schedule.missed {
        Missed::Once => following.unwrap_or(i64::MAX),
        Missed::Skip => tick.saturating_add(TICK_LATE_MAX.as_secs().cast_signed()),
    };
    let dedupe = Dedupe::until_claim(format!("schedule:{name}:{tick}")).window(window(tick, following));
    let job = Push::new(&schedule.payload).dedupe(dedupe);
    let mut backoff = Backoff::default();
    while unix_seconds() < deadline {
        match shared.client.push(queue, &job).await {
            Ok(pushed) => {
                let is_first = !matches!(pushed.status, PushStatus::Duplicate);
                shared.counts.tick(name, if is_first { Tick::Pushed } else { Tick::Duplicate });
                let id = pushed.id.map(|id| id.to_string());
                match is_first {
                    true => tracing::info!(schedule = name, queue, tick, id, "schedule pushed"),
                    false => {
                        tracing::debug!(schedule = name, queue, tick, id, "another runner has pushed it")
                    }
                }
                return;
            }
            Err(error) => {
                log_trouble(&error, name, tick);
                tokio::time::sleep(backoff.next_pause()).await;
            }
        }
    }
    shared.counts.tick(name, Tick::Missed);
    tracing::error!(schedule = name, queue, tick, "schedule missed: its job could not be pushed in time");
}

fn log_trouble(error: &Error, schedule: &str, tick: i64) {
    if error.is_transient() {
        tracing::warn!(schedule, tick, %error, "the schedule's job can't be pushed; trying again");
    } else {
        tracing::error!(schedule, tick, %error, "the server refuses the schedule's job; trying again");
    }
}

/// How long the server keeps others from pushing the same time: until the next one, when all turn to that, and longer
/// by as much as a runner's clock may be slow.
fn window(tick: i64, following: Option<i64>) -> Duration {
    let gap = following.map_or(DURATION_MAX, |following| Duration::from_secs(following.abs_diff(tick)));
    gap.saturating_add(TICK_CLOCK_SKEW_MAX).min(DURATION_MAX)
}

fn unix_seconds() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::ticks::Ticks;

    #[test]
    fn what_was_missed_is_caught_up_once_or_not_at_all() {
        let schedule = |missed| Schedule {
            name: "nightly".into(),
            ticks: Ticks::new("0 3 * * *", TimeZone::UTC).unwrap(),
            queue: "q".into(),
            payload: String::new(),
            missed,
        };
        let (three, day) = (3 * 3_600, 86_400);
        let now = 10 * day + three + 100;
        let skip = schedule(Missed::Skip);
        assert_eq!(skip.ticks.next_after(first_done(&skip, now)), Some(11 * day + three));
        let once = schedule(Missed::Once);
        assert_eq!(once.ticks.next_after(first_done(&once, now)), Some(10 * day + three));
    }

    #[test]
    fn the_server_remembers_a_time_until_nobody_would_push_it() {
        let minute = Duration::from_secs(60);
        assert_eq!(window(600, Some(660)), minute + TICK_CLOCK_SKEW_MAX);
        assert_eq!(window(600, None), DURATION_MAX, "the server allows no longer one");
    }
}
