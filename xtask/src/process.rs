//! Running other programs, and saying what happens.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Writes a line for whoever watches.
pub(crate) fn say(line: &str) {
    // A closed pipe must not end the gate.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Runs a program with its output shown.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<()> {
    run_with(Command::new(program).args(arguments))
}

/// The same for a command with an environment.
pub(crate) fn run_with(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", text(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", text(command));
    }
    Ok(())
}

/// Runs cargo, the one that runs us.
pub(crate) fn cargo(arguments: &[&str]) -> Result<()> {
    run(env!("CARGO"), arguments)
}

/// Runs a program with its output shown, and returns the lines for which `keep` is true.
pub(crate) fn run_and_keep(command: &mut Command, keep: fn(&str) -> bool) -> (Vec<String>, Result<()>) {
    let mut kept = Vec::new();
    let result = run_and_read(command, |line| {
        say(line);
        if keep(line) {
            kept.push(line.to_owned());
        }
    });
    (kept, result)
}

fn run_and_read(command: &mut Command, mut each: impl FnMut(&str)) -> Result<()> {
    // One pipe for both outputs, so that their lines stay in order.
    let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().with_context(|| format!("cannot start {}", text(command)))?;
    // Our own ends of the pipe, which live in the command, would keep it open.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    for line in BufReader::new(reader).split(b'\n') {
        each(&String::from_utf8_lossy(&line?));
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{} ended with {status}", text(command));
    }
    Ok(())
}

/// What a program writes to its standard output.
pub(crate) fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("cannot start {}", text(&command)))?;
    if !output.status.success() {
        bail!("{} ended with {}", text(&command), output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Whether a program starts at all.
pub(crate) fn is_installed(program: &str, arguments: &[&str]) -> bool {
    let silent = || Stdio::null();
    let status =
        Command::new(program).args(arguments).stdin(silent()).stdout(silent()).stderr(silent()).status();
    status.is_ok_and(|status| status.success())
}

fn text(command: &Command) -> String {
    let program = command.get_program().to_string_lossy().into_owned();
    let words = command.get_args().map(|word| word.to_string_lossy().into_owned());
    let program = program.rsplit('/').next().map(str::to_owned);
    program.into_iter().chain(words).collect::<Vec<_>>().join(" ")
}
