//! Every way in which a reply may differ from Redis's, and why: the table that the comparison allows, and that
//! `docs/differences.md` shows.

mod same;
mod table;

pub use table::{DIFFERENCES, NOT_COMPARED};

use super::frame::Frame;

/// A command with the two replies to it.
pub(super) struct Case<'a> {
    /// The command as Redis got it.
    pub(super) words: &'a [Vec<u8>],
    /// Redis's reply.
    pub(super) theirs: &'a Frame,
    /// Stanchion's.
    pub(super) ours: &'a Frame,
}

/// One way in which the replies may differ.
pub struct Difference {
    /// What it is about.
    pub about: &'static str,
    /// What Redis does.
    pub redis: &'static str,
    /// What Stanchion does.
    pub stanchion: &'static str,
    /// Why.
    pub why: &'static str,
    /// Whether two replies differ in this way and in no other.
    pub(super) allows: fn(&Case<'_>) -> bool,
}

/// The row of the table that allows two replies to differ.
pub(super) fn find(case: &Case<'_>) -> Option<usize> {
    DIFFERENCES.iter().position(|difference| (difference.allows)(case))
}

impl Case<'_> {
    /// Whether the command begins with these words.
    fn is(&self, name: &str) -> bool {
        let mut words = self.words.iter();
        name.split(' ')
            .all(|name| words.next().is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes())))
    }

    /// Whether the command is one of these.
    fn is_one_of(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.is(name))
    }

    /// Whether both replies are of this type.
    fn both(&self, kind: u8) -> bool {
        self.theirs.kind == kind && self.ours.kind == kind
    }

    /// Whether both replies are errors.
    fn both_errors(&self) -> bool {
        self.both(b'-')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table must let nothing through but what it says: here both answer something else.
    #[test]
    fn a_reply_of_another_kind_is_never_allowed() {
        let frame = |text: &[u8]| Frame::read(text).expect("a reply").expect("a whole one").0;
        let replies = [
            frame(b"+OK\r\n"),
            frame(b":1\r\n"),
            frame(b"$1\r\nx\r\n"),
            frame(b"*0\r\n"),
            frame(b"-ERR planted\r\n"),
        ];
        for template in super::super::vocabulary::templates() {
            let words: Vec<Vec<u8>> = template.split(' ').map(|word| word.as_bytes().to_vec()).collect();
            for theirs in &replies {
                for ours in replies.iter().filter(|ours| ours.kind != theirs.kind) {
                    let case = Case { words: &words, theirs, ours };
                    let allowed = find(&case).map(|at| DIFFERENCES[at].about);
                    let makes_a_key = words[0] == b"RPUSH" && theirs.kind == b':' && ours.kind == b'$';
                    assert!(
                        allowed.is_none() || makes_a_key,
                        "{template}: {theirs} and {ours} by {allowed:?}"
                    );
                }
            }
        }
    }
}
