//! The words of one command as places in a buffer, so that a command costs no allocation.
//!
//! A decoded command borrows the connection's read buffer; one queued by MULTI owns a copy of its words. Both
//! are read through [`Args`], so nothing behind it knows the difference.

/// Where a word stands in its buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// How many bytes.
    pub len: u32,
}

/// The words of a command, its name first.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    /// The words that `spans` mark in `bytes`; a span outside of `bytes` panics when its word is read.
    pub fn new(bytes: &'a [u8], spans: &'a [Span]) -> Args<'a> {
        Args { bytes, spans }
    }

    /// How many words there are, the name included.
    #[inline]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no word at all.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The word at `index`, if there is one.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.spans.get(index).map(|span| self.word(*span))
    }

    /// The word at `index`, which the command's arity promises; panics when there is none.
    #[inline]
    pub fn at(&self, index: usize) -> &'a [u8] {
        self.word(self.spans[index])
    }

    /// The words in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let bytes = self.bytes;
        self.spans.iter().map(move |span| &bytes[span.start as usize..][..span.len as usize])
    }

    /// The words from `index` on; none when there are fewer.
    pub fn skip(&self, index: usize) -> Args<'a> {
        Args { bytes: self.bytes, spans: self.spans.get(index..).unwrap_or_default() }
    }

    /// The first `count` words; `None` when there are fewer.
    pub fn first(&self, count: usize) -> Option<Args<'a>> {
        self.spans.get(..count).map(|spans| Args { bytes: self.bytes, spans })
    }

    /// Bytes of all words together, which is what the limit on a command or an EXEC counts.
    pub fn bytes_len(&self) -> usize {
        self.spans.iter().map(|span| span.len as usize).sum()
    }

    /// A copy that outlives the read buffer, for MULTI.
    pub fn to_owned(&self) -> OwnedArgs {
        let mut owned = OwnedArgs {
            bytes: Vec::with_capacity(self.bytes_len()),
            spans: Vec::with_capacity(self.spans.len()),
        };
        for word in self.iter() {
            owned.push(word);
        }
        owned
    }

    #[inline]
    fn word(&self, span: Span) -> &'a [u8] {
        &self.bytes[span.start as usize..][..span.len as usize]
    }
}

impl std::fmt::Debug for Args<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(|word| word.escape_ascii().to_string())).finish()
    }
}

/// The words of a command that waits for EXEC.
#[derive(Clone, Default)]
pub struct OwnedArgs {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl OwnedArgs {
    /// Adds a word; panics when the command would exceed 4 GiB, which the decoder's limits rule out.
    pub fn push(&mut self, word: &[u8]) {
        let start = u32::try_from(self.bytes.len()).expect("a command is smaller than 4 GiB");
        let len = u32::try_from(word.len()).expect("a word is smaller than 4 GiB");
        self.bytes.extend_from_slice(word);
        self.spans.push(Span { start, len });
    }

    /// The words, to be read like those of a decoded command.
    pub fn as_args(&self) -> Args<'_> {
        Args { bytes: &self.bytes, spans: &self.spans }
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for OwnedArgs {
    fn from_iter<I: IntoIterator<Item = T>>(words: I) -> OwnedArgs {
        let mut owned = OwnedArgs::default();
        for word in words {
            owned.push(word.as_ref());
        }
        owned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_from_any_buffer() {
        let spans = [Span { start: 1, len: 2 }, Span { start: 5, len: 0 }, Span { start: 0, len: 1 }];
        let args = Args::new(b"abcde", &spans);
        assert_eq!(args.iter().collect::<Vec<_>>(), [&b"bc"[..], b"", b"a"]);
        assert_eq!((args.len(), args.bytes_len()), (3, 3));
        assert_eq!((args.get(0), args.get(3)), (Some(&b"bc"[..]), None));
        assert_eq!(args.skip(2).iter().collect::<Vec<_>>(), [b"a"]);
        assert!(args.skip(4).is_empty());
        assert_eq!(args.skip(1).first(1).map(|args| args.len()), Some(1));
        assert!(args.skip(1).first(3).is_none());
    }

    #[test]
    fn a_copy_holds_the_words_only() {
        let mut buffer = b"xxQPUSHxxqxx".to_vec();
        let spans = [Span { start: 2, len: 5 }, Span { start: 9, len: 1 }];
        let owned = Args::new(&buffer, &spans).to_owned();
        buffer.fill(b'y');
        assert_eq!(owned.as_args().iter().collect::<Vec<_>>(), [&b"QPUSH"[..], b"q"]);
        assert_eq!(owned.bytes.len(), 6);
    }
}
