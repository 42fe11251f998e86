//! What operators debug with, as far as the configuration decides.

use super::options::{Opt, number};
use crate::limits::{LATENCY_MS_MAX, SLOW_ENTRIES_DEFAULT, SLOW_ENTRIES_MAX};

/// What is watched, and what may be debugged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Diagnostics {
    /// Commands that took so many microseconds are in the slow log; negative: none.
    pub slow_us: i64,
    /// How many of them are kept.
    pub slow_entries_max: usize,
    /// What took so many milliseconds is an event of LATENCY; 0: nothing.
    pub latency_ms: u64,
    /// Who may use DEBUG.
    pub debug: DebugAccess,
}

/// Who may use DEBUG.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DebugAccess {
    /// Nobody.
    No,
    /// Clients on this machine.
    Local,
    /// All who may run commands of operators.
    Yes,
}

pub(super) const SLOWER_THAN: Opt = Opt {
    name: "slowlog-log-slower-than",
    summary: "Commands that took so many microseconds are in SLOWLOG; 0: all, -1: none.",
    expected: "write a number of microseconds, or -1",
    default: || "10000".into(),
    set: |config, text| slow_us(text).map(|us| config.diagnostics.slow_us = us),
};

pub(super) const SLOW_ENTRIES: Opt = Opt {
    name: "slowlog-max-len",
    summary: "How many commands SLOWLOG keeps.",
    expected: "write a number from 0 to 100000",
    default: || SLOW_ENTRIES_DEFAULT.to_string(),
    set: |config, text| {
        let max = number(text, 0, SLOW_ENTRIES_MAX as u64)?;
        config.diagnostics.slow_entries_max = max as usize;
        Some(())
    },
};

pub(super) const LATENCY_THRESHOLD: Opt = Opt {
    name: "latency-monitor-threshold",
    summary: "What took so many milliseconds is an event of LATENCY; 0: nothing.",
    expected: "write a number of milliseconds",
    default: || "0".into(),
    set: |config, text| {
        number(text, 0, LATENCY_MS_MAX).map(|threshold| config.diagnostics.latency_ms = threshold)
    },
};

pub(super) const DEBUG: Opt = Opt {
    name: "enable-debug-command",
    summary: "Who may use DEBUG, which can hold up the server: no, local (clients on this machine) or yes.",
    expected: "write no, local or yes",
    default: || "no".into(),
    set: |config, text| {
        config.diagnostics.debug = match text {
            "no" | "false" => DebugAccess::No,
            "local" => DebugAccess::Local,
            "yes" | "true" => DebugAccess::Yes,
            _ => return None,
        };
        Some(())
    },
};

/// A threshold of the slow log.
fn slow_us(text: &str) -> Option<i64> {
    text.parse().ok().filter(|us| *us >= -1)
}

impl Diagnostics {
    /// What the table of options overwrites.
    pub(super) const NOTHING: Diagnostics =
        Diagnostics { slow_us: -1, slow_entries_max: 0, latency_ms: 0, debug: DebugAccess::No };
}

impl DebugAccess {
    /// The word of the configuration.
    pub(crate) fn word(self) -> &'static str {
        match self {
            DebugAccess::No => "no",
            DebugAccess::Local => "local",
            DebugAccess::Yes => "yes",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn each_option_refuses_what_is_not_its_own() {
        for (option, (good, bad)) in [SLOWER_THAN, SLOW_ENTRIES, LATENCY_THRESHOLD, DEBUG].iter().zip([
            ("-1", "-2"),
            ("0", "100001"),
            ("100", "-1"),
            ("local", "maybe"),
        ]) {
            let mut config = Config::default();
            assert!(option.set(&mut config, good).is_ok(), "{} {good}", option.name);
            assert!(option.set(&mut config, bad).is_err(), "{} {bad}", option.name);
        }
    }
}
