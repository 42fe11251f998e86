//! The project's own commands, the same on a laptop and in CI.
//!
//! `cargo xtask test` is the gate: what passes it may be merged, and CI runs nothing else.

mod boundaries;
mod dependencies;
mod documents;
mod fuzz;
mod gate;
mod instructions;
mod license;
mod metadata;
mod process;
mod release;
mod tidy;
mod tools;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
cargo xtask COMMAND

  test                       the gate: everything below but `release`, and all tests
  tools                      installs what the tests need and misses
  docs                       writes the generated documents anew
  tidy                       checks what no compiler checks: head comments, leftovers, file lengths
  boundaries                 checks what each crate must not know
  dependencies               checks licences, bans, sources and duplicate versions against deny.toml
  instructions [accept]      counts a job's instructions, and compares them with the accepted counts or accepts them
  fuzz [TARGET] [SECONDS]    feeds mutated input to one parser or to all
  release [TARGET]           builds the binaries of a release, guided by a profile of them at work; 10 minutes
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            process::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    std::env::set_current_dir(metadata::workspace())?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["test"] => gate::run(),
        ["tools"] => tools::install(),
        ["docs"] => documents::write(),
        ["tidy"] => tidy::check(),
        ["boundaries"] => boundaries::check(),
        ["dependencies"] => dependencies::check(),
        ["instructions"] => instructions::check(),
        ["instructions", "accept"] => instructions::accept(),
        ["fuzz"] => fuzz::run(None, fuzz::SECONDS_DEFAULT),
        ["fuzz", target] => fuzz::run(Some(target), fuzz::SECONDS_DEFAULT),
        ["fuzz", target, seconds] => fuzz::run(Some(target), seconds.parse()?),
        ["release"] => release::build(None),
        ["release", target] => release::build(Some(target)),
        [] | ["help" | "--help" | "-h"] => {
            process::say(HELP);
            Ok(())
        }
        _ => bail!("there is no command `{}`; `cargo xtask help` lists them", words.join(" ")),
    }
}
