//! Applying a plan: the originals are kept first, and at no moment can the log be opened half repaired.
//!
//! A changed segment is written to a spare file, synced, and renamed over the old one, as a start does it. Until
//! the last step is done, something is still wrong with the row of segments, so a server refuses it; the repair
//! can be made again.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::plan::{Plan, Step};
use super::{OfflineLog, RepairError};
use crate::OpenError;
use crate::segment::Name;

/// The file in the backup directory that says what was done.
pub const BACKUP_NOTE: &str = "repair.txt";

impl OfflineLog {
    /// Where the originals go unless somebody says otherwise: the first free name beside the data directory.
    pub fn default_backup(&self) -> PathBuf {
        let dir = fs::canonicalize(&self.dir).unwrap_or_else(|_| self.dir.clone());
        let name = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        (1..)
            .map(|number| dir.with_file_name(format!("{name}.before-repair-{number}")))
            .find(|path| !path.exists())
            .expect("one of all numbers is free")
    }

    /// Copies what the plan changes into a new directory, and then applies it.
    ///
    /// # Errors
    /// A file can't be written; what is done so far is as safe as before.
    pub fn apply(self, plan: &Plan, backup: &Path) -> Result<(), RepairError> {
        self.keep(plan, backup)?;
        for step in &plan.steps {
            self.step(step)?;
            self.sync_directory(&self.dir)?;
        }
        Ok(())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(Name::Segment(number).to_string())
    }

    fn sync_directory(&self, dir: &Path) -> Result<(), OpenError> {
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(OpenError::io("sync", dir))
    }

    fn keep(&self, plan: &Plan, backup: &Path) -> Result<(), RepairError> {
        let inside = fs::canonicalize(&self.dir).map_err(OpenError::io("open the directory", &self.dir))?;
        let parent = backup.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = fs::canonicalize(parent.unwrap_or(Path::new(".")))
            .map_err(OpenError::io("make the directory", backup))?;
        if parent.starts_with(&inside) {
            return Err(RepairError::Impossible(format!(
                "{} is in the data directory, where nothing but the log may be; name a directory beside it",
                backup.display()
            )));
        }
        fs::create_dir(backup).map_err(OpenError::io("make the directory", backup))?;
        let mut note = String::new();
        for line in &plan.lines {
            note.push_str(line);
            note.push('\n');
        }
        for number in plan.touched() {
            let original = self.path(number);
            if original.exists() {
                copy(&original, &backup.join(Name::Segment(number).to_string()))?;
            }
        }
        let path = backup.join(BACKUP_NOTE);
        let written = File::create_new(&path)
            .and_then(|mut file| file.write_all(note.as_bytes()).and_then(|()| file.sync_all()));
        written.map_err(OpenError::io("write", &path))?;
        self.sync_directory(backup)?;
        self.sync_directory(&parent)?;
        Ok(())
    }

    fn step(&self, step: &Step) -> Result<(), OpenError> {
        let spare = self.dir.join(Name::Spare(0).to_string());
        match step {
            Step::Patch { number, patches, bytes_min } => {
                let path = self.path(*number);
                copy(&path, &spare)?;
                let patched = OpenOptions::new().write(true).open(&spare).and_then(|file| {
                    if file.metadata()?.len() < *bytes_min {
                        file.set_len(*bytes_min)?;
                    }
                    for (offset, bytes) in patches {
                        file.write_all_at(bytes, *offset)?;
                    }
                    file.sync_all()
                });
                patched.map_err(OpenError::io("write", &spare))?;
                fs::rename(&spare, &path).map_err(OpenError::io("replace", &path))
            }
            Step::Write { number, bytes } => {
                let path = self.path(*number);
                let written = File::create(&spare)
                    .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
                written.map_err(OpenError::io("write", &spare))?;
                fs::rename(&spare, &path).map_err(OpenError::io("replace", &path))
            }
            Step::Remove { number } => {
                let path = self.path(*number);
                fs::remove_file(&path).map_err(OpenError::io("remove", &path))
            }
        }
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), OpenError> {
    fs::copy(from, to).map_err(OpenError::io("copy", from))?;
    File::open(to).and_then(|file| file.sync_all()).map_err(OpenError::io("sync", to))
}
