//! What a push and a snapshot say of a job, and how the log's events write it.

use stanchion_protocol::command::Until;

use crate::Damaged;
use crate::codec::{Reader, flag, put_long, put_optional, put_short, put_u32, put_u64};

/// What a push says of a job, with its times made absolute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) payload: &'a [u8],
    pub(crate) group: &'a [u8],
    pub(crate) priority: u8,
    pub(crate) delayed: bool,
    pub(crate) ready_at: u64,
    /// 0: never.
    pub(crate) expires_at: u64,
    pub(crate) attempts_max: Option<u32>,
    pub(crate) key: Option<KeyTerms<'a>>,
    pub(crate) root: Option<(&'a [u8], u64)>,
}

/// A dedupe key that the job takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct KeyTerms<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) until: Until,
    /// 0: no window.
    pub(crate) window_until: u64,
}

/// Where a snapshot puts a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Spot {
    Ready,
    Delayed,
    /// Until the end of the lease, since the claim.
    Claimed {
        lease_until: u64,
        claimed_at: u64,
    },
    /// Since it died.
    Dead {
        died_at: u64,
    },
}

/// Everything of a job, for a log whose older records of it are about to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct JobSnapshot<'a> {
    pub(crate) id: u64,
    pub(crate) terms: Terms<'a>,
    pub(crate) spot: Spot,
    /// The job holds its key beyond any window.
    pub(crate) held: bool,
    /// The key is this job's, by holding it or by its window.
    pub(crate) owns_key: bool,
    pub(crate) attempts: u32,
    pub(crate) failures: u32,
    pub(crate) epoch: u64,
    pub(crate) pushed_at: u64,
    pub(crate) worker: Option<&'a [u8]>,
    pub(crate) last_error: Option<&'a [u8]>,
}

const HAS_EXPIRY: u8 = 1;
const HAS_ATTEMPTS: u8 = 2;
const HAS_KEY: u8 = 4;
const HAS_ROOT: u8 = 8;
const HAS_GROUP: u8 = 16;
const UNTIL_DONE: u8 = 32;
const IS_DELAYED: u8 = 64;

impl<'a> Terms<'a> {
    pub(crate) fn encode(&self, log: &mut Vec<u8>) {
        let flags = flag(HAS_EXPIRY, self.expires_at != 0)
            | flag(HAS_ATTEMPTS, self.attempts_max.is_some())
            | flag(HAS_KEY, self.key.is_some())
            | flag(HAS_ROOT, self.root.is_some())
            | flag(HAS_GROUP, !self.group.is_empty())
            | flag(UNTIL_DONE, self.key.is_some_and(|key| key.until == Until::Done))
            | flag(IS_DELAYED, self.delayed);
        log.push(flags);
        log.push(self.priority);
        put_u64(log, self.ready_at);
        if self.expires_at != 0 {
            put_u64(log, self.expires_at);
        }
        if let Some(attempts) = self.attempts_max {
            put_u32(log, attempts);
        }
        if !self.group.is_empty() {
            put_short(log, self.group);
        }
        if let Some(key) = self.key {
            put_short(log, key.key);
            put_u64(log, key.window_until);
        }
        if let Some((signature, timestamp)) = self.root {
            put_short(log, signature);
            put_u64(log, timestamp);
        }
        put_long(log, self.payload);
    }

    pub(crate) fn decode(reader: &mut Reader<'a>) -> Result<Terms<'a>, Damaged> {
        let mut head = reader.head(1 + 1 + 8)?;
        let (flags, priority, ready_at) = (head.u8()?, head.u8()?, head.u64()?);
        let has = |bit| flags & bit != 0;
        if priority > 9 {
            return Err(Damaged(format!("a job of priority {priority}")));
        }
        let expires_at = if has(HAS_EXPIRY) { reader.u64()? } else { 0 };
        let attempts_max = if has(HAS_ATTEMPTS) { Some(reader.u32()?) } else { None };
        let group = if has(HAS_GROUP) { reader.short()? } else { b"" };
        let until = if has(UNTIL_DONE) { Until::Done } else { Until::Claim };
        let key = if has(HAS_KEY) {
            Some(KeyTerms { key: reader.short()?, until, window_until: reader.u64()? })
        } else {
            None
        };
        let root = if has(HAS_ROOT) { Some((reader.short()?, reader.u64()?)) } else { None };
        let delayed = has(IS_DELAYED);
        let payload = reader.long()?;
        Ok(Terms { payload, group, priority, delayed, ready_at, expires_at, attempts_max, key, root })
    }
}

impl<'a> JobSnapshot<'a> {
    pub(crate) fn encode(&self, log: &mut Vec<u8>) {
        let (spot, first, second) = match self.spot {
            Spot::Ready => (0, 0, 0),
            Spot::Delayed => (1, 0, 0),
            Spot::Claimed { lease_until, claimed_at } => (2, lease_until, claimed_at),
            Spot::Dead { died_at } => (3, died_at, 0),
        };
        log.push(spot);
        put_u64(log, first);
        put_u64(log, second);
        log.push(flag(1, self.held) | flag(2, self.owns_key));
        put_u32(log, self.attempts);
        put_u32(log, self.failures);
        put_u64(log, self.epoch);
        put_u64(log, self.pushed_at);
        put_short(log, self.worker.unwrap_or(b""));
        put_optional(log, self.last_error);
        self.terms.encode(log);
    }

    pub(crate) fn decode(reader: &mut Reader<'a>) -> Result<JobSnapshot<'a>, Damaged> {
        let mut head = reader.head(8 + 1 + 8 + 8 + 1 + 4 + 4 + 8 + 8)?;
        let id = head.u64()?;
        let (spot, first, second) = (head.u8()?, head.u64()?, head.u64()?);
        let spot = match spot {
            0 => Spot::Ready,
            1 => Spot::Delayed,
            2 => Spot::Claimed { lease_until: first, claimed_at: second },
            3 => Spot::Dead { died_at: first },
            other => return Err(Damaged(format!("a job in the unknown state {other}"))),
        };
        let flags = head.u8()?;
        Ok(JobSnapshot {
            id,
            spot,
            held: flags & 1 != 0,
            owns_key: flags & 2 != 0,
            attempts: head.u32()?,
            failures: head.u32()?,
            epoch: head.u64()?,
            pushed_at: head.u64()?,
            worker: Some(reader.short()?).filter(|worker| !worker.is_empty()),
            last_error: reader.optional()?,
            terms: Terms::decode(reader)?,
        })
    }
}
