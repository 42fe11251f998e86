//! How far the demo is: a bar at a terminal, a line now and then anywhere else.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use crate::exit::say;

/// One stretch of work.
pub(super) enum Progress {
    Bar(ProgressBar),
    Lines { what: &'static str, total: u64, at: u64, said_percent: u64 },
}

/// Without a terminal a line is written at each so many percent.
const LINE_EVERY_PERCENT: u64 = 25;

impl Progress {
    pub(super) fn new(what: &'static str, total: u64) -> Progress {
        if !std::io::stderr().is_terminal() {
            return Progress::Lines { what, total, at: 0, said_percent: 0 };
        }
        let template = format!("  {{bar:40}} {{human_pos}} of {{human_len}} {what}, {{per_sec}}");
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Progress::Bar(ProgressBar::new(total).with_style(style))
    }

    pub(super) fn add(&mut self, more: u64) {
        let at = match self {
            Progress::Bar(bar) => bar.position(),
            Progress::Lines { at, .. } => *at,
        };
        self.set(at + more);
    }

    /// Whether that is further than before.
    pub(super) fn set(&mut self, now: u64) -> bool {
        match self {
            Progress::Bar(bar) => {
                let is_step = now > bar.position();
                bar.set_position(now);
                is_step
            }
            Progress::Lines { what, total, at, said_percent } => {
                let is_step = now > *at;
                *at = now;
                let percent = now * 100 / (*total).max(1);
                if percent >= *said_percent + LINE_EVERY_PERCENT {
                    *said_percent = percent - percent % LINE_EVERY_PERCENT;
                    say(format_args!("  {now} of {total} {what}"));
                }
                is_step
            }
        }
    }

    pub(super) fn finish(self) {
        if let Progress::Bar(bar) = self {
            bar.finish();
        }
    }
}
