//! How fast the log is reclaimed: so slowly that no more is written again than was appended, and so fast that
//! the log stays within its bound.
//!
//! What lives is reclaimed by writing it again, the oldest first. How much that costs depends on where the garbage
//! is: of jobs that come and go in order the oldest segments hold nothing but garbage, where most stay for months
//! all segments hold a little. So the pace learns from each pass how much garbage has to gather before it is cheap to
//! free, from a third of what lives up to one and a quarter of it.
//!
//! Each appended byte is credit for one that is written again. Half of it is for tidying up at ease; the other half is
//! kept for when the log comes near its bound, as it does when much of what lives is deleted at once.
//!
//! Each start begins a segment, so a server that is killed or restarted again and again leaves many with hardly anything
//! in them, each a file that a start opens. Once they are more than what lives would fill, the log is written again though
//! there is no garbage: that is about a segment for each start.
//!
//! A full disk is worth any cost, but only once around the log: then all is freed that can be, and going on would
//! write the same again and again for as long as the disk is full. What is appended later makes another round worth it.

use stanchion_storage::{Segment, Space};

/// The log may hold this many segments beyond 2.5 times what lives.
const BOUND_SEGMENTS: u64 = 4;

/// So many segments before its bound, and an eighth of what lives, it is in a hurry.
const HURRY_SEGMENTS: u64 = 2;

/// How many segments may be written again without ado after a time without garbage.
const EASE_SEGMENTS: u64 = 2;

/// A segment is small that holds less than this part of an ordinary one. Without a restart there is hardly any: a sealed one
/// is half full, but for records that need a segment of their own.
pub(crate) const SMALL_PART: u64 = 4;

/// So many small segments are left alone, or as many as what lives would fill.
const SMALL_SEGMENTS: u64 = 16;

/// On a full disk so much may be written again for each appended byte, after a first round.
const ROUND_BYTES_PER_BYTE: u64 = 32;

/// How much garbage may always stay, in thousandths of what lives.
const PATIENCE_MILLI_MIN: u64 = 333;

/// How much has to gather at most, before it is reclaimed whatever that costs.
const PATIENCE_MILLI_MAX: u64 = 1_250;

/// How much less has to gather after each pass that was cheap.
const PATIENCE_MILLI_LOST: u64 = 10;

/// What the decision to reclaim depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// The log, in bytes.
    pub(crate) log: u64,
    /// What a full snapshot would take.
    pub(crate) live: u64,
    /// How many sealed segments hold less than a [`SMALL_PART`] of an ordinary one.
    pub(crate) small_segments: u64,
    /// What there is on the disk.
    pub(crate) space: Space,
}

impl Sizes {
    fn garbage(self) -> u64 {
        self.log.saturating_sub(self.live)
    }
}

/// Why to reclaim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Need {
    /// There is hardly any garbage.
    None,
    /// There is garbage.
    Ease,
    /// The log comes near its bound.
    Hurry,
    /// It is beyond its bound, or the disk is full.
    Must,
}

/// The credit for writing again.
pub(crate) struct Pace {
    segment_bytes: u64,
    /// For tidying up at ease.
    ease_bytes: i64,
    /// For all.
    credit_bytes: i64,
    /// So much garbage has to gather, in thousandths of what lives.
    patience_milli: u64,
    /// What is left of the round that a full disk is worth.
    round_bytes: i64,
}

impl Pace {
    /// A pace for a log in which so much lives. That was appended once, and is credit to begin with.
    pub(crate) fn new(segment_bytes: u64, live: u64) -> Pace {
        Pace {
            segment_bytes,
            ease_bytes: segment_bytes as i64,
            credit_bytes: live as i64,
            patience_milli: PATIENCE_MILLI_MIN,
            round_bytes: (live + EASE_SEGMENTS * segment_bytes) as i64,
        }
    }

    /// So much was appended.
    pub(crate) fn appended(&mut self, bytes: u64, live: u64) {
        let (ease_max, credit_max) =
            (EASE_SEGMENTS * self.segment_bytes, live + BOUND_SEGMENTS * self.segment_bytes);
        self.ease_bytes = (self.ease_bytes + (bytes / 2) as i64).min(ease_max as i64);
        self.credit_bytes = (self.credit_bytes + bytes as i64).min(credit_max as i64);
        let round = self.round_bytes.saturating_add((bytes.saturating_mul(ROUND_BYTES_PER_BYTE)) as i64);
        self.round_bytes = round.min((live + ease_max) as i64);
    }

    /// So much was written again.
    pub(crate) fn rewrote(&mut self, bytes: u64) {
        self.ease_bytes = (self.ease_bytes - bytes as i64).max(-(self.segment_bytes as i64));
        self.credit_bytes -= bytes as i64;
        self.round_bytes = (self.round_bytes - bytes as i64).max(-(self.segment_bytes as i64));
    }

    /// A pass that began with these sizes has freed so much, and written so much again for it. A dear one says that it
    /// began too soon, a cheap one that the next may begin a little sooner.
    pub(crate) fn passed(&mut self, began: Sizes, freed: u64, rewritten: u64) {
        self.patience_milli = if 2 * rewritten > freed {
            let garbage_milli = began.garbage() * 1_000 / began.live.max(1);
            (garbage_milli * 5 / 4).clamp(self.patience_milli, PATIENCE_MILLI_MAX)
        } else {
            self.patience_milli.saturating_sub(PATIENCE_MILLI_LOST).max(PATIENCE_MILLI_MIN)
        };
    }

    /// Whether a pass over some of the log may begin.
    pub(crate) fn may_begin(&mut self, sizes: Sizes) -> bool {
        if sizes.space < Space::Full {
            self.round_bytes = (sizes.live + EASE_SEGMENTS * self.segment_bytes) as i64;
        } else if self.round_bytes <= 0 && sizes.log <= self.bound(sizes.live) {
            return false;
        }
        self.may(self.need(sizes))
    }

    /// How large the log may be.
    fn bound(&self, live: u64) -> u64 {
        live * 5 / 2 + BOUND_SEGMENTS * self.segment_bytes
    }

    /// Whether a pass that has begun may go on. It goes on at ease when what made it begin is over: all that it has
    /// written would be for nothing.
    pub(crate) fn may_go_on(&self, sizes: Sizes) -> bool {
        match self.need(sizes) {
            Need::None => self.may(Need::Ease),
            need => self.may(need),
        }
    }

    /// The newest of the oldest segments that a pass frees together. Some at once cost less than one by one where there
    /// are many queues; but what is written again takes space until they are freed.
    pub(crate) fn last_to_free(&self, sealed: &[Segment], sizes: Sizes) -> Option<Segment> {
        let bytes_max = match sizes.space {
            Space::Ample => (sizes.live / 8).min(sizes.log.saturating_sub(sizes.live)),
            Space::Low | Space::Full | Space::Exhausted => 0,
        };
        let mut bytes = 0;
        let within = sealed.iter().take_while(|segment| {
            bytes += segment.bytes;
            bytes <= bytes_max
        });
        within.last().or(sealed.first()).copied()
    }

    fn may(&self, need: Need) -> bool {
        match need {
            Need::None => false,
            Need::Ease => self.ease_bytes > 0,
            Need::Hurry => self.credit_bytes > 0,
            Need::Must => true,
        }
    }

    fn need(&self, sizes: Sizes) -> Need {
        let Sizes { log, live, small_segments, space } = sizes;
        let garbage = sizes.garbage();
        let bound = self.bound(live);
        // The less space there is, the less garbage is worth writing what lives again.
        let is_worth_it = match space {
            Space::Ample => garbage > live * self.patience_milli / 1_000,
            Space::Low => garbage > live / 8,
            Space::Full => garbage > (live / 16).max(self.segment_bytes / 4),
            Space::Exhausted => garbage > self.segment_bytes / 8,
        };
        let are_many_small = small_segments > SMALL_SEGMENTS.max(live / self.segment_bytes);
        if log > bound || space >= Space::Full && is_worth_it {
            Need::Must
        } else if log > bound - live / 4 - HURRY_SEGMENTS * self.segment_bytes
            || space == Space::Low && is_worth_it
            || space < Space::Full && are_many_small
        {
            Need::Hurry
        } else if is_worth_it {
            Need::Ease
        } else {
            Need::None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(log: u64, live: u64) -> Sizes {
        Sizes { log, live, small_segments: 0, space: Space::Ample }
    }

    #[test]
    fn a_full_disk_is_worth_one_round_until_more_is_appended() {
        for space in [Space::Full, Space::Exhausted] {
            let full = Sizes { space, ..sizes(1_200, 1_000) };
            let mut pace = Pace::new(100, 1_000);
            let mut rounds = 0;
            while pace.may_begin(full) {
                pace.rewrote(100);
                pace.passed(full, 100, 100);
                rounds += 1;
                assert!(rounds < 100, "it writes the same again and again");
            }
            assert!(rounds >= 10, "all of the log is looked at: {rounds}");
            pace.appended(10, 1_000);
            assert!(pace.may_begin(full), "an ack may have made more garbage");
            pace.rewrote(1_000);
            assert!(!pace.may_begin(full));
            // Nor does it matter how full the disk is when the log itself is too large.
            assert!(pace.may_begin(Sizes { space, ..sizes(10_000, 1_000) }));
            assert!(pace.may_begin(sizes(10_000, 1_000)), "there is room again");
            assert!(pace.may_begin(full), "a disk that fills again is worth another round");
        }
    }

    #[test]
    fn segments_are_freed_together_but_few_at_once() {
        let sealed: Vec<_> =
            (1..=4).map(|number| Segment { number, first_lsn: 1, last_lsn: 1, bytes: 10 }).collect();
        let pace = Pace::new(10, 0);
        for (log, live, want) in [(40, 0, 1), (1000, 80, 1), (1000, 160, 2), (181, 160, 2), (1000, 900, 4)] {
            assert_eq!(pace.last_to_free(&sealed, sizes(log, live)).unwrap().number, want, "{log} {live}");
            let full = Sizes { space: Space::Low, ..sizes(log, live) };
            assert_eq!(pace.last_to_free(&sealed, full).unwrap().number, 1, "space is needed first");
        }
        assert!(pace.last_to_free(&[], sizes(1000, 10)).is_none());
    }

    #[test]
    fn the_need_grows_with_the_garbage() {
        let pace = Pace::new(10, 0);
        for (log, live, want) in [
            (0, 0, Need::None),
            (1, 0, Need::Ease),
            (20, 0, Need::Ease),
            (21, 0, Need::Hurry),
            (41, 0, Need::Must),
            (133, 100, Need::None),
            (134, 100, Need::Ease),
            (245, 100, Need::Ease),
            (246, 100, Need::Hurry),
            (290, 100, Need::Hurry),
            (291, 100, Need::Must),
        ] {
            assert_eq!(pace.need(sizes(log, live)), want, "{log} {live}");
        }
        for (space, garbage) in [(Space::Full, 6u64), (Space::Exhausted, 1)] {
            let need = |garbage| pace.need(Sizes { space, ..sizes(100 + garbage, 100) });
            assert_eq!((need(garbage), need(garbage + 1)), (Need::None, Need::Must), "{space:?}");
        }
    }

    #[test]
    fn many_small_segments_are_worth_writing_all_again() {
        let pace = Pace::new(10, 0);
        for (log, small_segments, want) in
            [(100, 16, Need::None), (100, 17, Need::Hurry), (400, 40, Need::None), (400, 41, Need::Hurry)]
        {
            let sizes = Sizes { small_segments, ..sizes(log, log) };
            assert_eq!(pace.need(sizes), want, "{log} {small_segments}");
            let full = Sizes { space: Space::Full, ..sizes };
            assert_eq!(pace.need(full), Need::None, "that gives a full disk no space");
        }
    }

    #[test]
    fn garbage_gathers_when_it_is_dear_to_reclaim() {
        let mut pace = Pace::new(10, 0);
        pace.passed(sizes(140, 100), 100, 51);
        assert!(!pace.may_begin(sizes(150, 100)) && pace.may_begin(sizes(151, 100)));
        pace.passed(sizes(151, 100), 100, 50);
        assert!(pace.may_begin(sizes(150, 100)), "a cheap one may begin sooner");
        pace.passed(sizes(230, 100), 100, 100);
        assert!(
            !pace.may_begin(sizes(225, 100)) && pace.may_begin(sizes(226, 100)),
            "there is an end to patience"
        );
        (0..100).for_each(|_| pace.passed(sizes(201, 100), 100, 0));
        assert!(!pace.may_begin(sizes(133, 100)) && pace.may_begin(sizes(134, 100)));
    }

    #[test]
    fn no_more_is_written_again_than_was_appended() {
        let mut pace = Pace::new(10, 0);
        let (at_ease, in_a_hurry) = (sizes(140, 100), sizes(250, 100));
        pace.rewrote(10);
        assert!(!pace.may_begin(at_ease) && !pace.may_begin(in_a_hurry));
        pace.appended(10, 100);
        assert!(pace.may_begin(at_ease) && !pace.may_begin(in_a_hurry), "half of it is for tidying up");
        pace.appended(2, 100);
        assert!(pace.may_begin(in_a_hurry));
        pace.rewrote(6);
        assert!(!pace.may_begin(at_ease) && !pace.may_go_on(in_a_hurry));
        assert!(pace.may_begin(sizes(300, 100)), "beyond the bound there is no pace");
    }
}
