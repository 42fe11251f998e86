//! A backup as a directory, which becomes a server's data directory as it is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Destination;

/// What a file's name ends with until all are complete. No log has such a file, so no server starts from it.
const UNFINISHED: &str = "unfinished";

/// A directory that was empty.
pub(super) struct Directory {
    path: PathBuf,
    /// Whether it was made for the backup.
    is_ours: bool,
    /// Where its files will be.
    files: Vec<PathBuf>,
    current: Option<File>,
}

impl Directory {
    /// Makes the directory, or takes one that is empty.
    pub(super) fn create(path: &Path) -> Result<Directory> {
        let is_ours = match fs::read_dir(path) {
            Ok(mut entries) => {
                anyhow::ensure!(
                    entries.next().is_none(),
                    "{} is not empty; name a directory that is, or that does not exist",
                    path.display()
                );
                false
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir(path).with_context(|| format!("cannot make {}", path.display()))?;
                true
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot use {} as a directory", path.display()));
            }
        };
        Ok(Directory { path: path.to_owned(), is_ours, files: Vec::new(), current: None })
    }

    /// Removes what was copied, as far as that is possible.
    pub(super) fn remove(&mut self) {
        self.current = None;
        for file in &self.files {
            let _ = fs::remove_file(unfinished(file));
            let _ = fs::remove_file(file);
        }
        if self.is_ours {
            let _ = fs::remove_dir(&self.path);
        }
    }
}

fn unfinished(file: &Path) -> PathBuf {
    file.with_extension(UNFINISHED)
}

impl Destination for Directory {
    fn begin(&mut self, name: &str, _bytes: u64) -> io::Result<()> {
        let file = self.path.join(name);
        self.files.push(file.clone());
        self.current = Some(OpenOptions::new().write(true).create_new(true).open(unfinished(&file))?);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.current.as_mut().expect("a file has begun").write_all(bytes)
    }

    fn end(&mut self) -> io::Result<()> {
        self.current.take().expect("a file has begun").sync_all()
    }

    fn finish(&mut self) -> io::Result<()> {
        for file in &self.files {
            fs::rename(unfinished(file), file)?;
        }
        File::open(&self.path)?.sync_all()?;
        if self.is_ours
            && let Some(parent) = self.path.parent()
        {
            File::open(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?.sync_all()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn files_have_their_names_only_when_all_are_complete() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("backup");
        let mut directory = Directory::create(&path).unwrap();
        for name in ["2.seg", "1.seg"] {
            directory.begin(name, 3).unwrap();
            directory.write(b"ab").unwrap();
            directory.write(b"c").unwrap();
            directory.end().unwrap();
            assert!(names(&path).iter().all(|name| name.ends_with(".unfinished")));
        }
        directory.finish().unwrap();
        assert_eq!(names(&path), ["1.seg", "2.seg"]);
        assert_eq!(fs::read(path.join("1.seg")).unwrap(), b"abc");
        let refused = Directory::create(&path).map(|_| ()).unwrap_err();
        assert!(refused.to_string().contains("is not empty"), "{refused}");
    }

    #[test]
    fn what_is_of_no_use_is_removed_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        for (name, is_there) in [("new", false), ("empty", true)] {
            let path = parent.path().join(name);
            if is_there {
                fs::create_dir(&path).unwrap();
            }
            let mut directory = Directory::create(&path).unwrap();
            directory.begin("1.seg", 3).unwrap();
            directory.write(b"ab").unwrap();
            directory.remove();
            assert_eq!(path.exists(), is_there);
        }
        assert_eq!(names(&parent.path().join("empty")), Vec::<String>::new());
    }
}
