//! Names that clients chose, as values of labels, which must be UTF-8.

/// Those that are not told apart. No name is shown like this: see [`label`].
pub(super) const OTHERS: &str = r"\others";

/// A name that clients chose. A backslash is doubled, and a byte that is no UTF-8 is shown as `\xNN`.
pub(super) fn label(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', r"\\"));
        text.extend(chunk.invalid().iter().map(|byte| format!(r"\x{byte:02x}")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_different_and_none_is_that_of_the_others() {
        for (name, shown) in [
            (&b"refreshLinks"[..], "refreshLinks"),
            ("Grüße".as_bytes(), "Grüße"),
            (b"\\others", r"\\others"),
            (b"a\xffb", r"a\xffb"),
            (b"a\\xffb", r"a\\xffb"),
            (b"a\nb", "a\nb"),
        ] {
            assert_eq!(label(name), shown);
            assert_ne!(label(name), OTHERS);
        }
    }
}
