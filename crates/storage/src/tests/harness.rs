//! Opening logs, staging records and waiting for what the writer says.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::simulation::SimulatedDisk;
use crate::{
    Durability, Log, LogConfig, LogEvent, Lsn, OpenError, Poison, RecordKind, Records, Recovered, Staged,
};

/// Far more than anything takes, and an end for a test that would hang.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) const KIND: RecordKind = RecordKind::new(1);

/// A record as it was replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Replayed {
    pub(super) lsn: Lsn,
    pub(super) shard: u16,
    pub(super) kind: u8,
    pub(super) body: Vec<u8>,
}

/// Everything that a writer said, for waiting.
#[derive(Default)]
pub(super) struct Events {
    seen: Mutex<Vec<LogEvent>>,
    changed: Condvar,
}

impl Events {
    pub(super) fn all(&self) -> Vec<LogEvent> {
        self.seen.lock().clone()
    }

    /// Waits until an event was seen that `is_it` accepts.
    pub(super) fn wait(&self, what: &str, is_it: impl Fn(&LogEvent) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = self.seen.lock();
        while !seen.iter().any(&is_it) {
            let timed_out = self.changed.wait_until(&mut seen, deadline).timed_out();
            assert!(!timed_out, "no event: {what}; seen: {seen:?}");
        }
    }

    pub(super) fn wait_durable(&self, lsn: Lsn) {
        self.wait("durable", |event| matches!(event, LogEvent::Durable(durable) if *durable >= lsn));
    }

    pub(super) fn wait_written(&self, lsn: Lsn) {
        self.wait("written", |event| matches!(event, LogEvent::Written(written) if *written >= lsn));
    }

    pub(super) fn wait_poisoned(&self) {
        self.wait("poisoned", |event| matches!(event, LogEvent::Poisoned(_)));
    }

    /// Waits for the end of a commit, good or bad.
    pub(super) fn wait_settled(&self, lsn: Lsn) -> bool {
        self.wait("durable or poisoned", |event| match event {
            LogEvent::Durable(durable) => *durable >= lsn,
            LogEvent::Poisoned(_) => true,
            _ => false,
        });
        !self.all().iter().any(|event| matches!(event, LogEvent::Poisoned(_)))
    }

    fn push(&self, event: LogEvent) {
        self.seen.lock().push(event);
        self.changed.notify_all();
    }
}

/// An open log with what it recovered and said.
pub(super) struct Opened {
    pub(super) log: Log,
    pub(super) recovered: Recovered,
    pub(super) replayed: Vec<Replayed>,
    pub(super) events: Arc<Events>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("recovered", &self.recovered).finish_non_exhaustive()
    }
}

impl Opened {
    pub(super) fn stage(&self, body: &[u8]) -> Staged {
        let mut records = Records::new();
        records.begin(0, KIND).extend_from_slice(body);
        records.end();
        self.log.stage(&mut records)
    }

    /// Stages one record and waits until it is durable.
    pub(super) fn commit(&self, body: &[u8]) -> Lsn {
        let lsn = self.stage(body).last;
        self.log.sync_to(lsn);
        self.events.wait_durable(lsn);
        lsn
    }

    /// Like [`Opened::commit`], on a disk that may fail.
    pub(super) fn try_commit(&self, body: &[u8]) -> Option<Lsn> {
        let lsn = self.stage(body).last;
        self.log.sync_to(lsn);
        self.events.wait_settled(lsn).then_some(lsn)
    }

    pub(super) fn bodies(&self) -> Vec<Vec<u8>> {
        self.replayed.iter().map(|record| record.body.clone()).collect()
    }

    pub(super) fn poison(&self) -> Arc<Poison> {
        self.events.wait_poisoned();
        self.log.poisoned().expect("it was said to be poisoned")
    }
}

/// A configuration with the smallest segments.
pub(super) fn small(dir: &Path) -> LogConfig {
    LogConfig { segment_bytes: crate::limits::SEGMENT_BYTES_MIN, ..LogConfig::new(dir) }
}

pub(super) fn with(durability: Durability, config: LogConfig) -> LogConfig {
    LogConfig { durability, ..config }
}

/// Opens a log on the real disk.
pub(super) fn open(config: LogConfig) -> Result<Opened, OpenError> {
    opened(|replay, on_event| Log::open(config, replay, on_event))
}

/// Opens a log with the smallest segments on a simulated disk.
pub(super) fn open_on(disk: &SimulatedDisk) -> Result<Opened, OpenError> {
    open_configured(disk, small(Path::new("simulated")))
}

pub(super) fn open_configured(disk: &SimulatedDisk, config: LogConfig) -> Result<Opened, OpenError> {
    opened(|replay, on_event| Log::open_on(Arc::new(disk.clone()), config, None, replay, on_event))
}

fn opened(
    open: impl FnOnce(&mut dyn crate::Replay, crate::shared::OnEvent) -> Result<(Log, Recovered), OpenError>,
) -> Result<Opened, OpenError> {
    let events = Arc::new(Events::default());
    let mut replayed = Vec::new();
    let (log, recovered) = open(
        &mut |record: crate::RecordView<'_>| {
            let (lsn, shard, kind) = (record.lsn, record.shard, record.kind.get());
            replayed.push(Replayed { lsn, shard, kind, body: record.body.to_vec() });
            Ok(())
        },
        Arc::new({
            let events = Arc::clone(&events);
            move |event| events.push(event)
        }),
    )?;
    Ok(Opened { log, recovered, replayed, events })
}

/// What a `kill -9` would leave: the log's files as they are now, elsewhere.
pub(super) fn copy_of(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

/// The log's segments, oldest first.
pub(super) fn segment_files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    files.sort();
    files
}

/// How many files of a directory this process has open.
pub(super) fn open_files(dir: &Path) -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    targets.filter(|target| target.parent() == Some(dir)).count()
}
