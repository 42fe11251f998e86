//! What was refused to whom lately, for ACL LOG, and how often ever, for INFO.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

use crate::limits::{ACL_LOG_ENTRIES_MAX, ACL_LOG_TEXT_BYTES_MAX};

/// The same thing within this time of the last makes no entry of its own.
const GROUPING_TIME: Duration = Duration::from_secs(60);

/// How many of the newest entries are looked at for the same thing.
const GROUPING_ENTRIES: usize = 10;

/// The log of refusals.
#[derive(Default)]
pub(crate) struct DenialLog {
    inside: Mutex<Inside>,
    counts: [AtomicU64; Reason::ALL.len()],
}

#[derive(Default)]
struct Inside {
    /// Newest first.
    entries: VecDeque<Entry>,
    next_id: u64,
}

/// Something that was refused, once or several times.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Never used twice in a run.
    pub(crate) id: u64,
    /// How often.
    pub(crate) count: u64,
    /// Why.
    pub(crate) reason: Reason,
    /// On the way to what.
    pub(crate) context: Context,
    /// The command, key or channel; of a login the command that tried it.
    pub(crate) object: Box<[u8]>,
    /// Who it was, or wanted to be.
    pub(crate) user: Box<[u8]>,
    /// The connection's line in CLIENT LIST, the last time.
    pub(crate) client: Box<str>,
    /// When it was first refused.
    pub(crate) first: SystemTime,
    /// When it was last refused.
    pub(crate) last: SystemTime,
}

/// Why something was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    /// A wrong login.
    Auth,
    /// The command is not allowed.
    Command,
    /// A key is not allowed.
    Key,
    /// A channel is not allowed.
    Channel,
}

/// Where something was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Context {
    /// When it should run, or be queued outside of a transaction.
    Toplevel,
    /// Within a transaction.
    Multi,
}

impl Reason {
    /// Each, in the order of INFO.
    pub(crate) const ALL: [Reason; 4] = [Reason::Auth, Reason::Command, Reason::Key, Reason::Channel];

    /// ACL LOG's word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Reason::Auth => "auth",
            Reason::Command => "command",
            Reason::Key => "key",
            Reason::Channel => "channel",
        }
    }

    /// The end of its field in INFO.
    pub(crate) fn info_word(self) -> &'static str {
        match self {
            Reason::Command => "cmd",
            other => other.word(),
        }
    }
}

impl Context {
    /// ACL LOG's word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Context::Toplevel => "toplevel",
            Context::Multi => "multi",
        }
    }
}

impl DenialLog {
    /// Enters a refusal, or counts it to an entry for the same.
    #[cold]
    pub(crate) fn add(
        &self,
        (reason, context): (Reason, Context),
        object: &[u8],
        user: &[u8],
        client: String,
    ) {
        self.counts[reason as usize].fetch_add(1, Ordering::Relaxed);
        let cut = |text: &[u8]| Box::from(&text[..text.len().min(ACL_LOG_TEXT_BYTES_MAX)]);
        let now = SystemTime::now();
        let new = Entry {
            id: 0,
            count: 1,
            reason,
            context,
            object: cut(object),
            user: cut(user),
            client: client.into(),
            first: now,
            last: now,
        };
        let mut inside = self.inside.lock();
        let same = inside.entries.iter().take(GROUPING_ENTRIES).position(|entry| entry.is_same(&new));
        let entry = match same.and_then(|at| inside.entries.remove(at)) {
            Some(old) => Entry { count: old.count + 1, client: new.client, last: now, ..old },
            None => {
                inside.next_id += 1;
                Entry { id: inside.next_id - 1, ..new }
            }
        };
        inside.entries.push_front(entry);
        inside.entries.truncate(ACL_LOG_ENTRIES_MAX);
    }

    /// The newest entries, newest first.
    pub(crate) fn newest(&self, count: usize) -> Vec<Entry> {
        self.inside.lock().entries.iter().take(count).cloned().collect()
    }

    /// Forgets the entries; the counts stay.
    pub(crate) fn reset(&self) {
        self.inside.lock().entries.clear();
    }

    /// How often this was the reason.
    pub(crate) fn count(&self, reason: Reason) -> u64 {
        self.counts[reason as usize].load(Ordering::Relaxed)
    }
}

impl Entry {
    fn is_same(&self, new: &Entry) -> bool {
        let since = new.last.duration_since(self.last).unwrap_or_default();
        self.reason == new.reason
            && self.context == new.context
            && self.object == new.object
            && self.user == new.user
            && since <= GROUPING_TIME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: (Reason, Context) = (Reason::Key, Context::Toplevel);

    #[test]
    fn the_same_refusal_is_counted_and_comes_to_the_front() {
        let log = DenialLog::default();
        log.add(KEY, b"a", b"u", "1".into());
        log.add(KEY, b"b", b"u", "2".into());
        log.add(KEY, b"a", b"u", "3".into());
        log.add((Reason::Key, Context::Multi), b"a", b"u", "4".into());
        let shown: Vec<_> = log.newest(10).iter().map(|e| (e.id, e.count, e.client.to_string())).collect();
        assert_eq!(shown, [(2, 1, "4".into()), (0, 2, "3".into()), (1, 1, "2".into())]);
        assert_eq!(log.newest(1).len(), 1);
        log.reset();
        assert!(log.newest(10).is_empty());
        assert_eq!(log.count(Reason::Key), 4);
        assert_eq!(log.count(Reason::Auth), 0);
    }

    #[test]
    fn the_log_is_bounded() {
        let log = DenialLog::default();
        for n in 0..2 * ACL_LOG_ENTRIES_MAX {
            log.add(KEY, n.to_string().as_bytes(), &vec![b'x'; 2 * ACL_LOG_TEXT_BYTES_MAX], String::new());
        }
        let entries = log.newest(usize::MAX);
        assert_eq!(entries.len(), ACL_LOG_ENTRIES_MAX);
        assert!(entries.iter().all(|entry| entry.user.len() == ACL_LOG_TEXT_BYTES_MAX));
    }
}
