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
        Keys::Counted(keyword) => {
            if !args.get(1).is_some_and(|word| word.eq_ignore_ascii_case(keyword.as_bytes())) {
                return 0..0;
            }
            let count = args.get(2).and_then(string2ll).and_then(|count| usize::try_from(count).ok());
            match count {
                Some(count) if count <= args.len() - 3 => 3..3 + count,
                _ => 0..0,
            }
        }
    }
}

/// The keys of a request whose row is `spec`.
pub fn keys<'a>(spec: &CommandSpec, args: Args<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    positions(spec, args).map(move |at| args.at(at))
}
