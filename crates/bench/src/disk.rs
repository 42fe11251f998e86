//! What a directory is kept on: figures of durability mean nothing where a sync does nothing.

use std::path::Path;

use anyhow::{Context, Result};

/// `TMPFS_MAGIC` of `linux/magic.h`.
const TMPFS: u64 = 0x0102_1994;

/// Whether a directory is in memory (tmpfs), where a sync costs nothing.
///
/// # Errors
/// There is no such directory.
pub fn is_in_memory(directory: &Path) -> Result<bool> {
    let found = rustix::fs::statfs(directory);
    let kind = found.with_context(|| format!("{} can't be looked at", directory.display()))?.f_type;
    Ok(u64::try_from(kind).ok() == Some(TMPFS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_from_the_rest() {
        assert!(is_in_memory(Path::new("/dev/shm")).unwrap());
        assert!(!is_in_memory(Path::new("/proc")).unwrap());
        assert!(is_in_memory(Path::new("/proc/no-such-directory")).is_err());
    }
}
