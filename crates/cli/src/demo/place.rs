//! The demo's directory: the server's data, the runner's configuration, the script that does the jobs, logs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// How many jobs the runner has done at once.
pub(super) const SLOTS: u32 = 8;

/// Does one job: checks that it was told what it should do, fails some at first and one kind always.
const SCRIPT: &str = r#"#!/bin/sh
# One job of the demo. The payload is on stdin; queue, group (the wiki), id and attempt are in the environment.
read -r payload
echo >>"$1" # one line per run, for the demo's accounts
case $payload in
  *"\"wiki\":\"$JOB_GROUP\""*) ;;
  *) echo "this payload is not of $JOB_GROUP" >&2; exit 1 ;;
esac
case $JOB_QUEUE in ThumbnailRender) echo "File:Lost.svg: no such file" >&2; exit 1 ;; esac
# About one job in sixteen meets a locked row at first.
case $JOB_ATTEMPT$JOB_ID in 1*7?) echo "database row is locked, try again" >&2; exit 1 ;; esac
"#;

/// A fresh directory.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// Removes it at the end, if it is a temporary one.
    temporary: Option<TempDir>,
}

impl Place {
    /// A temporary directory, or this one, if it is new or empty.
    pub(super) fn new(dir: Option<&Path>) -> Result<Place> {
        let Some(dir) = dir else {
            let temporary = tempfile::Builder::new().prefix("stanchion-demo-").tempdir()?;
            let path = temporary.path().to_owned();
            return Ok(Place { path, temporary: Some(temporary) });
        };
        fs::create_dir_all(dir).with_context(|| format!("--dir {}", dir.display()))?;
        let mut entries = fs::read_dir(dir).with_context(|| format!("--dir {}", dir.display()))?;
        if entries.next().is_some() {
            bail!("--dir {} is not empty; name a new directory", dir.display());
        }
        Ok(Place { path: fs::canonicalize(dir)?, temporary: None })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the directory where it is, for somebody to look into it.
    pub(super) fn keep(self) -> PathBuf {
        if let Some(temporary) = self.temporary {
            let _ = temporary.keep();
        }
        self.path
    }

    /// Writes the script and the runner's configuration.
    pub(super) fn write(&self, port: u16) -> Result<()> {
        let script = self.path.join("job.sh");
        fs::write(&script, SCRIPT)?;
        fs::write(self.runs_file(), "")?;
        let quoted = |path: &Path| format!("{:?}", path.display().to_string());
        let config = format!(
            "[server]\nurl = \"redis://127.0.0.1:{port}\"\n\n[runner]\nname = \"demo\"\n\n\
             [groups.wikis]\nslots = {SLOTS}\ninclude = [\"*\"]\ndispatcher = \"script\"\n\n\
             [dispatchers.script]\nkind = \"exec\"\ncommand = [\"/bin/sh\", {}, {}]\ntimeout = \"10s\"\n",
            quoted(&script),
            quoted(&self.runs_file()),
        );
        fs::write(self.runner_file(), config)?;
        Ok(())
    }

    /// How many times the script ran.
    pub(super) fn runs(&self) -> Result<u64> {
        Ok(fs::read(self.runs_file())?.iter().filter(|byte| **byte == b'\n').count() as u64)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    pub(super) fn runner_file(&self) -> PathBuf {
        self.path.join("runner.toml")
    }

    pub(super) fn log(&self, process: &str) -> PathBuf {
        self.path.join(format!("{process}.log"))
    }

    fn runs_file(&self) -> PathBuf {
        self.path.join("runs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runner_accepts_the_configuration() {
        let place = Place::new(None).unwrap();
        place.write(7379).unwrap();
        let text = fs::read_to_string(place.runner_file()).unwrap();
        let config = stanchion_runner::Config::parse("runner.toml", &text).unwrap();
        assert_eq!((config.groups[0].slots, config.warnings.len()), (SLOTS, 0));
    }

    #[test]
    fn a_directory_with_something_in_it_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("precious"), "").unwrap();
        let error = Place::new(Some(directory.path())).unwrap_err();
        assert!(error.to_string().ends_with("is not empty; name a new directory"), "{error}");
        assert!(Place::new(Some(&directory.path().join("new"))).is_ok());
    }
}
