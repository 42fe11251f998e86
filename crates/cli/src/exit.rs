//! How the binaries end: 0 is clean, 1 a failure while running, 2 a mistake in flags or configuration.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

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

/// Writes a line to standard output; a reader that went away is no error of this program.
pub fn say(line: impl fmt::Display) {
    let _ = writeln!(io::stdout(), "{line}");
}
