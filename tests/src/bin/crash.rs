//! Kills a server of its own under load again and again, and fails when anything was lost or came twice.
//!
//! `cargo run --release -p stanchion-tests --bin crash -- 1000 [SEED]`

use std::io::Write;
use std::process::ExitCode;

use stanchion_tests::Random;
use stanchion_tests::crash::crash;

fn main() -> ExitCode {
    let numbers: Option<Vec<u64>> = std::env::args().skip(1).map(|word| word.parse().ok()).collect();
    let (rounds, seed) = match numbers.as_deref() {
        Some([rounds]) => (*rounds, Random::seed_from_environment()),
        Some([rounds, seed]) => (*rounds, *seed),
        _ => {
            say("crash ROUNDS [SEED]");
            return ExitCode::FAILURE;
        }
    };
    say(&format!("{rounds} rounds, seed {seed}"));
    let jobs = crash(rounds as usize, seed);
    say(&format!("{jobs} jobs judged, nothing lost, nothing twice"));
    ExitCode::SUCCESS
}

fn say(text: &str) {
    // A reader that has gone needs no report.
    drop(writeln!(std::io::stdout(), "{text}"));
}
