//! Requests and replies as bytes, in RESP2.

use std::fmt;

/// A reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Reply {
    Simple(Vec<u8>),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Nil,
    Array(Vec<Reply>),
}

impl Reply {
    /// The text of a string of any kind.
    pub(crate) fn text(&self) -> Result<String, String> {
        match self {
            Reply::Simple(bytes) | Reply::Bulk(bytes) => Ok(String::from_utf8_lossy(bytes).into_owned()),
            other => Err(format!("{other} is no text")),
        }
    }

    /// The number of an integer.
    pub(crate) fn integer(&self) -> Result<i64, String> {
        match self {
            Reply::Integer(number) => Ok(*number),
            other => Err(format!("{other} is no number")),
        }
    }

    /// The elements of an array.
    pub(crate) fn array(&self) -> Result<&[Reply], String> {
        match self {
            Reply::Array(elements) => Ok(elements),
            other => Err(format!("{other} is no array")),
        }
    }

    /// A field of a map, which in RESP2 is a flat array.
    pub(crate) fn field(&self, name: &str) -> Option<&Reply> {
        let Reply::Array(flat) = self else { return None };
        let is_name = |reply: &Reply| matches!(reply, Reply::Bulk(text) if text == name.as_bytes());
        flat.chunks_exact(2).find(|pair| is_name(&pair[0])).map(|pair| &pair[1])
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Simple(text) => write!(f, "+{}", text.escape_ascii()),
            Reply::Error(text) => write!(f, "-{text}"),
            Reply::Integer(number) => write!(f, ":{number}"),
            Reply::Bulk(text) => match text.get(..SHOWN_BYTES) {
                Some(start) => write!(f, "{}...({})", start.escape_ascii(), text.len()),
                None => write!(f, "{}", text.escape_ascii()),
            },
            Reply::Nil => f.write_str("nil"),
            Reply::Array(elements) => {
                f.write_str("[")?;
                for (index, element) in elements.iter().enumerate() {
                    let blank = if index == 0 { "" } else { " " };
                    write!(f, "{blank}{element}")?;
                }
                f.write_str("]")
            }
        }
    }
}

/// Of longer words only the beginning is shown.
pub(crate) const SHOWN_BYTES: usize = 40;

/// Appends a request.
pub(crate) fn encode(words: &[Vec<u8>], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// The first reply, with its length; `None` when it is not complete.
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<(Reply, usize)>, String> {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    let (kind, line) = (bytes[0], &bytes[1..end]);
    let text = || String::from_utf8_lossy(line).into_owned();
    let number = || text().parse::<i64>().map_err(|_| format!("{} is no reply", bytes.escape_ascii()));
    let rest = end + 2;
    Ok(match kind {
        b'+' => Some((Reply::Simple(line.to_vec()), rest)),
        b'-' => Some((Reply::Error(text()), rest)),
        b':' => Some((Reply::Integer(number()?), rest)),
        b'$' if line == b"-1" => Some((Reply::Nil, rest)),
        b'$' => {
            let until = rest + usize::try_from(number()?).map_err(|error| error.to_string())?;
            bytes.get(..until + 2).map(|all| (Reply::Bulk(all[rest..until].to_vec()), until + 2))
        }
        b'*' => {
            let (mut elements, mut at) = (Vec::new(), rest);
            for _ in 0..number()? {
                let Some((element, length)) = decode(&bytes[at..])? else { return Ok(None) };
                elements.push(element);
                at += length;
            }
            Some((Reply::Array(elements), at))
        }
        _ => return Err(format!("{} is no reply", bytes.escape_ascii())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read_whole_or_not_at_all() {
        let bytes = b"*3\r\n:7\r\n$2\r\nab\r\n*1\r\n$-1\r\n+OK\r\n-ERR no\r\n";
        let whole = bytes.len() - b"+OK\r\n-ERR no\r\n".len();
        for cut in 0..whole {
            assert_eq!(decode(&bytes[..cut]).unwrap(), None, "{cut}");
        }
        let (reply, length) = decode(bytes).unwrap().unwrap();
        assert_eq!((reply.to_string().as_str(), length), ("[:7 ab [nil]]", whole));
        let (reply, length) = decode(&bytes[whole..]).unwrap().unwrap();
        assert_eq!((reply, length), (Reply::Simple(b"OK".to_vec()), 5));
        assert!(decode(b"?\r\n").is_err());
    }
}
