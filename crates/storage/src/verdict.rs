//! What recovery makes of what it finds, as one table.
//!
//! Everything else in recovery finds facts; here is the only place that decides. A test goes through all rows.

use crate::Lsn;

/// Where a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a segment that another one follows. It was synced before the other got its first byte.
    Older,
    /// In the last segment.
    Newest,
}

/// What is at the place where the next record should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// A record with the right lsn and CRC.
    Intact,
    /// Something that began as the right record, but is not one (any more).
    Broken,
    /// Nothing: zeros, the end of the file, or what the file held before it was recycled.
    Blank,
}

/// Whether the record that should be there was on the disk for certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// At or below the highest durable lsn that anything in the log speaks of.
    Durable,
    /// Above it: nobody was promised that it stays.
    Unclaimed,
}

impl Claim {
    pub(crate) fn of(lsn: Lsn, durable: Lsn) -> Self {
        if lsn <= durable { Self::Durable } else { Self::Unclaimed }
    }
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Replay it and go on.
    Replay,
    /// Go on with the next segment. What is left in this one was written again there, or was cut off.
    Superseded,
    /// The log ends here.
    End,
    /// The log ends here, in an unfinished write.
    Torn,
    /// Refuse to start: something is gone that must be there.
    Damaged,
}

/// The table.
pub(crate) fn verdict(place: Place, finding: Finding, claim: Claim) -> Verdict {
    match (place, claim, finding) {
        (Place::Older, Claim::Unclaimed, _) => Verdict::Superseded,
        (_, _, Finding::Intact) => Verdict::Replay,
        (_, Claim::Durable, Finding::Broken | Finding::Blank) => Verdict::Damaged,
        (Place::Newest, Claim::Unclaimed, Finding::Broken) => Verdict::Torn,
        (Place::Newest, Claim::Unclaimed, Finding::Blank) => Verdict::End,
    }
}
