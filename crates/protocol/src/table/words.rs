//! The options that several commands share.

use super::{Number, Opt, OptSet, OptionSpec, Place, ValueKind};
use crate::limits;

const BASE: OptionSpec = OptionSpec {
    opt: Opt::Group,
    word: "",
    value: ValueKind::None,
    excludes: OptSet::NONE,
    needs: None,
    place: Place::Job,
    summary: "",
};

/// An option without a value.
pub(super) const fn flag(opt: Opt, word: &'static str, summary: &'static str) -> OptionSpec {
    OptionSpec { opt, word, summary, ..BASE }
}

/// An option with a value.
pub(super) const fn valued(
    opt: Opt,
    word: &'static str,
    value: ValueKind,
    summary: &'static str,
) -> OptionSpec {
    OptionSpec { opt, word, value, summary, ..BASE }
}

/// One of several words of which only one may stand.
pub(super) const fn choice(
    opt: Opt,
    word: &'static str,
    excludes: OptSet,
    summary: &'static str,
) -> OptionSpec {
    OptionSpec { opt, word, excludes, summary, ..BASE }
}

impl OptionSpec {
    /// The same option, which contradicts these.
    pub(super) const fn excluding(self, others: &[Opt]) -> OptionSpec {
        OptionSpec { excludes: OptSet::of(others), ..self }
    }

    /// The same option, which means nothing without that one.
    pub(super) const fn needing(self, other: Opt) -> OptionSpec {
        OptionSpec { needs: Some(other), ..self }
    }

    /// The same option, which stands with the first job and holds for all.
    pub(super) const fn first_job(self) -> OptionSpec {
        OptionSpec { place: Place::FirstJob, ..self }
    }
}

/// Milliseconds from 0.
pub(super) const MS: ValueKind = ValueKind::Number(Number::Milliseconds(0));

/// Milliseconds from 1.
pub(super) const SOME_MS: ValueKind = ValueKind::Number(Number::Milliseconds(1));

/// Job states, as STATE names them.
pub(super) const STATES: ValueKind = ValueKind::Choice(&["DELAYED", "READY", "CLAIMED", "DEAD"]);

pub(super) const GROUP: OptionSpec = valued(
    Opt::Group,
    "GROUP",
    ValueKind::Group,
    "only jobs of this group; \"\" is the group of jobs without one",
);

pub(super) const STATE: OptionSpec = valued(Opt::State, "STATE", STATES, "only jobs in this state");

pub(super) const MATCH: OptionSpec =
    valued(Opt::Match, "MATCH", ValueKind::Glob, "only queues whose name matches the glob");

pub(super) const KEY: OptionSpec =
    valued(Opt::Key, "KEY", ValueKind::Name, "the job that holds this dedupe key, instead of ids");

pub(super) const KEY_GROUP: OptionSpec =
    valued(Opt::Group, "GROUP", ValueKind::Group, "the dedupe key's group").needing(Opt::Key);

pub(super) const SCAN_COUNT: OptionSpec = valued(
    Opt::Count,
    "COUNT",
    ValueKind::Number(Number::Between(1, limits::SCAN_COUNT_MAX as u64)),
    "about how much one call looks at, 10 by default",
);
