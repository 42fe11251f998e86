//! A reply as it came over the wire, told apart by its RESP type, in the notation of the scripts.

use std::fmt;

/// One RESP2 or RESP3 reply.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// `+text`
    Simple(Vec<u8>),
    /// `-text`
    Error(Vec<u8>),
    /// `:n`
    Integer(i64),
    /// `$n`
    Bulk(Vec<u8>),
    /// `=n`, without its three letters and colon
    Verbatim(Vec<u8>),
    /// `$-1` or `_`
    Nil,
    /// `*-1`
    NilArray,
    /// `*n`
    Array(Vec<Value>),
    /// `%n`
    Map(Vec<(Value, Value)>),
    /// `~n`
    Set(Vec<Value>),
    /// `>n`
    Push(Vec<Value>),
    /// `,text`
    Double(String),
    /// `#t` or `#f`
    Boolean(bool),
}

impl Value {
    /// The bytes of a string of any kind.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Simple(bytes) | Value::Bulk(bytes) | Value::Verbatim(bytes) | Value::Error(bytes) => {
                Some(bytes)
            }
            _ => None,
        }
    }

    /// The text of a string; panics when it is none, naming what it is.
    #[track_caller]
    pub fn text(&self) -> String {
        match self.bytes() {
            Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            None => panic!("{self} is no string"),
        }
    }

    /// The number of an integer reply; panics when it is none.
    #[track_caller]
    pub fn integer(&self) -> i64 {
        match self {
            Value::Integer(number) => *number,
            other => panic!("{other} is no integer"),
        }
    }

    /// The elements of an array; panics when it is none.
    #[track_caller]
    pub fn array(&self) -> &[Value] {
        match self {
            Value::Array(elements) => elements,
            other => panic!("{other} is no array"),
        }
    }

    /// A field of a map, whether it came as one or as a flat array.
    pub fn field(&self, name: &str) -> Option<&Value> {
        let is_name = |key: &Value| key.bytes() == Some(name.as_bytes());
        match self {
            Value::Map(pairs) => pairs.iter().find(|(key, _)| is_name(key)).map(|(_, value)| value),
            Value::Array(flat) => flat.chunks_exact(2).find(|pair| is_name(&pair[0])).map(|pair| &pair[1]),
            _ => None,
        }
    }

    /// Whether this is an error whose text begins so.
    pub fn is_error(&self, start: &str) -> bool {
        matches!(self, Value::Error(text) if text.starts_with(start.as_bytes()))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Simple(text) => write!(f, "+{}", text.escape_ascii()),
            Value::Error(text) => write!(f, "-{}", text.escape_ascii()),
            Value::Integer(number) => write!(f, "{number}"),
            Value::Bulk(bytes) if is_word(bytes) => write!(f, "{}", bytes.escape_ascii()),
            Value::Bulk(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            Value::Verbatim(bytes) => write!(f, "=\"{}\"", bytes.escape_ascii()),
            Value::Nil => f.write_str("nil"),
            Value::NilArray => f.write_str("nil-array"),
            Value::Array(elements) => list(f, "[", elements, "]"),
            Value::Set(elements) => list(f, "~[", elements, "]"),
            Value::Push(elements) => list(f, ">[", elements, "]"),
            Value::Map(pairs) => {
                f.write_str("{")?;
                for (i, (key, value)) in pairs.iter().enumerate() {
                    let comma = if i > 0 { ", " } else { "" };
                    write!(f, "{comma}{key}: {value}")?;
                }
                f.write_str("}")
            }
            Value::Double(text) => write!(f, ",{text}"),
            Value::Boolean(truth) => write!(f, "#{truth}"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, open: &str, elements: &[Value], close: &str) -> fmt::Result {
    f.write_str(open)?;
    for (i, element) in elements.iter().enumerate() {
        let comma = if i > 0 { ", " } else { "" };
        write!(f, "{comma}{element}")?;
    }
    f.write_str(close)
}

/// Whether bytes can stand without quotes and still read as a string.
fn is_word(bytes: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./@".contains(byte);
    !bytes.is_empty()
        && bytes.iter().all(plain)
        && bytes.iter().any(u8::is_ascii_alphabetic)
        && bytes[0] != b'-'
}
