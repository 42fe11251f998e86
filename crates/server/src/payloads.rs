//! Payloads that are only in the log, read for whoever hands them out.
//!
//! A shard tells where in the log a payload may begin to be looked for. What is read from there on is kept for a
//! while with everything around it, for jobs that were pushed together are mostly claimed together: whoever claims
//! first in, first out, reads the log in its order and in large pieces. Reading blocks on the disk, so it is done
//! outside of any lock of a shard, and on threads that may block.

mod cache;
mod chunk;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use stanchion_engine::LoggedPayload;
use stanchion_storage::{Log, Lsn, ReadError};
use tokio::sync::Semaphore;

use crate::lane::Lane;
use crate::limits::{PAYLOAD_FAILURES_MAX, PAYLOAD_READERS_MAX, PAYLOAD_SEARCH_RECORDS};
#[cfg(feature = "simulation")]
use crate::simulation;
use cache::Cache;
use chunk::Chunk;

/// The reader of a lane's payloads.
pub(crate) struct Payloads {
    cache: Mutex<Cache>,
    /// Who reads a piece of the log has the lock of its place, so that others who want it find it in the cache.
    loading: [Mutex<()>; PAYLOAD_READERS_MAX],
    /// Threads that may block on the disk at once.
    readers: Semaphore,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What became of a payload that was to be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Read {
    /// It is here among the bytes that were read.
    Bytes(Range<usize>),
    /// It is staged, but not written: to be tried again when this record is.
    Early(Lsn),
    /// Its segment was freed, so its job has another base by now, or is gone.
    Gone,
    /// It can't be read, for this reason.
    Unreadable(String),
    /// The disk failed to read what may be it, for this reason.
    Failed(String),
    /// The system lacks what it takes to read it just now; it may be there all the same.
    Refused(String),
}

/// What the cache has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CacheFigures {
    /// Bytes in it.
    pub(crate) bytes: u64,
    /// Payloads that were found in it.
    pub(crate) hits: u64,
    /// Payloads that had to be read.
    pub(crate) misses: u64,
}

impl Payloads {
    /// Nothing is read yet; the cache may take so many bytes.
    pub(crate) fn new(cache_bytes_max: u64) -> Payloads {
        Payloads {
            cache: Mutex::new(Cache::new(cache_bytes_max)),
            loading: Default::default(),
            readers: Semaphore::new(PAYLOAD_READERS_MAX),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// From here on the cache may take so many bytes.
    pub(crate) fn set_cache_bytes_max(&self, bytes: u64) {
        self.cache.lock().set_bytes_max(bytes);
    }

    /// What the cache has done.
    pub(crate) fn figures(&self) -> CacheFigures {
        CacheFigures {
            bytes: self.cache.lock().bytes(),
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }

    /// Copies a payload that is in the cache; false when it is not. Never blocks on the disk.
    pub(crate) fn copy_cached(&self, wanted: LoggedPayload, into: &mut [u8]) -> bool {
        let mut cache = self.cache.lock();
        let mut lsn = wanted.base.max(1);
        while let Some(chunk) = cache.get(lsn) {
            if let Some(bytes) = chunk.find(wanted) {
                if bytes.len() != into.len() {
                    return false;
                }
                into.copy_from_slice(bytes);
                drop(cache);
                self.hits.fetch_add(1, Ordering::Relaxed);
                return true;
            }
            lsn = chunk.last + 1;
        }
        false
    }

    /// Reads a payload from the cache or the log, behind what is in `into`. Blocks on the disk.
    pub(crate) fn read(&self, log: &Log, wanted: LoggedPayload, into: &mut Vec<u8>) -> Read {
        self.misses.fetch_add(1, Ordering::Relaxed);
        // Before the log is read: what is not there now may be written a moment later.
        let (staged, written) = (log.next_lsn() - 1, log.written());
        let mut lsn = wanted.base.max(1);
        let mut fault: Option<(Lsn, Read)> = None;
        let mut failures = 0;
        loop {
            // Its base says only where to begin, so the damage may be another's; but it is not far behind.
            if let Some((at, fault)) = fault.take_if(|(at, _)| lsn > *at + PAYLOAD_SEARCH_RECORDS) {
                tracing::debug!(at, lsn, "no payload behind damage");
                return fault;
            }
            match self.chunk(log, lsn) {
                Ok(Some(chunk)) => {
                    if let Some(bytes) = chunk.find(wanted) {
                        return whole(bytes, wanted, into);
                    }
                    if let Some(lost) = chunk.lost {
                        let why = format!("record {lost} was lost when the log was repaired");
                        fault.get_or_insert((lost, Read::Unreadable(why)));
                    }
                    lsn = chunk.last + 1;
                }
                Ok(None) => {
                    return match fault {
                        Some((_, fault)) => fault,
                        None if written < staged => Read::Early(staged),
                        None => Read::Unreadable(format!("no record from {} on has it", wanted.base)),
                    };
                }
                Err(ReadError::Gone { .. }) => return Read::Gone,
                Err(error @ ReadError::Damaged { lsn: at, .. }) => {
                    fault.get_or_insert((at, Read::Unreadable(error.to_string())));
                    lsn = at + 1;
                }
                Err(error) if error.may_pass() => return Read::Refused(error.to_string()),
                // It may be in another's record. Whatever else is wrong, what was not read is not known to be lost.
                Err(error @ ReadError::Io { .. }) => {
                    failures += 1;
                    if failures == PAYLOAD_FAILURES_MAX {
                        return Read::Failed(error.to_string());
                    }
                    fault = Some((lsn, Read::Failed(error.to_string())));
                    lsn += 1;
                }
            }
        }
    }

    /// Reads several, behind each other.
    fn read_each(&self, log: &Log, wanted: &[LoggedPayload], mut bytes: Vec<u8>) -> ReadTogether {
        // In the order of the log, so that each piece is read once.
        let mut order: Vec<usize> = (0..wanted.len()).collect();
        order.sort_unstable_by_key(|&at| wanted[at]);
        let mut each = vec![Read::Gone; wanted.len()];
        for at in order {
            each[at] = self.read(log, wanted[at], &mut bytes);
        }
        ReadTogether { each, bytes }
    }

    /// The piece of the log that has this record; `None` when that is not written yet.
    fn chunk(&self, log: &Log, lsn: Lsn) -> Result<Option<Arc<Chunk>>, ReadError> {
        let (cached, follows) = {
            let mut cache = self.cache.lock();
            (cache.get(lsn), cache.has(lsn - 1))
        };
        if cached.is_some() {
            return Ok(cached);
        }
        // One that follows what was read before is not read from further back again.
        let start = if follows { lsn } else { log.start_near(lsn) };
        let _loading = self.loading[start as usize % PAYLOAD_READERS_MAX].lock();
        if let Some(chunk) = self.cache.lock().get(lsn) {
            return Ok(Some(chunk));
        }
        let buffer = self.cache.lock().take_buffer();
        let Some(chunk) = Chunk::load(log, start, lsn, follows, buffer)? else { return Ok(None) };
        let chunk = Arc::new(chunk);
        self.cache.lock().insert(Arc::clone(&chunk));
        Ok(Some(chunk))
    }
}

fn whole(bytes: &[u8], wanted: LoggedPayload, into: &mut Vec<u8>) -> Read {
    if bytes.len() == wanted.bytes as usize {
        let start = into.len();
        into.extend_from_slice(bytes);
        Read::Bytes(start..into.len())
    } else {
        Read::Unreadable(format!("the log has {} bytes of it, not {}", bytes.len(), wanted.bytes))
    }
}

/// Payloads that were read together.
#[derive(Default)]
pub(crate) struct ReadTogether {
    /// What became of each.
    pub(crate) each: Vec<Read>,
    /// The bytes of all.
    pub(crate) bytes: Vec<u8>,
}

/// Reads payloads on a thread that may block; what became of them is in the order in which they are wanted.
pub(crate) fn read_all(
    lane: &Lane,
    wanted: Vec<LoggedPayload>,
) -> impl Future<Output = ReadTogether> + Send + use<> {
    let (payloads, log) = (Arc::clone(&lane.payloads), lane.log.clone());
    #[cfg(feature = "simulation")]
    let (is_simulated, wanted) = (lane.clock.is_simulated(), simulation::astray(lane.planted, wanted));
    async move {
        let _permit = payloads.readers.acquire().await.expect("the semaphore is never closed");
        // By who asks, who frees it, too: what one thread allocates and another frees is slow to be used again.
        let bytes = Vec::with_capacity(wanted.iter().map(|payload| payload.bytes as usize).sum());
        #[cfg(feature = "simulation")]
        if is_simulated {
            return payloads.read_each(&log, &wanted, bytes);
        }
        let reader = Arc::clone(&payloads);
        let read = tokio::task::spawn_blocking(move || reader.read_each(&log, &wanted, bytes));
        // A panic of the reader is a bug; the connection that waits for it ends as by any other.
        read.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }
}

#[cfg(test)]
mod tests;
