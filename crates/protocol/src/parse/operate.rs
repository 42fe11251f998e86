//! The commands that watch and steer queues.

use super::scan::Found;
use super::{Words, value};
use crate::command::{Count, Pause, QueueCommand, Selection, State, Which};
use crate::error::CommandError;
use crate::limits::{COMMAND_SETTINGS_MAX, SCAN_COUNT_DEFAULT};
use crate::table::{Opt, wrong_arity};

/// What the options of these commands say; each command has some of them.
#[derive(Default)]
struct Filter<'a> {
    word: Option<Opt>,
    state: Option<State>,
    group: Option<&'a [u8]>,
    count: Option<u64>,
    glob: Option<&'a [u8]>,
    key: Option<&'a [u8]>,
    for_ms: Option<u64>,
}

impl<'a> Filter<'a> {
    /// Reads the options from word `from` on.
    fn read(words: Words<'a, '_>, from: usize) -> Result<Filter<'a>, CommandError> {
        let mut filter = Filter::default();
        let mut options = words.options(from);
        while let Some(Found { opt, value }) = options.read()? {
            match opt {
                Opt::All | Opt::Claim | Opt::Push => filter.word = Some(opt),
                Opt::Claimed | Opt::Dead | Opt::Delayed | Opt::Ready => {
                    filter.word = Some(opt);
                    filter.state = state_of(opt);
                }
                Opt::State => filter.state = Some(STATES[value.choice()]),
                Opt::Group => filter.group = Some(value.bytes()),
                Opt::Count => filter.count = Some(value.number()),
                Opt::Match => filter.glob = Some(value.bytes()),
                Opt::Key => filter.key = Some(value.bytes()),
                Opt::For => filter.for_ms = Some(value.number()),
                other => unreachable!("the table gives {} no {other:?}", words.spec.name),
            }
        }
        Ok(filter)
    }

    fn count_or(&self, default: u32) -> u32 {
        // The table bounds these counts well below a u32's range.
        self.count.map_or(default, |count| u32::try_from(count).unwrap_or(u32::MAX))
    }
}

/// The states in the order of STATE's words in the table.
const STATES: [State; 4] = [State::Delayed, State::Ready, State::Claimed, State::Dead];

fn state_of(opt: Opt) -> Option<State> {
    match opt {
        Opt::Delayed => Some(State::Delayed),
        Opt::Ready => Some(State::Ready),
        Opt::Claimed => Some(State::Claimed),
        Opt::Dead => Some(State::Dead),
        _ => None,
    }
}

/// `queue [state | ALL] [GROUP name]`.
pub(super) fn len<'a>(words: Words<'a, '_>) -> Result<QueueCommand<'a>, CommandError> {
    let queue = words.queue()?;
    let filter = Filter::read(words, 2)?;
    let count = match filter.word {
        Some(Opt::All) => Count::All,
        _ => Count::State(filter.state.unwrap_or(State::Ready)),
    };
    Ok(QueueCommand::Len { queue, count, group: filter.group })
}

/// `[MATCH glob]`.
pub(super) fn list<'a>(words: Words<'a, '_>) -> Result<QueueCommand<'a>, CommandError> {
    Ok(QueueCommand::List { glob: Filter::read(words, 1)?.glob })
}

/// `cursor [MATCH glob] [COUNT n]`.
pub(super) fn ready<'a>(words: Words<'a, '_>) -> Result<QueueCommand<'a>, CommandError> {
    let cursor = value::cursor(words.args.at(1))?;
    let filter = Filter::read(words, 2)?;
    Ok(QueueCommand::Ready { cursor, glob: filter.glob, count: filter.count_or(SCAN_COUNT_DEFAULT) })
}

/// `queue [state] [COUNT n] [GROUP name]`.
pub(super) fn peek<'a>(words: Words<'a, '_>) -> Result<QueueCommand<'a>, CommandError> {
    let queue = words.queue()?;
    let filter = Filter::read(words, 2)?;
    Ok(QueueCommand::Peek {
        queue,
        state: filter.state.unwrap_or(State::Ready),
        count: filter.count_or(1),
        group: filter.group,
    })
}

/// `queue id` or `queue KEY key [GROUP g]`.
pub(super) fn job<'a>(words: Words<'a, '_>) -> Result<QueueCommand<'a>, CommandError> {
    let queue = words.queue()?;
    let which = if starts_with(words, b"KEY") {
        let (key, group) = held_key(words)?;
        Which::Key { key, group }
    } else {
        if words.args.len() > 3 {
            return Err(wrong_arity(words.spec.name));
        }
        Which::Id(value::job_id(words.args.at(2))?)
    };
    Ok(QueueCommand::Job { queue, which })
}

/// `queue cursor [STATE s] [GROUP g] [COUNT n]`.
pub(super) fn scan<'a>(words: Words<'a, '_>) -> Result<QueueCommand<'a>, CommandError> {
    let queue = words.queue()?;
    let cursor = value::cursor(words.args.at(2))?;
    let filter = Filter::read(words, 3)?;
    Ok(QueueCommand::Scan {
        queue,
        cursor,
        state: filter.state,
        group: filter.group,
        count: filter.count_or(SCAN_COUNT_DEFAULT),
    })
}

/// `queue id ...` or `queue DEAD [GROUP g] [COUNT n]`.
pub(super) fn requeue<'a>(words: Words<'a, '_>) -> Result<QueueCommand<'a>, CommandError> {
    let queue = words.queue()?;
    let jobs = if starts_with(words, b"DEAD") {
        let filter = Filter::read(words, 2)?;
        Selection::Dead { group: filter.group, count: filter.count }
    } else {
        ids(words)?
    };
    Ok(QueueCommand::Requeue { queue, jobs })
}

/// `queue id ...` or `queue KEY key [GROUP g]`.
pub(super) fn del<'a>(words: Words<'a, '_>) -> Result<QueueCommand<'a>, CommandError> {
    let queue = words.queue()?;
    let jobs = if starts_with(words, b"KEY") {
        let (key, group) = held_key(words)?;
        Selection::Key { key, group }
    } else {
        ids(words)?
    };
    Ok(QueueCommand::Del { queue, jobs })
}

/// `queue [STATE s] [GROUP g]`.
pub(super) fn purge<'a>(words: Words<'a, '_>) -> Result<QueueCommand<'a>, CommandError> {
    let queue = words.queue()?;
    let filter = Filter::read(words, 2)?;
    Ok(QueueCommand::Purge { queue, state: filter.state, group: filter.group })
}

/// `queue [PUSH | CLAIM | ALL] [FOR ms]`.
pub(super) fn pause<'a>(words: Words<'a, '_>) -> Result<QueueCommand<'a>, CommandError> {
    let queue = words.queue()?;
    let filter = Filter::read(words, 2)?;
    let what = match filter.word {
        Some(Opt::Push) => Pause::Push,
        Some(Opt::All) => Pause::All,
        _ => Pause::Claim,
    };
    Ok(QueueCommand::Pause { queue, what, for_ms: filter.for_ms })
}

/// `SET queue setting value ...`.
pub(super) fn config_set<'a>(words: Words<'a, '_>) -> Result<QueueCommand<'a>, CommandError> {
    let queue = value::queue(words.args.at(2), words.limits)?;
    let settings = words.args.skip(3);
    if !settings.len().is_multiple_of(2) {
        return Err(wrong_arity("qconfig|set"));
    }
    check_settings(settings.len() / 2)?;
    let pair =
        |at| Ok((value::setting(NAME, settings.at(at))?, value::setting("value", settings.at(at + 1))?));
    let pairs = (0..settings.len()).step_by(2).map(pair).collect::<Result<_, CommandError>>()?;
    Ok(QueueCommand::ConfigSet { queue, pairs })
}

/// `GET queue [setting]`.
pub(super) fn config_get<'a>(words: Words<'a, '_>) -> Result<QueueCommand<'a>, CommandError> {
    if words.args.len() > 4 {
        return Err(wrong_arity("qconfig|get"));
    }
    let queue = value::queue(words.args.at(2), words.limits)?;
    let key = words.args.get(3).map(|key| value::setting(NAME, key)).transpose()?;
    Ok(QueueCommand::ConfigGet { queue, key })
}

/// `UNSET queue setting ...`.
pub(super) fn config_unset<'a>(words: Words<'a, '_>) -> Result<QueueCommand<'a>, CommandError> {
    let queue = value::queue(words.args.at(2), words.limits)?;
    let keys = words.args.skip(3);
    check_settings(keys.len())?;
    let keys = keys.iter().map(|key| value::setting(NAME, key)).collect::<Result<_, _>>()?;
    Ok(QueueCommand::ConfigUnset { queue, keys })
}

/// What errors call a setting's name.
const NAME: &str = "setting";

fn check_settings(count: usize) -> Result<(), CommandError> {
    if count <= COMMAND_SETTINGS_MAX {
        return Ok(());
    }
    let text = format!("a command of {count} settings is above the limit of {COMMAND_SETTINGS_MAX}");
    Err(CommandError::new(text))
}

/// Whether the word after the queue is this keyword, which no id can be.
fn starts_with(words: Words<'_, '_>, keyword: &[u8]) -> bool {
    words.args.at(2).eq_ignore_ascii_case(keyword)
}

/// The key and group of `KEY key [GROUP g]`.
fn held_key<'a>(words: Words<'a, '_>) -> Result<(&'a [u8], &'a [u8]), CommandError> {
    let filter = Filter::read(words, 2)?;
    let key = filter.key.expect("KEY stands first");
    Ok((key, filter.group.unwrap_or_default()))
}

fn ids<'a>(words: Words<'_, '_>) -> Result<Selection<'a>, CommandError> {
    let ids = words.args.skip(2);
    value::job_count(ids.len(), words.limits)?;
    Ok(Selection::Ids(ids.iter().map(value::job_id).collect::<Result<_, _>>()?))
}
