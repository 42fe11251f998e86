//! Segments: their names, their headers and what is known of one. `docs/FORMAT.md` has the tables.

use std::ffi::OsStr;

use crate::Lsn;
use crate::record::array;

/// The version that this program writes, and the newest that it reads.
pub(crate) const FORMAT_VERSION: u32 = 2;

/// The size of a segment's header. It stays, and so does the place of its CRC, in every version: a damaged
/// header must never pass for one of a newer version.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 64;

const MAGIC: [u8; 8] = *b"STANCLOG";
const CAPACITY_AT: usize = 32;
const CRC_AT: usize = SEGMENT_HEADER_BYTES - 4;

/// A segment of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Segments are numbered from 1, without gaps.
    pub number: u64,
    /// The first record in it.
    pub first_lsn: Lsn,
    /// The last record in it, or `first_lsn - 1` if there is none.
    pub last_lsn: Lsn,
    /// How many bytes of it are in use.
    pub bytes: u64,
}

/// What a segment's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// The run that began the segment.
    pub(crate) boot: u32,
    pub(crate) number: u64,
    /// Everything below was durable before the segment got its name.
    pub(crate) first_lsn: Lsn,
}

/// Why a header cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    Damaged(&'static str),
    Newer(u32),
}

impl SegmentHeader {
    /// The header of a file of `capacity_bytes`.
    pub(crate) fn to_bytes(self, capacity_bytes: u64) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.boot.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first_lsn.to_le_bytes());
        bytes[CAPACITY_AT..CAPACITY_AT + 8].copy_from_slice(&capacity_bytes.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(crate) fn parse(bytes: &[u8; SEGMENT_HEADER_BYTES]) -> Result<Self, HeaderFault> {
        if bytes[..8] != MAGIC {
            return Err(HeaderFault::Damaged("it does not begin with the mark of a log segment"));
        }
        if u32::from_le_bytes(array(&bytes[CRC_AT..])) != crc32fast::hash(&bytes[..CRC_AT]) {
            return Err(HeaderFault::Damaged("the checksum of the segment's header is wrong"));
        }
        match u32::from_le_bytes(array(&bytes[8..])) {
            1..=FORMAT_VERSION => Ok(Self {
                boot: u32::from_le_bytes(array(&bytes[12..])),
                number: u64::from_le_bytes(array(&bytes[16..])),
                first_lsn: u64::from_le_bytes(array(&bytes[24..])),
            }),
            0 => Err(HeaderFault::Damaged("there never was a format version 0")),
            newer => Err(HeaderFault::Newer(newer)),
        }
    }

    /// How long the file is at least while no segment follows, from an intact header; version 1 did not say.
    pub(crate) fn capacity_bytes(bytes: &[u8; SEGMENT_HEADER_BYTES]) -> u64 {
        u64::from_le_bytes(array(&bytes[CAPACITY_AT..]))
    }

    /// What the CRCs of this segment's records start from.
    pub(crate) fn seed(&self) -> u32 {
        seed(self.number)
    }
}

/// What the CRCs of the records in a segment start from.
pub(crate) fn seed(number: u64) -> u32 {
    // The low half is enough: a file would have to be recycled four billion segments later to meet it again.
    number as u32
}

/// The names in a log's directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    /// The file that keeps a second process out.
    Lock,
    /// A segment of the log.
    Segment(u64),
    /// A file to become a segment; its content means nothing.
    Spare(u64),
    /// A checkpoint that the log is needed for from this record on.
    Checkpoint(u64),
    /// One that is not whole.
    CheckpointDraft(u64),
    /// What a file system puts into its root, so that a log can have a disk of its own.
    LostAndFound,
}

/// The digits of a number in a name: as many as the largest number has, so that names sort as numbers do.
const DIGITS: usize = 20;

impl Name {
    /// The name's meaning, or `None` if no log writes it.
    pub(crate) fn parse(name: &OsStr) -> Option<Self> {
        let name = name.to_str()?;
        match name {
            "LOCK" => return Some(Self::Lock),
            "lost+found" => return Some(Self::LostAndFound),
            _ => {}
        }
        let (digits, kind) = name.split_once('.')?;
        if digits.len() != DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number = digits.parse().ok()?;
        match kind {
            "seg" => Some(Self::Segment(number)),
            "spare" => Some(Self::Spare(number)),
            "checkpoint" => Some(Self::Checkpoint(number)),
            "checkpoint-draft" => Some(Self::CheckpointDraft(number)),
            _ => None,
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lock => f.write_str("LOCK"),
            Self::LostAndFound => f.write_str("lost+found"),
            Self::Segment(number) => write!(f, "{number:0DIGITS$}.seg"),
            Self::Spare(number) => write!(f, "{number:0DIGITS$}.spare"),
            Self::Checkpoint(number) => write!(f, "{number:0DIGITS$}.checkpoint"),
            Self::CheckpointDraft(number) => write!(f, "{number:0DIGITS$}.checkpoint-draft"),
        }
    }
}
