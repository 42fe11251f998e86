//! A map whose number of fields is known only when they are written: fields that don't apply are left out.

use stanchion_engine::Payload;
use stanchion_protocol::{Proto, Reply};

use crate::holes::{Hole, write_payload};

/// The fields of a map.
pub(crate) struct Fields {
    bytes: Vec<u8>,
    holes: Vec<Hole>,
    count: usize,
    proto: Proto,
}

impl Fields {
    /// No field yet.
    pub(crate) fn new(proto: Proto) -> Fields {
        Fields { bytes: Vec::with_capacity(512), holes: Vec::new(), count: 0, proto }
    }

    fn name(&mut self, name: &str) -> Reply<'_> {
        self.count += 1;
        let mut reply = Reply::new(&mut self.bytes, self.proto);
        reply.bulk(name.as_bytes());
        reply
    }

    /// A number.
    pub(crate) fn number(&mut self, name: &str, value: u64) {
        self.name(name).integer(value);
    }

    /// A number that may not apply.
    pub(crate) fn maybe(&mut self, name: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.number(name, value);
        }
    }

    /// Bytes.
    pub(crate) fn text(&mut self, name: &str, value: &[u8]) {
        self.name(name).bulk(value);
    }

    /// A payload.
    pub(crate) fn payload(&mut self, name: &str, queue: &[u8], payload: Payload<'_>) {
        self.count += 1;
        let mut reply = Reply::new(&mut self.bytes, self.proto);
        reply.bulk(name.as_bytes());
        write_payload(queue, payload, &mut reply, &mut self.holes);
    }

    /// Bytes that may not apply.
    pub(crate) fn maybe_text(&mut self, name: &str, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// Writes the map.
    pub(crate) fn write(self, reply: &mut Reply<'_>) {
        debug_assert!(self.holes.is_empty(), "somebody has to fill them");
        reply.map(self.count);
        reply.raw(&self.bytes);
    }

    /// Writes the map, in which there may be holes.
    pub(crate) fn write_with(self, reply: &mut Reply<'_>, holes: &mut Vec<Hole>) {
        reply.map(self.count);
        let before = reply.len() as u64;
        reply.raw(&self.bytes);
        holes.extend(self.holes.into_iter().map(|hole| hole.moved(before)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_apply_is_left_out() {
        for (proto, want) in [
            (Proto::Resp2, "*4\r\n$1\r\na\r\n:1\r\n$1\r\nd\r\n$1\r\nx\r\n"),
            (Proto::Resp3, "%2\r\n$1\r\na\r\n:1\r\n$1\r\nd\r\n$1\r\nx\r\n"),
        ] {
            let mut out = Vec::new();
            let mut fields = Fields::new(proto);
            fields.number("a", 1);
            fields.maybe("b", None);
            fields.maybe_text("c", None);
            fields.text("d", b"x");
            fields.write(&mut Reply::new(&mut out, proto));
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
    }
}
