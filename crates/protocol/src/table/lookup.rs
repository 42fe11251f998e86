//! From a command's name to its row, in a few nanoseconds.

use super::{COMMANDS, CommandSpec};
use crate::args::Args;
use crate::error::CommandError;
use crate::limits::QUOTE_BYTES_MAX;

/// Places of the hash table; a power of two, more than twice the commands so that probes stay short.
const PLACES: usize = 256;

const _: () = assert!(COMMANDS.len() < PLACES / 2, "the hash table is too full");

/// A place of the hash table.
#[derive(Clone, Copy)]
struct Place {
    /// The folded ends of the name there.
    ends: u64,
    /// The length of the name there; 0 for a free place, because no name is empty.
    len: u8,
    /// Whether ends and length say all of the name, so that its bytes need no comparison.
    told: bool,
    /// The name's position in [`COMMANDS`].
    row: u8,
}

static PLACE: [Place; PLACES] = {
    let mut places = [Place { ends: 0, len: 0, told: false, row: 0 }; PLACES];
    let mut row = 0;
    while row < COMMANDS.len() {
        let name = COMMANDS[row].name.as_bytes();
        let ends = folded_ends(name);
        let mut at = first_place(ends, name.len());
        while places[at].len > 0 {
            at = (at + 1) % PLACES;
        }
        let told = 4 <= name.len() && name.len() <= 8 && is_letters(name);
        places[at] = Place { ends, len: name.len() as u8, told, row: row as u8 };
        row += 1;
    }
    places
};

/// Folding maps only letters to letters, so a name of letters equals what folds to the same.
const fn is_letters(name: &[u8]) -> bool {
    let mut i = 0;
    while i < name.len() {
        if !name[i].is_ascii_lowercase() {
            return false;
        }
        i += 1;
    }
    true
}

/// The first and the last four bytes of a name, or all of a shorter one, the same in upper and lower case.
#[inline]
const fn folded_ends(name: &[u8]) -> u64 {
    let len = name.len();
    let ends = if len >= 4 {
        let first = u32::from_le_bytes([name[0], name[1], name[2], name[3]]);
        let last = u32::from_le_bytes([name[len - 4], name[len - 3], name[len - 2], name[len - 1]]);
        first as u64 | (last as u64) << 32
    } else {
        let mut ends = 0;
        let mut i = 0;
        while i < len {
            ends = ends << 8 | name[i] as u64;
            i += 1;
        }
        ends
    };
    ends | 0x2020_2020_2020_2020
}

#[inline]
const fn first_place(ends: u64, len: usize) -> usize {
    ((ends ^ len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize % PLACES
}

/// The command of this name, in any case.
#[inline]
pub fn find(name: &[u8]) -> Option<&'static CommandSpec> {
    let ends = folded_ends(name);
    let mut at = first_place(ends, name.len());
    loop {
        let place = &PLACE[at];
        if place.len == 0 {
            return None;
        }
        if place.ends == ends && usize::from(place.len) == name.len() {
            let spec = COMMANDS[usize::from(place.row)];
            if place.told || spec.name.as_bytes().eq_ignore_ascii_case(name) {
                return Some(spec);
            }
        }
        at = (at + 1) % PLACES;
    }
}

/// The subcommand of this name, in any case.
pub fn subcommand(spec: &CommandSpec, name: &[u8]) -> Option<&'static CommandSpec> {
    spec.subcommands.iter().find(|sub| sub.name.as_bytes().eq_ignore_ascii_case(name))
}

/// Whether this is the start of an HTTP request that a browser was made to send: close without an answer, as Redis
/// does, before the lines that follow are run as inline commands.
pub fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

/// The row of a request: the command's, or its subcommand's. Refuses an unknown name, a wrong number of words and
/// what we don't run; a request without words panics, because the decoder yields none.
#[inline]
pub fn resolve(args: Args<'_>) -> Result<&'static CommandSpec, CommandError> {
    let Some(spec) = find(args.at(0)) else { return Err(unknown_command(args)) };
    if spec.subcommands.is_empty() && spec.refused.is_none() {
        return if spec.arity_fits(args.len()) { Ok(spec) } else { Err(wrong_arity(spec.name)) };
    }
    resolve_rare(spec, args)
}

fn resolve_rare(spec: &'static CommandSpec, args: Args<'_>) -> Result<&'static CommandSpec, CommandError> {
    if !spec.arity_fits(args.len()) {
        return Err(wrong_arity(spec.name));
    }
    if let Some(instead) = spec.refused {
        return Err(CommandError::new(format!("{} is not supported: {instead}", spec.name.to_uppercase())));
    }
    // COMMAND stands alone, too.
    let Some(word) = args.get(1) else { return Ok(spec) };
    let Some(sub) = subcommand(spec, word) else {
        let shown = String::from_utf8_lossy(&word[..word.len().min(QUOTE_BYTES_MAX)]);
        return Err(CommandError::new(format!(
            "unknown subcommand '{shown}'. Try {} HELP.",
            spec.name.to_uppercase()
        )));
    };
    if !sub.arity_fits(args.len()) {
        return Err(wrong_arity(&format!("{}|{}", spec.name, sub.name)));
    }
    Ok(sub)
}

/// Redis's words for a wrong number of words.
#[cold]
pub fn wrong_arity(name: &str) -> CommandError {
    CommandError::new(format!("wrong number of arguments for '{name}' command"))
}

/// Redis's words for an unknown command: the name and about 128 bytes of what follows.
#[cold]
fn unknown_command(args: Args<'_>) -> CommandError {
    let lossy = |word: &[u8], max: usize| String::from_utf8_lossy(&word[..word.len().min(max)]).into_owned();
    let name = lossy(args.at(0), QUOTE_BYTES_MAX);
    let mut text = format!("unknown command '{name}', with args beginning with: ");
    let mut room = QUOTE_BYTES_MAX;
    for word in args.skip(1).iter() {
        if room == 0 {
            break;
        }
        text.push_str(&format!("'{}' ", lossy(word, room)));
        room = room.saturating_sub(word.len() + 3);
    }
    CommandError::new(text)
}
