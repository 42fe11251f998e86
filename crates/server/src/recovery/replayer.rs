//! Takes the records of a log that is opened, and has each shard replay its parts.
//!
//! Shards share nothing, so they replay side by side: the thread that reads the log verifies it and deals the parts
//! out in chunks, and each worker thread replays those of some shards. Within a shard the order is the log's.

use std::io;
use std::panic::resume_unwind;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, bounded};
use stanchion_engine::Shard;
use stanchion_storage::{Lsn, Progress, RecordView, Refused, Replay};

use crate::lane::{EVENTS, shard_of};
use crate::limits::{REPLAY_CHUNK_BYTES, REPLAY_CHUNKS_MAX};
use crate::loading::Loading;

/// How often it logs how far it is.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// The shards of a lane while its log is replayed into them.
pub(super) struct Replayer<'a> {
    shard_count: usize,
    way: Way,
    loading: &'a Loading,
    told_at: Instant,
}

/// How parts get into their shards.
enum Way {
    /// At once.
    Here(Vec<Shard>),
    /// On threads of their own.
    Workers(Vec<Worker>),
    /// It is over, and they were taken, or are not to be trusted.
    Over,
}

/// What a worker ends with: its shards with their indices, or the record that it could not replay.
type Outcome = Result<Vec<(usize, Shard)>, Refused>;

/// A thread that replays into some of the shards.
struct Worker {
    /// What it gets next.
    chunk: Chunk,
    chunks: Sender<Chunk>,
    /// Chunks that it has done, to be filled again.
    empty: Receiver<Chunk>,
    thread: JoinHandle<Outcome>,
}

/// Parts in a row: lsn, shard, length, bytes.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
}

/// Whom a part is for.
#[derive(Clone, Copy)]
enum For {
    Shard(usize),
    All,
}

/// A part on its way.
struct Dealt<'a> {
    lsn: Lsn,
    to: For,
    part: &'a [u8],
}

impl<'a> Replayer<'a> {
    /// Replays into these shards on so many threads; with none at all, on the one that reads.
    pub(super) fn new(shards: Vec<Shard>, threads: usize, loading: &'a Loading) -> io::Result<Replayer<'a>> {
        let shard_count = shards.len();
        let way = match threads.min(shard_count) {
            0 => Way::Here(shards),
            threads => {
                let mut shares: Vec<Vec<_>> = (0..threads).map(|_| Vec::new()).collect();
                for (index, shard) in shards.into_iter().enumerate() {
                    shares[index % threads].push((index, shard));
                }
                Way::Workers(shares.into_iter().map(Worker::start).collect::<io::Result<_>>()?)
            }
        };
        Ok(Replayer { shard_count, way, loading, told_at: Instant::now() })
    }

    /// The shards, after all was replayed.
    pub(super) fn into_shards(mut self) -> Result<Vec<Shard>, Refused> {
        self.end()?;
        match self.way {
            Way::Here(shards) => Ok(shards),
            Way::Workers(_) | Way::Over => unreachable!("the workers have ended well"),
        }
    }

    fn deal(&mut self, dealt: &Dealt<'_>) -> Result<(), Refused> {
        match &mut self.way {
            Way::Here(shards) => match dealt.to {
                For::Shard(index) => dealt.replay(&mut shards[index]),
                For::All => shards.iter_mut().try_for_each(|shard| dealt.replay(shard)),
            },
            Way::Workers(workers) => {
                let count = workers.len();
                let sent = match dealt.to {
                    For::Shard(index) => workers[index % count].take(dealt),
                    For::All => workers.iter_mut().try_for_each(|worker| worker.take(dealt)),
                };
                // A worker that listens no more says why when it is asked.
                sent.or_else(|Ended| self.end())
            }
            Way::Over => unreachable!("nothing comes after the end"),
        }
    }

    /// Waits until everything is replayed; of several records that could not be, the first one is named.
    fn end(&mut self) -> Result<(), Refused> {
        let workers = match std::mem::replace(&mut self.way, Way::Over) {
            Way::Workers(workers) => workers,
            way => {
                self.way = way;
                return Ok(());
            }
        };
        let threads: Vec<_> = workers.into_iter().map(Worker::finish).collect();
        let mut shards = Vec::with_capacity(self.shard_count);
        let mut refused: Option<Refused> = None;
        for thread in threads {
            match thread.join().unwrap_or_else(|panic| resume_unwind(panic)) {
                Ok(share) => shards.extend(share),
                Err(new) if refused.as_ref().is_none_or(|old| new.lsn < old.lsn) => refused = Some(new),
                Err(_) => {}
            }
        }
        match refused {
            Some(refused) => Err(refused),
            None => {
                shards.sort_unstable_by_key(|(index, _)| *index);
                self.way = Way::Here(shards.into_iter().map(|(_, shard)| shard).collect());
                Ok(())
            }
        }
    }
}

impl Replay for Replayer<'_> {
    fn record(&mut self, record: RecordView<'_>) -> Result<(), Refused> {
        let lsn = record.lsn;
        let refused = |reason| Refused { lsn, reason };
        if record.kind != EVENTS {
            let kind = record.kind.get();
            return Err(refused(format!("its kind {kind} is unknown; a newer version may have written it")));
        }
        for part in Shard::parts(record.body) {
            let (queue, part) = part.map_err(|damaged| refused(damaged.to_string()))?;
            let to = queue.map_or(For::All, |queue| For::Shard(shard_of(queue, self.shard_count)));
            self.deal(&Dealt { lsn, to, part })?;
        }
        Ok(())
    }

    fn progress(&mut self, progress: Progress) {
        self.loading.advance(progress);
        if self.told_at.elapsed() >= TELL_EVERY {
            self.told_at = Instant::now();
            let state = self.loading.state();
            tracing::info!(
                bytes = progress.read_bytes,
                total_bytes = progress.total_bytes,
                percent = state.percent() as u64,
                records = progress.records,
                records_per_second = (progress.records as f64 / state.elapsed.as_secs_f64()) as u64,
                seconds_left = state.left_secs(),
                "recovering the log"
            );
        }
    }

    fn finish(&mut self) -> Result<(), Refused> {
        self.end()
    }
}

/// The worker has ended, which it does early only when it could not replay something.
struct Ended;

impl Worker {
    fn start(share: Vec<(usize, Shard)>) -> io::Result<Worker> {
        let (chunks, incoming) = bounded::<Chunk>(REPLAY_CHUNKS_MAX);
        let (done, empty) = bounded(REPLAY_CHUNKS_MAX + 1);
        let thread = thread::Builder::new().name("replay".to_owned()).spawn(move || {
            let mut share = share;
            for chunk in incoming {
                chunk.replay(&mut share)?;
                // The reader may be gone.
                let _ = done.try_send(chunk);
            }
            Ok(share)
        })?;
        Ok(Worker { chunk: Chunk::default(), chunks, empty, thread })
    }

    fn take(&mut self, dealt: &Dealt<'_>) -> Result<(), Ended> {
        self.chunk.push(dealt);
        if self.chunk.bytes.len() < REPLAY_CHUNK_BYTES {
            return Ok(());
        }
        let mut next = self.empty.try_recv().unwrap_or_default();
        next.clear();
        self.chunks.send(std::mem::replace(&mut self.chunk, next)).map_err(|_| Ended)
    }

    /// Sends it what is left; it ends after that.
    fn finish(self) -> JoinHandle<Outcome> {
        // One that listens no more has failed, and says so when it is joined.
        let _ = self.chunks.send(self.chunk);
        self.thread
    }
}

impl Chunk {
    const HEAD_BYTES: usize = 16;
    const ALL: u32 = u32::MAX;

    fn push(&mut self, dealt: &Dealt<'_>) {
        let to = match dealt.to {
            For::Shard(index) => index as u32,
            For::All => Self::ALL,
        };
        let mut head = [0; Self::HEAD_BYTES];
        head[..8].copy_from_slice(&dealt.lsn.to_le_bytes());
        head[8..12].copy_from_slice(&to.to_le_bytes());
        head[12..].copy_from_slice(&(dealt.part.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(&head);
        self.bytes.extend_from_slice(dealt.part);
    }

    /// Makes room for the next parts; one large record need not make all chunks large for good.
    fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(2 * REPLAY_CHUNK_BYTES);
    }

    fn replay(&self, share: &mut [(usize, Shard)]) -> Result<(), Refused> {
        let mut left = &self.bytes[..];
        while let Some((head, rest)) = left.split_first_chunk::<{ Self::HEAD_BYTES }>() {
            let [lsn, to_and_length] = [&head[..8], &head[8..]]
                .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight of sixteen bytes")));
            let (to, length) = (to_and_length as u32, (to_and_length >> 32) as usize);
            let (part, rest) = rest.split_at(length);
            left = rest;
            let dealt = Dealt { lsn, to: For::Shard(to as usize), part };
            for (index, shard) in share.iter_mut() {
                if to == Self::ALL || to as usize == *index {
                    dealt.replay(shard)?;
                }
            }
        }
        Ok(())
    }
}

impl Dealt<'_> {
    fn replay(&self, shard: &mut Shard) -> Result<(), Refused> {
        shard
            .replay(self.lsn, self.part)
            .map_err(|damaged| Refused { lsn: self.lsn, reason: damaged.to_string() })
    }
}

#[cfg(test)]
mod tests;
