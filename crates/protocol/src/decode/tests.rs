//! The decoder against Redis's answers, against redis-protocol, and against itself with split input.

use proptest::prelude::*;
use redis_protocol::resp2::decode::decode as oracle_decode;
use redis_protocol::resp2::types::OwnedFrame;

use super::fuzz::decode_in_chunks;
use super::*;
use crate::limits::{ARGUMENTS_MAX, LINE_BYTES_MAX};

/// What a connection yields for these bytes, one line per command or error.
fn decode_all(data: &[u8], authenticated: bool) -> Vec<String> {
    let mut decoder = Decoder::new(&Limits::default(), authenticated);
    let mut found = Vec::new();
    loop {
        match decoder.decode(data) {
            Ok(Decoded::Command) => found.push(format!("{:?}", decoder.args(data))),
            Ok(Decoded::TooLarge(why)) => found.push(why.to_string()),
            Ok(Decoded::Incomplete) => return found,
            Err(broken) => {
                found.push(broken.to_string());
                return found;
            }
        }
    }
}

fn bulk(len: usize) -> Vec<u8> {
    let mut bytes = format!("${len}\r\n").into_bytes();
    bytes.resize(bytes.len() + len, b'x');
    bytes.extend_from_slice(b"\r\n");
    bytes
}

fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Each case was sent to redis-server 7.0.15, with and without a password; this is what it answered. A command is
/// shown as its words, and nothing at all means that Redis waits for more.
#[test]
fn framing_is_answered_as_redis_does() {
    const MULTIBULK: &str = "Protocol error: invalid multibulk length";
    const BULK: &str = "Protocol error: invalid bulk length";
    const QUOTES: &str = "Protocol error: unbalanced quotes in request";
    const PING: &str = r#"["PING"]"#;
    let cases: &[(&[u8], &str)] = &[
        (b"*x\r\n", MULTIBULK),
        (b"*+1\r\n", MULTIBULK),
        (b"*01\r\n", MULTIBULK),
        (b"*-x\r\n", MULTIBULK),
        (b"*1 \r\n", MULTIBULK),
        (b"* 1\r\n", MULTIBULK),
        (b"*\r\n", MULTIBULK),
        (b"*2147483647\r\n", ""),
        (b"*2147483648\r\n", MULTIBULK),
        (b"*99999999999999999999\r\n", MULTIBULK),
        (b"*-9223372036854775808\r\nPING\r\n", PING),
        (b"*-9223372036854775809\r\nPING\r\n", MULTIBULK),
        (b"*0\r\nPING\r\n", PING),
        (b"*-1\r\nPING\r\n", PING),
        (b"*-2\r\n*1\r\n$4\r\nPING\r\n", PING),
        (b"\r\n\r\n\nPING\r\n", PING),
        (b"   \r\nPING\r\n", PING),
        (b"\r\n*1\r\n$4\r\nPING\r\n", PING),
        (b"*1\r\nPING\r\n", "Protocol error: expected '$', got 'P'"),
        (b"*1\r\n*1\r\n", "Protocol error: expected '$', got '*'"),
        (b"*1\r\n:4\r\n", "Protocol error: expected '$', got ':'"),
        (b"*1\r\n\r\n", "Protocol error: expected '$', got ' '"),
        (b"*1\r\nPING", ""),
        (b"*1\r\n$x\r\n", BULK),
        (b"*1\r\n$\r\n", BULK),
        (b"*1\r\n$-1\r\n", BULK),
        (b"*1\r\n$-0\r\n", BULK),
        (b"*1\r\n$+4\r\nPING\r\n", BULK),
        (b"*1\r\n$04\r\nPING\r\n", BULK),
        (b"*1\r\n$536870912\r\n", ""),
        (b"*1\r\n$536870913\r\n", BULK),
        (b"*1\r\n$9223372036854775808\r\n", BULK),
        (b"*1\r\n$0\r\n\r\n", r#"[""]"#),
        // Redis does not look at the bytes where line ends belong.
        (b"*1\r\n$4\r\nPINGxx", PING),
        (b"*1\rx$4\rxPINGxx", PING),
        (b"PING\n", PING),
        (b"PING \"a\r\n", QUOTES),
        (b"PING 'a\r\n", QUOTES),
        (b"PING \"a\"b\r\n", QUOTES),
        (b"PING 'a'b\r\n", QUOTES),
        (b"PING \"a\\\r\n", QUOTES),
        (b"PING foo\"bar\"\r\n", r#"["PING", "foobar"]"#),
        (b"PING \"a\" \r\n", r#"["PING", "a"]"#),
        (b"PING \x0b\x0cabc\x0bd\r\n", r#"["PING", "abc\\x0bd"]"#),
        (b"PING \"\\xZZ\"\r\n", r#"["PING", "xZZ"]"#),
        (b"PING \"a\\x41\\n\\q\"\r\n", r#"["PING", "aA\\nq"]"#),
        (b"PING 'a\\n' \"\"\r\n", r#"["PING", "a\\\\n", ""]"#),
        (b"PING \"\\r\\t\\b\\a\\xfF\"\r\n", r#"["PING", "\\r\\t\\x08\\x07\\xff"]"#),
        (b"'it\\'s'\r\n", r#"["it\\'s"]"#),
    ];
    for (bytes, want) in cases {
        assert_eq!(decode_all(bytes, true).join("\n"), *want, "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_client_that_must_authenticate_has_smaller_limits() {
    const MULTIBULK: &str = "Protocol error: unauthenticated multibulk length";
    const BULK: &str = "Protocol error: unauthenticated bulk length";
    let cases: &[(&[u8], &str)] = &[
        (b"*10\r\n", ""),
        (b"*11\r\n", MULTIBULK),
        (b"*1\r\n$16384\r\n", ""),
        (b"*1\r\n$16385\r\n", BULK),
        (b"*99999999999\r\n", "Protocol error: invalid multibulk length"),
        (b"*1\r\n$536870913\r\n", "Protocol error: invalid bulk length"),
    ];
    for (bytes, want) in cases {
        assert_eq!(decode_all(bytes, false).join("\n"), *want, "{}", bytes.escape_ascii());
        assert!(decode_all(bytes, true).iter().all(|found| !found.contains("unauthenticated")));
    }
}

#[test]
fn lines_have_a_limit() {
    for (head, error) in [
        ("*", "Protocol error: too big mbulk count string"),
        ("*1\r\n$", "Protocol error: too big bulk count string"),
        ("*1\r\nx", "Protocol error: too big bulk count string"),
        ("x", "Protocol error: too big inline request"),
    ] {
        // The limit counts the line only, its first byte included.
        let mut bytes = head.as_bytes().to_vec();
        bytes.resize(bytes.len() + LINE_BYTES_MAX - 1, b'1');
        assert_eq!(decode_all(&bytes, true), [""; 0], "{head}");
        bytes.push(b'1');
        assert_eq!(decode_all(&bytes, true), [error], "{head}");
        // A line end comes too late, however the bytes arrive.
        bytes.extend_from_slice(b"\r\n");
        assert_eq!(decode_all(&bytes, true), [error], "{head}");
    }
}

#[test]
fn nesting_ends_at_the_first_level() {
    let bomb = b"*1\r\n".repeat(1 << 18);
    assert_eq!(decode_all(&bomb, true), ["Protocol error: expected '$', got '*'"]);
}

#[test]
fn a_command_above_a_limit_is_dropped_and_the_next_one_is_not() {
    let limits = Limits { payload_bytes_max: 100, args_bytes_max: 250, ..Limits::default() };
    let cases: &[(&[usize], Option<&str>)] = &[
        (&[100], None),
        (&[101], Some("ERR an argument of 101 bytes is above the limit of 100 (payload-bytes-max)")),
        (&[100, 100, 50], None),
        (&[100, 100, 51], Some("ERR the command of 251 bytes is above the limit of 250 (args-bytes-max)")),
        (
            &[3, 101, 100, 100],
            Some("ERR an argument of 101 bytes is above the limit of 100 (payload-bytes-max)"),
        ),
    ];
    for (lens, refusal) in cases {
        let mut bytes = format!("*{}\r\n", lens.len()).into_bytes();
        lens.iter().for_each(|len| bytes.extend_from_slice(&bulk(*len)));
        bytes.extend_from_slice(&request(&[b"PING"]));
        for chunk_bytes in [bytes.len(), 7, 1] {
            let found = decode_in_chunks(&bytes, chunk_bytes, &limits);
            assert_eq!(found.len(), 2, "{lens:?} in chunks of {chunk_bytes}");
            assert_eq!(found[0].as_ref().err().map(String::as_str), *refusal, "{lens:?}");
            assert_eq!(found[1], Ok(vec![b"PING".to_vec()]));
        }
    }
}

#[test]
fn the_number_of_arguments_has_a_limit() {
    let of = |count: u32| {
        let mut bytes = format!("*{count}\r\n").into_bytes();
        bytes.extend(b"$0\r\n\r\n".repeat(count as usize));
        bytes.extend_from_slice(b"PING\r\n");
        decode_in_chunks(&bytes, bytes.len(), &Limits::default())
    };
    assert!(matches!(&of(ARGUMENTS_MAX)[..], [Ok(words), Ok(_)] if words.len() == ARGUMENTS_MAX as usize));
    let error = "ERR a command of 1048577 arguments is above the limit of 1048576 (arguments-max)";
    assert_eq!(of(ARGUMENTS_MAX + 1), [Err(error.to_owned()), Ok(vec![b"PING".to_vec()])]);
}

#[test]
fn bytes_that_are_dropped_need_no_buffer() {
    let mut decoder = Decoder::new(&Limits { payload_bytes_max: 10, ..Limits::default() }, true);
    let mut buf = b"*2\r\n$4\r\nECHO\r\n$100000\r\n".to_vec();
    assert_eq!(decoder.decode(&buf), Ok(Decoded::Incomplete));
    for _ in 0..100 {
        assert_eq!(decoder.consume(), buf.len());
        buf.clear();
        buf.resize(1_000, b'x');
        assert_eq!(decoder.decode(&buf), Ok(Decoded::Incomplete));
    }
    assert_eq!(decoder.consume(), buf.len());
    assert!(matches!(decoder.decode(b"\r\n"), Ok(Decoded::TooLarge(_))));
}

#[test]
fn an_incomplete_command_stays_in_the_buffer() {
    let mut decoder = Decoder::new(&Limits::default(), true);
    let mut buf = request(&[b"PING"]);
    let first_len = buf.len();
    buf.extend_from_slice(b"*2\r\n$4\r\nECHO\r\n$5\r\nhe");
    assert_eq!(decoder.decode(&buf), Ok(Decoded::Command));
    assert_eq!(decoder.decode(&buf), Ok(Decoded::Incomplete));
    assert_eq!(decoder.missing(buf.len()), "llo\r\n".len());
    assert_eq!(decoder.consume(), first_len);
    buf.drain(..first_len);
    buf.extend_from_slice(b"llo\r\n");
    assert_eq!(decoder.decode(&buf), Ok(Decoded::Command));
    assert_eq!(format!("{:?}", decoder.args(&buf)), r#"["ECHO", "hello"]"#);
    assert_eq!(decoder.consume(), buf.len());
}

#[test]
fn integers_are_read_as_redis_reads_them() {
    for (text, want) in [
        ("0", Some(0)),
        ("-1", Some(-1)),
        ("9223372036854775807", Some(i64::MAX)),
        ("-9223372036854775808", Some(i64::MIN)),
        ("9223372036854775808", None),
        ("-9223372036854775809", None),
        ("99999999999999999999", None),
        ("", None),
        ("-", None),
        ("-0", None),
        ("+1", None),
        ("01", None),
        (" 1", None),
        ("1 ", None),
        ("1x", None),
    ] {
        assert_eq!(string2ll(text.as_bytes()), want, "{text:?}");
    }
}

#[test]
fn a_pipeline_split_anywhere_is_the_same_pipeline() {
    let mut bytes = request(&[b"QPUSH", b"q", &[b'x'; 300], b"DELAY", b"0"]);
    bytes.extend_from_slice(b"PING \"in line\"\r\n\r\n*0\r\n");
    bytes.extend_from_slice(&request(&[b"QACK", b"", b"\r\n"]));
    bytes.extend_from_slice(b"*1\r\n$x\r\n");
    let whole = decode_in_chunks(&bytes, bytes.len(), &Limits::default());
    assert_eq!(whole.len(), 4);
    for chunk_bytes in 1..bytes.len() {
        assert_eq!(decode_in_chunks(&bytes, chunk_bytes, &Limits::default()), whole, "{chunk_bytes}");
    }
}

proptest! {
    #[test]
    fn commands_are_those_that_redis_protocol_decodes(
        commands in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6), 0..6),
        chunk_bytes in 1usize..200,
    ) {
        let mut bytes = Vec::new();
        for words in &commands {
            bytes.extend(request(&words.iter().map(Vec::as_slice).collect::<Vec<_>>()));
        }
        let mut rest = &bytes[..];
        let mut wanted = Vec::new();
        while let Some((frame, len)) = oracle_decode(rest).unwrap() {
            let OwnedFrame::Array(words) = frame else { panic!("not a request: {frame:?}") };
            let word = |frame| match frame {
                OwnedFrame::BulkString(word) => word,
                other => panic!("not a word: {other:?}"),
            };
            wanted.push(Ok(words.into_iter().map(word).collect::<Vec<_>>()));
            rest = &rest[len..];
        }
        prop_assert_eq!(decode_in_chunks(&bytes, chunk_bytes, &Limits::default()), wanted);
    }

    #[test]
    fn hostile_bytes_decode_the_same_however_they_arrive(
        pieces in prop::collection::vec(
            prop_oneof![
                Just(b"*".to_vec()), Just(b"$".to_vec()), Just(b"\r\n".to_vec()), Just(b"1".to_vec()),
                Just(b"0".to_vec()), Just(b"-".to_vec()), Just(b"\"".to_vec()), Just(b"'".to_vec()),
                Just(b"\\x4".to_vec()), Just(b"*2\r\n$1\r\na\r\n".to_vec()), prop::collection::vec(any::<u8>(), 0..4),
            ], 0..40),
    ) {
        fuzz_decode(&pieces.concat());
    }
}
