//! What gives a log one writer, or some that only read.
//!
//! What counts is the kernel's lock on a file, which ends with the process, however it ends. The pid inside is for
//! the message only. The directory itself is locked as well: somebody may delete the file while its log is in use.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::OpenError;
use crate::disk::is_full;
use crate::segment::Name;

/// A held lock; dropping it lets go.
#[derive(Debug)]
pub(crate) struct Lock {
    file: Option<File>,
    _directory: File,
}

impl Lock {
    /// Takes the lock of the log in `dir`, for a writer.
    pub(crate) fn take(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join(Name::Lock.to_string());
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false) // not before the lock is ours
            .open(&path)
            .map_err(OpenError::io("open", &path))?;
        let lock = Self::hold(dir, Some(file), FlockOperation::NonBlockingLockExclusive)?;
        // Written over the old one, which takes no space; on a full disk a new file stays empty.
        match lock.file.as_ref().map(write_pid) {
            Some(Err(error)) if !is_full(&error) => Err(OpenError::io("write the pid to", &path)(error)),
            _ => Ok(lock),
        }
    }

    /// Shares it with others who only read. Nothing in the directory is changed.
    pub(crate) fn share(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join(Name::Lock.to_string());
        let file = match File::open(&path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(OpenError::io("open", &path)(error)),
        };
        Self::hold(dir, file, FlockOperation::NonBlockingLockShared)
    }

    fn hold(dir: &Path, file: Option<File>, how: FlockOperation) -> Result<Self, OpenError> {
        let locked = || OpenError::Locked { dir: dir.to_owned(), pid: holder(file.as_ref()) };
        if let Some(file) = &file {
            match rustix::fs::flock(file, how) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(locked()),
                Err(error) => {
                    return Err(OpenError::io("lock", &dir.join(Name::Lock.to_string()))(error.into()));
                }
            }
        }
        let directory = File::open(dir).map_err(OpenError::io("open the directory", dir))?;
        // Not every file system can lock a directory: NFS locks only what is open for writing.
        if rustix::fs::flock(&directory, how) == Err(Errno::WOULDBLOCK) {
            return Err(locked());
        }
        Ok(Self { file, _directory: directory })
    }
}

/// The pid of who has the lock, as far as the file says.
fn holder(file: Option<&File>) -> String {
    let mut pid = String::new();
    // Whoever has it may not have written its pid yet.
    _ = file.map(|mut file| file.read_to_string(&mut pid));
    Some(pid.trim()).filter(|pid| !pid.is_empty()).unwrap_or("unknown").to_owned()
}

fn write_pid(mut file: &File) -> io::Result<()> {
    let pid = format!("{}\n", std::process::id());
    file.write_all(pid.as_bytes())?;
    file.set_len(pid.len() as u64)
}
