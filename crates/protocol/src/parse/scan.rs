//! Reads options as the table describes them: left to right, each with its fixed number of words.
//!
//! An option's words are taken whatever they say (`GROUP NEXT` is the group NEXT). An option that is unknown,
//! repeated, contradictory or misplaced is an error that names its word; none is ever ignored.

use super::value;
use crate::args::Args;
use crate::command::RootTag;
use crate::error::{CommandError, Quoted};
use crate::limits::{self, Limits};
use crate::table::{CommandSpec, Number, Opt, OptSet, OptionSpec, Place, ValueKind};

/// An option that was found.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Which one.
    pub opt: Opt,
    /// What followed it.
    pub value: Value<'a>,
}

/// What followed an option's word; which kind is the table's to say.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Nothing.
    None,
    /// A number within the option's range.
    Number(u64),
    /// A name, group, glob, text or payload.
    Bytes(&'a [u8]),
    /// The position of the word among the option's choices.
    Choice(usize),
    /// A root.
    Root(RootTag<'a>),
    /// Receipts, queues or globs, as many as were announced.
    Words(Args<'a>),
    /// A user's name and a password.
    Login(&'a [u8], &'a [u8]),
}

impl<'a> Value<'a> {
    /// The number; panics when the table says that the option has none.
    #[inline]
    pub fn number(&self) -> u64 {
        match self {
            Value::Number(number) => *number,
            other => panic!("the table gives this option {other:?}, not a number"),
        }
    }

    /// The bytes; panics when the table says that the option has none.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        match self {
            Value::Bytes(bytes) => bytes,
            other => panic!("the table gives this option {other:?}, not bytes"),
        }
    }

    /// The root; panics when the table says that the option has none.
    #[inline]
    pub fn root(&self) -> RootTag<'a> {
        match self {
            Value::Root(root) => *root,
            other => panic!("the table gives this option {other:?}, not a root"),
        }
    }

    /// The words; panics when the table says that the option has none.
    #[inline]
    pub fn words(&self) -> Args<'a> {
        match self {
            Value::Words(words) => *words,
            other => panic!("the table gives this option {other:?}, not words"),
        }
    }

    /// The position of the word; panics when the table says that the option has no choice.
    #[inline]
    pub fn choice(&self) -> usize {
        match self {
            Value::Choice(choice) => *choice,
            other => panic!("the table gives this option {other:?}, not a choice"),
        }
    }
}

/// The options of a request that are still to be read.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a, 'l> {
    spec: &'static CommandSpec,
    args: Args<'a>,
    limits: &'l Limits,
    at: usize,
    seen: OptSet,
    /// One of those needs another one.
    needy: bool,
    first_job: bool,
}

impl<'a, 'l> Options<'a, 'l> {
    /// The options of `spec` in `args`, from word `from` on.
    #[inline]
    pub fn new(spec: &'static CommandSpec, args: Args<'a>, from: usize, limits: &'l Limits) -> Self {
        Options { spec, args, limits, at: from, seen: OptSet::NONE, needy: false, first_job: true }
    }

    /// The next option; `None` at the end of the request, when all that were there have what they need.
    #[inline]
    pub fn read(&mut self) -> Result<Option<Found<'a>>, CommandError> {
        let Some(word) = self.args.get(self.at) else {
            self.check_needs()?;
            return Ok(None);
        };
        let Some(option) = self.find(word) else {
            let command = self.spec.name.to_uppercase();
            return Err(CommandError::syntax(format_args!("{} is not an option of {command}", Quoted(word))));
        };
        self.take(option).map(Some)
    }

    /// The next option, or `None` where a word stands that is no option: what follows options.
    #[inline]
    pub fn read_before_words(&mut self) -> Result<Option<Found<'a>>, CommandError> {
        match self.args.get(self.at).and_then(|word| self.find(word)) {
            Some(option) => self.take(option).map(Some),
            None => {
                self.check_needs()?;
                Ok(None)
            }
        }
    }

    /// Where the next word stands.
    pub fn position(&self) -> usize {
        self.at
    }

    /// What follows belongs to another job: its options start anew.
    pub fn next_job(&mut self) -> Result<(), CommandError> {
        self.check_needs()?;
        self.seen = OptSet::NONE;
        self.needy = false;
        self.first_job = false;
        Ok(())
    }

    #[inline]
    fn find(&self, word: &[u8]) -> Option<&'static OptionSpec> {
        let initial = word.first()?.to_ascii_uppercase();
        self.spec.options.iter().find(|option| {
            let known = option.word.as_bytes();
            known[0] == initial && known.eq_ignore_ascii_case(word)
        })
    }

    /// Checks an option's place and takes its words.
    #[inline]
    fn take(&mut self, option: &'static OptionSpec) -> Result<Found<'a>, CommandError> {
        if self.seen.has(option.opt)
            || self.seen.meets(option.excludes)
            || (option.place == Place::FirstJob && !self.first_job)
        {
            return Err(self.misplaced(option));
        }
        self.seen.insert(option.opt);
        self.needy |= option.needs.is_some();
        self.at += 1;
        let value = self.value(option)?;
        Ok(Found { opt: option.opt, value })
    }

    #[inline]
    fn value(&mut self, option: &'static OptionSpec) -> Result<Value<'a>, CommandError> {
        let limits = self.limits;
        Ok(match option.value {
            ValueKind::None => Value::None,
            ValueKind::Number(kind) => {
                Value::Number(value::number(option.word, self.word(option)?, kind, limits)?)
            }
            ValueKind::Name => {
                let what = match option.opt {
                    Opt::Worker => "worker name",
                    Opt::Version => "version",
                    Opt::Host => "host name",
                    _ => "dedupe key",
                };
                Value::Bytes(value::name(what, self.word(option)?, limits)?)
            }
            ValueKind::Group => {
                Value::Bytes(value::maybe_empty_name("group name", self.word(option)?, limits)?)
            }
            ValueKind::Glob | ValueKind::Text => Value::Bytes(self.word(option)?),
            ValueKind::Payload => Value::Bytes(value::payload(self.word(option)?, limits)?),
            ValueKind::Choice(words) => Value::Choice(choice(option, words, self.word(option)?)?),
            ValueKind::Root => {
                let (signature, timestamp) = (self.word(option)?, self.word(option)?);
                Value::Root(value::root(signature, timestamp, limits)?)
            }
            ValueKind::Receipts => Value::Words(self.counted(option, 0, limits.command_jobs_max)?),
            ValueKind::Queues | ValueKind::Globs => {
                Value::Words(self.counted(option, 1, limits::SOURCES_MAX)?)
            }
            ValueKind::Login => Value::Login(self.word(option)?, self.word(option)?),
        })
    }

    /// The next word, which the option must have.
    #[inline]
    fn word(&mut self, option: &OptionSpec) -> Result<&'a [u8], CommandError> {
        let word = self.args.get(self.at).ok_or_else(|| incomplete(option))?;
        self.at += 1;
        Ok(word)
    }

    /// A count and so many words.
    fn counted(&mut self, option: &OptionSpec, min: u64, max: u32) -> Result<Args<'a>, CommandError> {
        let kind = Number::Between(min, u64::from(max));
        let count = value::number(option.word, self.word(option)?, kind, self.limits)? as usize;
        let rest = self.args.skip(self.at);
        let Some(words) = rest.first(count) else {
            let have = rest.len();
            let word = option.word;
            return Err(CommandError::syntax(format_args!(
                "'{word}' announces {count} words, {have} are there"
            )));
        };
        self.at += count;
        Ok(words)
    }

    /// An option that means nothing without another one must have it.
    #[inline]
    fn check_needs(&self) -> Result<(), CommandError> {
        if self.needy { self.check_each_need() } else { Ok(()) }
    }

    fn check_each_need(&self) -> Result<(), CommandError> {
        for option in self.spec.options {
            if let Some(other) = option.needs
                && self.seen.has(option.opt)
                && !self.seen.has(other)
            {
                let needed = self.word_of(other);
                return Err(CommandError::syntax(format_args!("'{}' needs '{needed}'", option.word)));
            }
        }
        Ok(())
    }

    #[cold]
    fn misplaced(&self, option: &OptionSpec) -> CommandError {
        let word = option.word;
        if self.seen.has(option.opt) {
            return CommandError::syntax(format_args!("'{word}' stands twice"));
        }
        if option.place == Place::FirstJob && !self.first_job {
            return CommandError::syntax(format_args!("'{word}' stands with the first job only"));
        }
        let other =
            self.spec.options.iter().find(|other| self.seen.has(other.opt) && option.excludes.has(other.opt));
        let other = other.map_or("another option", |other| other.word);
        CommandError::syntax(format_args!("'{word}' contradicts '{other}'"))
    }

    #[cold]
    fn word_of(&self, opt: Opt) -> &'static str {
        let option = self.spec.options.iter().find(|option| option.opt == opt);
        option.map(|option| option.word).expect("the table's tests find what an option needs in the same row")
    }
}

#[cold]
fn incomplete(option: &OptionSpec) -> CommandError {
    let words = match option.value {
        ValueKind::Root => "a signature and a timestamp",
        ValueKind::Login => "a user name and a password",
        _ => "a value",
    };
    CommandError::syntax(format_args!("'{}' needs {words}", option.word))
}

fn choice(option: &OptionSpec, words: &[&str], word: &[u8]) -> Result<usize, CommandError> {
    let found = words.iter().position(|choice| choice.as_bytes().eq_ignore_ascii_case(word));
    found.ok_or_else(|| {
        let (choices, word, what) = (words.join(", "), Quoted(word), option.word);
        CommandError::syntax(format_args!("{word} is no value of '{what}', which takes {choices}"))
    })
}
