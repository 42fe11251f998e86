//! How scripts show what the commands answer that only read.

use stanchion_protocol::command::QueueCommand;
use stanchion_protocol::id::JobId;

use crate::{JobView, Now, Refusal, Shard, Stats};

use super::compare::scan;
use super::rig::Rig;
use super::script::START_MS;

/// How a script names an id.
pub(crate) type Names<'a> = &'a dyn Fn(JobId) -> String;

/// The answer of a command that only reads; none for one that may change something.
pub(crate) fn read(rig: &Rig, command: &QueueCommand<'_>, names: Names<'_>) -> Option<String> {
    let (shard, now) = rig.shard_and_now();
    Some(match command {
        QueueCommand::Len { queue, count, group } => shard.len(queue, *count, *group).to_string(),
        QueueCommand::Job { queue, which } => {
            shard.job(queue, *which).map_or("nil".into(), |job| show_job(rig, &shard.view(job), names))
        }
        QueueCommand::Stats { queue } => {
            shard.stats(now, queue).map_or("nil".into(), |stats| show_stats(&stats))
        }
        QueueCommand::Peek { queue, state, count, group } => {
            let mut jobs = Vec::new();
            shard.peek(queue, *state, *count as usize, *group, &mut jobs);
            show_ids(jobs.into_iter().map(|job| shard.view(job).id), names)
        }
        QueueCommand::Scan { queue, state, group, .. } => show_ids(scan(shard, queue, *state, *group), names),
        QueueCommand::Ready { glob, count, .. } => show_ready(shard, now, *glob, *count as usize),
        QueueCommand::List { .. } => show_queues(shard, now),
        QueueCommand::ConfigGet { queue, key } => match shard.config_get(queue, *key) {
            Ok(values) => {
                let each = values.iter().map(|(name, value, source)| {
                    format!("{name}={value}:{}", format!("{source:?}").to_lowercase())
                });
                each.collect::<Vec<_>>().join(" ")
            }
            Err(refusal) => refused(&refusal),
        },
        _ => return None,
    })
}

fn show_job(rig: &Rig, view: &JobView<'_>, names: Names<'_>) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string().replace(' ', "_");
    let mut fields = vec![
        format!("id={}", names(view.id)),
        format!("state={}", format!("{:?}", view.state).to_lowercase()),
        format!("group={}", text(view.group)),
        format!("priority={}", view.priority),
        format!("payload={}", text(&rig.bytes(view.payload))),
        format!("attempts={}", view.attempts),
        format!("failures={}", view.failures),
        format!("attempts-max={}", view.attempts_max),
        format!("pushed-at={}", instant(view.pushed_at)),
        format!("ready-at={}", instant(view.ready_at)),
    ];
    fields.extend(view.expires_at.map(|at| format!("expires-at={}", instant(at))));
    fields.extend(view.lease_until.map(|at| format!("lease-until={}", instant(at))));
    fields.extend(view.worker.map(|worker| format!("worker={}", text(worker))));
    fields.extend(view.dedupe.map(|key| format!("dedupe={}", text(key))));
    fields.extend(view.root.map(|(signature, at)| format!("root={}@{at}", text(signature))));
    fields.extend(view.last_error.map(|error| format!("last-error={}", text(error))));
    fields.join(" ")
}

fn show_stats(stats: &Stats) -> String {
    let (totals, counts) = (&stats.totals, &stats.counts);
    let fields = [
        ("ready", Some(counts.ready)),
        ("delayed", Some(counts.delayed)),
        ("claimed", Some(counts.claimed)),
        ("dead", Some(counts.dead)),
        ("bytes", Some(stats.bytes)),
        ("groups", Some(stats.groups)),
        ("oldest-ready-ms", stats.oldest_ready_ms),
        ("push-paused", Some(u64::from(stats.paused.push))),
        ("claim-paused", Some(u64::from(stats.paused.claim))),
        ("pushed", Some(totals.pushed)),
        ("duplicates", Some(totals.duplicates)),
        ("replaced", Some(totals.replaced)),
        ("superseded", Some(totals.superseded)),
        ("expired", Some(totals.expired)),
        ("claims", Some(totals.claims)),
        ("acked", Some(totals.acked)),
        ("nacked", Some(totals.nacked)),
        ("released", Some(totals.released)),
        ("lapsed", Some(totals.lapsed)),
        ("died", Some(totals.died)),
        ("stale-acks", Some(totals.stale_acks)),
        ("wait-p50-ms", stats.wait.p50_ms),
        ("wait-max-ms", stats.wait.max_ms),
        ("run-p50-ms", stats.run.p50_ms),
        ("run-max-ms", stats.run.max_ms),
    ];
    let shown = fields.iter().filter_map(|(name, value)| Some(format!("{name}={}", (*value)?)));
    shown.collect::<Vec<_>>().join(" ")
}

fn show_ready(shard: &Shard, now: Now, glob: Option<&[u8]>, count: usize) -> String {
    let mut lines = Vec::new();
    let mut cursor = 0;
    loop {
        cursor = shard.ready(now, cursor, glob, count, &mut lines);
        if cursor == 0 {
            break;
        }
    }
    sorted(lines.iter().map(|line| {
        let (queue, group) = (line.queue.escape_ascii(), line.group.escape_ascii());
        format!("{queue}/{group} {} {}", line.ready, line.oldest_ms)
    }))
}

fn show_queues(shard: &Shard, now: Now) -> String {
    let mut lines = Vec::new();
    let mut cursor = 0;
    loop {
        cursor = shard.list(now, cursor, 1, &mut |line| {
            let c = line.counts;
            let counts = [c.ready, c.delayed, c.claimed, c.dead].map(|count| count.to_string());
            lines.push(format!("{} {}", line.queue.escape_ascii(), counts.join("/")));
        });
        if cursor == 0 {
            return sorted(lines);
        }
    }
}

fn show_ids(ids: impl IntoIterator<Item = JobId>, names: Names<'_>) -> String {
    or_nothing(ids.into_iter().map(names).collect::<Vec<_>>().join(" "))
}

fn sorted(lines: impl IntoIterator<Item = String>) -> String {
    let mut lines: Vec<String> = lines.into_iter().collect();
    lines.sort();
    or_nothing(lines.join(", "))
}

/// An instant as scripts write it.
pub(crate) fn instant(ms: u64) -> String {
    (i128::from(ms) - i128::from(START_MS)).to_string()
}

/// An empty answer is said.
pub(crate) fn or_nothing(text: String) -> String {
    if text.is_empty() { "nothing".into() } else { text }
}

/// A refusal by its code.
pub(crate) fn refused(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Paused { .. } => "PAUSED".into(),
        Refusal::FullJobs { .. } => "FULL jobs".into(),
        Refusal::FullBytes { .. } => "FULL bytes".into(),
        Refusal::TooFar { at } => format!("ERR {at}"),
        Refusal::Setting(text) => format!("ERR {text}"),
    }
}
