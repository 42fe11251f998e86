//! Sends random commands to a server of its own, and fails when it panics, leaks or loses jobs.
//!
//! `cargo run --release -p stanchion-tests --bin storm -- 10000000 [SEED]`

use std::io::Write;
use std::process::ExitCode;

use stanchion_tests::{Random, storm};

fn main() -> ExitCode {
    let numbers: Option<Vec<u64>> = std::env::args().skip(1).map(|word| word.parse().ok()).collect();
    let (commands, seed) = match numbers.as_deref() {
        Some([commands]) => (*commands, Random::seed_from_environment()),
        Some([commands, seed]) => (*commands, *seed),
        _ => {
            say("storm COMMANDS [SEED]");
            return ExitCode::FAILURE;
        }
    };
    say(&format!("{commands} commands, seed {seed}"));
    say(&format!("{:?}", storm(commands, seed)));
    ExitCode::SUCCESS
}

fn say(text: &str) {
    // A reader that has gone needs no report.
    drop(writeln!(std::io::stdout(), "{text}"));
}
