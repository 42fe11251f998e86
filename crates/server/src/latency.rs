//! LATENCY's events: what took long lately, by kind.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use crate::limits::LATENCY_SAMPLES;

/// What can take long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A command that may take long.
    Command,
    /// Cheap commands: one, or a few of a pipeline together.
    FastCommand,
    /// A sync of the log.
    Fsync,
    /// A step of due jobs, lapsed leases and their like, for which commands on the same shard waited.
    Timer,
}

/// All kinds with their names; Redis's where it has one.
const KINDS: [(Kind, &str); 4] = [
    (Kind::Command, "command"),
    (Kind::FastCommand, "fast-command"),
    (Kind::Fsync, "fsync"),
    (Kind::Timer, "timer"),
];

/// The samples of all kinds.
pub(crate) struct Latency {
    /// `latency-monitor-threshold`; 0: nothing is kept.
    threshold_ms: AtomicU64,
    events: Mutex<[Event; KINDS.len()]>,
}

/// The samples of one kind.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its name.
    pub(crate) name: &'static str,
    /// Oldest first.
    pub(crate) samples: Vec<Sample>,
    /// The longest ever.
    pub(crate) longest_ms: u64,
}

/// The longest time within one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// The second, in Unix time.
    pub(crate) at_secs: u64,
    /// How long it took.
    pub(crate) ms: u64,
}

impl Latency {
    /// No samples yet.
    pub(crate) fn new(threshold_ms: u64) -> Latency {
        Latency { threshold_ms: AtomicU64::new(threshold_ms), events: Mutex::default() }
    }

    /// `latency-monitor-threshold` in milliseconds.
    pub(crate) fn threshold_ms(&self) -> u64 {
        self.threshold_ms.load(Ordering::Relaxed)
    }

    /// Changes it; [`crate::attention::Attention::set_latency_ms`] does that.
    pub(crate) fn set_threshold_ms(&self, ms: u64) {
        self.threshold_ms.store(ms, Ordering::Relaxed);
    }

    /// Something took so long just now; it is kept if that was long.
    pub(crate) fn took(&self, kind: Kind, length: Duration) {
        let threshold = self.threshold_ms();
        if threshold > 0 && length.as_millis() >= threshold.into() {
            self.add(kind, length);
        }
    }

    #[cold]
    fn add(&self, kind: Kind, length: Duration) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.add_at(kind, now.as_secs(), length.as_millis() as u64);
    }

    fn add_at(&self, kind: Kind, at_secs: u64, ms: u64) {
        let mut events = self.events.lock();
        let place = KINDS.iter().position(|(other, _)| *other == kind).expect("the table has every kind");
        let event = &mut events[place];
        event.name = KINDS[place].1;
        event.longest_ms = event.longest_ms.max(ms);
        match event.samples.last_mut() {
            Some(last) if last.at_secs == at_secs => last.ms = last.ms.max(ms),
            _ => {
                if event.samples.len() == LATENCY_SAMPLES {
                    event.samples.remove(0);
                }
                event.samples.push(Sample { at_secs, ms });
            }
        }
    }

    /// The events that have samples.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.lock().iter().filter(|event| !event.samples.is_empty()).cloned().collect()
    }

    /// Forgets the events that are meant; how many there were.
    pub(crate) fn reset(&self, is_meant: impl Fn(&str) -> bool) -> usize {
        let mut forgotten = 0;
        for event in self.events.lock().iter_mut() {
            if !event.samples.is_empty() && is_meant(event.name) {
                *event = Event::default();
                forgotten += 1;
            }
        }
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_one_sample_and_an_event_has_so_many() {
        let latency = Latency::new(1);
        latency.add_at(Kind::Fsync, 10, 5);
        latency.add_at(Kind::Fsync, 10, 9);
        latency.add_at(Kind::Fsync, 10, 7);
        latency.add_at(Kind::Fsync, 11, 3);
        let samples = vec![Sample { at_secs: 10, ms: 9 }, Sample { at_secs: 11, ms: 3 }];
        assert_eq!(latency.events(), [Event { name: "fsync", samples, longest_ms: 9 }]);
        for second in 0..LATENCY_SAMPLES as u64 {
            latency.add_at(Kind::Fsync, 100 + second, 1);
        }
        let event = &latency.events()[0];
        assert_eq!((event.samples.len(), event.longest_ms), (LATENCY_SAMPLES, 9));
        assert_eq!(event.samples[0].at_secs, 100);
    }

    #[test]
    fn only_what_reaches_the_threshold_is_kept() {
        let latency = Latency::new(5);
        latency.took(Kind::Fsync, Duration::from_micros(4_999));
        assert_eq!(latency.events(), []);
        latency.took(Kind::Fsync, Duration::from_millis(5));
        assert_eq!(latency.events()[0].longest_ms, 5);
        latency.set_threshold_ms(0);
        latency.took(Kind::Timer, Duration::from_secs(5));
        assert_eq!(latency.events().len(), 1);
    }

    #[test]
    fn events_are_forgotten_by_name() {
        let latency = Latency::new(1);
        latency.add_at(Kind::Command, 1, 20);
        latency.add_at(Kind::Timer, 1, 20);
        assert_eq!(latency.reset(|name| name == "timer"), 1);
        assert_eq!(latency.events().len(), 1);
        assert_eq!(latency.reset(|_| true), 1);
        assert_eq!(latency.reset(|_| true), 0);
    }
}
