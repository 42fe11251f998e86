//! Events: the only thing that is logged, and the only thing that changes a queue.
//!
//! A record's body is a row of parts; a part names its queue and instant and holds that queue's events, so
//! that replay finds each part's shard by the queue's name, whatever the shard count was when it was written.
//! Events say what was decided, with absolute times and drawn jitter, never why: applying one reads no
//! settings, no clock and no randomness. All integers are little-endian.
//!
//! | part | bytes |
//! |---|---|
//! | queue | `1`, name length u8, name, now u64, length of the events u32, events |
//! | boot | `2`, now u64, lease grace u64: to every shard |
//! | mark | `3`, nonce of 16 bytes: by it a checkpoint knows its log; to no shard |
//!
//! A new kind of event gets a new number; a number is never used again.

use crate::codec::{
    Reader, put_head, put_long, put_optional, put_short, put_through, put_totals, put_u32, put_u64,
};
use crate::heap::Moment;
use crate::terms::{JobSnapshot, Terms};
use crate::{Damaged, Lsn, Totals};

const PART_QUEUE: u8 = 1;
const PART_BOOT: u8 = 2;

/// In place of the length of a payload that is in the log.
const PAYLOAD_FOLLOWS: u32 = u32::MAX;
const PART_MARK: u8 = 3;

/// Bytes of the nonce in a mark.
pub(crate) const MARK_NONCE_BYTES: usize = 16;

/// A job left for this reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Gone {
    Superseded,
    Expired,
    Deleted,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Event<'a> {
    Push {
        id: u64,
        terms: Terms<'a>,
    },
    /// Says all of the job as it is from then on, so that its older records need not stay.
    Replace {
        id: u64,
        pushed_at: u64,
        epoch: u64,
        terms: Terms<'a>,
    },
    /// The newest timestamp of a root.
    Root {
        group: &'a [u8],
        signature: &'a [u8],
        timestamp: u64,
    },
    /// A duplicate raised its holder's root.
    Reroot {
        id: u64,
        timestamp: u64,
    },
    /// `rate_at`: state of the rate limit after this claim, 0 when there is none.
    Claim {
        id: u64,
        epoch: u64,
        lease_until: u64,
        rate_at: u64,
        worker: &'a [u8],
    },
    Ack {
        id: u64,
    },
    /// It becomes ready at an instant; `now` or earlier is at once.
    Nack {
        id: u64,
        ready_at: u64,
        error: Option<&'a [u8]>,
    },
    /// A nack that was its last.
    Die {
        id: u64,
        error: Option<&'a [u8]>,
    },
    /// Back to its place, or delayed until an instant.
    Release {
        id: u64,
        delayed_until: Option<u64>,
    },
    Extend {
        id: u64,
        lease_until: u64,
    },
    /// Its lease ended with its connection; `attempts_max` is the queue's limit.
    Lapse {
        id: u64,
        attempts_max: u32,
    },
    Gone {
        id: u64,
        why: Gone,
    },
    /// A dead or delayed job is ready; it takes its key back if `takes_key`.
    Requeue {
        id: u64,
        takes_key: bool,
    },
    /// Its payload can't be read any more: it is dead for this reason, with an empty one.
    Lost {
        id: u64,
        reason: &'a [u8],
    },
    /// Everything up to a moment, in the order of the timers.
    Due {
        through: Moment,
    },
    Lapses {
        through: Moment,
        attempts_max: u32,
    },
    Expiries {
        through: Moment,
    },
    /// Dead jobs that were kept long enough, or are too many.
    Buried {
        through: Moment,
    },
    WindowsOver {
        through: Moment,
    },
    RootOver {
        group: &'a [u8],
        signature: &'a [u8],
    },
    /// 0: no pause; `u64::MAX`: until resumed.
    Pause {
        push_until: u64,
        claim_until: u64,
    },
    Set {
        name: &'a str,
        words: &'a str,
    },
    Unset {
        name: &'a str,
    },
    /// All windows whose jobs are gone are over. Only in old logs: a purge frees one key after the other.
    Windowless,
    /// Whoever has a key has it no longer: a window whose job is gone ends early, or another job takes the key back.
    KeyFreed {
        group: &'a [u8],
        key: &'a [u8],
    },
    QueueGone,
    Job(JobSnapshot<'a>),
    /// A job in a checkpoint, of which the log still has the payload: only the length of that, or, when the log has
    /// an older one of the same base as well, the payload.
    JobBeside {
        job: JobSnapshot<'a>,
        logged: Option<u32>,
    },
    /// A dedupe window whose job is gone.
    Window {
        group: &'a [u8],
        key: &'a [u8],
        holder: u64,
        window_until: u64,
    },
    /// A root with its instant of registration.
    RootKept {
        group: &'a [u8],
        signature: &'a [u8],
        timestamp: u64,
        registered_at: u64,
    },
    /// What a queue is beside its jobs, windows and roots; settings follow as `Set`.
    Queue {
        push_until: u64,
        claim_until: u64,
        rate_at: u64,
        idle_since: u64,
        totals: Totals,
    },
    /// In a checkpoint: the base of what the next event puts back.
    Based {
        base: Lsn,
    },
}

/// The part of a record that is being written for one queue at one instant. Nothing is written before its
/// first event, so a command that changes nothing leaves no record.
pub(crate) struct Part<'l> {
    log: &'l mut Vec<u8>,
    now: u64,
    /// Where the events begin, behind their length, once there is one.
    opened: Option<usize>,
    /// How long the record was before.
    before: usize,
}

/// A part at the end of a record: for as long as that ends with it, more of its queue and instant can follow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastPart {
    pub(crate) queue: u32,
    pub(crate) now: u64,
    opened: usize,
    end: usize,
}

impl<'l> Part<'l> {
    pub(crate) fn new(log: &'l mut Vec<u8>, now: u64) -> Part<'l> {
        let before = log.len();
        Part { log, now, opened: None, before }
    }

    /// Goes on with a part of the same queue and instant, unless something else follows it.
    pub(crate) fn resume(last: &LastPart, log: &'l mut Vec<u8>) -> Part<'l> {
        let before = log.len();
        Part { log, now: last.now, opened: (before == last.end).then_some(last.opened), before }
    }

    /// Whether no event was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.log.len() == self.before
    }

    /// Ends it, which is of this queue; `None` if it has no event.
    pub(crate) fn end(self, queue: u32) -> Option<LastPart> {
        let (now, end) = (self.now, self.log.len());
        self.opened.map(|opened| LastPart { queue, now, opened, end })
    }

    /// Bytes of the record so far.
    pub(crate) fn bytes(&self) -> usize {
        self.log.len()
    }

    pub(crate) fn add(&mut self, queue: &[u8], event: &Event<'_>) {
        if self.opened.is_none() {
            let length = u8::try_from(queue.len()).expect("a queue's name is at most 255 bytes");
            self.log.extend_from_slice(&[PART_QUEUE, length]);
            self.log.extend_from_slice(queue);
            let mut now_and_length = [0; 12];
            now_and_length[..8].copy_from_slice(&self.now.to_le_bytes());
            self.log.extend_from_slice(&now_and_length);
            self.opened = Some(self.log.len());
        }
        event.encode(self.log);
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        if let Some(start) = self.opened.filter(|_| !self.is_empty()) {
            let length = u32::try_from(self.log.len() - start).expect("a record is far below 4 GiB");
            self.log[start - 4..start].copy_from_slice(&length.to_le_bytes());
        }
    }
}

/// A part as replay reads it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded<'a> {
    Queue { queue: &'a [u8], now: u64, events: &'a [u8] },
    Boot { now: u64, grace_ms: u64 },
    Mark,
}

pub(crate) fn put_boot(log: &mut Vec<u8>, now: u64, grace_ms: u64) {
    log.push(PART_BOOT);
    put_u64(log, now);
    put_u64(log, grace_ms);
}

pub(crate) fn put_mark(log: &mut Vec<u8>, nonce: [u8; MARK_NONCE_BYTES]) {
    log.push(PART_MARK);
    log.extend_from_slice(&nonce);
}

/// Splits the first part off; the rest follows it.
pub(crate) fn split_part(body: &[u8]) -> Result<(Decoded<'_>, &[u8], &[u8]), Damaged> {
    let mut reader = Reader { bytes: body };
    let part = match reader.u8()? {
        PART_QUEUE => {
            let length = reader.u8()?;
            let queue = reader.take(usize::from(length))?;
            let now = reader.u64()?;
            let length = reader.u32()?;
            Decoded::Queue { queue, now, events: reader.take(length as usize)? }
        }
        PART_BOOT => Decoded::Boot { now: reader.u64()?, grace_ms: reader.u64()? },
        PART_MARK => {
            reader.take(MARK_NONCE_BYTES)?;
            Decoded::Mark
        }
        kind => return Err(Damaged(format!("a part of unknown kind {kind}"))),
    };
    let (whole, rest) = body.split_at(body.len() - reader.bytes.len());
    Ok((part, whole, rest))
}

impl<'a> Event<'a> {
    /// Whether it makes its queue when there is none, rather than speak of something that is gone.
    pub(crate) fn makes_queue(&self) -> bool {
        matches!(
            self,
            Event::Push { .. }
                | Event::Replace { .. }
                | Event::Root { .. }
                | Event::Pause { .. }
                | Event::Set { .. }
                | Event::Job(_)
                | Event::JobBeside { .. }
                | Event::Window { .. }
                | Event::RootKept { .. }
                | Event::Queue { .. }
        )
    }

    pub(crate) fn encode(&self, log: &mut Vec<u8>) {
        match *self {
            Event::Push { id, ref terms } => {
                put_head(log, 1, id);
                terms.encode(log);
            }
            Event::Replace { id, pushed_at, epoch, ref terms } => {
                put_head(log, 2, id);
                put_u64(log, pushed_at);
                put_u64(log, epoch);
                terms.encode(log);
            }
            Event::Root { group, signature, timestamp } => {
                put_head(log, 3, timestamp);
                put_short(log, group);
                put_short(log, signature);
            }
            Event::Reroot { id, timestamp } => {
                put_head(log, 4, id);
                put_u64(log, timestamp);
            }
            Event::Claim { id, epoch, lease_until, rate_at, worker } => {
                put_head(log, 5, id);
                put_u64(log, epoch);
                put_u64(log, lease_until);
                put_u64(log, rate_at);
                put_short(log, worker);
            }
            Event::Ack { id } => put_head(log, 6, id),
            Event::Nack { id, ready_at, error } => {
                put_head(log, 7, id);
                put_u64(log, ready_at);
                put_optional(log, error);
            }
            Event::Die { id, error } => {
                put_head(log, 8, id);
                put_optional(log, error);
            }
            Event::Release { id, delayed_until } => {
                put_head(log, 9, id);
                put_u64(log, delayed_until.unwrap_or(0));
            }
            Event::Extend { id, lease_until } => {
                put_head(log, 10, id);
                put_u64(log, lease_until);
            }
            Event::Lapse { id, attempts_max } => {
                put_head(log, 11, id);
                put_u32(log, attempts_max);
            }
            Event::Gone { id, why } => {
                put_head(log, 12, id);
                log.push(match why {
                    Gone::Superseded => 0,
                    Gone::Expired => 1,
                    Gone::Deleted => 2,
                });
            }
            Event::Requeue { id, takes_key } => {
                put_head(log, 13, id);
                log.push(u8::from(takes_key));
            }
            Event::Due { through } => put_through(log, 14, through),
            Event::Lapses { through, attempts_max } => {
                put_through(log, 15, through);
                put_u32(log, attempts_max);
            }
            Event::Expiries { through } => put_through(log, 16, through),
            Event::Buried { through } => put_through(log, 17, through),
            Event::WindowsOver { through } => put_through(log, 18, through),
            Event::RootOver { group, signature } => {
                log.push(19);
                put_short(log, group);
                put_short(log, signature);
            }
            Event::Pause { push_until, claim_until } => {
                put_head(log, 20, push_until);
                put_u64(log, claim_until);
            }
            Event::Set { name, words } => {
                log.push(21);
                put_short(log, name.as_bytes());
                put_short(log, words.as_bytes());
            }
            Event::Unset { name } => {
                log.push(22);
                put_short(log, name.as_bytes());
            }
            Event::Windowless => log.push(23),
            Event::KeyFreed { group, key } => {
                log.push(29);
                put_short(log, group);
                put_short(log, key);
            }
            Event::QueueGone => log.push(24),
            Event::JobBeside { ref job, logged } => {
                log.push(32);
                put_u32(log, logged.unwrap_or(PAYLOAD_FOLLOWS));
                put_u64(log, job.id);
                job.encode(log);
            }
            Event::Lost { id, reason } => {
                put_head(log, 31, id);
                put_long(log, reason);
            }
            Event::Job(ref job) => {
                put_head(log, 25, job.id);
                job.encode(log);
            }
            Event::Window { group, key, holder, window_until } => {
                put_head(log, 26, holder);
                put_u64(log, window_until);
                put_short(log, group);
                put_short(log, key);
            }
            Event::RootKept { group, signature, timestamp, registered_at } => {
                put_head(log, 27, timestamp);
                put_u64(log, registered_at);
                put_short(log, group);
                put_short(log, signature);
            }
            Event::Queue { push_until, claim_until, rate_at, idle_since, ref totals } => {
                put_head(log, 28, push_until);
                put_u64(log, claim_until);
                put_u64(log, rate_at);
                put_u64(log, idle_since);
                put_totals(log, totals);
            }
            Event::Based { base } => put_head(log, 30, base),
        }
    }

    fn decode(reader: &mut Reader<'a>) -> Result<Event<'a>, Damaged> {
        Ok(match reader.u8()? {
            1 => Event::Push { id: reader.u64()?, terms: Terms::decode(reader)? },
            2 => Event::Replace {
                id: reader.u64()?,
                pushed_at: reader.u64()?,
                epoch: reader.u64()?,
                terms: Terms::decode(reader)?,
            },
            3 => {
                let timestamp = reader.u64()?;
                Event::Root { group: reader.short()?, signature: reader.short()?, timestamp }
            }
            4 => Event::Reroot { id: reader.u64()?, timestamp: reader.u64()? },
            5 => Event::Claim {
                id: reader.u64()?,
                epoch: reader.u64()?,
                lease_until: reader.u64()?,
                rate_at: reader.u64()?,
                worker: reader.short()?,
            },
            6 => Event::Ack { id: reader.u64()? },
            7 => Event::Nack { id: reader.u64()?, ready_at: reader.u64()?, error: reader.optional()? },
            8 => Event::Die { id: reader.u64()?, error: reader.optional()? },
            9 => {
                let id = reader.u64()?;
                let until = reader.u64()?;
                Event::Release { id, delayed_until: (until != 0).then_some(until) }
            }
            10 => Event::Extend { id: reader.u64()?, lease_until: reader.u64()? },
            11 => Event::Lapse { id: reader.u64()?, attempts_max: reader.u32()? },
            12 => Event::Gone {
                id: reader.u64()?,
                why: match reader.u8()? {
                    0 => Gone::Superseded,
                    1 => Gone::Expired,
                    2 => Gone::Deleted,
                    why => return Err(Damaged(format!("a job gone for the unknown reason {why}"))),
                },
            },
            13 => Event::Requeue { id: reader.u64()?, takes_key: reader.u8()? != 0 },
            14 => Event::Due { through: reader.moment()? },
            15 => Event::Lapses { through: reader.moment()?, attempts_max: reader.u32()? },
            16 => Event::Expiries { through: reader.moment()? },
            17 => Event::Buried { through: reader.moment()? },
            18 => Event::WindowsOver { through: reader.moment()? },
            19 => Event::RootOver { group: reader.short()?, signature: reader.short()? },
            20 => Event::Pause { push_until: reader.u64()?, claim_until: reader.u64()? },
            21 => Event::Set { name: reader.text()?, words: reader.text()? },
            22 => Event::Unset { name: reader.text()? },
            23 => Event::Windowless,
            24 => Event::QueueGone,
            25 => Event::Job(JobSnapshot::decode(reader)?),
            26 => {
                let (holder, window_until) = (reader.u64()?, reader.u64()?);
                Event::Window { group: reader.short()?, key: reader.short()?, holder, window_until }
            }
            27 => {
                let (timestamp, registered_at) = (reader.u64()?, reader.u64()?);
                Event::RootKept {
                    group: reader.short()?,
                    signature: reader.short()?,
                    timestamp,
                    registered_at,
                }
            }
            28 => Event::Queue {
                push_until: reader.u64()?,
                claim_until: reader.u64()?,
                rate_at: reader.u64()?,
                idle_since: reader.u64()?,
                totals: reader.totals()?,
            },
            29 => Event::KeyFreed { group: reader.short()?, key: reader.short()? },
            30 => Event::Based { base: reader.u64()? },
            32 => {
                let logged = reader.u32()?;
                Event::JobBeside {
                    logged: (logged != PAYLOAD_FOLLOWS).then_some(logged),
                    job: JobSnapshot::decode(reader)?,
                }
            }
            31 => Event::Lost { id: reader.u64()?, reason: reader.long()? },
            kind => return Err(Damaged(format!("an event of unknown kind {kind}"))),
        })
    }
}

/// The events of a part, in order.
pub(crate) fn events(bytes: &[u8]) -> impl Iterator<Item = Result<Event<'_>, Damaged>> {
    let mut reader = Reader { bytes };
    std::iter::from_fn(move || {
        if reader.bytes.is_empty() {
            return None;
        }
        let event = Event::decode(&mut reader);
        if event.is_err() {
            reader.bytes = &[];
        }
        Some(event)
    })
}
