//! Whether the runner does its work, asked when somebody wants to know: an idle runner asks the server nothing.
//!
//! It fails when a job should have ended long ago and still holds its slot, when a loop of the runner does not turn
//! any more, when the server does not answer, and when work has waited for a minute while slots were free.

use std::sync::Arc;
use std::time::Duration;

use stanchion_client::{Error, QueueSummary, Sources};
use stanchion_protocol::glob;
use stanchion_status::Health;
use tokio::time::{Instant, timeout};

use crate::group::Group;
use crate::limits::{HEALTH_ANSWER_MAX, WORK_WAITS_MAX};
use crate::runner::Shared;

/// What the runner can say without the server: slots and loops that are stuck.
pub(crate) fn stuck(shared: &Shared) -> Vec<String> {
    let now = Instant::now();
    let mut problems: Vec<String> = shared
        .running
        .overdue(now)
        .into_iter()
        .map(|job| format!("slot stuck: {} should have ended {} s ago", job.name, job.late.as_secs()))
        .collect();
    for group in shared.groups() {
        if let Some(late) = group.pulse.overdue(now) {
            let late = late.as_secs();
            problems.push(format!("claims stuck: group {} should have asked again {late} s ago", group.name));
        }
    }
    if let Some(late) = shared.lease_pulse.overdue(now) {
        problems.push(format!("leases stuck: they should have been extended {} s ago", late.as_secs()));
    }
    problems
}

/// All of it.
pub(crate) async fn check(shared: &Shared) -> Health {
    let mut health = Health { problems: stuck(shared), notes: Vec::new() };
    let address = shared.client.address();
    if let Err(error) = answered(shared.client.ping()).await {
        health.problems.push(format!("server unreachable: {address}: {error}"));
        return health;
    }
    if shared.stop.is_stopping() {
        health.notes.push("the runner stops".to_owned());
        return health;
    }
    if shared.quiet.is_wanted() {
        health.notes.push("the server wants quiet: nothing is claimed".to_owned());
        return health;
    }
    let idle: Vec<Arc<Group>> = shared.groups().into_iter().filter(|group| is_idle(group)).collect();
    if idle.is_empty() {
        return health;
    }
    match waiting(shared, &idle).await {
        Ok(problems) => health.problems.extend(problems),
        Err(Error::Auth(_)) => {
            let note = "waiting work not looked at: the runner's user may not run QLIST and QCONFIG GET";
            health.notes.push(note.to_owned());
        }
        Err(error) => health.problems.push(format!("server unreachable: {address}: {error}")),
    }
    health
}

/// Whether a group has had a free slot and taken no job for a minute.
fn is_idle(group: &Group) -> bool {
    !group.is_leaving() && group.slots.idle_for(Instant::now()).is_some_and(|idle| idle >= WORK_WAITS_MAX)
}

/// Queues with work that one of these groups should have taken.
async fn waiting(shared: &Shared, idle: &[Arc<Group>]) -> Result<Vec<String>, Error> {
    let mut problems = Vec::new();
    for (queue, group) in unserved(&answered(shared.client.list(None)).await?, idle) {
        // The server holds such a queue's jobs back for its own reasons, which the runner can't know better.
        if is_capped(shared, &queue.queue).await? {
            continue;
        }
        problems.push(format!(
            "work waits: queue {} has {} ready jobs, the oldest for {} s, and group {} has free slots and takes none",
            String::from_utf8_lossy(&queue.queue),
            queue.ready,
            queue.oldest_ready_ms.unwrap_or_default() / 1_000,
            group.name
        ));
    }
    Ok(problems)
}

/// Queues whose jobs have waited for a minute, each with a group of these that serves it.
fn unserved<'q>(queues: &'q [QueueSummary], idle: &'q [Arc<Group>]) -> Vec<(&'q QueueSummary, &'q Group)> {
    let serves = |group: &Group, queue: &QueueSummary| {
        group.work.borrow().as_ref().is_some_and(|work| is_of(&work.all, &queue.queue))
    };
    let waiting = queues.iter().filter(|queue| waits_too_long(queue));
    waiting
        .filter_map(|queue| {
            let group = idle.iter().find(|group| serves(group, queue))?;
            Some((queue, group.as_ref()))
        })
        .collect()
}

fn waits_too_long(queue: &QueueSummary) -> bool {
    let oldest = Duration::from_millis(queue.oldest_ready_ms.unwrap_or_default());
    queue.ready > 0 && oldest >= WORK_WAITS_MAX && !queue.is_paused
}

/// Whether a cap or a rate may keep ready jobs from being claimed.
async fn is_capped(shared: &Shared, queue: &[u8]) -> Result<bool, Error> {
    let settings = answered(shared.client.config_get(queue)).await?;
    let caps = ["concurrency", "group-concurrency", "rate"];
    Ok(settings.iter().any(|setting| caps.contains(&setting.key.as_str()) && setting.value != "0"))
}

/// Whether a group's claims ask for this queue.
fn is_of(sources: &Sources, queue: &[u8]) -> bool {
    let matches = |globs: &[String]| globs.iter().any(|glob| glob::matches(glob.as_bytes(), queue));
    match sources {
        Sources::Match { globs, except } => matches(globs) && !matches(except),
        Sources::Queues(queues) => queues.iter().any(|name| name.as_slice() == queue),
    }
}

async fn answered<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(HEALTH_ANSWER_MAX, answer).await.unwrap_or(Err(Error::Timeout(HEALTH_ANSWER_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PULSE_GRACE;
    use crate::{Config, Runner};

    const CONFIG: &str = "[server]\nurl='redis://h'\n[groups.g]\nslots=2\ninclude=['mail*']\nexclude=['mail-slow']\n\
                          dispatcher='d'\n[dispatchers.d]\nkind='exec'\ncommand=['true']";

    fn group() -> Arc<Group> {
        Arc::new(Group::from_config(&Config::parse("f", CONFIG).unwrap().groups[0]))
    }

    #[test]
    fn only_old_work_of_queues_that_are_served_counts() {
        let queue = |name: &str, ready: u64, oldest: u64| QueueSummary {
            queue: name.into(),
            ready,
            oldest_ready_ms: (ready > 0).then_some(oldest),
            ..QueueSummary::default()
        };
        let idle = [group()];
        let cases = [
            (queue("mail", 1, 60_000), true),
            (queue("mail", 1, 59_999), false),
            (queue("mail", 0, 0), false),
            (queue("mail-slow", 1, 90_000), false),
            (queue("video", 1, 90_000), false),
            (QueueSummary { is_paused: true, ..queue("mail", 1, 90_000) }, false),
        ];
        for (queue, counts) in cases {
            assert_eq!(!unserved(std::slice::from_ref(&queue), &idle).is_empty(), counts, "{queue:?}");
            assert!(unserved(&[queue], &[]).is_empty(), "no group was idle");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_is_idle_after_a_minute_without_a_job_while_a_slot_was_free() {
        let group = group();
        assert!(!is_idle(&group));
        tokio::time::advance(WORK_WAITS_MAX).await;
        assert!(is_idle(&group));
        group.leave();
        assert!(!is_idle(&group), "it is to take none");
    }

    #[tokio::test(start_paused = true)]
    async fn what_should_have_ended_is_stuck() {
        let runner = Runner::builder().handle("q", |_| async {}).build().unwrap();
        let shared = &runner.shared_for_tests();
        shared.set_groups(vec![group()]);
        let second = Duration::from_secs(1);
        let job = crate::testing::job("q");
        let entered = shared.running.start(&job, Some(second));
        shared.groups()[0].pulse.promise(second);
        shared.lease_pulse.promise(second);
        assert_eq!(stuck(shared), Vec::<String>::new());
        tokio::time::advance(PULSE_GRACE + 3 * second).await;
        let expected = [
            "slot stuck: job 0000100000000001 of queue q should have ended 2 s ago",
            "claims stuck: group g should have asked again 2 s ago",
            "leases stuck: they should have been extended 2 s ago",
        ];
        assert_eq!(stuck(shared), expected);
        drop(entered);
        shared.groups()[0].pulse.rest();
        shared.lease_pulse.rest();
        assert_eq!(stuck(shared), Vec::<String>::new());
    }
}
