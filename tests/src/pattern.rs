//! What a script expects of a reply.
//!
//! | written | matches |
//! |---|---|
//! | `*` | anything |
//! | `12`, `-1` | that integer |
//! | `10..20` | an integer from 10 to 20 |
//! | `hello`, `"a b\r\n"` | that bulk string |
//! | `` `*text*` `` | any string that the glob matches |
//! | `+OK` | that simple string |
//! | `-ERR syntax error*` | an error that the glob matches; takes the rest of the line, unless quoted |
//! | `nil`, `nil-array` | `$-1` or `_`; `*-1` |
//! | `$name` | on first use any string or integer, which the name stands for from then on |
//! | `[a, b]`, `[a, ...]` | an array with these elements; and perhaps more |
//! | `>[a, b]` | a push of RESP3 with these elements |
//! | `(a, b)` | an array with these elements in any order |
//! | `{k: a}`, `{k: a, ...}` | a map with these fields in any order, or the same as a flat array; and perhaps more |

use std::collections::HashMap;

use crate::Value;

/// Names that stand for what a `$name` matched first.
pub(crate) type Captures = HashMap<String, Vec<u8>>;

/// One expectation.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Pattern {
    Any,
    Integer(i64),
    Range(i64, i64),
    Bulk(Vec<u8>),
    Glob(Vec<u8>),
    Simple(Vec<u8>),
    Error(Vec<u8>),
    Nil,
    NilArray,
    Capture(String),
    Array { elements: Vec<Pattern>, more: bool },
    Push(Vec<Pattern>),
    Unordered(Vec<Pattern>),
    Map { fields: Vec<(Vec<u8>, Pattern)>, more: bool },
}

impl Pattern {
    /// Reads a whole expectation.
    pub(crate) fn parse(text: &str) -> Result<Pattern, String> {
        let text = text.trim();
        if let Some(error) =
            text.strip_prefix('-').filter(|rest| rest.starts_with(|c: char| c.is_alphabetic()))
        {
            return Ok(Pattern::Error(error.as_bytes().to_vec()));
        }
        let mut parser = Parser { bytes: text.as_bytes(), at: 0 };
        let pattern = parser.pattern()?;
        parser.skip_space();
        if parser.at < text.len() {
            return Err(format!("`{}` is left over in the expectation `{text}`", &text[parser.at..]));
        }
        Ok(pattern)
    }

    /// Whether a reply is as expected; new names are added to `captures` as they match.
    pub(crate) fn matches(&self, value: &Value, captures: &mut Captures) -> bool {
        match (self, value) {
            (Pattern::Any, _) | (Pattern::Nil, Value::Nil) | (Pattern::NilArray, Value::NilArray) => true,
            (Pattern::Integer(wanted), Value::Integer(got)) => wanted == got,
            (Pattern::Range(low, high), Value::Integer(got)) => (low..=high).contains(&got),
            (Pattern::Bulk(wanted), Value::Bulk(got)) | (Pattern::Simple(wanted), Value::Simple(got)) => {
                wanted == got
            }
            (Pattern::Error(wanted), Value::Error(got)) => glob(wanted, got),
            (Pattern::Glob(wanted), got) => got.bytes().is_some_and(|got| glob(wanted, got)),
            (Pattern::Capture(name), got) => capture(name, got, captures),
            (Pattern::Push(elements), Value::Push(got)) => {
                got.len() == elements.len()
                    && elements.iter().zip(got).all(|(wanted, got)| wanted.matches(got, captures))
            }
            (Pattern::Array { elements, more }, Value::Array(got) | Value::Set(got)) => {
                let length_fits =
                    if *more { got.len() >= elements.len() } else { got.len() == elements.len() };
                length_fits && elements.iter().zip(got).all(|(wanted, got)| wanted.matches(got, captures))
            }
            (Pattern::Unordered(elements), Value::Array(got) | Value::Set(got)) => {
                let mut left: Vec<&Value> = got.iter().collect();
                let found = elements.iter().all(|wanted| {
                    let at = left.iter().position(|got| {
                        // A match that fails half way leaves no names behind.
                        let mut tried = captures.clone();
                        let matched = wanted.matches(got, &mut tried);
                        if matched {
                            *captures = tried;
                        }
                        matched
                    });
                    at.map(|at| left.swap_remove(at)).is_some()
                });
                found && left.is_empty()
            }
            (Pattern::Map { fields, more }, Value::Map(_) | Value::Array(_)) => {
                let length = match value {
                    Value::Map(pairs) => pairs.len(),
                    Value::Array(flat) if flat.len() % 2 == 0 => flat.len() / 2,
                    _ => return false,
                };
                let field = |name: &[u8]| std::str::from_utf8(name).ok().and_then(|name| value.field(name));
                (*more || length == fields.len())
                    && fields
                        .iter()
                        .all(|(name, wanted)| field(name).is_some_and(|got| wanted.matches(got, captures)))
            }
            _ => false,
        }
    }
}

fn capture(name: &str, value: &Value, captures: &mut Captures) -> bool {
    let got = match value {
        Value::Integer(number) => number.to_string().into_bytes(),
        Value::Bulk(bytes) | Value::Simple(bytes) => bytes.clone(),
        _ => return false,
    };
    match captures.get(name) {
        Some(known) => *known == got,
        None => {
            captures.insert(name.to_owned(), got);
            true
        }
    }
}

/// `*` is any run of bytes; nothing else is special.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let mut parts = pattern.split(|&byte| byte == b'*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let parts: Vec<&[u8]> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = find(rest, part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() { Some(0) } else { text.windows(part.len()).position(|window| window == part) }
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn pattern(&mut self) -> Result<Pattern, String> {
        self.skip_space();
        match self.peek() {
            None => Err("the expectation ends too early".into()),
            Some(b'[') => {
                let (elements, more) = self.list(b']')?;
                Ok(Pattern::Array { elements, more })
            }
            Some(b'>') if self.bytes.get(self.at + 1) == Some(&b'[') => {
                self.at += 1;
                Ok(Pattern::Push(self.list(b']')?.0))
            }
            Some(b'(') => Ok(Pattern::Unordered(self.list(b')')?.0)),
            Some(b'{') => self.map(),
            Some(b'"') => Ok(Pattern::Bulk(self.quoted(b'"')?)),
            Some(b'`') => Ok(Pattern::Glob(self.quoted(b'`')?)),
            Some(b'-') if self.bytes.get(self.at + 1) == Some(&b'"') => {
                self.at += 1;
                Ok(Pattern::Error(self.quoted(b'"')?))
            }
            Some(_) => Ok(word(&self.bare()?)),
        }
    }

    fn list(&mut self, close: u8) -> Result<(Vec<Pattern>, bool), String> {
        self.at += 1;
        let mut elements = Vec::new();
        loop {
            self.skip_space();
            if self.take(close) {
                return Ok((elements, false));
            }
            if self.bytes[self.at..].starts_with(b"...") {
                self.at += 3;
                self.skip_space();
                return if self.take(close) { Ok((elements, true)) } else { Err("`...` stands last".into()) };
            }
            elements.push(self.pattern()?);
            self.comma(close)?;
        }
    }

    fn map(&mut self) -> Result<Pattern, String> {
        self.at += 1;
        let mut fields = Vec::new();
        loop {
            self.skip_space();
            if self.take(b'}') {
                return Ok(Pattern::Map { fields, more: false });
            }
            if self.bytes[self.at..].starts_with(b"...") {
                self.at += 3;
                self.skip_space();
                return if self.take(b'}') {
                    Ok(Pattern::Map { fields, more: true })
                } else {
                    Err("`...` stands last".into())
                };
            }
            let name = if self.peek() == Some(b'"') { self.quoted(b'"')? } else { self.bare()?.into_bytes() };
            self.skip_space();
            if !self.take(b':') {
                return Err(format!("the field `{}` has no colon", name.escape_ascii()));
            }
            fields.push((name, self.pattern()?));
            self.comma(b'}')?;
        }
    }

    fn comma(&mut self, close: u8) -> Result<(), String> {
        self.skip_space();
        if self.take(b',') || self.peek() == Some(close) {
            return Ok(());
        }
        Err(format!("`{}` is neither a comma nor an end", self.bytes[self.at..].escape_ascii()))
    }

    fn bare(&mut self) -> Result<String, String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| b" \t\n,:[](){}\"`".contains(byte)).unwrap_or(rest.len());
        if length == 0 {
            return Err(format!("`{}` is no expectation", rest.escape_ascii()));
        }
        self.at += length;
        Ok(String::from_utf8_lossy(&rest[..length]).into_owned())
    }

    fn quoted(&mut self, quote: u8) -> Result<Vec<u8>, String> {
        let (bytes, length) = unquote(&self.bytes[self.at..], quote)?;
        self.at += length;
        Ok(bytes)
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }
}

/// Reads a quoted string with the escapes of redis-cli; also says how much of `text` it was.
pub(crate) fn unquote(text: &[u8], quote: u8) -> Result<(Vec<u8>, usize), String> {
    let mut bytes = Vec::new();
    let mut at = 1;
    while let Some(&byte) = text.get(at) {
        at += 1;
        if byte == quote {
            return Ok((bytes, at));
        }
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let escaped = text.get(at).copied().ok_or("a backslash ends the text")?;
        at += 1;
        bytes.push(match escaped {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'0' => 0,
            b'x' => {
                let digits = text.get(at..at + 2).and_then(|digits| std::str::from_utf8(digits).ok());
                at += 2;
                digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).ok_or("\\x needs two digits")?
            }
            other => other,
        });
    }
    Err(format!("the text has no closing quote: {}", text.escape_ascii()))
}

fn word(word: &str) -> Pattern {
    if let Some(name) = word.strip_prefix('$') {
        return Pattern::Capture(name.to_owned());
    }
    if let Some(text) = word.strip_prefix('+') {
        return Pattern::Simple(text.as_bytes().to_vec());
    }
    if let Ok(number) = word.parse() {
        return Pattern::Integer(number);
    }
    if let Some((low, high)) = word.split_once("..")
        && let (Ok(low), Ok(high)) = (low.parse(), high.parse())
    {
        return Pattern::Range(low, high);
    }
    match word {
        "*" => Pattern::Any,
        "nil" => Pattern::Nil,
        "nil-array" => Pattern::NilArray,
        _ => Pattern::Bulk(word.as_bytes().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::Bulk(text.into())
    }

    #[test]
    fn patterns_match_what_they_say_and_nothing_else() {
        let job = Value::Array(vec![bulk("q"), bulk("r-1"), bulk("a b"), Value::Integer(1)]);
        let map = Value::Array(vec![bulk("ready"), Value::Integer(3), bulk("paused"), bulk("no")]);
        let table: [(&str, &Value, bool); 16] = [
            ("*", &job, true),
            ("[q, $r, \"a b\", 1]", &job, true),
            ("[q, r-1, \"a b\", 2]", &job, false),
            ("[q, r-1, ...]", &job, true),
            ("[q, r-1]", &job, false),
            ("(1, q, `r*`, *)", &job, true),
            ("(q, r-1, 1)", &job, false),
            ("{ready: 3, paused: no}", &map, true),
            ("{paused: no, ...}", &map, true),
            ("{paused: no}", &map, false),
            ("{ready: 1..3, ...}", &map, true),
            ("{ready: 4..9, ...}", &map, false),
            ("3", &bulk("3"), false),
            ("\"3\"", &bulk("3"), true),
            ("nil", &Value::NilArray, false),
            ("-ERR a*b", &Value::Error(b"ERR a or b".to_vec()), true),
        ];
        for (text, value, expected) in table {
            let pattern = Pattern::parse(text).expect(text);
            assert_eq!(pattern.matches(value, &mut Captures::new()), expected, "{text} against {value}");
        }
    }

    #[test]
    fn a_name_stands_for_what_it_matched_first() {
        let mut captures = Captures::new();
        let pattern = Pattern::parse("[$a, $a]").expect("a pattern");
        assert!(pattern.matches(&Value::Array(vec![bulk("x"), bulk("x")]), &mut captures));
        assert!(!pattern.matches(&Value::Array(vec![bulk("y"), bulk("y")]), &mut captures));
    }

    #[test]
    fn broken_patterns_are_refused() {
        for text in ["", "[a", "{a 1}", "a b", "[..., a]", "\"open", "{a: 1"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }
}
