//! How much more the log may take, and what of that is kept for commands that make room.
//!
//! Pushes end when the reserve begins. What is left then is for claims and acks, which make garbage, and for
//! reclaiming, which turns garbage into space, writing before it frees; and for a restart, which begins a segment.

/// How much space there is for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Space {
    /// Nobody has to ask before staging anything.
    Ample,
    /// The reserve is near: [`crate::Log::has_space_for`] says whether a record still fits before it.
    Low,
    /// Only the reserve is left. Nothing that makes the log's live part grow may be staged.
    Full,
    /// The reserve is used up but for what reclaiming and a restart need. Only reclaiming may go on.
    Exhausted,
}

impl Space {
    pub(crate) fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Ample,
            1 => Self::Low,
            2 => Self::Full,
            _ => Self::Exhausted,
        }
    }
}

/// What the log has and may still take, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Room {
    /// What may still be appended: the rest of the segment that is being written, files that are allocated for the
    /// next ones, and whole segments that the file system or the budget has room for.
    pub left_bytes: u64,
    /// What of it is kept for commands that make room and for reclaiming.
    pub reserve_bytes: u64,
    /// What of it is allocated already.
    pub allocated_bytes: u64,
    /// The size of all segments and of the files for further ones.
    pub file_bytes: u64,
}

/// What the decision depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Levels {
    pub(crate) segment_bytes: u64,
    /// The oldest sealed segment, which is the next one to reclaim; 0 if there is none.
    pub(crate) oldest_bytes: u64,
}

impl Levels {
    /// What there is. A disk is full a little before the reserve begins, so that no ordinary push is refused on one
    /// that is not called full. What there was before counts, too: it has to become better by some margin before it is called
    /// better, so that commands are not refused and taken by turns.
    pub(crate) fn judge(self, room: Room, before: Space) -> Space {
        let margin = |level| if before >= level { self.segment_bytes / 2 } else { 0 };
        if room.left_bytes < self.reclaim_bytes() + margin(Space::Exhausted) / 2 {
            Space::Exhausted
        } else if room.left_bytes < room.reserve_bytes + self.segment_bytes / 8 + margin(Space::Full) {
            Space::Full
        } else if room.left_bytes < room.reserve_bytes + self.low_bytes(room) {
            Space::Low
        } else {
            Space::Ample
        }
    }

    /// What reclaiming may need to free the oldest segment, which is all of it again with some room lost at the end
    /// of the segment that it is written to; and the file for a restart. A log without sealed segments has nothing
    /// to reclaim, and needs a little for its end.
    fn reclaim_bytes(self) -> u64 {
        match self.oldest_bytes.min(self.segment_bytes) {
            0 => self.segment_bytes / 8,
            oldest => oldest + oldest / 4 + self.segment_bytes,
        }
    }

    /// So near to the reserve each record is weighed. What is staged unweighed until the writer looks again is
    /// little beside it.
    fn low_bytes(self, room: Room) -> u64 {
        room.reserve_bytes.max(2 * crate::limits::RECORD_BYTES_MAX as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_levels_stand_in_a_row() {
        let levels = Levels { segment_bytes: 1000, oldest_bytes: 800 };
        let judge = |left_bytes, before| {
            levels.judge(Room { left_bytes, reserve_bytes: 3100, ..Room::default() }, before)
        };
        let rows = [
            (0, Space::Ample, Space::Exhausted),
            (1999, Space::Full, Space::Exhausted),
            (2000, Space::Full, Space::Full),
            (2249, Space::Exhausted, Space::Exhausted),
            (2250, Space::Exhausted, Space::Full),
            (3224, Space::Low, Space::Full),
            (3225, Space::Low, Space::Low),
            (3724, Space::Full, Space::Full),
            (3725, Space::Full, Space::Low),
            (3725, Space::Exhausted, Space::Low),
            (1 << 40, Space::Exhausted, Space::Ample),
        ];
        for (left, before, want) in rows {
            assert_eq!(judge(left, before), want, "{left} after {before:?}");
        }
    }

    #[test]
    fn a_log_without_sealed_segments_needs_little() {
        let levels = Levels { segment_bytes: 1000, oldest_bytes: 0 };
        let room = Room { left_bytes: 125, reserve_bytes: 2000, ..Room::default() };
        assert_eq!(levels.judge(room, Space::Ample), Space::Full);
    }
}
