//! Which words of a request are keys, from the table: for COMMAND GETKEYS, ACL rules and routing.

use crate::args::Args;
use crate::decode::string2ll;
use crate::table::{CommandSpec, Keys};

/// The positions of the keys in a request whose row is `spec`.
///
/// A QMCLAIM whose count does not fit its words has none: its parser refuses it.
pub fn positions(spec: &CommandSpec, args: Args<'_>) -> std::ops::Range<usize> {
    match spec.keys {
        Keys::None => 0..0,
        Keys::One(at) => at..args.len().min(at + 1).max(at),
        Keys::From(at) => at..args.len().max(at),
        Keys::Counted(keyword) => counted(keyword, args),
    }
}

/// The positions of the globs for queues that a QMCLAIM begins with: they stand for keys, but are none.
pub fn glob_positions(args: Args<'_>) -> std::ops::Range<usize> {
    counted("MATCH", args)
}

/// The words after this keyword at position 1, and their count.
fn counted(keyword: &str, args: Args<'_>) -> std::ops::Range<usize> {
    if !args.get(1).is_some_and(|word| word.eq_ignore_ascii_case(keyword.as_bytes())) {
        return 0..0;
    }
    let count = args.get(2).and_then(string2ll).and_then(|count| usize::try_from(count).ok());
    match count {
        Some(count) if count <= args.len() - 3 => 3..3 + count,
        _ => 0..0,
    }
}

/// The keys of a request whose row is `spec`.
pub fn keys<'a>(spec: &CommandSpec, args: Args<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    positions(spec, args).map(move |at| args.at(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OwnedArgs, table};

    fn keys_of(line: &str) -> Vec<String> {
        let args: OwnedArgs = line.split(' ').collect();
        let args = args.as_args();
        let mut spec = table::find(args.at(0)).unwrap();
        if let Some(sub) = args.get(1).and_then(|word| table::subcommand(spec, word)) {
            spec = sub;
        }
        keys(spec, args).map(|key| String::from_utf8(key.to_vec()).unwrap()).collect()
    }

    #[test]
    fn keys_are_where_the_table_says() {
        for (line, want) in [
            ("QPUSH q p GROUP g", &["q"][..]),
            ("QCONFIG SET q lease 1h", &["q"]),
            ("QCONFIG GET q", &["q"]),
            ("DEL a b c", &["a", "b", "c"]),
            ("TYPE a", &["a"]),
            ("QMCLAIM QUEUES 2 a b COUNT 3", &["a", "b"]),
            ("qmclaim queues 2 a b", &["a", "b"]),
            ("QMCLAIM MATCH 2 a b", &[]),
            ("QLIST MATCH q", &[]),
            ("QREADY 0", &[]),
            ("PING", &[]),
        ] {
            assert_eq!(keys_of(line), want, "{line}");
        }
    }

    #[test]
    fn globs_for_keys_are_found() {
        for (line, want) in [
            ("QMCLAIM MATCH 2 a* b* COUNT 3", 3..5),
            ("qmclaim match 1 *", 3..4),
            ("QMCLAIM MATCH 2 a*", 0..0),
            ("QMCLAIM MATCH x a*", 0..0),
            ("QMCLAIM MATCH", 0..0),
            ("QMCLAIM QUEUES 1 a", 0..0),
        ] {
            let args: OwnedArgs = line.split(' ').collect();
            assert_eq!(glob_positions(args.as_args()), want, "{line}");
        }
    }

    #[test]
    fn requests_that_are_cut_have_no_keys() {
        for line in [
            "QPUSH",
            "DEL",
            "QCONFIG SET",
            "QMCLAIM",
            "QMCLAIM QUEUES",
            "QMCLAIM QUEUES 1",
            "QMCLAIM QUEUES 2 a",
            "QMCLAIM QUEUES -1 a",
            "QMCLAIM QUEUES 9223372036854775807 a",
            "QMCLAIM QUEUES x a",
        ] {
            assert_eq!(keys_of(line), [""; 0], "{line}");
        }
    }
}
