//! A group's slots: which are free, and how many of those low-priority queues may have.
//!
//! Low-priority queues may take slots first up to their share, but never the group's last one; what the other
//! queues leave free is theirs too. So they get at most `ceil(share * slots)` while anything else waits, all
//! while nothing else does, and a steady stream of other jobs can't starve them unless there is but one slot.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Who a slot works for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    Normal,
    Low,
}

/// The slots of one group.
#[derive(Debug)]
pub(crate) struct Slots {
    state: watch::Sender<State>,
}

#[derive(Debug)]
struct State {
    /// How many jobs may run at once.
    count: u32,
    /// Slots that low-priority queues may take before the others are asked.
    low_first_max: u32,
    /// Numbers below `count` that are not in use, the lowest last.
    free: Vec<u32>,
    /// Numbers in use that the group no longer has, because it was given fewer slots meanwhile.
    leaving: BTreeSet<u32>,
    running: u32,
    low_running: u32,
    /// Since when a slot has been free, and since when none was taken; the later one.
    idle_since: Instant,
}

/// What is free at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Free {
    /// Free slots.
    pub(crate) count: u32,
    /// Those of them that low-priority queues may take before the others are asked.
    pub(crate) low_first: u32,
}

/// A slot in use; dropping it frees it.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Slots>,
    number: u32,
    tier: Tier,
}

impl Slots {
    /// `low_share` is of all slots; none when the group has no low-priority queues.
    pub(crate) fn new(count: u32, low_share: Option<f64>) -> Arc<Slots> {
        assert!(count > 0, "a group without slots can do nothing");
        let state = State {
            count,
            low_first_max: low_first_max(count, low_share),
            free: (0..count).rev().collect(),
            leaving: BTreeSet::new(),
            running: 0,
            low_running: 0,
            idle_since: Instant::now(),
        };
        Arc::new(Slots { state: watch::Sender::new(state) })
    }

    /// Gives the group more or fewer slots. Jobs that run in slots too many run on; until they have ended,
    /// fewer are free.
    pub(crate) fn resize(&self, count: u32, low_share: Option<f64>) {
        assert!(count > 0, "a group without slots can do nothing");
        self.state.send_modify(|state| {
            if state.unused() == 0 {
                state.idle_since = Instant::now();
            }
            let is_free: BTreeSet<u32> = state.free.iter().copied().collect();
            let in_use: BTreeSet<u32> = (0..state.count)
                .filter(|number| !is_free.contains(number))
                .chain(state.leaving.clone())
                .collect();
            state.free = (0..count).rev().filter(|number| !in_use.contains(number)).collect();
            state.leaving = in_use.into_iter().filter(|number| *number >= count).collect();
            state.count = count;
            state.low_first_max = low_first_max(count, low_share);
        });
    }

    /// Waits until at least one slot is free.
    pub(crate) async fn wait_free(&self) -> Free {
        let mut receiver = self.state.subscribe();
        let _ = receiver.wait_for(|state| state.unused() > 0).await; // the sender is held by self
        self.free()
    }

    /// Waits until no slot is in use.
    pub(crate) async fn wait_idle(&self) {
        let _ = self.state.subscribe().wait_for(|state| state.running == 0).await; // the sender is held by self
    }

    /// What is free now.
    pub(crate) fn free(&self) -> Free {
        let state = self.state.borrow();
        let count = state.unused();
        Free { count, low_first: state.low_first_max.saturating_sub(state.low_running).min(count) }
    }

    /// How many jobs may run at once.
    pub(crate) fn count(&self) -> u32 {
        self.state.borrow().count
    }

    /// How many run; more than there are slots, for a while, when the group was given fewer.
    pub(crate) fn running(&self) -> u32 {
        self.state.borrow().running
    }

    /// For how long there has been a free slot and none was taken; none while all are in use.
    pub(crate) fn idle_for(&self, now: Instant) -> Option<Duration> {
        let state = self.state.borrow();
        (state.unused() > 0).then(|| now.saturating_duration_since(state.idle_since))
    }

    /// Takes the free slot with the lowest number.
    pub(crate) fn take(self: &Arc<Slots>, tier: Tier) -> Option<Slot> {
        let mut number = None;
        self.state.send_if_modified(|state| {
            if state.unused() > 0 {
                number = state.free.pop();
                state.running += 1;
                state.low_running += u32::from(tier == Tier::Low);
                state.idle_since = Instant::now();
            }
            false // nobody waits for fewer slots
        });
        number.map(|number| Slot { slots: Arc::clone(self), number, tier })
    }
}

impl State {
    fn unused(&self) -> u32 {
        self.count.saturating_sub(self.running)
    }
}

impl Slot {
    /// Its number within the group, from 0.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.state.send_modify(|state| {
            if self.number < state.count {
                let at = state.free.partition_point(|number| *number > self.number);
                state.free.insert(at, self.number);
            } else {
                state.leaving.remove(&self.number);
            }
            if state.unused() == 0 {
                state.idle_since = Instant::now();
            }
            state.running -= 1;
            state.low_running -= u32::from(self.tier == Tier::Low);
        });
    }
}

/// The share, rounded up, but never the group's last slot.
fn low_first_max(count: u32, low_share: Option<f64>) -> u32 {
    low_share.map_or(0, |share| {
        // Above 0 and up to 1 of a u32, so it fits.
        let part = (share * f64::from(count)).ceil() as u32;
        part.min(count - 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_rounded_up_and_leaves_one_slot() {
        let cases = [
            (19, 0.2, 4), // ceil(3.8)
            (20, 0.2, 4),
            (4, 0.2, 1),
            (2, 0.01, 1),
            (1, 0.2, 0),
            (1, 1.0, 0),
            (3, 1.0, 2),
            (10_000, 0.5, 5_000),
        ];
        for (count, share, low_first) in cases {
            let free = Slots::new(count, Some(share)).free();
            assert_eq!(free, Free { count, low_first }, "{share} of {count}");
        }
        assert_eq!(Slots::new(7, None).free().low_first, 0);
    }

    #[test]
    fn low_jobs_use_their_share_up() {
        let slots = Slots::new(10, Some(0.2));
        let first = slots.take(Tier::Low).unwrap();
        assert_eq!(slots.free(), Free { count: 9, low_first: 1 });
        let _second = slots.take(Tier::Low).unwrap();
        let _third = slots.take(Tier::Low).unwrap(); // nothing else waited
        assert_eq!(slots.free(), Free { count: 7, low_first: 0 });
        drop(first);
        assert_eq!(slots.free(), Free { count: 8, low_first: 0 }, "two still run");
        let _normal = slots.take(Tier::Normal).unwrap();
        assert_eq!(slots.free(), Free { count: 7, low_first: 0 });
    }

    #[test]
    fn never_more_than_there_are_and_the_lowest_number_first() {
        let slots = Slots::new(3, None);
        let mut taken: Vec<Slot> = (0..3).filter_map(|_| slots.take(Tier::Normal)).collect();
        assert_eq!(taken.iter().map(Slot::number).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(slots.take(Tier::Normal).is_none());
        taken.remove(1);
        taken.remove(0);
        assert_eq!(slots.take(Tier::Normal).unwrap().number(), 0);
    }

    #[test]
    fn fewer_slots_hold_back_until_jobs_have_ended() {
        let slots = Slots::new(4, Some(0.5));
        let mut taken: Vec<Slot> = (0..4).filter_map(|_| slots.take(Tier::Normal)).collect();
        drop(taken.drain(..2)); // 2 and 3 run on
        slots.resize(2, None);
        assert_eq!(slots.free(), Free { count: 0, low_first: 0 }, "two run, and there are two");
        assert!(slots.take(Tier::Normal).is_none());
        taken.pop();
        assert_eq!(slots.take(Tier::Normal).unwrap().number(), 0);
        assert_eq!(slots.free().count, 1);
    }

    #[test]
    fn numbers_in_use_are_not_given_twice_when_slots_come_back() {
        let slots = Slots::new(3, None);
        let mut taken: Vec<Slot> = (0..3).filter_map(|_| slots.take(Tier::Normal)).collect();
        slots.resize(1, None);
        slots.resize(4, None);
        let fourth = slots.take(Tier::Normal).unwrap();
        assert_eq!(fourth.number(), 3);
        assert!(slots.take(Tier::Normal).is_none());
        taken.remove(1);
        assert_eq!(slots.take(Tier::Normal).unwrap().number(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_is_idle_since_a_slot_was_free_and_none_taken() {
        let minute = Duration::from_secs(60);
        let slots = Slots::new(2, None);
        tokio::time::advance(minute).await;
        assert_eq!(slots.idle_for(Instant::now()), Some(minute));
        let first = slots.take(Tier::Normal).unwrap();
        tokio::time::advance(minute).await;
        assert_eq!(slots.idle_for(Instant::now()), Some(minute), "one is free, and none was taken since");
        let second = slots.take(Tier::Normal).unwrap();
        tokio::time::advance(minute).await;
        assert_eq!(slots.idle_for(Instant::now()), None, "all are in use");
        drop(first);
        assert_eq!(slots.idle_for(Instant::now()), Some(Duration::ZERO));
        tokio::time::advance(minute).await;
        drop(second);
        assert_eq!(slots.idle_for(Instant::now()), Some(minute), "there was one all the time");
    }

    #[tokio::test]
    async fn more_slots_wake_who_waits() {
        let slots = Slots::new(1, None);
        let slot = slots.take(Tier::Normal).unwrap();
        let waiting = tokio::spawn({
            let slots = Arc::clone(&slots);
            async move { slots.wait_free().await }
        });
        slots.resize(2, None);
        assert_eq!(waiting.await.unwrap().count, 1);
        drop(slot);
        slots.wait_idle().await;
    }

    #[tokio::test]
    async fn a_freed_slot_wakes_who_waits() {
        let slots = Slots::new(1, None);
        let slot = slots.take(Tier::Normal).unwrap();
        let waiting = tokio::spawn({
            let slots = Arc::clone(&slots);
            async move { slots.wait_free().await }
        });
        drop(slot);
        assert_eq!(waiting.await.unwrap().count, 1);
    }
}
