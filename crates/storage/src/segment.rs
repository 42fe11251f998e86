//! Segment header.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 64;
