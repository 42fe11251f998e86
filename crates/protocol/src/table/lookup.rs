//! From a command's name to its row, in a few nanoseconds.

use super::{COMMANDS, CommandSpec};
use crate::args::Args;
use crate::error::CommandError;
use crate::limits::QUOTE_BYTES_MAX;

/// Places of the hash table; a power of two, more than twice the commands so that probes stay short.
const PLACES: usize = 256;

const _: () = assert!(COMMANDS.len() < PLACES / 2, "the hash table is too full");

/// Marks a free place.
const FREE: u8 = u8::MAX;

/// For each place the row of [`COMMANDS`] there.
static PLACE: [u8; PLACES] = {
    let mut places = [FREE; PLACES];
    let mut row = 0;
    while row < COMMANDS.len() {
        let mut place = hash(COMMANDS[row].name.as_bytes());
        while places[place] != FREE {
            place = (place + 1) % PLACES;
        }
        places[place] = row as u8;
        row += 1;
    }
    places
};

/// Hashes a name, the same in upper and lower case, from its length and its first and last four bytes.
#[inline]
const fn hash(name: &[u8]) -> usize {
    let len = name.len();
    let word = if len >= 4 {
        let first = u32::from_le_bytes([name[0], name[1], name[2], name[3]]);
        let last = u32::from_le_bytes([name[len - 4], name[len - 3], name[len - 2], name[len - 1]]);
        first as u64 | (last as u64) << 32
    } else {
        let mut word = 0;
        let mut i = 0;
        while i < len {
            word = word << 8 | name[i] as u64;
            i += 1;
        }
        word
    };
    let folded = word | 0x2020_2020_2020_2020;
    let mixed = (folded ^ len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as usize % PLACES
}

/// The command of this name, in any case.
#[inline]
pub fn find(name: &[u8]) -> Option<&'static CommandSpec> {
    let mut place = hash(name);
    loop {
        let row = PLACE[place];
        if row == FREE {
            return None;
        }
        let spec = COMMANDS[usize::from(row)];
        if spec.name.as_bytes().eq_ignore_ascii_case(name) {
            return Some(spec);
        }
        place = (place + 1) % PLACES;
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
