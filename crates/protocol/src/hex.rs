//! Lower-case hex digits, eight at a time.
//!
//! Each job's id is written twice and read once in its life, so its digits are worked on side by side in the bytes of
//! one register instead of one after the other.

/// The same byte in all places.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The eight digits of a number.
#[inline]
pub(crate) fn write(number: u32) -> [u8; 8] {
    // One digit to a byte: halves, quarters and eighths move apart.
    let mut digits = u64::from(number);
    digits = (digits << 16 | digits) & 0x0000_ffff_0000_ffff;
    digits = (digits << 8 | digits) & 0x00ff_00ff_00ff_00ff;
    digits = (digits << 4 | digits) & each(0x0f);
    // 1 where the digit is a letter: 10 and 6 make 16.
    let letters = (digits + each(6)) >> 4 & each(1);
    (digits + each(b'0') + letters * u64::from(b'a' - b'0' - 10)).to_be_bytes()
}

/// The number that eight digits stand for; `None` when one of them is no lower-case hex digit.
#[inline]
pub(crate) fn read(text: [u8; 8]) -> Option<u64> {
    let text = u64::from_be_bytes(text);
    // Letters and nothing else among hex digits have this bit; what it makes of other bytes does not read back.
    let letters = text >> 6 & each(1);
    let mut digits = (text & each(0x0f)) + letters * 9;
    digits &= each(0x0f);
    digits = (digits >> 4 | digits) & 0x00ff_00ff_00ff_00ff;
    digits = (digits >> 8 | digits) & 0x0000_ffff_0000_ffff;
    let number = (digits >> 16 | digits) as u32;
    (u64::from_be_bytes(write(number)) == text).then_some(u64::from(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_writes_and_reads_as_the_standard_library_does() {
        let mut number = 0x0123_4567_u32;
        for _ in 0..10_000 {
            let text = format!("{number:08x}").into_bytes();
            assert_eq!(write(number), text[..]);
            assert_eq!(read(text.try_into().unwrap()), Some(u64::from(number)));
            number = number.wrapping_mul(0x9e37_79b9).rotate_left(5).wrapping_add(0xfeed);
        }
    }

    #[test]
    fn each_place_takes_lower_case_digits_and_no_other_byte() {
        for place in 0..8 {
            for byte in 0..=u8::MAX {
                let mut text = *b"00000000";
                text[place] = byte;
                let expected = match byte {
                    b'0'..=b'9' | b'a'..=b'f' => char::from(byte).to_digit(16),
                    _ => None,
                };
                assert_eq!(read(text), expected.map(|digit| u64::from(digit) << (4 * (7 - place))));
            }
        }
    }
}
