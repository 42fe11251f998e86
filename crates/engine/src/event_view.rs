//! Events as plain data with names, for those who look at a log: every field under its name, as QJOB calls it,
//! in the order in which a reader wants them. What does not apply is left out.

use stanchion_protocol::command::Until;
use stanchion_protocol::id::JobId;

use crate::event::{Decoded, Event, Gone, events, split_part};
use crate::terms::{JobSnapshot, Spot, Terms};
use crate::{Damaged, JobRef, Shard, Totals};

/// An event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventView<'a> {
    /// Its kind.
    pub name: &'static str,
    /// What it says.
    pub fields: Vec<(&'static str, Field<'a>)>,
}

/// The value of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field<'a> {
    /// A job.
    Job(JobId),
    /// A count, a limit or a number of milliseconds.
    Number(u64),
    /// Unix milliseconds.
    Time(u64),
    /// Yes or no.
    Flag(bool),
    /// One of a few words.
    Word(&'static str),
    /// What a client said: any bytes.
    Bytes(&'a [u8]),
}

/// A part of a record: what happened at one instant in one queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartView<'a> {
    /// The queue; `None` if it concerns all or none.
    pub queue: Option<&'a [u8]>,
    /// When.
    pub at: Option<u64>,
    /// What.
    pub events: Vec<EventView<'a>>,
}

/// The parts of a record's body.
///
/// # Errors
/// It was written by another version, or it is damaged.
pub fn view_parts(body: &[u8]) -> Result<Vec<PartView<'_>>, Damaged> {
    let mut parts = Vec::new();
    let mut left = body;
    while !left.is_empty() {
        let (part, _, rest) = split_part(left)?;
        left = rest;
        parts.push(match part {
            Decoded::Queue { queue, now, events: bytes } => {
                let events =
                    events(bytes).map(|event| event.map(|event| view(&event))).collect::<Result<_, _>>()?;
                PartView { queue: Some(queue), at: Some(now), events }
            }
            Decoded::Boot { now, grace_ms } => {
                let fields = vec![("lease_grace_ms", Field::Number(grace_ms))];
                PartView { queue: None, at: Some(now), events: vec![EventView { name: "boot", fields }] }
            }
            Decoded::Mark => PartView {
                queue: None,
                at: None,
                events: vec![EventView { name: "mark", fields: Vec::new() }],
            },
        });
    }
    Ok(parts)
}

impl Shard {
    /// A job as its snapshot in the log would say it, with its payload from wherever that was read.
    pub fn show_job<'a>(&'a self, job: JobRef, payload: &'a [u8]) -> EventView<'a> {
        view(&Event::Job(self.queues[job.queue].snapshot(job.job, payload)))
    }
}

type Fields<'a> = Vec<(&'static str, Field<'a>)>;

fn view<'a>(event: &Event<'a>) -> EventView<'a> {
    let job = |id: u64| ("id", Field::Job(JobId(id)));
    let through =
        |(at, id): (u64, u64)| vec![("through", Field::Time(at)), ("through_id", Field::Job(JobId(id)))];
    let of_root = |group: &'a [u8], signature: &'a [u8]| {
        vec![("group", Field::Bytes(group)), ("signature", Field::Bytes(signature))]
    };
    let error = |error: Option<&'a [u8]>| error.map(|error| ("error", Field::Bytes(error)));
    let (name, fields): (_, Fields<'a>) = match *event {
        Event::Push { id, ref terms } => ("push", with(vec![job(id)], of_terms(terms))),
        Event::Replace { id, pushed_at, epoch, ref terms } => {
            let head = vec![job(id), ("pushed_at", Field::Time(pushed_at)), ("epoch", Field::Number(epoch))];
            ("replace", with(head, of_terms(terms)))
        }
        Event::Root { group, signature, timestamp } => {
            ("root", with(of_root(group, signature), [("timestamp", Field::Number(timestamp))]))
        }
        Event::Reroot { id, timestamp } => ("reroot", vec![job(id), ("timestamp", Field::Number(timestamp))]),
        Event::Claim { id, epoch, lease_until, rate_at, worker } => {
            let head =
                vec![job(id), ("epoch", Field::Number(epoch)), ("lease_until", Field::Time(lease_until))];
            let tail = [number_unless_0("rate_at", rate_at), bytes_unless_empty("worker", worker)];
            ("claim", with(head, tail.into_iter().flatten()))
        }
        Event::Ack { id } => ("ack", vec![job(id)]),
        Event::Nack { id, ready_at, error: why } => {
            ("nack", with(vec![job(id), ("ready_at", Field::Time(ready_at))], error(why)))
        }
        Event::Die { id, error: why } => ("die", with(vec![job(id)], error(why))),
        Event::Release { id, delayed_until } => {
            ("release", with(vec![job(id)], delayed_until.map(|until| ("delayed_until", Field::Time(until)))))
        }
        Event::Extend { id, lease_until } => {
            ("extend", vec![job(id), ("lease_until", Field::Time(lease_until))])
        }
        Event::Lapse { id, attempts_max } => {
            ("lapse", vec![job(id), ("attempts_max", Field::Number(attempts_max.into()))])
        }
        Event::Gone { id, why } => {
            let why = match why {
                Gone::Superseded => "superseded",
                Gone::Expired => "expired",
                Gone::Deleted => "deleted",
            };
            ("gone", vec![job(id), ("why", Field::Word(why))])
        }
        Event::Lost { id, reason } => ("lost", vec![job(id), ("reason", Field::Bytes(reason))]),
        Event::Requeue { id, takes_key } => ("requeue", vec![job(id), ("takes_key", Field::Flag(takes_key))]),
        Event::Due { through: moment } => ("due", through(moment)),
        Event::Lapses { through: moment, attempts_max } => {
            ("lapses", with(through(moment), [("attempts_max", Field::Number(attempts_max.into()))]))
        }
        Event::Expiries { through: moment } => ("expiries", through(moment)),
        Event::Buried { through: moment } => ("buried", through(moment)),
        Event::WindowsOver { through: moment } => ("windows_over", through(moment)),
        Event::RootOver { group, signature } => ("root_over", of_root(group, signature)),
        Event::Pause { push_until, claim_until } => ("pause", of_pauses(push_until, claim_until)),
        Event::Set { name, words } => {
            let words = Field::Bytes(words.as_bytes());
            ("set", vec![("setting", Field::Bytes(name.as_bytes())), ("value", words)])
        }
        Event::Unset { name } => ("unset", vec![("setting", Field::Bytes(name.as_bytes()))]),
        Event::Windowless => ("windowless", Vec::new()),
        Event::KeyFreed { group, key } => {
            ("key_freed", vec![("group", Field::Bytes(group)), ("dedupe", Field::Bytes(key))])
        }
        Event::QueueGone => ("queue_gone", Vec::new()),
        Event::Job(ref job) => ("job", of_snapshot(job)),
        Event::JobBeside { ref job, logged } => {
            let logged = logged.map(|bytes| ("logged_bytes", Field::Number(bytes.into())));
            ("job_beside", with(of_snapshot(job), logged))
        }
        Event::Window { group, key, holder, window_until } => {
            let head = vec![("group", Field::Bytes(group)), ("dedupe", Field::Bytes(key))];
            let tail = [("holder", Field::Job(JobId(holder))), ("window_until", Field::Time(window_until))];
            ("window", with(head, tail))
        }
        Event::RootKept { group, signature, timestamp, registered_at } => {
            let tail =
                [("timestamp", Field::Number(timestamp)), ("registered_at", Field::Time(registered_at))];
            ("root_kept", with(of_root(group, signature), tail))
        }
        Event::Queue { push_until, claim_until, rate_at, idle_since, ref totals } => {
            let head = with(of_pauses(push_until, claim_until), number_unless_0("rate_at", rate_at));
            ("queue", with(with(head, [("idle_since", Field::Time(idle_since))]), of_totals(totals)))
        }
        Event::Based { base } => ("based", vec![("base", Field::Number(base))]),
    };
    EventView { name, fields }
}

fn with<'a>(mut fields: Fields<'a>, more: impl IntoIterator<Item = (&'static str, Field<'a>)>) -> Fields<'a> {
    fields.extend(more);
    fields
}

fn number_unless_0(name: &'static str, value: u64) -> Option<(&'static str, Field<'static>)> {
    (value != 0).then_some((name, Field::Number(value)))
}

fn instant_unless_0(name: &'static str, value: u64) -> Option<(&'static str, Field<'static>)> {
    (value != 0).then_some((name, Field::Time(value)))
}

fn bytes_unless_empty<'a>(name: &'static str, bytes: &'a [u8]) -> Option<(&'static str, Field<'a>)> {
    (!bytes.is_empty()).then_some((name, Field::Bytes(bytes)))
}

/// No pause is left out; one without end is the word `until_resumed`.
fn of_pauses(push_until: u64, claim_until: u64) -> Fields<'static> {
    let pause = |name: &'static str, until: u64| match until {
        0 => None,
        u64::MAX => Some((name, Field::Word("until_resumed"))),
        until => Some((name, Field::Time(until))),
    };
    [pause("push_paused_until", push_until), pause("claim_paused_until", claim_until)]
        .into_iter()
        .flatten()
        .collect()
}

fn of_terms<'a>(terms: &Terms<'a>) -> Fields<'a> {
    let mut fields: Fields<'a> = bytes_unless_empty("group", terms.group).into_iter().collect();
    fields.push(("priority", Field::Number(terms.priority.into())));
    fields.push(("delayed", Field::Flag(terms.delayed)));
    fields.push(("ready_at", Field::Time(terms.ready_at)));
    fields.extend(instant_unless_0("expires_at", terms.expires_at));
    fields.extend(terms.attempts_max.map(|attempts| ("attempts_max", Field::Number(attempts.into()))));
    if let Some(key) = &terms.key {
        let until = match key.until {
            Until::Claim => "claim",
            Until::Done => "done",
        };
        fields.push(("dedupe", Field::Bytes(key.key)));
        fields.push(("dedupe_until", Field::Word(until)));
        fields.extend(instant_unless_0("window_until", key.window_until));
    }
    if let Some((signature, timestamp)) = terms.root {
        fields.push(("root_signature", Field::Bytes(signature)));
        fields.push(("root_timestamp", Field::Number(timestamp)));
    }
    fields.push(("payload", Field::Bytes(terms.payload)));
    fields
}

fn of_snapshot<'a>(job: &JobSnapshot<'a>) -> Fields<'a> {
    let mut fields: Fields<'a> = vec![("id", Field::Job(JobId(job.id)))];
    match job.spot {
        Spot::Ready => fields.push(("state", Field::Word("ready"))),
        Spot::Delayed => fields.push(("state", Field::Word("delayed"))),
        Spot::Claimed { lease_until, claimed_at } => {
            fields.push(("state", Field::Word("claimed")));
            fields.push(("lease_until", Field::Time(lease_until)));
            fields.push(("claimed_at", Field::Time(claimed_at)));
        }
        Spot::Dead { died_at } => {
            fields.push(("state", Field::Word("dead")));
            fields.push(("died_at", Field::Time(died_at)));
        }
    }
    fields.push(("pushed_at", Field::Time(job.pushed_at)));
    fields.push(("attempts", Field::Number(job.attempts.into())));
    fields.push(("failures", Field::Number(job.failures.into())));
    fields.push(("epoch", Field::Number(job.epoch)));
    fields.extend(job.worker.map(|worker| ("worker", Field::Bytes(worker))));
    fields.extend(job.last_error.map(|error| ("last_error", Field::Bytes(error))));
    if job.terms.key.is_some() {
        fields.push(("dedupe_held", Field::Flag(job.held)));
        fields.push(("dedupe_owned", Field::Flag(job.owns_key)));
    }
    // The state says it.
    with(fields, of_terms(&job.terms).into_iter().filter(|&(name, _)| name != "delayed"))
}

fn of_totals(totals: &Totals) -> Fields<'static> {
    let t = totals;
    let counts = [
        ("pushed", t.pushed),
        ("duplicates", t.duplicates),
        ("replaced", t.replaced),
        ("superseded", t.superseded),
        ("expired", t.expired),
        ("claims", t.claims),
        ("acked", t.acked),
        ("nacked", t.nacked),
        ("released", t.released),
        ("lapsed", t.lapsed),
        ("died", t.died),
        ("stale_acks", t.stale_acks),
    ];
    counts.into_iter().map(|(name, count)| (name, Field::Number(count))).collect()
}
