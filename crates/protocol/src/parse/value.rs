//! Reads single words: numbers, names, receipts, ids.

use crate::Args;
use crate::command::{Receipts, RootTag};
use crate::decode::string2ll;
use crate::error::{CommandError, Quoted};
use crate::id::{JobId, Receipt};
use crate::limits::{self, Limits};
use crate::table::Number;

/// A queue's name: 1 to `name-bytes-max` bytes.
#[inline]
pub(super) fn queue<'a>(word: &'a [u8], limits: &Limits) -> Result<&'a [u8], CommandError> {
    name("queue name", word, limits)
}

/// A name that is not empty; `what` is what an error calls it.
#[inline]
pub(super) fn name<'a>(
    what: &'static str,
    word: &'a [u8],
    limits: &Limits,
) -> Result<&'a [u8], CommandError> {
    if word.is_empty() {
        return Err(CommandError::new(format!("the {what} is empty, it has at least one byte")));
    }
    maybe_empty_name(what, word, limits)
}

/// A name that may be empty: a group's.
#[inline]
pub(super) fn maybe_empty_name<'a>(
    what: &'static str,
    word: &'a [u8],
    limits: &Limits,
) -> Result<&'a [u8], CommandError> {
    if word.len() <= limits.name_bytes_max { Ok(word) } else { Err(long_name(what, word, limits)) }
}

#[cold]
fn long_name(what: &'static str, word: &[u8], limits: &Limits) -> CommandError {
    let (len, max) = (word.len(), limits.name_bytes_max);
    CommandError::new(format!("the {what} of {len} bytes is above the limit of {max} (name-bytes-max)"))
}

/// A setting's name or value, which `what` says; what it means is the engine's matter.
pub(super) fn setting<'a>(what: &'static str, word: &'a [u8]) -> Result<&'a [u8], CommandError> {
    if word.len() <= limits::SETTING_BYTES_MAX {
        return Ok(word);
    }
    let (quoted, len, max) = (Quoted(word), word.len(), limits::SETTING_BYTES_MAX);
    Err(CommandError::new(format!("the {what} {quoted} of {len} bytes is above the limit of {max}")))
}

/// A job's bytes; they may be empty.
#[inline]
pub(super) fn payload<'a>(word: &'a [u8], limits: &Limits) -> Result<&'a [u8], CommandError> {
    if word.len() <= limits.payload_bytes_max { Ok(word) } else { Err(long_payload(word, limits)) }
}

#[cold]
fn long_payload(word: &[u8], limits: &Limits) -> CommandError {
    let (len, max) = (word.len(), limits.payload_bytes_max);
    CommandError::new(format!("the payload of {len} bytes is above the limit of {max} (payload-bytes-max)"))
}

/// The number in a word that belongs to `what`: an option's word or an argument's name.
#[inline]
pub(super) fn number(
    what: &'static str,
    word: &[u8],
    kind: Number,
    limits: &Limits,
) -> Result<u64, CommandError> {
    let (min, max) = match kind {
        Number::Milliseconds(min) => (min, limits::DURATION_MS_MAX),
        Number::Instant => (0, limits::INSTANT_MS_MAX),
        Number::Between(min, max) => (min, max),
        Number::ClaimJobs => (1, u64::from(limits.claim_jobs_max)),
    };
    let value = string2ll(word).and_then(|value| u64::try_from(value).ok());
    match value {
        Some(value) if min <= value && value <= max => Ok(value),
        _ => Err(bad_number(what, word, kind, (min, max))),
    }
}

#[cold]
fn bad_number(what: &'static str, word: &[u8], kind: Number, (min, max): (u64, u64)) -> CommandError {
    let word = Quoted(word);
    let limit = match kind {
        Number::Milliseconds(_) => format!("{min} to {max} ms (10 years)"),
        Number::Instant => format!("{min} to {max}, in Unix ms"),
        Number::Between(..) => format!("{min} to {max}"),
        Number::ClaimJobs => format!("{min} to {max} (claim-jobs-max)"),
    };
    CommandError::new(format!("value is not an integer or out of range: {what} {word}, it takes {limit}"))
}

/// A root's signature and its timestamp.
#[inline]
pub(super) fn root<'a>(
    signature: &'a [u8],
    timestamp: &'a [u8],
    limits: &Limits,
) -> Result<RootTag<'a>, CommandError> {
    let signature = name("root signature", signature, limits)?;
    let digits = timestamp.len();
    if digits == 0 || digits > limits::ROOT_TIMESTAMP_DIGITS_MAX || !timestamp.iter().all(u8::is_ascii_digit)
    {
        return Err(CommandError::new(format!(
            "the root timestamp {} is not 1 to {} digits",
            Quoted(timestamp),
            limits::ROOT_TIMESTAMP_DIGITS_MAX
        )));
    }
    let number = timestamp.iter().fold(0u64, |number, digit| number * 10 + u64::from(digit - b'0'));
    Ok(RootTag { signature, timestamp: number })
}

/// Receipts, at most `command-jobs-max`.
#[inline]
pub(super) fn receipts(words: Args<'_>, limits: &Limits) -> Result<Receipts, CommandError> {
    job_count(words.len(), limits)?;
    let mut receipts = Receipts::with_capacity(words.len());
    for word in words.iter() {
        receipts.push(receipt(word)?);
    }
    Ok(receipts)
}

/// One receipt.
#[inline]
pub(super) fn receipt(word: &[u8]) -> Result<Receipt, CommandError> {
    Receipt::parse(word).ok_or_else(|| {
        CommandError::new(format!("invalid receipt {}, it reads <16 hex digits>-<number>", Quoted(word)))
    })
}

/// One id.
#[inline]
pub(super) fn job_id(word: &[u8]) -> Result<JobId, CommandError> {
    JobId::parse(word)
        .ok_or_else(|| CommandError::new(format!("invalid id {}, it reads <16 hex digits>", Quoted(word))))
}

/// Refuses a command that names too many jobs.
#[inline]
pub(super) fn job_count(jobs: usize, limits: &Limits) -> Result<(), CommandError> {
    let max = limits.command_jobs_max;
    if jobs <= max as usize {
        return Ok(());
    }
    Err(CommandError::new(format!("a command of {jobs} jobs is above the limit of {max} (command-jobs-max)")))
}

/// The cursor of a SCAN-like command: 0 to start, or what the last call answered.
pub fn cursor(word: &[u8]) -> Result<u64, CommandError> {
    // Redis reads it with strtoul; we take what we gave out, which is a u64 without ornaments.
    let text = std::str::from_utf8(word).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| CommandError::new(format!("invalid cursor {}", Quoted(word))))
}
