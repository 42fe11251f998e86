//! Whether two replies to one command say the same.

use super::differences::{self, Case};
use super::frame::Frame;

/// What a connection's replies are compared with besides themselves: the commands that wait for EXEC.
#[derive(Default)]
pub(super) struct Reader {
    queued: Vec<Vec<Vec<u8>>>,
}

impl Reader {
    /// Compares the two replies to a command; the error says what differs.
    ///
    /// `used` counts how often each difference of the table was there.
    pub(super) fn compare(
        &mut self,
        words: &[Vec<u8>],
        theirs: &Frame,
        ours: &Frame,
        used: &mut [u64],
    ) -> Result<(), String> {
        let result = self.judge(words, theirs, ours, used);
        if theirs.kind == b'+' && theirs.line == b"QUEUED" {
            self.queued.push(words.to_vec());
        } else if is(words, "EXEC") || theirs.line == b"OK" && (is(words, "MULTI") || is(words, "DISCARD")) {
            self.queued.clear();
        }
        result
    }

    fn judge(&self, words: &[Vec<u8>], theirs: &Frame, ours: &Frame, used: &mut [u64]) -> Result<(), String> {
        if theirs == ours {
            return Ok(());
        }
        let same_shape = (theirs.kind, &theirs.line) == (ours.kind, &ours.line);
        if is(words, "EXEC")
            && theirs.kind == b'*'
            && same_shape
            && theirs.elements.len() == self.queued.len()
        {
            let elements = self.queued.iter().zip(theirs.elements.iter().zip(&ours.elements));
            for (words, (theirs, ours)) in elements {
                // What was queued is not EXEC, so this ends here.
                self.judge(words, theirs, ours, used)?;
            }
            return Ok(());
        }
        match differences::find(&Case { words, theirs, ours }) {
            Some(at) => {
                used[at] += 1;
                Ok(())
            }
            None => Err(format!(
                "to {}\n    redis     {theirs}\n    stanchion {ours}",
                words.iter().map(|word| word.escape_ascii().to_string()).collect::<Vec<_>>().join(" ")
            )),
        }
    }
}

fn is(words: &[Vec<u8>], name: &str) -> bool {
    words.first().is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
}
