//! A record's bytes: a fixed header and a body, under one CRC. `docs/FORMAT.md` has the tables.

use crate::Lsn;

/// The size of a record's header.
pub(crate) const RECORD_HEADER_BYTES: usize = 20;

/// The size of the smallest record: a body has at least one byte.
pub(crate) const RECORD_BYTES_MIN: usize = RECORD_HEADER_BYTES + 1;

/// The size of the body of a batch record.
pub(crate) const BATCH_BODY_BYTES: usize = 16;

/// The size of a batch record.
pub(crate) const BATCH_BYTES: usize = RECORD_HEADER_BYTES + BATCH_BODY_BYTES;

/// A byte that each batch record has at a fixed place (the low byte of its length), by which one is searched for.
pub(crate) const BATCH_TELLTALE: (usize, u8) = (at::LENGTH, BATCH_BODY_BYTES as u8);

/// The kind of a batch record, which no caller writes.
const KIND_BATCH: u8 = 0;

/// The kind of a record that stands for one that is lost.
const KIND_LOST: u8 = 254;

/// What a record is, as its writer names it. The log keeps it and does not look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordKind(u8);

impl RecordKind {
    /// A record that a repair has written off. The body says why, in words; no caller gets to see it.
    pub(crate) const LOST: Self = Self(KIND_LOST);

    /// A kind from 1 to 255.
    ///
    /// # Panics
    /// If `kind` is 0 or 254, which are the log's own.
    pub const fn new(kind: u8) -> Self {
        assert!(kind != KIND_BATCH && kind != KIND_LOST, "kinds 0 and 254 are the log's own");
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

/// Where the fields of a header are. Byte 19 is reserved, and zero.
mod at {
    pub(super) const CRC: usize = 0;
    pub(super) const LENGTH: usize = 4;
    pub(super) const LSN: usize = 8;
    pub(super) const SHARD: usize = 16;
    pub(super) const KIND: usize = 18;
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

    /// Reads a header, whatever it says.
    pub(crate) fn parse(bytes: [u8; RECORD_HEADER_BYTES]) -> Self {
        Self {
            body_bytes: Self::length(&bytes),
            lsn: u64::from_le_bytes(array(&bytes[at::LSN..])),
            shard: u16::from_le_bytes(array(&bytes[at::SHARD..])),
            kind: bytes[at::KIND],
        }
    }

    /// Whether it is the header of a batch record.
    pub(crate) fn is_batch(self) -> bool {
        self.kind == KIND_BATCH
    }

    /// The record that this header and `body` are.
    pub(crate) fn view(self, body: &[u8]) -> RecordView<'_> {
        RecordView { lsn: self.lsn, shard: self.shard, kind: RecordKind(self.kind), body }
    }

    /// Writes the length of the body into a framed record.
    pub(crate) fn set_length(record: &mut [u8], body_bytes: usize) {
        let length = u32::try_from(body_bytes).expect("bounded by RECORD_BODY_BYTES_MAX");
        record[at::LENGTH..at::LSN].copy_from_slice(&length.to_le_bytes());
    }

    /// The length of the body of a framed record.
    pub(crate) fn length(record: &[u8]) -> usize {
        u32::from_le_bytes(array(&record[at::LENGTH..])) as usize
    }
}

/// Completes a framed record: numbers it and puts the CRC in. This is the writer's work, so that a shard only copies.
pub(crate) fn seal(record: &mut [u8], lsn: Lsn, seed: u32) {
    record[at::LSN..at::SHARD].copy_from_slice(&lsn.to_le_bytes());
    let crc = crc(record, seed);
    record[at::CRC..at::LENGTH].copy_from_slice(&crc.to_le_bytes());
}

/// Whether the CRC of a whole record is right for a segment.
pub(crate) fn is_intact(record: &[u8], seed: u32) -> bool {
    u32::from_le_bytes(array(&record[at::CRC..])) == crc(record, seed)
}

/// The CRC over everything but itself. A seed is where the CRC starts from, and two starts never meet over the
/// same bytes: what an earlier use of a recycled segment left cannot pass, whatever it is.
fn crc(record: &[u8], seed: u32) -> u32 {
    let mut crc = crc32fast::Hasher::new_with_initial(seed);
    crc.update(&record[at::LENGTH..]);
    crc.finalize()
}

/// The record at the beginning of each write: what was durable when it was made. It takes no lsn of its own,
/// but has that of the record after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batch {
    /// The lsn of the next record.
    pub(crate) next_lsn: Lsn,
    /// Everything up to here was synced before this was written, so it is always below `next_lsn`.
    pub(crate) durable: Lsn,
    /// Where in its segment it stands. So bytes of a payload that look like a batch are not taken for one.
    pub(crate) offset: u64,
    pub(crate) mark: Mark,
}

/// Why a batch record was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Records follow, or recovery has just ended.
    Open,
    /// The log was closed in order.
    Closed,
}

impl Batch {
    /// The record's bytes, sealed.
    pub(crate) fn to_bytes(self, seed: u32) -> [u8; BATCH_BYTES] {
        let shard = match self.mark {
            Mark::Open => 0,
            Mark::Closed => 1,
        };
        let header = Header { body_bytes: BATCH_BODY_BYTES, lsn: self.next_lsn, shard, kind: KIND_BATCH };
        let mut bytes = [0; BATCH_BYTES];
        bytes[..RECORD_HEADER_BYTES].copy_from_slice(&header.to_bytes());
        bytes[RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + 8].copy_from_slice(&self.durable.to_le_bytes());
        bytes[RECORD_HEADER_BYTES + 8..].copy_from_slice(&self.offset.to_le_bytes());
        seal(&mut bytes, self.next_lsn, seed);
        bytes
    }

    /// Reads a batch record that stands at `offset` in a segment; `None` if it is not one.
    pub(crate) fn parse(bytes: &[u8; BATCH_BYTES], offset: u64, seed: u32) -> Option<Self> {
        let header = Header::parse(array(bytes));
        let mark = match header.shard {
            0 => Mark::Open,
            1 => Mark::Closed,
            _ => return None,
        };
        let batch = Self {
            next_lsn: header.lsn,
            durable: u64::from_le_bytes(array(&bytes[RECORD_HEADER_BYTES..])),
            offset: u64::from_le_bytes(array(&bytes[RECORD_HEADER_BYTES + 8..])),
            mark,
        };
        (header.kind == KIND_BATCH
            && header.body_bytes == BATCH_BODY_BYTES
            && batch.offset == offset
            && batch.durable < batch.next_lsn
            && is_intact(bytes, seed))
        .then_some(batch)
    }
}

/// The first bytes of a field, which the caller knows to be there.
pub(crate) fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    *bytes.first_chunk().expect("a field inside a fixed header")
}
