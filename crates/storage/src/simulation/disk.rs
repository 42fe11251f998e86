//! A disk in memory that fails where it is told to, and loses what was not synced.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use rustix::io::Errno;

use super::Random;
use crate::disk::{Disk, DiskFile};
use crate::segment::Name;

/// Writes reach this disk in pieces of this size, each of them whole or not at all.
const SECTOR_BYTES: usize = 512;

#[derive(Default, Clone)]
struct Inode {
    /// What reads see.
    cached: Vec<u8>,
    /// What survives a crash.
    synced: Vec<u8>,
    /// What may survive one, in any part.
    unsynced: Vec<Unsynced>,
}

#[derive(Clone)]
enum Unsynced {
    Written(usize, Vec<u8>),
    Length(usize),
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

/// Takes one of those that are left, if they are limited.
fn take_one(left: &mut Option<u64>, none: Errno) -> io::Result<()> {
    if let Some(left) = left {
        *left = left.checked_sub(1).ok_or(none)?;
    }
    Ok(())
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
    /// This operation fails, whatever it is, and no other.
    fails_at: Option<u64>,
    is_full: bool,
    /// So many files are opened or created before there is no descriptor left.
    descriptors_left: Option<u64>,
    /// So many reads succeed before the others fail.
    reads_left: Option<u64>,
    /// What can't be read of an inode.
    unreadable: Option<(usize, Range<u64>)>,
    /// The sum of all files' lengths that creations stay below.
    bytes_max: Option<u64>,
    holds_syncs: bool,
    counts: Counts,
}

/// How often something was done.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    /// Files created.
    pub creates: u64,
    /// Writes.
    pub writes: u64,
    /// Syncs of files.
    pub syncs: u64,
}

impl State {
    /// Counts an operation, and fails it when the machine has stopped.
    fn begin(&mut self) -> io::Result<()> {
        let operation = self.operations;
        self.operations += 1;
        if self.stops_at.is_some_and(|stops_at| stops_at <= operation) {
            return Err(io::Error::other("the machine has stopped"));
        }
        if self.fails_at == Some(operation) { Err(Errno::IO.into()) } else { Ok(()) }
    }

    fn take_descriptor(&mut self) -> io::Result<()> {
        take_one(&mut self.descriptors_left, Errno::MFILE)
    }

    fn bytes(&self) -> u64 {
        self.names.values().map(|&inode| self.inodes[inode].cached.len() as u64).sum()
    }

    fn has_room_for(&self, bytes: u64) -> bool {
        !self.is_full && self.bytes_max.is_none_or(|max| self.bytes() + bytes <= max)
    }

    /// The inodes at their places, those emptied that nothing names any more.
    fn inodes_in_use(&self) -> impl Iterator<Item = &Inode> {
        static EMPTY: Inode = Inode { cached: Vec::new(), synced: Vec::new(), unsynced: Vec::new() };
        let linked = self.unsynced_changes.iter().filter_map(|change| match change {
            Change::Link(_, inode) => Some(*inode),
            Change::Rename(..) | Change::Unlink(_) => None,
        });
        let used: BTreeSet<usize> =
            self.names.values().chain(self.synced_names.values()).copied().chain(linked).collect();
        let place = move |(index, inode)| if used.contains(&index) { inode } else { &EMPTY };
        self.inodes.iter().enumerate().map(place)
    }
}

impl Inode {
    /// Another length, with zeros where it is longer.
    fn resize(&mut self, length: usize) {
        self.cached.resize(length, 0);
        self.unsynced.push(Unsynced::Length(length));
    }

    fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            match change {
                Unsynced::Length(length) => self.synced.resize(length, 0),
                Unsynced::Written(offset, bytes) => {
                    self.synced[offset..offset + bytes.len()].copy_from_slice(&bytes);
                }
            }
        }
    }

    /// What a crash of the machine leaves of it: its length as it was at some time, and each sector of each write that was
    /// not synced or not.
    fn after_crash(&self, random: &mut Random) -> Inode {
        let mut bytes = self.synced.clone();
        let keeps_all = random.one_in(4);
        let lengths = self.unsynced.iter().filter(|change| matches!(change, Unsynced::Length(_))).count();
        let mut lengths = if keeps_all { lengths } else { random.below(lengths as u64 + 1) as usize };
        for change in &self.unsynced {
            match change {
                Unsynced::Length(_) if lengths == 0 => {}
                Unsynced::Length(length) => {
                    bytes.resize(*length, 0);
                    lengths -= 1;
                }
                Unsynced::Written(offset, written) => {
                    let mut from = 0;
                    while from < written.len().min(bytes.len().saturating_sub(*offset)) {
                        let sector_ends_at = ((offset + from) / SECTOR_BYTES + 1) * SECTOR_BYTES;
                        let until = (sector_ends_at - offset).min(written.len()).min(bytes.len() - offset);
                        if keeps_all || random.one_in(2) {
                            bytes[offset + from..offset + until].copy_from_slice(&written[from..until]);
                        }
                        from = until;
                    }
                }
            }
        }
        Inode { cached: bytes.clone(), synced: bytes, unsynced: Vec::new() }
    }
}

/// A handle of the disk; clones are the same disk.
#[derive(Clone, Default)]
pub struct SimulatedDisk {
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl SimulatedDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.shared.0.lock());
        self.shared.1.notify_all();
        result
    }

    /// How often something was done.
    pub fn counts(&self) -> Counts {
        self.with(|state| state.counts)
    }

    /// How many operations have changed or synced something.
    pub fn operations(&self) -> u64 {
        self.with(|state| state.operations)
    }

    /// Stops the machine after `operations` more: that operation and all later ones fail.
    pub fn stop_after(&self, operations: u64) {
        self.with(|state| state.stops_at = Some(state.operations + operations));
    }

    /// Fails one operation, after `operations` more.
    pub fn fail_one_after(&self, operations: u64) {
        self.with(|state| state.fails_at = Some(state.operations + operations));
    }

    /// Whether the machine has stopped.
    pub fn has_stopped(&self) -> bool {
        self.with(|state| state.stops_at.is_some_and(|stops_at| stops_at < state.operations))
    }

    /// From now on syncs fail, and lose what they should have synced.
    pub fn fail_syncs(&self) {
        self.fail_syncs_after(0);
    }

    /// The same after `operations` more.
    pub fn fail_syncs_after(&self, operations: u64) {
        self.with(|state| state.syncs_fail_at = Some(state.operations + operations));
    }

    /// Fills the disk, or gives it room again.
    pub fn set_full(&self, is_full: bool) {
        self.with(|state| state.is_full = is_full);
    }

    /// Lets so many reads succeed, and those after them fail; or all succeed again.
    pub fn limit_reads(&self, left: Option<u64>) {
        self.with(|state| state.reads_left = left);
    }

    /// Lets so many files be opened or created, and no more for want of a descriptor; or all again.
    pub fn limit_descriptors(&self, left: Option<u64>) {
        self.with(|state| state.descriptors_left = left);
    }

    /// How large all files may be together; `None`: as large as they like.
    pub fn set_bytes_max(&self, bytes_max: Option<u64>) {
        self.with(|state| state.bytes_max = bytes_max);
    }

    /// How large all files are together.
    pub fn bytes(&self) -> u64 {
        self.with(|state| state.bytes())
    }

    /// Makes syncs wait, or lets them go on.
    pub fn hold_syncs(&self, holds: bool) {
        self.with(|state| state.holds_syncs = holds);
    }

    /// The disk as it is, without faults: what the next process finds when only the last one died.
    pub fn after_kill(&self) -> Self {
        self.with(|state| {
            Self::from_state(State {
                inodes: state.inodes_in_use().cloned().collect(),
                names: state.names.clone(),
                synced_names: state.synced_names.clone(),
                unsynced_changes: state.unsynced_changes.clone(),
                ..State::default()
            })
        })
    }

    /// The disk after the machine crashed: what was synced, and by chance parts of what was not.
    pub fn after_crash(&self, random: &mut Random) -> Self {
        self.with(|state| {
            let mut names = state.synced_names.clone();
            // A journal keeps the order of changes to a directory.
            let kept = random.below(state.unsynced_changes.len() as u64 + 1) as usize;
            for &change in &state.unsynced_changes[..kept] {
                apply(&mut names, change);
            }
            let inodes = state.inodes_in_use().map(|inode| inode.after_crash(random)).collect();
            Self::from_state(State { inodes, synced_names: names.clone(), names, ..State::default() })
        })
    }

    fn from_state(state: State) -> Self {
        Self { shared: Arc::new((Mutex::new(state), Condvar::new())) }
    }

    fn change(&self, change: Change) -> io::Result<()> {
        self.with(|state| {
            state.begin()?;
            apply(&mut state.names, change);
            state.unsynced_changes.push(change);
            Ok(())
        })
    }

    fn file(&self, inode: usize) -> Box<dyn DiskFile> {
        Box::new(SimulatedFile { disk: self.clone(), inode })
    }
}

#[cfg(test)]
impl SimulatedDisk {
    /// All files, for comparing and for breaking.
    pub(crate) fn files(&self) -> BTreeMap<Name, Vec<u8>> {
        self.with(|state| {
            state.names.iter().map(|(&name, &inode)| (name, state.inodes[inode].cached.clone())).collect()
        })
    }

    /// From now on this part of a file can't be read, or all can.
    pub(crate) fn set_unreadable(&self, part: Option<(Name, Range<u64>)>) {
        self.with(|state| state.unreadable = part.map(|(name, part)| (state.names[&name], part)));
    }

    /// A disk with these files, all synced.
    pub(crate) fn with_files(files: &BTreeMap<Name, Vec<u8>>) -> Self {
        let mut state = State::default();
        for (&name, bytes) in files {
            state.names.insert(name, state.inodes.len());
            state.inodes.push(Inode { cached: bytes.clone(), synced: bytes.clone(), unsynced: Vec::new() });
        }
        state.synced_names = state.names.clone();
        Self::from_state(state)
    }
}

impl Disk for SimulatedDisk {
    fn path(&self, name: Name) -> PathBuf {
        Path::new("simulated").join(name.to_string())
    }

    fn list(&self) -> io::Result<Vec<OsString>> {
        Ok(self.with(|state| state.names.keys().map(|name| name.to_string().into()).collect()))
    }

    fn file_bytes(&self, name: Name) -> io::Result<u64> {
        self.with(|state| state.names.get(&name).map(|&inode| state.inodes[inode].cached.len() as u64))
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn open(&self, name: Name) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.with(|state| {
            state.take_descriptor()?;
            state.names.get(&name).copied().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        })?;
        Ok(self.file(inode))
    }

    fn create(&self, name: Name, bytes: u64) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.with(|state| {
            state.take_descriptor()?;
            if !state.has_room_for(bytes) {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            state.counts.creates += 1;
            let mut inode = Inode::default();
            inode.resize(bytes as usize);
            state.inodes.push(inode);
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
            state.begin()?;
            state.synced_names = state.names.clone();
            state.unsynced_changes.clear();
            Ok(())
        })
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.with(|state| match state.bytes_max {
            _ if state.is_full => 0,
            Some(bytes_max) => bytes_max.saturating_sub(state.bytes()),
            None => u64::MAX,
        }))
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
            take_one(&mut state.reads_left, Errno::IO)?;
            let bytes = &state.inodes[self.inode].cached;
            let rest = &bytes[bytes.len().min(offset as usize)..];
            let count = rest.len().min(buffer.len());
            let read = offset..offset + count as u64;
            let is_readable = |(inode, part): &(usize, Range<u64>)| {
                *inode != self.inode || part.start >= read.end || part.end <= read.start
            };
            if !state.unreadable.as_ref().is_none_or(is_readable) {
                return Err(Errno::IO.into());
            }
            buffer[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = offset as usize;
        self.disk.with(|state| {
            state.counts.writes += 1;
            let stopped = state.begin();
            let inode = &mut state.inodes[self.inode];
            // A write that a crash interrupts may have got anywhere.
            inode.unsynced.push(Unsynced::Written(offset, bytes.to_vec()));
            inode.cached[offset..offset + bytes.len()].copy_from_slice(bytes);
            stopped
        })
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.disk.with(|state| {
            state.begin()?;
            state.inodes[self.inode].resize(bytes as usize);
            Ok(())
        })
    }

    fn grow(&self, bytes: u64) -> io::Result<()> {
        self.disk.with(|state| {
            state.begin()?;
            let more = bytes.saturating_sub(state.inodes[self.inode].cached.len() as u64);
            if !state.has_room_for(more) {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            if more > 0 {
                state.inodes[self.inode].resize(bytes as usize);
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
        let is_alone = state.fails_at == Some(state.operations);
        let begun = state.begin();
        let fails = is_alone || state.syncs_fail_at.is_some_and(|from| from < state.operations);
        let inode = &mut state.inodes[self.inode];
        if fails {
            // As Linux does it: the pages stay readable and count as clean, and never reach the disk.
            inode.unsynced.retain(|change| matches!(change, Unsynced::Length(_)));
            return Err(io::Error::other("input/output error"));
        }
        begun?;
        inode.sync();
        Ok(())
    }
}
