//! Records on their way into the log, framed in a buffer of the caller.
//!
//! A shard encodes its events straight into this buffer, behind a header whose lsn and CRC are still blank.
//! So staging is one copy, however many records there are, and no record is encoded twice.

use crate::limits::{RECORD_BODY_BYTES_MAX, RECORD_SHARED_BYTES};
use crate::record::{Header, RECORD_HEADER_BYTES, RecordKind};

/// A reusable buffer of framed records.
#[derive(Debug, Default)]
pub struct Records {
    bytes: Vec<u8>,
    count: u64,
    /// Where the record begins that is being written.
    open: Option<usize>,
}

impl Records {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a record and returns the buffer to append its body to. What is in the buffer already must stay.
    ///
    /// # Panics
    /// If the record before was not ended.
    pub fn begin(&mut self, shard: u16, kind: RecordKind) -> &mut Vec<u8> {
        assert!(self.open.is_none(), "a record begins before the last one ended");
        self.open = Some(self.bytes.len());
        self.bytes.extend_from_slice(&Header::unnumbered(shard, kind).to_bytes());
        &mut self.bytes
    }

    /// Goes on with the record that was begun, if there is one, or begins one: small changes in a row share a record. What
    /// is in the buffer already must stay.
    pub fn resume(&mut self, shard: u16, kind: RecordKind) -> &mut Vec<u8> {
        if self.open.is_none() {
            self.begin(shard, kind);
        }
        &mut self.bytes
    }

    /// A change is whole: the record that was begun ends here if it is long enough.
    pub fn pause(&mut self) {
        if self.open.is_some_and(|start| self.bytes.len() - start >= RECORD_SHARED_BYTES) {
            self.end();
        }
    }

    /// Ends the record that was begun, if there is one.
    pub fn finish(&mut self) {
        if self.open.is_some() {
            self.end();
        }
    }

    /// The buffer to append to the body of the record that was begun.
    ///
    /// # Panics
    /// If none was begun.
    pub fn body(&mut self) -> &mut Vec<u8> {
        assert!(self.open.is_some(), "a body without a record");
        &mut self.bytes
    }

    /// Ends the record: drops it if its body is empty, else completes its header. Returns whether there is one.
    ///
    /// # Panics
    /// If none was begun, or if its body is larger than [`RECORD_BODY_BYTES_MAX`], which no command may cause.
    pub fn end(&mut self) -> bool {
        let start = self.open.take().expect("a record ends that was not begun");
        let body = self.bytes.len().checked_sub(start + RECORD_HEADER_BYTES).expect("a body only grows");
        if body == 0 {
            self.bytes.truncate(start);
            return false;
        }
        assert!(
            body <= RECORD_BODY_BYTES_MAX,
            "a record body of {body} bytes, more than {RECORD_BODY_BYTES_MAX}"
        );
        Header::set_length(&mut self.bytes[start..], body);
        self.count += 1;
        true
    }

    /// Whether there is no ended record.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many records were ended.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many bytes the records take, with their headers.
    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets the records and keeps the buffer.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
        self.open = None;
    }

    /// The framed records, all of them ended.
    pub(crate) fn framed(&self) -> &[u8] {
        assert!(self.open.is_none(), "records are staged while one is still being written");
        &self.bytes
    }
}
