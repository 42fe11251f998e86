//! Numbers in headers and arguments, as strict as Redis's.

/// Reads up to seven digits, without leading zeros, and the CR after them, as in nearly every header; gives the
/// number and where the line after it starts. Anything else, also a line that is cut, is for the slow path.
#[inline]
pub(super) fn short_number(buf: &[u8], from: usize) -> Option<(u32, usize)> {
    let first = buf.get(from)?.wrapping_sub(b'0');
    if first > 9 {
        return None;
    }
    let mut value = u32::from(first);
    let mut at = from + 1;
    loop {
        let digit = buf.get(at)?.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        if value == 0 || at - from == 7 {
            return None;
        }
        value = value * 10 + u32::from(digit);
        at += 1;
    }
    (buf[at] == b'\r' && at + 1 < buf.len()).then_some((value, at + 2))
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
