//! The file that gives a log one writer.
//!
//! What counts is the kernel's lock on it, which ends with the process, however it ends. The pid inside is for
//! the message only.

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
    _file: File,
}

impl Lock {
    /// Takes the lock of the log in `dir`.
    pub(crate) fn take(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join(Name::Lock.to_string());
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false) // not before the lock is ours
            .open(&path)
            .map_err(OpenError::io("open", &path))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                // A holder that has not written its pid yet is still a holder.
                let _ = file.read_to_string(&mut pid);
                let pid = match pid.trim() {
                    "" => "unknown".to_owned(),
                    pid => pid.to_owned(),
                };
                return Err(OpenError::Locked { dir: dir.to_owned(), pid });
            }
            Err(error) => return Err(OpenError::io("lock", &path)(error.into())),
        }
        // Written over the old one, which takes no space; on a full disk a new file stays empty.
        match write_pid(&mut file) {
            Err(error) if !is_full(&error) => return Err(OpenError::io("write the pid to", &path)(error)),
            _ => {}
        }
        Ok(Self { _file: file })
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    let pid = format!("{}\n", std::process::id());
    file.write_all(pid.as_bytes())?;
    file.set_len(pid.len() as u64)
}
