//! Numbers and words as the log's events write and read them: little-endian, words with their length before
//! them. Reading trusts no length: what is not there is damage, not a panic.

use crate::heap::Moment;
use crate::{Damaged, Totals};

pub(crate) fn flag(bit: u8, set: bool) -> u8 {
    if set { bit } else { 0 }
}

pub(crate) fn put_head(log: &mut Vec<u8>, kind: u8, word: u64) {
    let mut head = [kind; 9];
    head[1..].copy_from_slice(&word.to_le_bytes());
    log.extend_from_slice(&head);
}

pub(crate) fn put_through(log: &mut Vec<u8>, kind: u8, (at, id): Moment) {
    put_head(log, kind, at);
    put_u64(log, id);
}

pub(crate) fn put_u32(log: &mut Vec<u8>, value: u32) {
    log.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_u64(log: &mut Vec<u8>, value: u64) {
    log.extend_from_slice(&value.to_le_bytes());
}

/// At most 255 bytes: a name, a key or a signature.
pub(crate) fn put_short(log: &mut Vec<u8>, bytes: &[u8]) {
    log.push(u8::try_from(bytes.len()).expect("names, keys and signatures are at most 255 bytes"));
    log.extend_from_slice(bytes);
}

pub(crate) fn put_long(log: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(log, u32::try_from(bytes.len()).expect("a payload is far below 4 GiB"));
    log.extend_from_slice(bytes);
}

pub(crate) fn put_optional(log: &mut Vec<u8>, bytes: Option<&[u8]>) {
    log.push(u8::from(bytes.is_some()));
    if let Some(bytes) = bytes {
        put_long(log, bytes);
    }
}

pub(crate) fn put_totals(log: &mut Vec<u8>, totals: &Totals) {
    let t = totals;
    let words = [
        t.pushed,
        t.duplicates,
        t.replaced,
        t.superseded,
        t.expired,
        t.claims,
        t.acked,
        t.nacked,
        t.released,
        t.lapsed,
        t.died,
        t.stale_acks,
    ];
    words.into_iter().for_each(|total| put_u64(log, total));
}

pub(crate) struct Reader<'a> {
    pub(crate) bytes: &'a [u8],
}

#[cold]
fn cut_short() -> Damaged {
    Damaged("an event is cut short".to_owned())
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or_else(cut_short)?;
        self.bytes = rest;
        Ok(taken)
    }

    /// A reader of the next `count` bytes. Where the count is a constant, one check of the length is enough for all
    /// numbers in it.
    #[inline]
    pub(crate) fn head(&mut self, count: usize) -> Result<Reader<'a>, Damaged> {
        self.take(count).map(|bytes| Reader { bytes })
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        Ok(self.take(N)?.try_into().expect("a slice of the length that was asked for"))
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, Damaged> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, Damaged> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Result<u64, Damaged> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn moment(&mut self) -> Result<Moment, Damaged> {
        Ok((self.u64()?, self.u64()?))
    }

    #[inline]
    pub(crate) fn short(&mut self) -> Result<&'a [u8], Damaged> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    #[inline]
    pub(crate) fn long(&mut self) -> Result<&'a [u8], Damaged> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    #[inline]
    pub(crate) fn optional(&mut self) -> Result<Option<&'a [u8]>, Damaged> {
        if self.u8()? == 0 { Ok(None) } else { self.long().map(Some) }
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Damaged> {
        std::str::from_utf8(self.short()?).map_err(|_| Damaged("a setting that is not text".to_owned()))
    }

    pub(crate) fn totals(&mut self) -> Result<Totals, Damaged> {
        Ok(Totals {
            pushed: self.u64()?,
            duplicates: self.u64()?,
            replaced: self.u64()?,
            superseded: self.u64()?,
            expired: self.u64()?,
            claims: self.u64()?,
            acked: self.u64()?,
            nacked: self.u64()?,
            released: self.u64()?,
            lapsed: self.u64()?,
            died: self.u64()?,
            stale_acks: self.u64()?,
        })
    }
}
