//! The registry as such: what it is told, when, and what follows; it knows neither clock nor shards.

use std::collections::BTreeMap;
use std::sync::Arc;

use stanchion_protocol::command::Told;

use crate::limits::{WORKER_UNHEARD_MS, WORKERS_MAX};

/// What a worker is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Order {
    /// Its work.
    #[default]
    Ok,
    /// Claim nothing more.
    Quiet,
    /// Finish what it has, and end.
    Stop,
}

/// There are as many workers as there may be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TooMany;

/// A worker that is heard.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Worker {
    /// What it is to do.
    pub(crate) order: Order,
    /// What it said of itself.
    pub(crate) version: Option<Arc<[u8]>>,
    pub(crate) host: Option<Box<[u8]>>,
    pub(crate) pid: Option<u32>,
    pub(crate) slots: Option<u32>,
    pub(crate) jobs: Option<u32>,
    pub(crate) groups: Option<Box<[u8]>>,
    /// When it was heard for the first time, and for the last.
    pub(crate) since_ms: u64,
    pub(crate) heard_ms: u64,
    /// The process that had the name before.
    former: Option<Process>,
}

/// Which process: its host and its id there.
type Process = (Option<Box<[u8]>>, u32);

/// What a beat has led to.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Beaten {
    /// The answer.
    pub(crate) order: Order,
    /// The name is a new one.
    pub(crate) joined: bool,
    /// Its version, when that is not what it was.
    pub(crate) new_version: Option<Option<Arc<[u8]>>>,
}

/// The workers by name.
#[derive(Default)]
pub(crate) struct Registry {
    workers: BTreeMap<Box<[u8]>, Worker>,
}

impl Order {
    /// As BEAT answers it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Order::Ok => "ok",
            Order::Quiet => "quiet",
            Order::Stop => "stop",
        }
    }
}

impl Registry {
    /// All of them.
    pub(crate) fn workers(&self) -> &BTreeMap<Box<[u8]>, Worker> {
        &self.workers
    }

    /// A worker is alive.
    pub(crate) fn beat(&mut self, now_ms: u64, name: &[u8], told: &Told<'_>) -> Result<Beaten, TooMany> {
        let Some(worker) = self.workers.get_mut(name) else {
            if self.workers.len() >= WORKERS_MAX {
                return Err(TooMany);
            }
            let mut worker = Worker { since_ms: now_ms, heard_ms: now_ms, ..Worker::default() };
            worker.learn(told);
            let new_version = worker.version.clone().map(Some);
            self.workers.insert(name.into(), worker);
            return Ok(Beaten { order: Order::Ok, joined: true, new_version });
        };
        if worker.is_former(told) {
            return Ok(Beaten { order: worker.order, joined: false, new_version: None });
        }
        let version_before = worker.version.clone();
        if worker.is_other(told) {
            worker.begin_anew(now_ms);
        }
        worker.heard_ms = now_ms;
        worker.learn(told);
        let new_version = (worker.version != version_before).then(|| worker.version.clone());
        Ok(Beaten { order: worker.order, joined: false, new_version })
    }

    /// Tells a worker what to do; false when there is none of this name.
    pub(crate) fn order(&mut self, name: &[u8], order: Order) -> bool {
        self.workers.get_mut(name).map(|worker| worker.order = order).is_some()
    }

    /// Forgets a worker, unless the one of this name is another process; whether its jobs may be given back.
    pub(crate) fn bye(&mut self, name: &[u8], host: Option<&[u8]>, pid: Option<u32>) -> bool {
        let is_it = self.workers.get(name).is_none_or(|worker| {
            host.is_none_or(|host| worker.host.as_deref() == Some(host))
                && pid.is_none_or(|pid| worker.pid == Some(pid))
        });
        if is_it {
            self.workers.remove(name);
        }
        is_it
    }

    /// When the next worker will have been unheard for too long.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.workers.values().map(|worker| worker.heard_ms + WORKER_UNHEARD_MS).min()
    }

    /// Forgets those that are unheard for too long.
    pub(crate) fn drop_unheard(&mut self, now_ms: u64) -> BTreeMap<Box<[u8]>, Worker> {
        let is_lost = |worker: &Worker| worker.heard_ms + WORKER_UNHEARD_MS <= now_ms;
        let lost: BTreeMap<_, _> = self
            .workers
            .iter()
            .filter(|(_, worker)| is_lost(worker))
            .map(|(name, worker)| (name.clone(), worker.clone()))
            .collect();
        self.workers.retain(|_, worker| !is_lost(worker));
        lost
    }
}

impl Worker {
    /// What is not said stays.
    fn learn(&mut self, told: &Told<'_>) {
        fn keep<T>(place: &mut Option<T>, value: Option<T>) {
            if value.is_some() {
                *place = value;
            }
        }
        if self.version.as_deref() != told.version {
            keep(&mut self.version, told.version.map(Into::into));
        }
        keep(&mut self.host, told.host.map(Into::into));
        keep(&mut self.pid, told.pid);
        keep(&mut self.slots, told.slots);
        keep(&mut self.jobs, told.jobs);
        keep(&mut self.groups, told.groups.map(Into::into));
    }

    /// The process that has the name now.
    fn process(&self) -> Option<Process> {
        self.pid.map(|pid| (self.host.clone(), pid))
    }

    /// It is the process that had the name before.
    fn is_former(&self, told: &Told<'_>) -> bool {
        self.former.as_ref().is_some_and(|(host, pid)| {
            told.pid == Some(*pid) && told.host.is_none_or(|told| host.as_deref() == Some(told))
        })
    }

    /// It is a process that takes the name over.
    fn is_other(&self, told: &Told<'_>) -> bool {
        let Some((host, pid)) = self.process() else { return false };
        told.pid.is_some_and(|told| told != pid)
            || (told.pid.is_some() && told.host.is_some_and(|told| host.as_deref() != Some(told)))
    }

    /// Another process begins. That the worker is to be quiet still holds; that it is to stop is done.
    fn begin_anew(&mut self, now_ms: u64) {
        let order = if self.order == Order::Stop { Order::Ok } else { self.order };
        *self = Worker { order, since_ms: now_ms, former: self.process(), ..Worker::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32) -> Told<'static> {
        Told { host: Some(b"h"), pid: Some(pid), ..Told::default() }
    }

    fn version(version: &'static [u8]) -> Told<'static> {
        Told { version: Some(version), ..Told::default() }
    }

    #[test]
    fn what_a_beat_does_not_say_stays() {
        let mut registry = Registry::default();
        let first = Told { slots: Some(4), jobs: Some(1), groups: Some(b"a"), ..process(7) };
        assert!(registry.beat(5, b"w", &first).unwrap().joined);
        let second = registry.beat(9, b"w", &Told { jobs: Some(2), ..Told::default() });
        assert_eq!(second, Ok(Beaten { order: Order::Ok, joined: false, new_version: None }));
        let worker = &registry.workers()[&b"w"[..]];
        assert_eq!((worker.slots, worker.jobs, worker.pid), (Some(4), Some(2), Some(7)));
        assert_eq!((worker.since_ms, worker.heard_ms), (5, 9));
    }

    #[test]
    fn a_version_is_told_when_it_is_new() {
        let mut registry = Registry::default();
        let mut new_version = |told: Told<'_>| registry.beat(0, b"w", &told).unwrap().new_version;
        assert_eq!(new_version(Told::default()), None);
        assert_eq!(new_version(version(b"1")), Some(Some(b"1"[..].into())));
        assert_eq!(new_version(version(b"1")), None);
        assert_eq!(new_version(Told::default()), None);
        assert_eq!(new_version(version(b"2")), Some(Some(b"2"[..].into())));
        // Another process says nothing of its version.
        assert_eq!(new_version(process(1)), None);
        assert_eq!(new_version(process(2)), Some(None));
    }

    #[test]
    fn orders_last_as_long_as_the_worker() {
        let mut registry = Registry::default();
        assert!(!registry.order(b"w", Order::Quiet));
        registry.beat(0, b"w", &process(1)).unwrap();
        assert!(registry.order(b"w", Order::Quiet));
        let mut beat = |now_ms, pid| registry.beat(now_ms, b"w", &process(pid)).unwrap().order;
        assert_eq!((beat(1, 1), beat(2, 2)), (Order::Quiet, Order::Quiet));
        assert!(registry.order(b"w", Order::Stop));
        let mut beat = |now_ms, pid| registry.beat(now_ms, b"w", &process(pid)).unwrap().order;
        assert_eq!((beat(3, 2), beat(4, 3)), (Order::Stop, Order::Ok));
        registry.order(b"w", Order::Quiet);
        assert!(registry.bye(b"w", None, None));
        assert_eq!(registry.beat(5, b"w", &process(3)).unwrap().order, Order::Ok);
    }

    #[test]
    fn a_process_that_takes_a_name_over_keeps_it() {
        let mut registry = Registry::default();
        registry.beat(0, b"w", &Told { version: Some(b"1"), ..process(1) }).unwrap();
        let taken = registry.beat(10, b"w", &Told { version: Some(b"2"), ..process(2) }).unwrap();
        assert_eq!((taken.joined, taken.new_version), (false, Some(Some(b"2"[..].into()))));
        let old = registry.beat(20, b"w", &Told { version: Some(b"1"), ..process(1) }).unwrap();
        assert_eq!(old.new_version, None);
        let worker = &registry.workers()[&b"w"[..]];
        assert_eq!((worker.pid, worker.since_ms, worker.heard_ms), (Some(2), 10, 10));
        assert!(!registry.bye(b"w", Some(b"h"), Some(1)), "the one that has the name is another");
        assert!(!registry.bye(b"w", Some(b"elsewhere"), Some(2)));
        assert!(registry.bye(b"w", Some(b"h"), Some(2)));
        assert!(registry.beat(30, b"w", &process(1)).unwrap().joined, "nobody else has it now");
    }

    #[test]
    fn nobody_knows_of_a_bye_that_names_nobody() {
        assert!(Registry::default().bye(b"w", None, None), "it may have claimed and never beaten");
    }

    #[test]
    fn a_worker_that_is_unheard_for_a_minute_is_forgotten() {
        let mut registry = Registry::default();
        assert_eq!(registry.next_deadline(), None);
        registry.beat(1_000, b"w", &process(1)).unwrap();
        registry.beat(2_000, b"v", &process(2)).unwrap();
        assert_eq!(registry.next_deadline(), Some(61_000));
        assert!(registry.drop_unheard(60_999).is_empty());
        registry.beat(60_999, b"v", &process(2)).unwrap();
        let lost = registry.drop_unheard(61_000);
        assert_eq!(lost.keys().map(|name| &**name).collect::<Vec<_>>(), [b"w"]);
        assert_eq!(registry.next_deadline(), Some(120_999));
    }

    #[test]
    fn there_are_so_many_workers_and_no_more() {
        let mut registry = Registry::default();
        for n in 0..WORKERS_MAX {
            registry.beat(0, n.to_string().as_bytes(), &Told::default()).unwrap();
        }
        assert_eq!(registry.beat(0, b"one more", &Told::default()), Err(TooMany));
        assert!(registry.beat(0, b"0", &Told::default()).is_ok());
    }
}
