//! The files of one log: everything that it asks of a file system, and no more.
//!
//! It is a trait, so that tests can make any write or sync fail and can lose what was not synced.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use crate::segment::Name;

/// A log's directory.
pub(crate) trait Disk: Send + Sync {
    /// Where a file is, for messages.
    fn path(&self, name: Name) -> PathBuf;
    /// The names of all entries.
    fn list(&self) -> io::Result<Vec<OsString>>;
    /// How large a file is, without opening it.
    fn file_bytes(&self, name: Name) -> io::Result<u64>;
    /// Opens a file for reading and writing.
    fn open(&self, name: Name) -> io::Result<Box<dyn DiskFile>>;
    /// Creates a file with `bytes` of space that is reserved and reads as zeros. If that fails, there is no file.
    fn create(&self, name: Name, bytes: u64) -> io::Result<Box<dyn DiskFile>>;
    /// Renames a file, which replaces one of that name.
    fn rename(&self, from: Name, to: Name) -> io::Result<()>;
    /// Deletes a file.
    fn remove(&self, name: Name) -> io::Result<()>;
    /// Makes creations, renames and deletions durable.
    fn sync_directory(&self) -> io::Result<()>;
    /// The same beside the log's writer: the kernel tells each handle of an error once, and the writer's is to hear of it.
    fn sync_directory_beside(&self) -> io::Result<()> {
        self.sync_directory()
    }
    /// How much space the file system has left for us.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// An open file of a log.
pub(crate) trait DiskFile: Send + Sync {
    fn bytes(&self) -> io::Result<u64>;
    /// Reads up to `buffer.len()` bytes; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    fn truncate(&self, bytes: u64) -> io::Result<()>;
    /// Reserves space behind the end, up to `bytes` in all. If that fails, the file may be longer or not.
    fn grow(&self, bytes: u64) -> io::Result<()>;
    /// Makes what was written durable, and the file's length.
    fn sync(&self) -> io::Result<()>;
}

/// Whether an error says that there is no space, which is no reason to stop.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether an error says what the process or the machine lacks just now (descriptors, memory), and nothing of the file.
pub(crate) fn may_pass(error: &io::Error) -> bool {
    let passing = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::AGAIN, Errno::INTR];
    Errno::from_io_error(error).is_some_and(|errno| passing.contains(&errno))
}

/// Whether a file that could not be made is to be asked for again: nothing was written, so nothing is unknown.
pub(crate) fn is_asked_again(error: &io::Error) -> bool {
    is_full(error) || may_pass(error)
}

/// A directory of the operating system.
pub(crate) struct Directory {
    path: PathBuf,
    handle: File,
}

impl Directory {
    /// Opens a directory, and creates it with its parents when it is missing.
    pub(crate) fn open_or_create(path: &Path) -> io::Result<Self> {
        if !path.try_exists()? {
            std::fs::create_dir_all(path)?;
            // Only the last step is synced: whoever sets up a machine makes the parents.
            if let Some(parent) = path.parent() {
                let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
                File::open(parent)?.sync_all()?;
            }
        }
        let handle = OpenOptions::new().read(true).open(path)?;
        if !handle.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { path: path.to_owned(), handle })
    }
}

impl Disk for Directory {
    fn path(&self, name: Name) -> PathBuf {
        self.path.join(name.to_string())
    }

    fn list(&self) -> io::Result<Vec<OsString>> {
        std::fs::read_dir(&self.path)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
    }

    fn file_bytes(&self, name: Name) -> io::Result<u64> {
        Ok(std::fs::metadata(self.path(name))?.len())
    }

    fn open(&self, name: Name) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().read(true).write(true).open(self.path(name))?))
    }

    fn create(&self, name: Name, bytes: u64) -> io::Result<Box<dyn DiskFile>> {
        let path = self.path(name);
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        match reserve(&file, 0, bytes) {
            Ok(()) => Ok(Box::new(file)),
            Err(error) => {
                std::fs::remove_file(&path)?;
                Err(error)
            }
        }
    }

    fn rename(&self, from: Name, to: Name) -> io::Result<()> {
        std::fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: Name) -> io::Result<()> {
        std::fs::remove_file(self.path(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn sync_directory_beside(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let figures = rustix::fs::fstatvfs(&self.handle)?;
        Ok(figures.f_bavail.saturating_mul(figures.f_frsize))
    }
}

impl DiskFile for File {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            match FileExt::read_at(self, &mut buffer[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn grow(&self, bytes: u64) -> io::Result<()> {
        reserve(self, self.metadata()?.len(), bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Reserves space, so that a write into it cannot find the disk full.
fn reserve(file: &File, from: u64, to: u64) -> io::Result<()> {
    loop {
        match rustix::fs::fallocate(file, FallocateFlags::empty(), from, to.saturating_sub(from)) {
            Ok(()) => return Ok(()),
            Err(Errno::INTR) => {}
            // Not every file system can; zeros take the space on those that do not compress them.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                write_zeros(file, from, to)?;
                // One that allocates late finds out only now that it is full.
                return file.sync_data();
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Writes zeros from one offset to another.
pub(crate) fn write_zeros(file: &dyn DiskFile, from: u64, to: u64) -> io::Result<()> {
    static ZEROS: [u8; 256 << 10] = [0; 256 << 10];
    let mut offset = from;
    while offset < to {
        let count = ZEROS.len().min(usize::try_from(to - offset).unwrap_or(usize::MAX));
        file.write_at(&ZEROS[..count], offset)?;
        offset += count as u64;
    }
    Ok(())
}
