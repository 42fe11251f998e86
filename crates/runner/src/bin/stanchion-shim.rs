//! The shim alone, for this crate's tests: they have no `main` of their own that could become one.

use std::process::ExitCode;

fn main() -> ExitCode {
    stanchion_runner::shim::run_if_called().unwrap_or(ExitCode::FAILURE)
}
