//! The gate: every step that must pass, in one table.
//!
//! A step that fails does not stop the others, so that one run tells everything. Nothing is skipped: a step that
//! can't run here fails and says what is missing.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::metadata::Metadata;
use crate::process::{cargo, is_installed, run_and_keep, run_with, say};
use crate::{boundaries, dependencies, documents, fuzz, instructions, tidy, tools};

/// One step.
struct Step {
    name: &'static str,
    run: fn(&mut Notes) -> Result<()>,
}

/// What the summary repeats: the test runners' own last lines.
type Notes = Vec<String>;

/// All steps. Cheap ones that fail most often come first.
const STEPS: &[Step] = &[
    Step { name: "tools", run: |_| tools::install() },
    Step { name: "format", run: |_| cargo(&["fmt", "--all", "--check"]) },
    Step { name: "tidy", run: |_| tidy::check() },
    Step { name: "dependencies", run: |_| dependencies::check() },
    Step { name: "boundaries", run: |_| boundaries::check() },
    Step {
        name: "clippy",
        run: |_| cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
    },
    Step { name: "documents", run: |_| documents::check() },
    Step { name: "build", run: |_| cargo(&["build", "--workspace", "--bins", "--locked"]) },
    Step { name: "tests", run: tests },
    Step { name: "doctests", run: doctests },
    Step { name: "rustdoc", run: |_| rustdoc() },
    Step { name: "fuzz smoke", run: |_| fuzz::run(None, fuzz::SECONDS_IN_GATE) },
    Step { name: "benches smoke", run: |_| benches_smoke() },
    Step { name: "instructions", run: |_| instructions::check() },
];

/// Runs all steps and says how each went.
pub(crate) fn run() -> Result<()> {
    let mut notes = Notes::new();
    let mut summary = Vec::new();
    let mut failed = Vec::new();
    let started = Instant::now();
    for step in STEPS {
        say(&format!("\n=== {} ===", step.name));
        let step_started = Instant::now();
        let result = (step.run)(&mut notes);
        let time = seconds(step_started.elapsed());
        match result {
            Ok(()) => summary.push(format!("ok      {:<14} {time}", step.name)),
            Err(error) => {
                say(&format!("{} failed: {error:#}", step.name));
                summary.push(format!("FAILED  {:<14} {time}  {error:#}", step.name));
                failed.push(step.name);
            }
        }
    }
    say("\n=== summary ===");
    for line in summary.iter().chain(&notes) {
        say(line);
    }
    let time = seconds(started.elapsed());
    if failed.is_empty() {
        say(&format!("the gate passed: {} steps in {time}", STEPS.len()));
        return Ok(());
    }
    bail!("{} of {} steps failed in {time}: {}", failed.len(), STEPS.len(), failed.join(", "))
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// All tests, by cargo-nextest where it is installed: it runs each in a process of its own.
fn tests(notes: &mut Notes) -> Result<()> {
    let arguments: &[&str] = if is_installed("cargo-nextest", &["nextest", "--version"]) {
        &["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]
    } else {
        &["test", "--workspace", "--locked", "--no-fail-fast", "--lib", "--bins", "--tests"]
    };
    let binaries = Metadata::load()?.target.join("debug");
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).env("E2E_BIN_DIR", binaries);
    let (kept, result) = run_and_keep(&mut command, is_test_summary);
    notes.extend(kept);
    result
}

fn doctests(notes: &mut Notes) -> Result<()> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--workspace", "--doc", "--locked"]);
    let (kept, result) = run_and_keep(&mut command, is_test_summary);
    // Most crates have none.
    notes.extend(kept.into_iter().filter(|line| !line.contains(" 0 passed; 0 failed")));
    result
}

/// The last line of nextest, or of a test binary of `cargo test`.
fn is_test_summary(line: &str) -> bool {
    line.trim_start().starts_with("Summary [") || line.starts_with("test result: ")
}

/// That the documentation builds, also for those who read the code. A link from a public item to a private one is for
/// them, too.
fn rustdoc() -> Result<()> {
    let arguments = ["doc", "--workspace", "--lib", "--no-deps", "--locked", "--document-private-items"];
    let flags = "-D warnings -A rustdoc::private_intra_doc_links";
    run_with(Command::new(env!("CARGO")).args(arguments).env("RUSTDOCFLAGS", flags))
}

/// That each benchmark runs and agrees with itself; its figures need a release build and a quiet machine.
fn benches_smoke() -> Result<()> {
    cargo(&["test", "--quiet", "--locked", "--package", "stanchion-instructions", "--benches"])?;
    let server = Metadata::load()?.target.join("debug/stanchion");
    let arguments = ["run", "--quiet", "--locked", "--package", "stanchion-benches", "--", "--server"];
    run_with(Command::new(env!("CARGO")).args(arguments).arg(server).arg("smoke"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runners_last_lines_are_recognised() {
        assert!(is_test_summary("     Summary [  12.345s] 250 tests run: 250 passed, 0 skipped"));
        assert!(is_test_summary(
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out"
        ));
        assert!(!is_test_summary("        PASS [   0.010s] stanchion-tests::e2e keys::summary"));
    }

    #[test]
    fn every_step_has_a_name_of_its_own() {
        let mut names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
    }
}
