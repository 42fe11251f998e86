//! A checkpoint's bytes: a header, frames, and an end mark. `docs/FORMAT.md` has the tables.

use super::{CheckpointStart, NONCE_BYTES};
use crate::Lsn;
use crate::record::{Header, RECORD_HEADER_BYTES, array, is_intact, seal};

/// The version that this program writes, and the newest that it reads.
pub(crate) const CHECKPOINT_VERSION: u32 = 1;

/// The size of a checkpoint's header. It stays, and so does the place of its CRC, in every version.
pub(crate) const CHECKPOINT_HEADER_BYTES: usize = 64;

/// The size of the end mark.
pub(crate) const END_BYTES: usize = RECORD_HEADER_BYTES + END_BODY_BYTES;

const END_BODY_BYTES: usize = 16;
const MAGIC: [u8; 8] = *b"STANCKPT";
const CRC_AT: usize = CHECKPOINT_HEADER_BYTES - 4;

/// What is wrong with the bytes of a header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    Damaged(&'static str),
    Newer(u32),
}

/// What a checkpoint's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CheckpointHeader {
    pub(crate) start: CheckpointStart,
    /// The header's CRC, from which those of all that follows start, so that none of it passes in another file.
    seed: u32,
}

impl CheckpointHeader {
    pub(crate) fn new(start: CheckpointStart) -> (Self, [u8; CHECKPOINT_HEADER_BYTES]) {
        let mut bytes = [0; CHECKPOINT_HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&CHECKPOINT_VERSION.to_le_bytes());
        bytes[12..14].copy_from_slice(&start.shards.to_le_bytes());
        bytes[16..24].copy_from_slice(&start.from.to_le_bytes());
        bytes[24..24 + NONCE_BYTES].copy_from_slice(&start.nonce);
        let seed = crc32fast::hash(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&seed.to_le_bytes());
        (Self { start, seed }, bytes)
    }

    pub(crate) fn parse(bytes: &[u8; CHECKPOINT_HEADER_BYTES]) -> Result<Self, HeaderFault> {
        if bytes[..8] != MAGIC {
            return Err(HeaderFault::Damaged("it does not begin with the mark of a checkpoint"));
        }
        let seed = crc32fast::hash(&bytes[..CRC_AT]);
        if u32::from_le_bytes(array(&bytes[CRC_AT..])) != seed {
            return Err(HeaderFault::Damaged("the checksum of its header is wrong"));
        }
        match u32::from_le_bytes(array(&bytes[8..])) {
            CHECKPOINT_VERSION => {
                let start = CheckpointStart {
                    from: u64::from_le_bytes(array(&bytes[16..])),
                    shards: u16::from_le_bytes(array(&bytes[12..])),
                    nonce: array(&bytes[24..]),
                };
                Ok(Self { start, seed })
            }
            0 => Err(HeaderFault::Damaged("there never was a version 0")),
            newer => Err(HeaderFault::Newer(newer)),
        }
    }

    /// What the CRC of the frame with this ordinal, the first one's being 0, starts from: none passes elsewhere.
    pub(crate) fn frame_seed(&self, ordinal: u64) -> u32 {
        self.seed.wrapping_add(1).wrapping_add(ordinal as u32)
    }
}

/// What the end mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// The last record that the checkpoint may know of. Its body ends with the nonce.
    pub(crate) through: Lsn,
    pub(crate) frames: u64,
    /// Where the end mark begins.
    pub(crate) offset: u64,
}

impl End {
    pub(crate) fn to_bytes(self, header: &CheckpointHeader) -> [u8; END_BYTES] {
        let head = Header { body_bytes: END_BODY_BYTES, lsn: self.through, shard: 0, kind: 0 };
        let mut bytes = [0; END_BYTES];
        bytes[..RECORD_HEADER_BYTES].copy_from_slice(&head.to_bytes());
        bytes[RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + 8].copy_from_slice(&self.frames.to_le_bytes());
        bytes[RECORD_HEADER_BYTES + 8..].copy_from_slice(&self.offset.to_le_bytes());
        seal(&mut bytes, self.through, header.seed);
        bytes
    }

    /// Reads the end mark that stands at `offset`; `None` if it is not one.
    pub(crate) fn parse(bytes: &[u8; END_BYTES], offset: u64, header: &CheckpointHeader) -> Option<Self> {
        let head = Header::parse(array(bytes));
        let end = Self {
            through: head.lsn,
            frames: u64::from_le_bytes(array(&bytes[RECORD_HEADER_BYTES..])),
            offset: u64::from_le_bytes(array(&bytes[RECORD_HEADER_BYTES + 8..])),
        };
        let fits = head.kind == 0 && head.body_bytes == END_BODY_BYTES && end.offset == offset;
        (fits && end.through >= header.start.from && is_intact(bytes, header.seed)).then_some(end)
    }
}
