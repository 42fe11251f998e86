//! Passwords of users: kept as SHA-256 only, as Redis's ACL files have them.
//!
//! A fast hash is right here: a slow one would let anybody who can connect keep a core busy with wrong guesses.
//! ACL GENPASS makes passwords that are too long to be guessed at any speed.

use sha2::{Digest, Sha256};

use crate::limits::PASSWORD_BYTES_MAX;

/// The SHA-256 of a password.
#[derive(Clone, Copy)]
pub(crate) struct PasswordHash([u8; 32]);

impl PasswordHash {
    /// Hashes a password; `None` for one that is too long to be one, so that nobody makes us hash megabytes.
    pub(crate) fn of(password: &[u8]) -> Option<PasswordHash> {
        (password.len() <= PASSWORD_BYTES_MAX).then(|| PasswordHash(Sha256::digest(password).into()))
    }

    /// Reads 64 lower-case hex digits.
    pub(crate) fn from_hex(text: &[u8]) -> Option<PasswordHash> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut hash = [0; 32];
        if text.len() != 2 * hash.len() {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(PasswordHash(hash))
    }

    /// The same 64 digits.
    pub(crate) fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Compares in a time that does not tell where the first difference is.
    pub(crate) fn matches(&self, other: &PasswordHash) -> bool {
        let difference = self.0.iter().zip(&other.0).fold(0, |sum, (one, other)| sum | (one ^ other));
        std::hint::black_box(difference) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_redis_hashes() {
        // `ACL SETUSER u >abc` and `>` of redis-server 7.0.15.
        for (password, hex) in [
            (&b"abc"[..], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ] {
            let hash = PasswordHash::of(password).unwrap();
            assert_eq!(hash.to_hex(), hex);
            assert!(PasswordHash::from_hex(hex.as_bytes()).unwrap().matches(&hash));
            assert!(!PasswordHash::of(b"other").unwrap().matches(&hash));
        }
        assert!(PasswordHash::of(&vec![b'x'; PASSWORD_BYTES_MAX]).is_some());
        assert!(PasswordHash::of(&vec![b'x'; PASSWORD_BYTES_MAX + 1]).is_none());
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let hash = "a".repeat(64);
        assert!(PasswordHash::from_hex(hash.as_bytes()).is_some());
        for text in
            ["", "abc", &hash[..63], &format!("{hash}a"), &hash.to_uppercase(), &hash.replace('a', "g")]
        {
            assert!(PasswordHash::from_hex(text.as_bytes()).is_none(), "{text}");
        }
    }
}
