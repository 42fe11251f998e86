//! A disk in memory that fails where it is told to, and loses what was not synced.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::disk::{Disk, DiskFile};
use crate::segment::Name;

/// Writes reach this disk in pieces of this size, each of them whole or not at all.
const SECTOR_BYTES: usize = 512;

/// A small generator, so that a seed is all that a failure needs to be seen again.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[derive(Default, Clone)]
struct Inode {
    /// What reads see.
    cached: Vec<u8>,
    /// What survives a crash.
    synced: Vec<u8>,
    /// What may survive one, in any part.
    unsynced: Vec<(usize, Vec<u8>)>,
}

/// A change to the directory.
#[derive(Clone, Copy)]
enum Change {
    Link(Name, usize),
    Rename(Name, Name),
    Unlink(Name),
}

type Names = BTreeMap<Name, usize>;

fn apply(names: &mut Names, change: Change) {
    match change {
        Change::Link(name, inode) => {
            names.insert(name, inode);
        }
        Change::Rename(from, to) => {
            let inode = names.remove(&from).expect("renamed files exist");
            names.insert(to, inode);
        }
        Change::Unlink(name) => {
            names.remove(&name);
        }
    }
}

#[derive(Default)]
struct State {
    inodes: Vec<Inode>,
    names: Names,
    synced_names: Names,
    unsynced_changes: Vec<Change>,
    /// How many operations have changed or synced something.
    operations: u64,
    /// From this operation on all fail, as if the machine had stopped there.
    stops_at: Option<u64>,
    /// Every sync from this operation on fails, and loses what it should have synced.
    syncs_fail_at: Option<u64>,
    is_full: bool,
    holds_syncs: bool,
    counts: Counts,
}

/// How often something was done.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    pub(super) creates: u64,
    pub(super) writes: u64,
    pub(super) syncs: u64,
}

/// A handle of the disk; clones are the same disk.
#[derive(Clone, Default)]
pub(super) struct SimulatedDisk {
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl SimulatedDisk {
    pub(super) fn new() -> Self {
        Self::default()
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.shared.0.lock());
        self.shared.1.notify_all();
        result
    }

    pub(super) fn counts(&self) -> Counts {
        self.with(|state| state.counts)
    }

    pub(super) fn operations(&self) -> u64 {
        self.with(|state| state.operations)
    }

    /// Stops the machine after `operations` more.
    pub(super) fn stop_after(&self, operations: u64) {
        self.with(|state| state.stops_at = Some(state.operations + operations));
    }

    pub(super) fn fail_syncs(&self) {
        self.with(|state| state.syncs_fail_at = Some(state.operations));
    }

    pub(super) fn set_full(&self, is_full: bool) {
        self.with(|state| state.is_full = is_full);
    }

    /// Makes syncs wait, or lets them go on.
    pub(super) fn hold_syncs(&self, holds: bool) {
        self.with(|state| state.holds_syncs = holds);
    }

    /// The disk as it is, without faults: what the next process finds when only the last one died.
    pub(super) fn after_kill(&self) -> Self {
        self.with(|state| {
            Self::from_state(State {
                inodes: state.inodes.clone(),
                names: state.names.clone(),
                synced_names: state.synced_names.clone(),
                unsynced_changes: state.unsynced_changes.clone(),
                ..State::default()
            })
        })
    }

    /// The disk after the machine crashed: what was synced, and by chance parts of what was not.
    pub(super) fn after_crash(&self, random: &mut Random) -> Self {
        self.with(|state| {
            let mut names = state.synced_names.clone();
            // A journal keeps the order of changes to a directory.
            let kept = random.below(state.unsynced_changes.len() as u64 + 1) as usize;
            for &change in &state.unsynced_changes[..kept] {
                apply(&mut names, change);
            }
            let mut inodes = Vec::new();
            for inode in &state.inodes {
                let mut bytes = inode.synced.clone();
                let keeps_all = random.below(4) == 0;
                for (offset, written) in &inode.unsynced {
                    for (index, &byte) in written.iter().enumerate() {
                        let at = offset + index;
                        let is_new_sector = index == 0 || at.is_multiple_of(SECTOR_BYTES);
                        if is_new_sector {
                            // One draw for each sector of each write.
                            random.next();
                        }
                        if keeps_all || random.0 >> 63 == 0 {
                            bytes[at] = byte;
                        }
                    }
                }
                inodes.push(Inode { cached: bytes.clone(), synced: bytes, unsynced: Vec::new() });
            }
            Self::from_state(State { inodes, synced_names: names.clone(), names, ..State::default() })
        })
    }

    fn from_state(state: State) -> Self {
        Self { shared: Arc::new((Mutex::new(state), Condvar::new())) }
    }

    /// All files, for comparing and for breaking.
    pub(super) fn files(&self) -> BTreeMap<Name, Vec<u8>> {
        self.with(|state| {
            state.names.iter().map(|(&name, &inode)| (name, state.inodes[inode].cached.clone())).collect()
        })
    }

    /// A disk with these files, all synced.
    pub(super) fn with_files(files: &BTreeMap<Name, Vec<u8>>) -> Self {
        let mut state = State::default();
        for (&name, bytes) in files {
            state.names.insert(name, state.inodes.len());
            state.inodes.push(Inode { cached: bytes.clone(), synced: bytes.clone(), unsynced: Vec::new() });
        }
        state.synced_names = state.names.clone();
        Self::from_state(state)
    }

    fn begin(state: &mut State) -> io::Result<()> {
        let operation = state.operations;
        state.operations += 1;
        if state.stops_at.is_some_and(|stops_at| stops_at <= operation) {
            return Err(io::Error::other("the machine has stopped"));
        }
        Ok(())
    }

    fn change(&self, change: Change) -> io::Result<()> {
        self.with(|state| {
            Self::begin(state)?;
            apply(&mut state.names, change);
            state.unsynced_changes.push(change);
            Ok(())
        })
    }

    fn file(&self, inode: usize) -> Box<dyn DiskFile> {
        Box::new(SimulatedFile { disk: self.clone(), inode })
    }
}

impl Disk for SimulatedDisk {
    fn path(&self, name: Name) -> PathBuf {
        Path::new("simulated").join(name.to_string())
    }

    fn list(&self) -> io::Result<Vec<OsString>> {
        Ok(self.with(|state| state.names.keys().map(|name| name.to_string().into()).collect()))
    }

    fn open(&self, name: Name) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.with(|state| state.names.get(&name).copied()).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.file(inode))
    }

    fn create(&self, name: Name, bytes: u64) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.with(|state| {
            if state.is_full {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            state.counts.creates += 1;
            let zeros = vec![0; bytes as usize];
            state.inodes.push(Inode { cached: zeros.clone(), synced: zeros, unsynced: Vec::new() });
            Ok(state.inodes.len() - 1)
        })?;
        self.change(Change::Link(name, inode))?;
        Ok(self.file(inode))
    }

    fn rename(&self, from: Name, to: Name) -> io::Result<()> {
        self.change(Change::Rename(from, to))
    }

    fn remove(&self, name: Name) -> io::Result<()> {
        self.change(Change::Unlink(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.with(|state| {
            Self::begin(state)?;
            state.synced_names = state.names.clone();
            state.unsynced_changes.clear();
            Ok(())
        })
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    inode: usize,
}

impl DiskFile for SimulatedFile {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.disk.with(|state| state.inodes[self.inode].cached.len() as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.with(|state| {
            let bytes = &state.inodes[self.inode].cached;
            let rest = &bytes[bytes.len().min(offset as usize)..];
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = offset as usize;
        self.disk.with(|state| {
            state.counts.writes += 1;
            let stopped = SimulatedDisk::begin(state);
            let inode = &mut state.inodes[self.inode];
            // A write that a crash interrupts may have got anywhere.
            inode.unsynced.push((offset, bytes.to_vec()));
            inode.cached[offset..offset + bytes.len()].copy_from_slice(bytes);
            stopped
        })
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.disk.with(|state| {
            SimulatedDisk::begin(state)?;
            let inode = &mut state.inodes[self.inode];
            inode.cached.truncate(bytes as usize);
            inode.synced.truncate(bytes as usize);
            for (offset, written) in &mut inode.unsynced {
                written.truncate((bytes as usize).saturating_sub(*offset));
            }
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        let (state, changed) = &*self.disk.shared;
        let mut state = state.lock();
        while state.holds_syncs {
            changed.wait(&mut state);
        }
        state.counts.syncs += 1;
        SimulatedDisk::begin(&mut state)?;
        let fails = state.syncs_fail_at.is_some_and(|from| from < state.operations);
        let inode = &mut state.inodes[self.inode];
        if fails {
            // As Linux does it: the pages stay readable and count as clean, and never reach the disk.
            inode.unsynced.clear();
            return Err(io::Error::other("input/output error"));
        }
        for (offset, bytes) in inode.unsynced.drain(..) {
            inode.synced[offset..offset + bytes.len()].copy_from_slice(&bytes);
        }
        Ok(())
    }
}
