//! A new configuration for a runner that runs: the file is read and checked whole before anything changes, and a
//! file that fails changes nothing.
//!
//! Groups appear, change and leave. A job goes on under what it was claimed with. What only a start can decide,
//! the server, the runner's name and where it listens, is refused with the rest of its file, so that a runner never works under a
//! mixture of two files.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::check;
use crate::config::{self, Config};
use crate::error::Error;
use crate::runner::Shared;
use crate::systemd::Notice;

/// Gives a running runner another configuration. Clones talk to the same one.
#[derive(Debug, Clone)]
pub struct Reload {
    sender: mpsc::Sender<Request>,
    shared: Arc<Shared>,
}

/// A configuration on its way to the runner.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) config: Config,
    pub(crate) answer: oneshot::Sender<Result<Vec<String>, Error>>,
}

/// One request at a time: who asks waits for the answer to the one before.
const REQUESTS_MAX: usize = 1;

impl Reload {
    pub(crate) fn new(shared: Arc<Shared>) -> (Reload, mpsc::Receiver<Request>) {
        let (sender, receiver) = mpsc::channel(REQUESTS_MAX);
        (Reload { sender, shared }, receiver)
    }

    /// Goes on under this file, if nothing is wrong with it; returns what has changed, in words.
    pub async fn file(&self, file: &Path) -> Result<Vec<String>, Error> {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file)
            .map_err(|error| Error::NotReloaded(format!("{name} can't be read: {error}")))?;
        let config = Config::parse(&name, &text)?;
        check::machine(&name, &config)?;
        for warning in &config.warnings {
            tracing::warn!(file = name, line = warning.line, "{warning}");
        }
        self.config(config).await
    }

    /// Goes on under this configuration; returns what has changed, in words.
    pub async fn config(&self, config: Config) -> Result<Vec<String>, Error> {
        let (answer, answered) = oneshot::channel();
        let gone = || Error::NotReloaded("the runner has stopped".to_owned());
        self.sender.send(Request { config, answer }).await.map_err(|_| gone())?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    /// The same as [`Reload::file`], with the outcome in the log.
    pub async fn file_and_log(&self, file: &Path) {
        self.shared.tell(Notice::Reloading);
        let result = self.file(file).await;
        match &result {
            Ok(_) => self.shared.counts.reloaded(),
            Err(_) => self.shared.counts.reload_refused(),
        }
        log(file, result);
        self.shared.tell(Notice::Ready);
    }
}

/// Tells in the log what became of a reload.
fn log(file: &Path, result: Result<Vec<String>, Error>) {
    match result {
        Ok(changes) => {
            for change in &changes {
                tracing::info!(change, "configuration changed");
            }
            tracing::info!(file = %file.display(), changes = changes.len(), "configuration reloaded");
        }
        Err(Error::Config(error)) => {
            for problem in &error.problems {
                tracing::error!(file = error.file, line = problem.line, "{problem}");
            }
            tracing::error!(file = error.file, "configuration not reloaded; the runner goes on as before");
        }
        Err(error) => {
            tracing::error!(file = %file.display(), %error, "configuration not reloaded; the runner goes on as before");
        }
    }
}

/// What is different, in words; an error when it takes a restart.
pub(crate) fn changes(old: &Config, new: &Config) -> Result<Vec<String>, Error> {
    let is_fixed = [
        ("[server] url", old.server.url == new.server.url),
        ("[server] ca-file, cert-file and key-file", old.server.tls == new.server.tls),
        ("[runner] name", old.settings.name == new.settings.name),
        ("[runner] http", old.settings.http == new.settings.http),
    ];
    for (key, is_same) in is_fixed {
        if !is_same {
            let what =
                format!("{key} can't change while the runner runs; restart it, or write the old one again");
            return Err(Error::NotReloaded(what));
        }
    }
    let mut changes = Changes::default();
    changes.duration("[runner] lease", old.settings.lease, new.settings.lease);
    changes.duration("[runner] drain", old.settings.drain, new.settings.drain);
    if old.settings.version != new.settings.version {
        let words = |version: &Option<String>| version.clone().unwrap_or("none".to_owned());
        let (before, after) = (words(&old.settings.version), words(&new.settings.version));
        changes.add(format!("[runner] version {before} → {after}"));
    }
    for before in &old.groups {
        let name = &before.name;
        match new.groups.iter().find(|after| after.name == *name) {
            None => changes.add(format!("[groups.{name}] is gone; its running jobs may end")),
            Some(after) => changes.group(before, after),
        }
    }
    for after in &new.groups {
        if !old.groups.iter().any(|before| before.name == after.name) {
            changes.add(format!("[groups.{}] is new, with {} slots", after.name, after.slots));
        }
    }
    for before in old.schedules.iter().filter(|before| !new.schedules.contains(before)) {
        let stays = new.schedules.iter().any(|after| after.name == before.name);
        let what = if stays { "is another one" } else { "is gone" };
        changes.add(format!("[schedules.{}] {what}", before.name));
    }
    for after in &new.schedules {
        if !old.schedules.iter().any(|before| before.name == after.name) {
            changes.add(format!("[schedules.{}] is new", after.name));
        }
    }
    Ok(changes.found)
}

/// Differences, in words.
#[derive(Default)]
struct Changes {
    found: Vec<String>,
}

impl Changes {
    fn add(&mut self, change: String) {
        self.found.push(change);
    }

    fn duration(&mut self, key: &str, before: std::time::Duration, after: std::time::Duration) {
        if before != after {
            self.add(format!("{key} {} → {}", config::show(before), config::show(after)));
        }
    }

    fn group(&mut self, before: &config::Group, after: &config::Group) {
        let place = format!("[groups.{}]", after.name);
        if before.slots != after.slots {
            self.add(format!("{place} slots {} → {}", before.slots, after.slots));
        }
        for (key, before, after) in
            [("include", &before.include, &after.include), ("exclude", &before.exclude, &after.exclude)]
        {
            if before != after {
                self.add(format!("{place} {key} {before:?} → {after:?}"));
            }
        }
        if before.low_priority != after.low_priority {
            let words = |low: &Option<config::LowPriority>| {
                low.as_ref().map_or("none".to_owned(), |low| format!("{:?} with {}", low.queues, low.share))
            };
            let (before, after) = (words(&before.low_priority), words(&after.low_priority));
            self.add(format!("{place} low-priority {before} → {after}"));
        }
        if before.dispatcher != after.dispatcher {
            self.add(format!("{place} does its jobs otherwise; those that run end as they began"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "[server]\nurl='redis://h'\n[runner]\nname='n'\n[groups.a]\nslots=4\ninclude=['*']\ndispatcher='d'\n\
                       [groups.b]\nslots=1\ninclude=['b']\ndispatcher='d'\n[dispatchers.d]\nkind='exec'\ncommand=['true']";

    fn changes_of(from: &str, to: &str) -> Result<Vec<String>, String> {
        assert!(OLD.contains(from), "{from}");
        let parse = |text: &str| Config::parse("f", text).unwrap();
        changes(&parse(OLD), &parse(&OLD.replacen(from, to, 1))).map_err(|error| error.to_string())
    }

    #[test]
    fn what_changed_is_said() {
        let cases: &[(&str, &str, &[&str])] = &[
            ("", "", &[]),
            ("slots=4", "slots=9", &["[groups.a] slots 4 → 9"]),
            ("include=['b']", "include=['b','c']", &[r#"[groups.b] include ["b"] → ["b", "c"]"#]),
            ("slots=4", "slots=4\nexclude=['x']", &[r#"[groups.a] exclude [] → ["x"]"#]),
            (
                "slots=4",
                "slots=4\nlow-priority=['x']\nlow-priority-share=0.5",
                &[r#"[groups.a] low-priority none → ["x"] with 0.5"#],
            ),
            (
                "name='n'",
                "name='n'\nlease='1m'\ndrain='1h'",
                &["[runner] lease 30s → 1m", "[runner] drain 30s → 1h"],
            ),
            ("name='n'", "name='n'\nversion='2'", &["[runner] version none → 2"]),
            (
                "groups.b",
                "groups.c",
                &["[groups.b] is gone; its running jobs may end", "[groups.c] is new, with 1 slots"],
            ),
            (
                "['true']",
                "['false']",
                &[
                    "[groups.a] does its jobs otherwise; those that run end as they began",
                    "[groups.b] does its jobs otherwise; those that run end as they began",
                ],
            ),
        ];
        for (from, to, expected) in cases {
            assert_eq!(changes_of(from, to).unwrap(), *expected, "{from} → {to}");
        }
    }

    #[test]
    fn what_takes_a_restart_is_refused() {
        for (from, to, word) in [
            ("redis://h", "redis://i", "[server] url"),
            ("url='redis://h'", "url='rediss://h'", "[server] url"),
            ("name='n'", "name='m'", "[runner] name"),
            ("name='n'", "name='n'\nhttp='[::1]:7381'", "[runner] http"),
        ] {
            let error = changes_of(from, to).unwrap_err();
            assert!(error.contains(word) && error.contains("restart it"), "{error}");
        }
    }
}
