//! The `stanchion-runner` binary.

use std::process::ExitCode;

use clap::Parser;
use stanchion_cli::exit;
use stanchion_cli::runner_command::{self, RunnerArgs};

fn main() -> ExitCode {
    if let Some(code) = stanchion_runner::shim::run_if_called() {
        return code;
    }
    match RunnerArgs::try_parse() {
        Ok(args) => runner_command::main(args),
        Err(error) => exit::arguments("stanchion-runner", &error),
    }
}
