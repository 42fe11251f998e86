//! Buffers that connections borrow while they have bytes to hold.
//!
//! Most connections of a job queue wait most of the time. What one holds for itself, ten thousand hold; so a
//! connection takes a buffer from its thread when it reads or answers, and gives it back before it waits with
//! nothing in it. A connection lives on one thread, so nothing is locked.

use std::cell::RefCell;

use crate::limits::{BUFFER_KEPT_BYTES, READ_BYTES, SPARE_BUFFERS_MAX};

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Makes sure that a buffer has room for a usual read or reply, if it has none at all.
#[inline]
pub(crate) fn borrow(buffer: &mut Vec<u8>) {
    if buffer.capacity() == 0 {
        *buffer = SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(READ_BYTES));
    }
}

/// Gives a buffer back if it holds nothing. Large ones are freed, and so are more than a thread needs.
#[inline]
pub(crate) fn give_back(buffer: &mut Vec<u8>) {
    if !buffer.is_empty() || buffer.capacity() == 0 {
        return;
    }
    let buffer = std::mem::take(buffer);
    if (READ_BYTES..=BUFFER_KEPT_BYTES).contains(&buffer.capacity()) {
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < SPARE_BUFFERS_MAX {
                spare.push(buffer);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_buffer_is_lent_again_and_a_full_one_is_kept() {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        borrow(&mut first);
        assert!(first.capacity() >= READ_BYTES);
        first.push(1);
        give_back(&mut first);
        assert_eq!(first, [1], "it holds something");
        first.clear();
        let lent = first.as_ptr();
        give_back(&mut first);
        assert_eq!(first.capacity(), 0);
        borrow(&mut second);
        assert_eq!(second.as_ptr(), lent);
    }

    #[test]
    fn buffers_of_an_unusual_size_are_freed() {
        for capacity in [READ_BYTES - 1, BUFFER_KEPT_BYTES + 1] {
            give_back(&mut Vec::with_capacity(capacity));
        }
        assert_eq!(SPARE.with_borrow(Vec::len), 0);
        for _ in 0..=SPARE_BUFFERS_MAX {
            give_back(&mut Vec::with_capacity(READ_BYTES));
        }
        assert_eq!(SPARE.with_borrow(Vec::len), SPARE_BUFFERS_MAX);
    }
}
