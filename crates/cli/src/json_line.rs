//! Lines of JSON whose fields keep their order, with bytes that may be anything.

use std::fmt::Display;

use stanchion_server::offline::{EventView, Field};

/// An object under construction, on one line.
#[derive(Debug)]
pub(crate) struct JsonLine {
    text: String,
}

impl JsonLine {
    /// An object of this type.
    pub(crate) fn of_type(name: &str) -> JsonLine {
        JsonLine { text: "{".to_owned() }.text("type", name)
    }

    /// An object whose first field comes next.
    pub(crate) fn new() -> JsonLine {
        JsonLine { text: "{".to_owned() }
    }

    /// Something that is JSON as it is displayed: a number, `true`, or another object.
    pub(crate) fn raw(mut self, name: &str, value: impl Display) -> JsonLine {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        self.text.push_str(&format!("{}:{value}", string(name)));
        self
    }

    pub(crate) fn text(self, name: &str, value: &str) -> JsonLine {
        self.raw(name, string(value))
    }

    /// Bytes as they are if they are UTF-8, else in base64 under another name.
    pub(crate) fn bytes(self, name: &str, bytes: &[u8]) -> JsonLine {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.text(name, text),
            Err(_) => self.text(&format!("{name}_base64"), &base64(bytes)),
        }
    }

    pub(crate) fn list(self, name: &str, items: impl Iterator<Item = String>) -> JsonLine {
        self.raw(name, format_args!("[{}]", items.collect::<Vec<_>>().join(",")))
    }

    pub(crate) fn fields(self, event: &EventView<'_>) -> JsonLine {
        event.fields.iter().fold(self, |line, &(name, field)| match field {
            Field::Job(id) => line.text(name, &id.to_string()),
            Field::Number(number) | Field::Time(number) => line.raw(name, number),
            Field::Flag(flag) => line.raw(name, flag),
            Field::Word(word) => line.text(name, word),
            Field::Bytes(bytes) => line.bytes(name, bytes),
        })
    }

    /// The object.
    pub(crate) fn end(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// As in RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for index in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * index) & 63) as usize];
            text.push(if index <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let table = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("\u{ff}", "w78="),
        ];
        for (bytes, text) in table {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn bytes_that_are_no_text_have_another_name() {
        let line = JsonLine::of_type("job").bytes("payload", b"a\"b\n\x00").bytes("key", b"\xff\x00");
        assert_eq!(
            line.raw("n", 1).list("l", ["{}".to_owned()].into_iter()).end(),
            r#"{"type":"job","payload":"a\"b\n\u0000","key_base64":"/wA=","n":1,"l":[{}]}"#
        );
        assert_eq!(JsonLine::new().raw("a", true).end(), r#"{"a":true}"#);
    }
}
