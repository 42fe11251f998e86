//! QPUSH, QMPUSH and QROOT.

use smallvec::SmallVec;

use super::scan::{Found, Value};
use super::{Words, value};
use crate::command::{Dedupe, NewJob, Push, QueueCommand, SyncWish, Until, When};
use crate::error::CommandError;
use crate::table::{CommandId, Opt};

/// `queue payload [option ...]`, for QMPUSH with `[NEXT payload [option ...]]...`.
pub(super) fn push<'a>(words: Words<'a, '_>) -> Result<QueueCommand<'a>, CommandError> {
    let queue = words.queue()?;
    let payload = value::payload(words.args.at(2), words.limits)?;
    let many = words.spec.id == CommandId::Qmpush;
    let mut push = Push { queue, jobs: SmallVec::new(), sync: SyncWish::Policy, status: false, many };
    let mut job = new_job(payload);
    if words.args.len() > 3 {
        let mut options = words.options(3);
        let mut terms = Terms::default();
        while let Some(Found { opt, value }) = options.read()? {
            match opt {
                Opt::Sync => push.sync = SyncWish::Sync,
                Opt::NoSync => push.sync = SyncWish::NoSync,
                Opt::Status => push.status = true,
                Opt::Next => {
                    options.next_job()?;
                    terms.complete(&mut job);
                    push.jobs.push(job);
                    value::job_count(push.jobs.len() + 1, words.limits)?;
                    job = new_job(value.bytes());
                    terms = Terms::default();
                }
                opt => job_option(&mut job, &mut terms, opt, &value),
            }
        }
        terms.complete(&mut job);
    }
    push.jobs.push(job);
    Ok(QueueCommand::Push(push))
}

fn new_job(payload: &[u8]) -> NewJob<'_> {
    NewJob {
        payload,
        when: When::Now,
        group: b"",
        priority: 0,
        dedupe: None,
        root: None,
        ttl_ms: None,
        attempts_max: None,
    }
}

/// The options around DEDUPE, which may come in any order.
#[derive(Default)]
struct Terms<'a> {
    key: Option<&'a [u8]>,
    until_done: bool,
    window_ms: u64,
    replace: bool,
}

impl<'a> Terms<'a> {
    /// Puts them together; without a key there are none, which the scanner has checked.
    fn complete(&self, job: &mut NewJob<'a>) {
        job.dedupe = self.key.map(|key| Dedupe {
            key,
            until: if self.until_done { Until::Done } else { Until::Claim },
            window_ms: self.window_ms,
            replace: self.replace,
        });
    }
}

fn job_option<'a>(job: &mut NewJob<'a>, terms: &mut Terms<'a>, opt: Opt, value: &Value<'a>) {
    match opt {
        Opt::Delay => job.when = When::Delay(value.number()),
        Opt::At => job.when = When::At(value.number()),
        Opt::Group => job.group = value.bytes(),
        Opt::Priority => job.priority = value.number() as u8,
        Opt::Ttl => job.ttl_ms = Some(value.number()),
        Opt::Attempts => job.attempts_max = Some(value.number() as u32),
        Opt::Dedupe => terms.key = Some(value.bytes()),
        Opt::Until => terms.until_done = value.choice() == 1,
        Opt::Window => terms.window_ms = value.number(),
        Opt::Replace => terms.replace = true,
        Opt::Root => job.root = Some(value.root()),
        other => unreachable!("the table gives a push no {other:?}"),
    }
}

/// `queue signature timestamp [GROUP name]`.
pub(super) fn root<'a>(words: Words<'a, '_>) -> Result<QueueCommand<'a>, CommandError> {
    let queue = words.queue()?;
    let root = value::root(words.args.at(2), words.args.at(3), words.limits)?;
    let mut group: &[u8] = b"";
    let mut options = words.options(4);
    while let Some(Found { opt, value }) = options.read()? {
        match opt {
            Opt::Group => group = value.bytes(),
            other => unreachable!("the table gives QROOT no {other:?}"),
        }
    }
    Ok(QueueCommand::Root { queue, root, group })
}
