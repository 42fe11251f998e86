//! The differential oracle: random conversations with Redis 7 and with Stanchion, whose bytes must be the same.
//!
//! [`DIFFERENCES`] has every way in which they may differ, with the reason; `docs/differences.md` is written from it.

mod compare;
mod conversation;
mod differences;
mod document;
mod frame;
mod line;
mod pair;
mod shrink;
mod utterance;
mod vocabulary;

pub use differences::{DIFFERENCES, Difference, NOT_COMPARED};
pub use document::differences_md;
pub use pair::Pair;

use std::collections::BTreeSet;
use std::time::Duration;

use conversation::Conversation;

/// How long one waits for a reply that does not come while a disagreement is made smaller.
const IMPATIENCE: Duration = Duration::from_millis(300);

/// The servers, with and without a password.
pub struct Oracle {
    pairs: [Pair; 2],
}

/// What many conversations have shown.
pub struct Report {
    /// How many were held.
    pub conversations: u64,
    /// Where the servers disagreed, each with the shortest conversation that shows it.
    pub disagreements: Vec<String>,
    /// How often each row of [`DIFFERENCES`] was needed.
    pub used: Vec<u64>,
    /// The commands that were said, with their subcommands as `client|list`.
    pub commands: BTreeSet<String>,
}

impl Oracle {
    /// Starts the servers.
    pub fn start() -> Oracle {
        Oracle { pairs: [false, true].map(Pair::start) }
    }

    /// The servers without a password.
    pub fn pair(&mut self) -> &mut Pair {
        &mut self.pairs[0]
    }

    /// Holds the conversations of these seeds, until so many of them have ended in a disagreement.
    pub fn run(&mut self, seeds: impl Iterator<Item = u64>, disagreements_max: usize) -> Report {
        let mut report = Report {
            conversations: 0,
            disagreements: Vec::new(),
            used: vec![0; DIFFERENCES.len()],
            commands: BTreeSet::new(),
        };
        for seed in seeds {
            let conversation = Conversation::new(seed);
            conversation.name_commands(&mut report.commands);
            let pair = &mut self.pairs[usize::from(conversation.password)];
            let result = pair.hold(&conversation, crate::PATIENCE, &mut report.used);
            report.conversations += 1;
            if let Err(found) = result {
                let (conversation, found) = shrink::shrink(pair, conversation, found, IMPATIENCE);
                report.disagreements.push(format!("{found}\n{conversation}"));
                if report.disagreements.len() == disagreements_max {
                    break;
                }
            }
        }
        report
    }
}
