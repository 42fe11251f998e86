//! QCLAIM, QMCLAIM and what ends, returns or extends a claim.

use super::scan::{Found, Value};
use super::{Words, value};
use crate::args::Args;
use crate::command::{Claim, ClaimMany, Nack, QueueCommand, Receipts, Retry, Sources, Take};
use crate::error::{CommandError, Quoted};
use crate::limits::{ERROR_BYTES_MAX, Limits};
use crate::table::{Number, Opt};

/// `queue [option ...]`.
pub(super) fn claim<'a>(words: Words<'a, '_>) -> Result<QueueCommand<'a>, CommandError> {
    let queue = words.queue()?;
    let mut take = Take::ONE;
    let mut acks = Receipts::new();
    let mut options = words.options(2);
    while let Some(Found { opt, value }) = options.read()? {
        match opt {
            Opt::Ack => acks = value::receipts(value.words(), words.limits)?,
            opt => take_option(&mut take, opt, &value),
        }
    }
    Ok(QueueCommand::Claim(Claim { queue, take, acks }))
}

/// `QUEUES n queue ... | MATCH n glob ... [EXCEPT n glob ...]` and options.
pub(super) fn claim_many<'a>(words: Words<'a, '_>) -> Result<QueueCommand<'a>, CommandError> {
    let first = words.args.at(1);
    if !first.eq_ignore_ascii_case(b"QUEUES") && !first.eq_ignore_ascii_case(b"MATCH") {
        return Err(CommandError::syntax(format_args!(
            "{} stands where 'QUEUES' or 'MATCH' comes first",
            Quoted(first)
        )));
    }
    let mut take = Take::ONE;
    let mut from = Sources::Queues(Vec::new());
    let mut excluded = Vec::new();
    let mut options = words.options(1);
    while let Some(Found { opt, value }) = options.read()? {
        match opt {
            Opt::Queues => from = Sources::Queues(queues(value.words(), words.limits)?),
            Opt::Match => {
                from = Sources::Match { globs: value.words().iter().collect(), except: Vec::new() };
            }
            Opt::Except => excluded = value.words().iter().collect(),
            opt => take_option(&mut take, opt, &value),
        }
    }
    // The scanner has checked that EXCEPT stands with MATCH only.
    if let Sources::Match { except, .. } = &mut from {
        *except = excluded;
    }
    Ok(QueueCommand::ClaimMany(ClaimMany { from, take }))
}

fn queues<'a>(names: Args<'a>, limits: &Limits) -> Result<Vec<&'a [u8]>, CommandError> {
    names.iter().map(|name| value::queue(name, limits)).collect()
}

#[inline]
fn take_option<'a>(take: &mut Take<'a>, opt: Opt, value: &Value<'a>) {
    match opt {
        Opt::Count => take.count = value.number() as u32,
        Opt::Lease => take.lease_ms = Some(value.number()),
        Opt::Block => take.block_ms = Some(value.number()),
        Opt::Group => take.group = Some(value.bytes()),
        Opt::Worker => take.worker = Some(value.bytes()),
        Opt::Bound => take.bound = true,
        Opt::Meta => take.meta = true,
        other => unreachable!("the table gives a claim no {other:?}"),
    }
}

/// `queue receipt [receipt ...]`.
pub(super) fn ack<'a>(words: Words<'a, '_>) -> Result<QueueCommand<'a>, CommandError> {
    let queue = words.queue()?;
    Ok(QueueCommand::Ack { queue, receipts: value::receipts(words.args.skip(2), words.limits)? })
}

/// `queue receipt [DELAY ms | DEAD] [ERROR message]`.
pub(super) fn nack<'a>(words: Words<'a, '_>) -> Result<QueueCommand<'a>, CommandError> {
    let queue = words.queue()?;
    let receipt = value::receipt(words.args.at(2))?;
    let mut nack = Nack { queue, receipt, retry: Retry::Backoff, error: None };
    let mut options = words.options(3);
    while let Some(Found { opt, value }) = options.read()? {
        match opt {
            Opt::Delay => nack.retry = Retry::Delay(value.number()),
            Opt::Dead => nack.retry = Retry::Dead,
            Opt::Error => nack.error = Some(cut(value.bytes())),
            other => unreachable!("the table gives QNACK no {other:?}"),
        }
    }
    Ok(QueueCommand::Nack(nack))
}

/// The first 4 KiB of a message, without a torn character at the end of one that is UTF-8.
fn cut(message: &[u8]) -> &[u8] {
    if message.len() <= ERROR_BYTES_MAX {
        return message;
    }
    let is_inside = |byte: u8| byte & 0xc0 == 0x80;
    // A character has at most three bytes after its first one; what has more is not UTF-8.
    let end = (ERROR_BYTES_MAX - 3..=ERROR_BYTES_MAX).rev().find(|end| !is_inside(message[*end]));
    &message[..end.unwrap_or(ERROR_BYTES_MAX)]
}

/// `queue [DELAY ms] receipt [receipt ...]`.
pub(super) fn release<'a>(words: Words<'a, '_>) -> Result<QueueCommand<'a>, CommandError> {
    let queue = words.queue()?;
    let mut delay_ms = None;
    let mut options = words.options(2);
    while let Some(Found { opt, value }) = options.read_before_words()? {
        match opt {
            Opt::Delay => delay_ms = Some(value.number()),
            other => unreachable!("the table gives QRELEASE no {other:?}"),
        }
    }
    let receipts = words.args.skip(options.position());
    if receipts.is_empty() {
        return Err(CommandError::syntax("a receipt is missing"));
    }
    Ok(QueueCommand::Release { queue, delay_ms, receipts: value::receipts(receipts, words.limits)? })
}

/// `queue ms receipt [receipt ...]`.
pub(super) fn extend<'a>(words: Words<'a, '_>) -> Result<QueueCommand<'a>, CommandError> {
    let queue = words.queue()?;
    let lease_ms = value::number("ms", words.args.at(2), Number::Milliseconds(1), words.limits)?;
    let receipts = value::receipts(words.args.skip(3), words.limits)?;
    Ok(QueueCommand::Extend { queue, lease_ms, receipts })
}
