//! How much a client may leave unread before it is disconnected: Redis's `client-output-buffer-limit`.
//!
//! Redis has three classes of clients. Here replies and messages of channels are counted by themselves, so the
//! class `normal` is for replies, `pubsub` for messages, and there are no replicas to have a class.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::config::parse_bytes;
use crate::limits::{
    MAIL_BYTES_MAX, MAIL_SOFT_BYTES_MAX, MAIL_SOFT_TIME, OUTPUT_BYTES_MAX_DEFAULT, OUTPUT_BYTES_MAX_MAX,
    OUTPUT_BYTES_MAX_MIN,
};

/// The limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutputLimits {
    /// Bytes of replies.
    pub replies_bytes_max: usize,
    /// Bytes of messages.
    pub messages_bytes_max: usize,
    /// Bytes of messages that may only wait for a time; zero: all may.
    pub messages_soft_bytes_max: usize,
    /// That time.
    pub messages_soft_time: Duration,
}

impl Default for OutputLimits {
    fn default() -> OutputLimits {
        OutputLimits {
            replies_bytes_max: OUTPUT_BYTES_MAX_DEFAULT,
            messages_bytes_max: MAIL_BYTES_MAX,
            messages_soft_bytes_max: MAIL_SOFT_BYTES_MAX,
            messages_soft_time: MAIL_SOFT_TIME,
        }
    }
}

impl OutputLimits {
    /// Changes the classes that a text names, each with its hard limit, its soft limit and the seconds for that.
    ///
    /// # Errors
    /// What is wrong with the text; nothing has changed then.
    pub(crate) fn change(&mut self, text: &str) -> Result<(), &'static str> {
        let words: Vec<_> = text.split_whitespace().collect();
        if words.is_empty() || !words.len().is_multiple_of(4) {
            return Err("Wrong number of arguments in buffer limit configuration.");
        }
        let mut changed = *self;
        for class in words.chunks(4) {
            let bytes = |word| usize::try_from(parse_bytes(word)?).ok();
            let sizes = (bytes(class[1]), bytes(class[2]), class[3].parse::<u32>().ok());
            let (Some(hard), Some(soft), Some(seconds)) = sizes else {
                return Err("Error in hard, soft or soft_seconds setting in buffer limit configuration.");
            };
            changed.change_class(&class[0].to_ascii_lowercase(), hard, soft, seconds)?;
        }
        *self = changed;
        Ok(())
    }

    fn change_class(
        &mut self,
        class: &str,
        hard: usize,
        soft: usize,
        seconds: u32,
    ) -> Result<(), &'static str> {
        let in_bounds = (OUTPUT_BYTES_MAX_MIN..=OUTPUT_BYTES_MAX_MAX).contains(&hard);
        match class {
            "normal" | "pubsub" if !in_bounds => Err("The hard limit must be between 1mb and 4gb."),
            "normal" if (soft, seconds) != (0, 0) => {
                Err("Replies have no soft limit here; write 0 0 behind the hard limit of normal.")
            }
            "normal" => {
                self.replies_bytes_max = hard;
                Ok(())
            }
            "pubsub" => {
                self.messages_bytes_max = hard;
                self.messages_soft_bytes_max = soft;
                self.messages_soft_time = Duration::from_secs(seconds.into());
                Ok(())
            }
            "slave" | "replica" if (hard, soft, seconds) == (0, 0, 0) => Ok(()),
            "slave" | "replica" => Err("There are no replicas; write 0 0 0 for them, or nothing."),
            _ => Err("Invalid client class specified in buffer limit configuration."),
        }
    }
}

/// As CONFIG GET shows them.
impl fmt::Display for OutputLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (replies, messages) = (self.replies_bytes_max, self.messages_bytes_max);
        let (soft, seconds) = (self.messages_soft_bytes_max, self.messages_soft_time.as_secs());
        write!(f, "normal {replies} 0 0 slave 0 0 0 pubsub {messages} {soft} {seconds}")
    }
}

/// The limits as CONFIG SET changes them, for all connections.
pub(crate) struct LiveOutputLimits {
    replies_bytes_max: AtomicUsize,
    messages_bytes_max: AtomicUsize,
    messages_soft_bytes_max: AtomicUsize,
    messages_soft_secs: AtomicU64,
}

impl Default for LiveOutputLimits {
    fn default() -> LiveOutputLimits {
        LiveOutputLimits::new(OutputLimits::default())
    }
}

impl LiveOutputLimits {
    /// Begins with these.
    pub(crate) fn new(limits: OutputLimits) -> LiveOutputLimits {
        LiveOutputLimits {
            replies_bytes_max: limits.replies_bytes_max.into(),
            messages_bytes_max: limits.messages_bytes_max.into(),
            messages_soft_bytes_max: limits.messages_soft_bytes_max.into(),
            messages_soft_secs: limits.messages_soft_time.as_secs().into(),
        }
    }

    /// Changes them.
    pub(crate) fn set(&self, limits: OutputLimits) {
        self.replies_bytes_max.store(limits.replies_bytes_max, Ordering::Relaxed);
        self.messages_bytes_max.store(limits.messages_bytes_max, Ordering::Relaxed);
        self.messages_soft_bytes_max.store(limits.messages_soft_bytes_max, Ordering::Relaxed);
        self.messages_soft_secs.store(limits.messages_soft_time.as_secs(), Ordering::Relaxed);
    }

    /// What they are now.
    pub(crate) fn get(&self) -> OutputLimits {
        OutputLimits {
            replies_bytes_max: self.replies_bytes_max(),
            messages_bytes_max: self.messages_bytes_max.load(Ordering::Relaxed),
            messages_soft_bytes_max: self.messages_soft_bytes_max.load(Ordering::Relaxed),
            messages_soft_time: Duration::from_secs(self.messages_soft_secs.load(Ordering::Relaxed)),
        }
    }

    /// Bytes of replies.
    #[inline]
    pub(crate) fn replies_bytes_max(&self) -> usize {
        self.replies_bytes_max.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_changed_one_by_one_or_together() {
        let mut limits = OutputLimits::default();
        assert_eq!(limits.to_string(), "normal 268435456 0 0 slave 0 0 0 pubsub 33554432 8388608 60");
        limits.change("pubsub 2mb 1mb 30").unwrap();
        limits.change("NORMAL 64MB 0 0 slave 0 0 0").unwrap();
        assert_eq!(limits.to_string(), "normal 67108864 0 0 slave 0 0 0 pubsub 2097152 1048576 30");
        let mut same = OutputLimits::default();
        same.change(&limits.to_string()).unwrap();
        assert_eq!(same, limits);
    }

    #[test]
    fn what_is_wrong_changes_nothing() {
        let mut limits = OutputLimits::default();
        for (text, want) in [
            ("", "Wrong number"),
            ("normal 1 2", "Wrong number"),
            ("normal 1mb 0 0 pubsub x 0 0", "Error in hard"),
            ("pubsub 1mb 0 -1", "Error in hard"),
            ("pubsub +1mb 0 0", "Error in hard"),
            ("pubsub 1tb 0 0", "Error in hard"),
            ("pubsub 99999999999gb 0 0", "Error in hard"),
            ("master 1mb 0 0", "Invalid client class"),
            ("normal 0 0 0", "between 1mb and 4gb"),
            ("normal 5gb 0 0", "between 1mb and 4gb"),
            ("normal 2mb 1mb 60", "no soft limit"),
            ("pubsub 2mb 0 0 slave 1mb 0 0", "no replicas"),
        ] {
            let why = limits.change(text).unwrap_err();
            assert!(why.contains(want), "{text}: {why}");
            assert_eq!(limits, OutputLimits::default(), "{text}");
        }
    }
}
