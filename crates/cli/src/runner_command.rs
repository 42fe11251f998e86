//! `stanchion-runner`: runs a configuration file, checks it, or compares two versions of what runners run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use stanchion_runner::config::Problem;
use stanchion_runner::{Config, Error, Runner, Systemd, check, migrate, signals};

use crate::canary_command::{self, CanaryArgs};
use crate::exit;
use crate::logging::{self, Format};

/// Claims jobs from a Stanchion server, has them done, and reports.
#[derive(Debug, Parser)]
#[command(
    name = "stanchion-runner",
    version,
    arg_required_else_help = true,
    args_conflicts_with_subcommands = true
)]
pub struct RunnerArgs {
    #[command(subcommand)]
    command: Option<Command>,
    /// The same as `run FILE`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How log lines are written
    #[arg(long, value_enum, default_value = "text", global = true)]
    log_format: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the groups of a configuration file until SIGTERM or SIGINT; a second one hurries, SIGHUP reads the file again
    Run {
        /// The TOML file
        file: PathBuf,
    },
    /// Check a configuration file, its programs, and that its server lets it work; exits 2 with file, line and what to write instead
    Check {
        /// The TOML file
        file: PathBuf,
    },
    /// Wait until a new version has done some jobs, and compare its failures with another one's; exits 0 or 1
    Canary(CanaryArgs),
    /// Print the configuration that does what MediaWiki's jobrunner does with this one, and say what could not be carried over
    Migrate {
        /// jobrunner's JSON file
        file: PathBuf,
    },
}

/// Does what the arguments say.
pub fn main(args: RunnerArgs) -> ExitCode {
    match (args.command, args.config) {
        (Some(Command::Run { file }), None) | (None, Some(file)) => run(&file, args.log_format),
        (Some(Command::Check { file }), None) => check_file(&file),
        (Some(Command::Canary(args)), None) => match runtime() {
            Ok(runtime) => canary_command::main(&args, &runtime),
            Err(code) => code,
        },
        (Some(Command::Migrate { file }), None) => migrate_file(&file),
        (Some(_), Some(_)) => {
            exit::with_message(exit::USAGE, "stanchion-runner: --config names a second file; remove it")
        }
        (None, None) => exit::with_message(
            exit::USAGE,
            "stanchion-runner: write `run FILE`, `check FILE` or `migrate FILE`",
        ),
    }
}

fn run(file: &Path, format: Format) -> ExitCode {
    let config = match load(file) {
        Ok(config) => config,
        Err(code) => return code,
    };
    if let Err(error) = check::machine(&file.display().to_string(), &config) {
        return exit::with_message(exit::USAGE, error);
    }
    logging::start(format);
    warn(file, &config.warnings);
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    let result = runtime.block_on(async {
        let mut runner = Runner::from_config(config)?;
        match Systemd::from_environment() {
            Ok(Some(systemd)) => runner = runner.systemd(systemd),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "NOTIFY_SOCKET names nothing that can be told: systemd will miss the start"),
        }
        signals::stop_on_signal(runner.stop_handle());
        signals::reload_on_signal(runner.reload_handle(), file.to_owned());
        runner.run().await
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::with_message(exit::FAILURE, format_args!("stanchion-runner: {error}")),
    }
}

fn check_file(file: &Path) -> ExitCode {
    let config = match load(file) {
        Ok(config) => config,
        Err(code) => return code,
    };
    warn(file, &config.warnings);
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    let name = file.display().to_string();
    let found = check::machine(&name, &config).and_then(|()| runtime.block_on(check::server(&name, &config)));
    match found {
        Ok(found) => {
            warn(file, &found.warnings);
            exit::say(format_args!("{name}: ok; {}", found.words));
            ExitCode::SUCCESS
        }
        Err(error) => exit::with_message(exit::USAGE, Error::from(error)),
    }
}

/// The configuration goes to standard output, what is to be known about it to standard error.
fn migrate_file(file: &Path) -> ExitCode {
    let name = file.display();
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            let what = format_args!("{name}: can't be read: {error}; name jobrunner's JSON file");
            return exit::with_message(exit::USAGE, what);
        }
    };
    match migrate::jobrunner(&text) {
        Ok(migrated) => {
            exit::say(migrated.toml.trim_end());
            for note in &migrated.notes {
                let _ = exit::with_message(0, format_args!("{name}: {note}"));
            }
            ExitCode::SUCCESS
        }
        Err(error) => exit::with_message(exit::USAGE, format_args!("{name}: {error}")),
    }
}

fn load(file: &Path) -> Result<Config, ExitCode> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| {
        exit::with_message(exit::USAGE, format_args!("{name}: can't be read: {error}; name a file in TOML"))
    })?;
    Config::parse(&name, &text).map_err(|error| exit::with_message(exit::USAGE, error))
}

fn warn(file: &Path, warnings: &[Problem]) {
    for warning in warnings {
        let _ =
            exit::with_message(0, format_args!("{}:{}: warning: {warning}", file.display(), warning.line));
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, ExitCode> {
    tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("runner").build().map_err(|error| {
        exit::with_message(
            exit::FAILURE,
            format_args!("stanchion-runner: no threads can be started: {error}"),
        )
    })
}
