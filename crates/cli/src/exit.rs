//! How the binaries end: 0 is clean, 1 a failure while running (or damage that was found), 2 a mistake in flags or
//! configuration.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;

/// A failure while running.
pub const FAILURE: u8 = 1;
/// A mistake in flags or configuration; nothing was changed.
pub const USAGE: u8 = 2;

/// Says on standard error why the program ends, and returns the code for it.
pub fn with_message(code: u8, message: impl fmt::Display) -> ExitCode {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(io::stderr(), "{message}");
    ExitCode::from(code)
}

/// Ends a program whose arguments were not understood with one line, or shows the help that was asked for.
pub fn arguments(program: &str, error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    if !error.use_stderr() {
        say(text.trim_end());
        return ExitCode::SUCCESS;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return with_message(USAGE, text.trim_end());
    }
    // What is wrong and the nearest right thing; how it is used altogether is in the help.
    let parts = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let parts: Vec<&str> = parts.filter(|line| !line.is_empty() && !line.starts_with("For more")).collect();
    let line = parts.join("; ").replacen("error: ", "", 1).replace("tip: ", "").replace(":; ", ": ");
    with_message(USAGE, format_args!("{program}: {line}; see {program} --help"))
}

/// Writes a line to standard output; a reader that went away is no error of this program.
pub fn say(line: impl fmt::Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::runner_command::RunnerArgs;

    #[test]
    fn only_help_is_a_success() {
        let end = |arguments: &[&str]| {
            let error = RunnerArgs::try_parse_from(arguments).expect_err("nothing to run");
            format!("{:?}", super::arguments("stanchion-runner", &error))
        };
        let (success, usage) = (format!("{:?}", ExitCode::SUCCESS), format!("{:?}", ExitCode::from(USAGE)));
        assert_eq!(end(&["stanchion-runner", "--help"]), success);
        assert_eq!(end(&["stanchion-runner", "--version"]), success);
        assert_eq!(end(&["stanchion-runner"]), usage);
        assert_eq!(end(&["stanchion-runner", "--confg", "f"]), usage);
        assert_eq!(end(&["stanchion-runner", "run"]), usage);
    }
}
