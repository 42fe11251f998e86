//! What a queue has to remember of a job, done in the simplest way: for `stanchion bench floor --keep`.
//!
//! A job is kept until its ack, or it would be lost with its worker; its dedupe key is held until its claim; and each of
//! the three is written to a file, with a checksum, by a thread of its own and in pieces as large as the server's. What is
//! left out is all that makes a queue of it: leases that end, attempts, groups, priorities, timers, limits, figures, and
//! reading the file again.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use anyhow::{Context, Result};
use stanchion_protocol::id::JobId;

/// So much is written at once.
const PIECE_BYTES: usize = 256 << 10;

/// The file is written from its start again when it is so long, as the server's log is in balance.
const FILE_BYTES: u64 = 64 << 20;

/// What is written of a job.
#[derive(Clone, Copy)]
enum Event {
    Push,
    Claim,
    Ack,
}

/// Keys that are held, jobs that are claimed, and the file.
pub(super) struct Kept {
    keys: HashSet<Box<[u8]>, foldhash::fast::RandomState>,
    claimed: HashMap<JobId, Box<[u8]>, foldhash::fast::RandomState>,
    piece: Vec<u8>,
    full: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
}

impl Kept {
    /// Nothing yet.
    ///
    /// # Errors
    /// The file can't be made.
    pub(super) fn new(path: &Path) -> Result<Kept> {
        let file = File::create(path).with_context(|| format!("make {}", path.display()))?;
        let (full, pieces) = sync_channel(1);
        let (written, empty) = sync_channel(2);
        // Two pieces: one is filled while the other is written.
        _ = written.send(Vec::with_capacity(PIECE_BYTES));
        thread::Builder::new()
            .name("floor-writer".to_owned())
            .spawn(move || write(&file, &pieces, &written))?;
        let piece = Vec::with_capacity(PIECE_BYTES);
        Ok(Kept { keys: HashSet::default(), claimed: HashMap::default(), piece, full, empty })
    }

    /// Holds a key; false when it is held already. No key is always free.
    pub(super) fn hold(&mut self, key: &[u8]) -> bool {
        key.is_empty() || self.keys.insert(key.into())
    }

    /// A job is pushed, with its key's bytes before those of its payload.
    pub(super) fn pushed(&mut self, id: JobId, contents: &[u8]) -> Result<()> {
        self.append(Event::Push, id, contents)
    }

    /// A job is handed out: its key is free.
    pub(super) fn claimed(&mut self, id: JobId, contents: Box<[u8]>, key_bytes: usize) -> Result<()> {
        if key_bytes > 0 {
            self.keys.remove(&contents[..key_bytes]);
        }
        self.claimed.insert(id, contents);
        self.append(Event::Claim, id, &[])
    }

    /// A job is done; false when it was not claimed.
    pub(super) fn acked(&mut self, id: JobId) -> Result<bool> {
        let is_acked = self.claimed.remove(&id).is_some();
        if is_acked {
            self.append(Event::Ack, id, &[])?;
        }
        Ok(is_acked)
    }

    fn append(&mut self, event: Event, id: JobId, contents: &[u8]) -> Result<()> {
        let length = u32::try_from(contents.len()).context("a payload of more than 4 GiB")?;
        self.piece.push(event as u8);
        self.piece.extend_from_slice(&id.0.to_le_bytes());
        self.piece.extend_from_slice(&length.to_le_bytes());
        self.piece.extend_from_slice(contents);
        if self.piece.len() >= PIECE_BYTES {
            let empty = self.empty.recv().context("the writer has ended")?;
            self.full.send(std::mem::replace(&mut self.piece, empty)).context("the writer has ended")?;
        }
        Ok(())
    }
}

/// Writes pieces until nobody fills them, or the file takes no more.
fn write(file: &File, pieces: &Receiver<Vec<u8>>, written: &SyncSender<Vec<u8>>) {
    let mut at = 0;
    for mut piece in pieces {
        let checksum = crc32fast::hash(&piece);
        piece.extend_from_slice(&checksum.to_le_bytes());
        if file.write_all_at(&piece, at).is_err() {
            return;
        }
        at += piece.len() as u64;
        if at >= FILE_BYTES {
            at = 0;
        }
        piece.clear();
        if written.send(piece).is_err() {
            return;
        }
    }
}
