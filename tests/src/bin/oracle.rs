//! Holds random conversations with Redis 7 and Stanchion and says where they disagree.
//!
//! `cargo run -p stanchion-tests --bin oracle -- --conversations 100000`

use std::io::Write;
use std::process::ExitCode;

use stanchion_tests::Random;
use stanchion_tests::oracle::{DIFFERENCES, Oracle};

const HELP: &str = "oracle [--conversations COUNT] [--seed FIRST] [--disagreements MAX]";

fn main() -> ExitCode {
    let (mut conversations, mut seed, mut disagreements) = (1_000, Random::seed_from_environment() >> 20, 5);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let number = arguments.next().and_then(|number| number.parse::<u64>().ok());
        match (argument.as_str(), number) {
            ("--conversations", Some(number)) => conversations = number,
            ("--seed", Some(number)) => seed = number,
            ("--disagreements", Some(number)) => disagreements = number,
            _ => {
                say(HELP);
                return ExitCode::FAILURE;
            }
        }
    }
    let started = std::time::Instant::now();
    let disagreements_max = usize::try_from(disagreements).unwrap_or(usize::MAX);
    let report = Oracle::start().run(seed..seed + conversations, disagreements_max);
    for disagreement in &report.disagreements {
        say(&format!("{disagreement}\n"));
    }
    for (difference, used) in DIFFERENCES.iter().zip(&report.used) {
        say(&format!("{used:>8} × {}", difference.about));
    }
    say(&format!(
        "{} conversations from seed {seed} on in {:.0} s, {} disagreements",
        report.conversations,
        started.elapsed().as_secs_f64(),
        report.disagreements.len()
    ));
    if report.disagreements.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn say(text: &str) {
    // A reader that has gone needs no report.
    drop(writeln!(std::io::stdout(), "{text}"));
}
