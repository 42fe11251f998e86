//! Where some of a segment's records begin, so that a reader need not begin at the segment's start.
//!
//! Milestones only ever save time: whoever begins at one verifies the record that it finds there.

use crate::Lsn;
use crate::limits::MILESTONE_BYTES;

/// The place of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Milestone {
    pub(crate) lsn: Lsn,
    pub(crate) offset: u64,
}

/// The places of a segment's records, one for about each [`MILESTONE_BYTES`], in order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Milestones {
    milestones: Vec<Milestone>,
}

impl Milestones {
    /// Notes a record's place, if it is far enough behind the last one that was noted.
    pub(crate) fn note(&mut self, milestone: Milestone) {
        if self.milestones.last().is_none_or(|last| milestone.offset >= last.offset + MILESTONE_BYTES) {
            self.milestones.push(milestone);
        }
    }

    /// Adds what somebody else noted.
    pub(crate) fn learn(&mut self, others: &Milestones) {
        for &milestone in &others.milestones {
            self.note(milestone);
        }
    }

    /// Forgets all, and keeps the memory for the next ones.
    pub(crate) fn clear(&mut self) {
        self.milestones.clear();
    }

    /// Forgets records at or behind an offset: they count no more.
    pub(crate) fn cut(&mut self, end: u64) {
        let keep = self.milestones.partition_point(|milestone| milestone.offset < end);
        self.milestones.truncate(keep);
    }

    /// The last place that is not behind a record.
    pub(crate) fn before(&self, lsn: Lsn) -> Option<Milestone> {
        let behind = self.milestones.partition_point(|milestone| milestone.lsn <= lsn);
        behind.checked_sub(1).map(|index| self.milestones[index])
    }

    /// Gives memory back once no more records come.
    pub(crate) fn shrink(&mut self) {
        self.milestones.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_from_the_left_and_noted_sparsely() {
        let mut milestones = Milestones::default();
        assert_eq!(milestones.before(9), None);
        for lsn in 10..=400 {
            milestones.note(Milestone { lsn, offset: 100 + (lsn - 10) * 1000 });
        }
        assert_eq!(milestones.milestones.len(), 6, "{milestones:?}");
        assert_eq!(milestones.before(9), None);
        for lsn in 10..=400 {
            let found = milestones.before(lsn).unwrap();
            assert!(found.lsn <= lsn && lsn - found.lsn < 66, "{lsn}: {found:?}");
            assert_eq!(found.offset, 100 + (found.lsn - 10) * 1000);
        }
        let mut others = Milestones::default();
        others.learn(&milestones);
        others.learn(&milestones);
        assert_eq!(others, milestones);
        others.cut(milestones.milestones[2].offset);
        assert_eq!(others.milestones, milestones.milestones[..2]);
        others.learn(&milestones);
        assert_eq!(others, milestones);
    }
}
