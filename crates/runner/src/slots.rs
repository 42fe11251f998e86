//! A group's slots: which are free, and how many of those low-priority queues may have.
//!
//! Low-priority queues may take slots first up to their share, but never the group's last one; what the other
//! queues leave free is theirs too. So they get at most `ceil(share * slots)` while anything else waits, all
//! while nothing else does, and a steady stream of other jobs can't starve them unless there is but one slot.

use std::sync::Arc;

use tokio::sync::watch;

/// Who a slot works for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    Normal,
    Low,
}

/// The slots of one group.
#[derive(Debug)]
pub(crate) struct Slots {
    /// Slots that low-priority queues may take before the others are asked.
    low_first_max: u32,
    state: watch::Sender<State>,
}

#[derive(Debug)]
struct State {
    /// Numbers of free slots, the lowest last.
    free: Vec<u32>,
    low_running: u32,
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
        let low_first_max = low_share.map_or(0, |share| {
            // Above 0 and up to 1 of a u32, so it fits.
            let part = (share * f64::from(count)).ceil() as u32;
            part.min(count - 1)
        });
        let state = State { free: (0..count).rev().collect(), low_running: 0 };
        Arc::new(Slots { low_first_max, state: watch::Sender::new(state) })
    }

    /// Waits until at least one slot is free.
    pub(crate) async fn wait_free(&self) -> Free {
        let mut receiver = self.state.subscribe();
        let _ = receiver.wait_for(|state| !state.free.is_empty()).await; // the sender is held by self
        self.free()
    }

    /// What is free now.
    pub(crate) fn free(&self) -> Free {
        let state = self.state.borrow();
        let count = u32::try_from(state.free.len()).unwrap_or(u32::MAX);
        Free { count, low_first: self.low_first_max.saturating_sub(state.low_running).min(count) }
    }

    /// Takes the free slot with the lowest number.
    pub(crate) fn take(self: &Arc<Slots>, tier: Tier) -> Option<Slot> {
        let mut number = None;
        self.state.send_if_modified(|state| {
            number = state.free.pop();
            state.low_running += u32::from(number.is_some() && tier == Tier::Low);
            false // nobody waits for fewer slots
        });
        number.map(|number| Slot { slots: Arc::clone(self), number, tier })
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
            let at = state.free.partition_point(|number| *number > self.number);
            state.free.insert(at, self.number);
            state.low_running -= u32::from(self.tier == Tier::Low);
        });
    }
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
