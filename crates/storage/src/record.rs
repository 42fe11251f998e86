//! A record's bytes: a fixed header and a body, under one CRC. `docs/FORMAT.md` has the tables.

use crate::Lsn;

/// The size of a record's header.
pub const RECORD_HEADER_BYTES: usize = 20;

/// The size of the body of a batch record.
pub const BATCH_BODY_BYTES: usize = 16;

/// The size of a batch record.
pub const BATCH_BYTES: usize = RECORD_HEADER_BYTES + BATCH_BODY_BYTES;

/// The kind of a batch record, which is the log's own.
const KIND_BATCH: u8 = 0;

/// What a record is, as its writer names it. The log keeps it and does not look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordKind(u8);

impl RecordKind {
    /// A kind from 1 to 255.
    ///
    /// # Panics
    /// If `kind` is 0, which is the log's own.
    pub const fn new(kind: u8) -> Self {
        assert!(kind != KIND_BATCH, "kind 0 is the log's own");
        Self(kind)
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// A record as recovery hands it over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// Its number.
    pub lsn: Lsn,
    /// The shard that wrote it, a hint: the number of shards may have changed since.
    pub shard: u16,
    /// What its writer said that it is.
    pub kind: RecordKind,
    /// What its writer wrote.
    pub body: &'a [u8],
}

/// The header of a record, without its CRC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// How long the body is.
    pub(crate) body_bytes: usize,
    pub(crate) lsn: Lsn,
    pub(crate) shard: u16,
    pub(crate) kind: u8,
}

/// Where the fields of a header are.
mod at {
    pub(super) const CRC: usize = 0;
    pub(super) const LENGTH: usize = 4;
    pub(super) const LSN: usize = 8;
    pub(super) const SHARD: usize = 16;
    pub(super) const KIND: usize = 18;
    pub(super) const RESERVED: usize = 19;
}

impl Header {
    /// The header of a record that is not staged yet.
    pub(crate) fn unnumbered(shard: u16, kind: RecordKind) -> Self {
        Self { body_bytes: 0, lsn: 0, shard, kind: kind.0 }
    }

    /// The header's bytes, with a blank CRC.
    pub(crate) fn to_bytes(self) -> [u8; RECORD_HEADER_BYTES] {
        let mut bytes = [0; RECORD_HEADER_BYTES];
        Self::set_length(&mut bytes, self.body_bytes);
        bytes[at::LSN..at::SHARD].copy_from_slice(&self.lsn.to_le_bytes());
        bytes[at::SHARD..at::KIND].copy_from_slice(&self.shard.to_le_bytes());
        bytes[at::KIND] = self.kind;
        bytes
    }

    /// Writes the length of the body into a framed record.
    pub(crate) fn set_length(record: &mut [u8], body_bytes: usize) {
        let length = u32::try_from(body_bytes).expect("bounded by RECORD_BODY_BYTES_MAX");
        record[at::LENGTH..at::LSN].copy_from_slice(&length.to_le_bytes());
    }
}
