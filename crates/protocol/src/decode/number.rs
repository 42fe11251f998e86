//! Numbers in headers and arguments, as strict as Redis's.

/// The number in a header of one to three digits, as nearly all are, and how many bytes its line has. Anything else, also
/// a line that is cut, is for the slow path.
#[inline]
pub(super) fn short_header(mark: u8, buf: &[u8]) -> Option<(usize, usize)> {
    let digit = |byte: u8| usize::from(byte - b'0');
    // A line of three digits and its end. A word that is shorter has bytes behind it.
    let [first, line @ ..] = buf.first_chunk::<6>()?;
    if *first != mark {
        return None;
    }
    match *line {
        [a @ b'1'..=b'9', b'\r', ..] => Some((digit(a), 4)),
        [a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', ..] => Some((digit(a) * 10 + digit(b), 5)),
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b'\r', _] => {
            Some((digit(a) * 100 + digit(b) * 10 + digit(c), 6))
        }
        _ => None,
    }
}

/// An integer as Redis reads one: no `+`, no space, no leading zero, no `-0`, within an `i64`.
pub fn string2ll(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first()? {
        (b'-', digits) => (true, digits),
        _ => (false, text),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut value = 0u64;
    for &digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // 19 digits fit a u64.
        value = value * 10 + u64::from(digit);
    }
    if negative { 0i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}
