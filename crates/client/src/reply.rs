//! Reading the server's replies: the same types from RESP2's flat arrays and RESP3's maps.

use redis::Value;

use crate::error::{Error, Result};

/// The bytes of a string reply.
pub(crate) fn bytes(command: &'static str, value: Value) -> Result<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) => Ok(text.into_bytes()),
        Value::Okay => Ok(b"OK".to_vec()),
        other => Err(unexpected(command, &other)),
    }
}

/// A string reply as text; ids, receipts and words are ASCII.
pub(crate) fn text(command: &'static str, value: Value) -> Result<String> {
    String::from_utf8(bytes(command, value)?).map_err(|error| Error::Reply {
        command,
        found: format!("bytes that are not text: {:?}", error.as_bytes()),
    })
}

/// A count, a time or an instant.
pub(crate) fn number(command: &'static str, value: &Value) -> Result<u64> {
    match value {
        Value::Int(n) => u64::try_from(*n).map_err(|_| unexpected(command, value)),
        other => Err(unexpected(command, other)),
    }
}

/// The elements of an array reply.
pub(crate) fn array(command: &'static str, value: Value) -> Result<Vec<Value>> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(unexpected(command, &other)),
    }
}

/// The pairs of a map reply; in RESP2 an array of keys and values in turn.
pub(crate) fn map(command: &'static str, value: Value) -> Result<Vec<(String, Value)>> {
    let pairs = match value {
        Value::Map(pairs) => pairs,
        Value::Array(items) if items.len() % 2 == 0 => {
            let mut items = items.into_iter();
            std::iter::from_fn(|| Some((items.next()?, items.next()?))).collect()
        }
        other => return Err(unexpected(command, &other)),
    };
    pairs.into_iter().map(|(key, value)| Ok((text(command, key)?, value))).collect()
}

/// The error for a reply of the wrong shape.
pub(crate) fn unexpected(command: &'static str, value: &Value) -> Error {
    let mut found = format!("{value:?}");
    if let Some((cut, _)) = found.char_indices().nth(200) {
        found.truncate(cut);
        found.push('…');
    }
    Error::Reply { command, found }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn maps_read_the_same_in_both_protocols() {
        let flat = Value::Array(vec![bulk("ready"), Value::Int(3), bulk("dead"), Value::Int(0)]);
        let paired = Value::Map(vec![(bulk("ready"), Value::Int(3)), (bulk("dead"), Value::Int(0))]);
        assert_eq!(map("QSTATS", flat).unwrap(), map("QSTATS", paired).unwrap());
    }

    #[test]
    fn a_wrong_shape_names_the_command_and_what_came() {
        let error = number("QLEN", &bulk("three")).unwrap_err();
        assert!(error.to_string().starts_with("unexpected reply to QLEN: "), "{error}");
        assert!(map("QSTATS", Value::Array(vec![bulk("ready")])).is_err(), "a key without its value");
        assert!(number("QLEN", &Value::Int(-1)).is_err(), "a negative count");
    }

    #[test]
    fn a_long_reply_is_cut_in_the_message() {
        let error = number("QLEN", &Value::BulkString(vec![7; 100_000])).unwrap_err();
        assert!(error.to_string().len() < 300);
    }
}
