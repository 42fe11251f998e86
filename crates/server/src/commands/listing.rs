//! A reply of many lines, which is gathered and written in pages.
//!
//! How many lines there are stands before the first, so all are gathered before any is written. In one piece, those of ten
//! thousand queues would be moved each time that their buffer grows, copied behind the other replies, and written, and
//! each of that takes longer than a step should.

use std::collections::VecDeque;
use std::sync::Arc;

use stanchion_protocol::{Proto, Reply, glob};

use crate::acl::User;
use crate::limits::LIST_PAGE_BYTES;
use crate::outbox::Outbox;
use crate::session::Session;

/// Whose lines somebody wants, and may read.
pub(super) struct Wanted {
    pattern: Option<Box<[u8]>>,
    /// The user, if there are queues that it must not see.
    reader: Option<Arc<User>>,
}

impl Wanted {
    /// Queues of this pattern, as far as the connection may read them.
    pub(super) fn new(session: &Session, pattern: Option<&[u8]>) -> Wanted {
        Wanted { pattern: pattern.map(Into::into), reader: session.access.limited_reader() }
    }

    /// Whether a queue is one of them.
    pub(super) fn has(&self, queue: &[u8]) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| glob::matches(pattern, queue))
            && self.reader.as_ref().is_none_or(|user| user.may_read(queue))
    }
}

/// The lines of a reply.
#[derive(Default)]
pub(super) struct Listing {
    lines: usize,
    pages: VecDeque<Vec<u8>>,
    /// Their number is written.
    is_begun: bool,
}

impl Listing {
    /// One line more.
    pub(super) fn add(&mut self, proto: Proto, write: impl FnOnce(&mut Reply<'_>)) {
        self.lines += 1;
        if self.pages.back().is_none_or(|page| page.len() >= LIST_PAGE_BYTES) {
            self.pages.push_back(Vec::new());
        }
        let page = self.pages.back_mut().expect("there is a page");
        write(&mut Reply::new(page, proto));
    }

    /// All lines are there: writes the next page; true when that was the last.
    pub(super) fn write(&mut self, outbox: &mut Outbox, proto: Proto) -> bool {
        let mut reply = outbox.reply(proto);
        if !self.is_begun {
            self.is_begun = true;
            reply.array(self.lines);
        }
        if let Some(page) = self.pages.pop_front() {
            reply.raw(&page);
        }
        self.pages.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(lines: usize) -> (Vec<usize>, String) {
        let (mut listing, mut outbox) = (Listing::default(), Outbox::default());
        for line in 0..lines {
            listing.add(Proto::Resp2, |reply| reply.bulk(format!("{line:01000}").as_bytes()));
        }
        let (mut pages, mut text) = (Vec::new(), Vec::new());
        loop {
            let is_last = listing.write(&mut outbox, Proto::Resp2);
            let page = outbox.ready(0).to_vec();
            outbox.wrote(page.len());
            pages.push(page.len());
            text.extend(page);
            if is_last {
                return (pages, String::from_utf8(text).unwrap());
            }
        }
    }

    #[test]
    fn a_long_reply_comes_in_pages() {
        let (pages, text) = written(200);
        let lines: String = (0..200).map(|line| format!("$1000\r\n{line:01000}\r\n")).collect();
        assert_eq!(text, format!("*200\r\n{lines}"));
        assert!(pages.len() > 4 && pages.iter().all(|bytes| *bytes < LIST_PAGE_BYTES + 2_000), "{pages:?}");
    }

    #[test]
    fn a_short_one_is_one_page() {
        assert_eq!(written(0), (vec![4], "*0\r\n".to_owned()));
        assert_eq!(written(3).0.len(), 1);
    }
}
