//! Payloads that are only in the log, on their way into a connection's replies.
//!
//! Replies are written up to the first payload that has yet to be read. What the cache has is copied at once; the rest
//! is read on a thread that may block, a bounded number of bytes ahead, while the connection does other things.

use std::pin::Pin;

use stanchion_engine::LoggedPayload;
use stanchion_storage::Lsn;

use super::Connection;
use crate::claims::{self, Found};
use crate::limits::{PAYLOADS_READ_BYTES_MAX, PAYLOADS_READ_MAX};
use crate::payloads::{self, Read, ReadTogether};
use crate::waiter::Handed;

/// What a connection's replies wait for.
#[derive(Default)]
pub(super) struct Filling {
    reading: Option<Reading>,
    /// The next payload can be read once this record is written.
    early: Option<Lsn>,
}

/// Payloads that are being read, and which.
struct Reading {
    wanted: Vec<LoggedPayload>,
    read: Pin<Box<dyn Future<Output = ReadTogether> + Send>>,
}

impl Filling {
    /// Waits for what is being read, or for ever.
    pub(super) async fn read(&mut self) -> ReadTogether {
        match &mut self.reading {
            Some(reading) => reading.read.as_mut().await,
            None => std::future::pending().await,
        }
    }
}

impl Connection {
    /// Fills the holes of its replies from the cache; what is not there begins to be read.
    pub(super) fn read_payloads(&mut self) {
        if self.outbox.holes().len() == 0 || self.filling.reading.is_some() {
            return;
        }
        if self.filling.early.is_some_and(|lsn| lsn > self.server.tidings.written.durable()) {
            return;
        }
        self.filling.early = None;
        let Some(lane) = self.server.lane() else { return };
        #[cfg(feature = "simulation")]
        if lane.planted == Some(crate::simulation::Planted::UnfilledHoles) {
            self.outbox.fill(|_, _| true);
        }
        self.outbox.fill(|hole, into| lane.payloads.copy_cached(hole.payload, into));
        let mut left = PAYLOADS_READ_BYTES_MAX;
        let some = self.outbox.holes().take(PAYLOADS_READ_MAX).take_while(|hole| {
            let fits = left > 0;
            left = left.saturating_sub(hole.bytes());
            fits
        });
        let wanted: Vec<_> = some.map(|hole| hole.payload).collect();
        if !wanted.is_empty() {
            let read = Box::pin(payloads::read_all(lane, wanted.clone()));
            self.filling.reading = Some(Reading { wanted, read });
        }
    }

    /// Puts what was read into its replies; false when something can't be read, which ends the connection, as there is
    /// no other way to take back a reply that has begun.
    pub(super) fn take_payloads(&mut self, read: ReadTogether) -> bool {
        let Some(Reading { wanted, .. }) = self.filling.reading.take() else { return true };
        let together = read.bytes;
        for (wanted, read) in wanted.into_iter().zip(read.each) {
            let Some(hole) = self.outbox.holes().next().filter(|hole| hole.payload == wanted) else {
                // Its reply was dropped meanwhile.
                return true;
            };
            let why = match read {
                Read::Bytes(place) => {
                    self.fill_one(&together[place]);
                    continue;
                }
                Read::Early(lsn) => {
                    let wake = &self.session.client.wake;
                    // What is written already is read at once, in the next round.
                    self.filling.early = self.server.tidings.written.wait(lsn, wake).then_some(lsn);
                    return true;
                }
                Read::Gone => "its record is gone".to_owned(),
                Read::Unreadable(why) => why,
                Read::Failed(why) => {
                    let is_it = |job: &&Handed| job.receipt.id == hole.payload.id && job.queue == hole.queue;
                    let job = self.outbox.handed_since(hole.at).find(is_it).cloned();
                    let (queue, id) = (hole.queue.escape_ascii().to_string(), hole.payload.id);
                    if let (Some(lane), Some(job)) = (self.server.lane(), job) {
                        tracing::error!(queue, job = %id, why, "a payload can't be read: its claim has failed");
                        claims::fail(lane, &job, &why);
                    } else {
                        tracing::error!(queue, job = %id, why, "a payload can't be read: its connection ends");
                    }
                    return false;
                }
                Read::Refused(why) => {
                    let (queue, job) = (hole.queue.escape_ascii().to_string(), hole.payload.id);
                    tracing::warn!(queue, %job, why, "a payload can't be read now: its connection ends");
                    return false;
                }
            };
            let Some(lane) = self.server.lane() else { return false };
            match claims::find_again(lane, hole, &why) {
                Found::Here(bytes) => self.fill_one(&bytes),
                Found::Elsewhere(payload) => {
                    self.outbox.rebase_hole(payload);
                    return true;
                }
                Found::Lost | Found::Gone => return false,
            }
        }
        true
    }

    fn fill_one(&mut self, bytes: &[u8]) {
        let mut bytes = Some(bytes);
        self.outbox.fill(|_, into| {
            bytes.take().is_some_and(|bytes| {
                into.copy_from_slice(bytes);
                true
            })
        });
    }
}
