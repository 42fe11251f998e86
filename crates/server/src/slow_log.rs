//! SLOWLOG: the newest commands that took long, with their words cut and their secrets left out.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use stanchion_protocol::{Args, CommandSpec};

use crate::clients::Client;
use crate::limits::{SLOW_WORD_BYTES_MAX, SLOW_WORDS_MAX};
use crate::redact::redact;

/// The slow log.
pub(crate) struct SlowLog {
    entries_max: AtomicUsize,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    /// Newest first.
    entries: VecDeque<Entry>,
    next_id: u64,
}

/// A command that took long.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its number; they rise, also across SLOWLOG RESET.
    pub(crate) id: u64,
    /// When it ended, in Unix seconds.
    pub(crate) at_secs: u64,
    /// How long it took.
    pub(crate) length: Duration,
    /// Its words, as far as they are kept.
    pub(crate) words: Vec<Vec<u8>>,
    /// Where the client comes from.
    pub(crate) peer: String,
    /// What it calls itself.
    pub(crate) name: String,
}

impl SlowLog {
    /// An empty one with room for so many entries.
    pub(crate) fn new(entries_max: usize) -> SlowLog {
        SlowLog { entries_max: AtomicUsize::new(entries_max), inside: Mutex::default() }
    }

    /// A command of this client took long.
    #[cold]
    pub(crate) fn add(&self, client: &Client, words: Vec<Vec<u8>>, length: Duration) {
        let entries_max = self.entries_max();
        if entries_max == 0 {
            return;
        }
        let at_secs = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let (peer, name) = (client.peer.to_string(), client.names.lock().name.clone());
        let mut inside = self.inside.lock();
        let id = inside.next_id;
        inside.next_id += 1;
        inside.entries.truncate(entries_max - 1);
        inside.entries.push_front(Entry { id, at_secs, length, words, peer, name });
    }

    /// The newest entries, newest first.
    pub(crate) fn newest(&self, count: usize) -> Vec<Entry> {
        self.inside.lock().entries.iter().take(count).cloned().collect()
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.inside.lock().entries.len()
    }

    /// Forgets all entries.
    pub(crate) fn reset(&self) {
        self.inside.lock().entries.clear();
    }

    /// How many entries are kept.
    pub(crate) fn entries_max(&self) -> usize {
        self.entries_max.load(Ordering::Relaxed)
    }

    /// Changes it.
    pub(crate) fn set_entries_max(&self, max: usize) {
        self.entries_max.store(max, Ordering::Relaxed);
        self.inside.lock().entries.truncate(max);
    }
}

/// A command's words as an entry keeps them, in Redis's words for what is left out.
pub(crate) fn words(spec: &CommandSpec, args: Args<'_>) -> Vec<Vec<u8>> {
    let count = args.len();
    let kept = if count > SLOW_WORDS_MAX { SLOW_WORDS_MAX - 1 } else { count };
    let mut words: Vec<_> = redact(spec, args).take(kept).map(cut).collect();
    if kept < count {
        words.push(format!("... ({} more arguments)", count - kept).into_bytes());
    }
    words
}

fn cut(word: &[u8]) -> Vec<u8> {
    match word.split_at_checked(SLOW_WORD_BYTES_MAX) {
        Some((kept, rest)) if !rest.is_empty() => {
            [kept, format!("... ({} more bytes)", rest.len()).as_bytes()].concat()
        }
        _ => word.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use stanchion_protocol::{OwnedArgs, table};

    use super::*;

    fn kept(command: &[&[u8]]) -> Vec<String> {
        let mut args = OwnedArgs::default();
        command.iter().for_each(|word| args.push(word));
        let spec = table::resolve(args.as_args()).unwrap();
        words(spec, args.as_args()).iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }

    #[test]
    fn long_words_and_long_commands_are_cut() {
        let (exact, long) = ([b'x'; 128], [b'x'; 131]);
        let want = format!("{}... (3 more bytes)", "x".repeat(128));
        assert_eq!(kept(&[b"QPUSH", &exact, &long]), ["QPUSH", &"x".repeat(128), &want]);
        let words = [&b"DEL"[..]].into_iter().chain(std::iter::repeat_n(&b"k"[..], 31)).collect::<Vec<_>>();
        assert_eq!(kept(&words).len(), 32);
        assert_eq!(kept(&words).last().unwrap(), "k");
        let words = [&b"DEL"[..]].into_iter().chain(std::iter::repeat_n(&b"k"[..], 39)).collect::<Vec<_>>();
        assert_eq!(kept(&words).len(), 32);
        assert_eq!(kept(&words).last().unwrap(), "... (9 more arguments)");
    }
}
