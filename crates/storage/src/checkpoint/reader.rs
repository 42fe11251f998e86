//! Reading a checkpoint's frames in order.

use std::io;

use super::format::{CHECKPOINT_HEADER_BYTES, CheckpointHeader, END_BYTES, End, HeaderFault};
use crate::disk::{Disk, DiskFile};
use crate::limits::{READ_BYTES, RECORD_BODY_BYTES_MAX};
use crate::record::{Header, RECORD_HEADER_BYTES, array, is_intact};
use crate::segment::Name;
use crate::{Lsn, RecordView};

/// Why a checkpoint can't be used.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It is not what it should be: damaged, cut off, of another log or of a newer program.
    Unusable(String),
    /// The operating system refused to show it.
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unusable(reason) => f.write_str(reason),
            Self::Io(error) => write!(f, "the system can't read it: {error}"),
        }
    }
}

/// Reads a checkpoint whose header and end mark are right.
pub(crate) struct CheckpointReader {
    file: Box<dyn DiskFile>,
    header: CheckpointHeader,
    end: End,
    /// `buffer[position..]` is in the file before `offset`.
    buffer: Vec<u8>,
    position: usize,
    offset: u64,
    /// Frames read so far.
    frames: u64,
    newest_lsn: Lsn,
}

impl CheckpointReader {
    /// Opens a checkpoint, and reads its header and its end mark.
    pub(crate) fn open(disk: &dyn Disk, name: Name) -> Result<Self, Fault> {
        let Name::Checkpoint(number) = name else { unreachable!("checkpoints are named so") };
        let file = disk.open(name)?;
        let file_bytes = file.bytes()?;
        let mut bytes = [0; CHECKPOINT_HEADER_BYTES];
        if file.read_at(&mut bytes, 0)? < bytes.len() {
            return Err(unusable("the file ends before its header does"));
        }
        let header = CheckpointHeader::parse(&bytes).map_err(|fault| match fault {
            HeaderFault::Damaged(reason) => unusable(reason),
            HeaderFault::Newer(version) => {
                Fault::Unusable(format!("a newer program wrote it, in version {version}"))
            }
        })?;
        if header.start.from != number {
            return Err(Fault::Unusable(format!("its header says that it is from {}", header.start.from)));
        }
        let end_at = file_bytes.saturating_sub(END_BYTES as u64);
        let mut bytes = [0; END_BYTES];
        let read = file.read_at(&mut bytes, end_at)?;
        let end = End::parse(&bytes, end_at, &header).filter(|_| read == bytes.len());
        let end = end.ok_or_else(|| unusable("it has no end mark: it was cut off or written over"))?;
        Ok(Self {
            file,
            header,
            end,
            buffer: Vec::new(),
            position: 0,
            offset: CHECKPOINT_HEADER_BYTES as u64,
            frames: 0,
            newest_lsn: header.start.from,
        })
    }

    /// Its header.
    pub(crate) fn header(&self) -> &CheckpointHeader {
        &self.header
    }

    /// Its end mark.
    pub(crate) fn end(&self) -> End {
        self.end
    }

    /// How much of the file was read.
    pub(crate) fn read_bytes(&self) -> u64 {
        if self.at() == self.end.offset { self.file_bytes() } else { self.at() }
    }

    /// How large the file is.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.end.offset + END_BYTES as u64
    }

    /// The next frame if its lsn is at most `lsn`; `None` if it is not due yet, or if there is none.
    pub(crate) fn next_due(&mut self, lsn: Lsn) -> Result<Option<RecordView<'_>>, Fault> {
        if self.at() == self.end.offset {
            if self.frames != self.end.frames {
                return Err(self.damaged("frames are missing before it ends"));
            }
            return Ok(None);
        }
        if !self.need(RECORD_HEADER_BYTES)? {
            return Err(self.damaged("a frame does not end before the file does"));
        }
        let header = Header::parse(array(&self.buffer[self.position..]));
        let total = RECORD_HEADER_BYTES + header.body_bytes;
        // The length is checked before memory is taken for it.
        let is_possible = (1..=RECORD_BODY_BYTES_MAX).contains(&header.body_bytes) && !header.is_batch();
        if !is_possible || !self.need(total)? {
            return Err(self.damaged("a frame has an impossible header"));
        }
        if header.lsn > lsn {
            return Ok(None);
        }
        let bytes = &self.buffer[self.position..self.position + total];
        if !is_intact(bytes, self.header.frame_seed(self.frames)) {
            return Err(self.damaged("the checksum of a frame is wrong"));
        }
        if header.lsn < self.newest_lsn || header.lsn > self.end.through {
            return Err(self.damaged("a frame is out of order"));
        }
        let start = self.position;
        self.position += total;
        self.frames += 1;
        self.newest_lsn = header.lsn;
        Ok(Some(header.view(&self.buffer[start + RECORD_HEADER_BYTES..start + total])))
    }

    /// Where in the file the next frame begins.
    fn at(&self) -> u64 {
        self.offset - (self.buffer.len() - self.position) as u64
    }

    fn damaged(&self, what: &str) -> Fault {
        Fault::Unusable(format!("{what}, at byte {}", self.at()))
    }

    /// Has `count` bytes from the position on in the buffer; `false` if the frames end before.
    fn need(&mut self, count: usize) -> io::Result<bool> {
        if self.buffer.len() - self.position >= count {
            return Ok(true);
        }
        self.buffer.drain(..self.position);
        self.position = 0;
        let filled = self.buffer.len();
        let left = usize::try_from(self.end.offset - self.offset).unwrap_or(usize::MAX);
        let wanted = count.max(READ_BYTES).min(filled.saturating_add(left));
        self.buffer.resize(wanted.max(filled), 0);
        let read = self.file.read_at(&mut self.buffer[filled..], self.offset)?;
        self.buffer.truncate(filled + read);
        self.offset += read as u64;
        Ok(self.buffer.len() >= count)
    }
}

fn unusable(reason: &str) -> Fault {
    Fault::Unusable(reason.to_owned())
}
