//! Where and how long the benches run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use stanchion_bench::disk::is_in_memory;
use tempfile::TempDir;

/// What all benches of a run share.
pub(crate) struct Setting {
    binary: PathBuf,
    /// Every server's directory is in this one, so that all use the same disk. Gone at the end.
    base: TempDir,
    /// How often each measurement is repeated.
    pub(crate) rounds: usize,
    /// How long one measurement lasts.
    pub(crate) slice: Duration,
}

impl Setting {
    /// A fresh directory in `parent`, which must be on a disk: in memory a sync costs nothing.
    pub(crate) fn new(binary: PathBuf, parent: &Path, rounds: usize, slice: Duration) -> Result<Setting> {
        let base = tempfile::Builder::new().prefix("stanchion-benches-").tempdir_in(parent);
        let base = base.with_context(|| format!("no directory can be made in {}", parent.display()))?;
        ensure!(
            !is_in_memory(base.path())?,
            "{} is in memory (tmpfs), where a sync costs nothing; name a directory on a disk with --dir",
            parent.display()
        );
        Ok(Setting { binary, base, rounds, slice })
    }

    /// The server under measurement.
    pub(crate) fn binary(&self) -> &Path {
        &self.binary
    }

    /// The runner beside it.
    pub(crate) fn runner(&self) -> Result<PathBuf> {
        let runner = self.binary.with_file_name("stanchion-runner");
        ensure!(runner.is_file(), "there is no runner beside the server: {}", runner.display());
        Ok(runner)
    }

    /// The directory for the servers' directories.
    pub(crate) fn base(&self) -> &Path {
        self.base.path()
    }
}
