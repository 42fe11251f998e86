//! Hostile bytes in, and nothing may depend on how they arrive: the entry of a fuzz target, and of the tests.

use super::{Decoded, Decoder};
use crate::limits::Limits;

/// Decodes hostile bytes in two ways, whole and byte by byte, and panics when they differ: for a fuzz target.
pub fn fuzz_decode(data: &[u8]) {
    let limits = Limits::default();
    assert_eq!(
        decode_in_chunks(data, data.len().max(1), &limits),
        decode_in_chunks(data, 1, &limits),
        "the words depend on how the bytes arrive"
    );
}

/// All that `data` holds when it arrives in chunks of this size: the words of each command, its refusal, or the
/// error that ends the connection.
pub(super) fn decode_in_chunks(
    data: &[u8],
    chunk_bytes: usize,
    limits: &Limits,
) -> Vec<Result<Vec<Vec<u8>>, String>> {
    let mut decoder = Decoder::new(limits, true);
    let mut buf = Vec::new();
    let mut found = Vec::new();
    for chunk in data.chunks(chunk_bytes) {
        buf.extend_from_slice(chunk);
        loop {
            match decoder.decode(&buf) {
                Ok(Decoded::Command) => {
                    found.push(Ok(decoder.args(&buf).iter().map(<[u8]>::to_vec).collect()))
                }
                Ok(Decoded::TooLarge(why)) => found.push(Err(why.to_string())),
                Ok(Decoded::Incomplete) => break,
                Err(broken) => {
                    found.push(Err(broken.to_string()));
                    return found;
                }
            }
        }
        buf.drain(..decoder.consume());
    }
    found
}
