//! `stanchion server`: flags go to the server as they were typed, because it checks them together with the
//! environment and the file and refuses all three in the same words.

use std::path::PathBuf;
use std::process::ExitCode;

use stanchion_server::{Config, LogFormat, Overrides};

use crate::{exit, logging};

/// Flags of `stanchion server`. Each is also a key of the file and a variable `STANCHION_…`; flags win over
/// variables, variables over the file.
#[derive(Debug, clap::Args)]
pub struct ServerArgs {
    /// The TOML file with the configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The address to listen on
    #[arg(long, value_name = "ADDR")]
    bind: Option<String>,
    /// The port to listen on [default: 7379]
    #[arg(long, value_name = "PORT")]
    port: Option<String>,
    /// Where to show /health and /metrics, without TLS and password: IP:PORT, or off
    #[arg(long, value_name = "IP:PORT")]
    http: Option<String>,
    /// The data directory
    #[arg(long, value_name = "DIR")]
    dir: Option<String>,
    /// When replies wait for the disk: always, never, or an interval such as 1s
    #[arg(long, value_name = "POLICY")]
    durability: Option<String>,
    /// How many shards own the queues
    #[arg(long, value_name = "N")]
    shards: Option<String>,
    /// How log lines are written: text or json
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

/// Runs the server until it is told to stop.
pub fn run(args: ServerArgs) -> ExitCode {
    let overrides = Overrides {
        config: args.config,
        bind: args.bind,
        port: args.port,
        http: args.http,
        dir: args.dir,
        durability: args.durability,
        shards: args.shards,
        log_format: args.log_format,
    };
    let config = match Config::load(&overrides) {
        Ok(config) => config,
        Err(error) => return exit::with_message(exit::USAGE, format_args!("stanchion: {error}")),
    };
    logging::start(match config.log_format {
        LogFormat::Text => logging::Format::Text,
        LogFormat::Json => logging::Format::Json,
    });
    match stanchion_server::run(config) {
        Ok(report) => {
            tracing::info!(orderly = report.orderly, connections = report.connections, "server stopped");
            ExitCode::SUCCESS
        }
        Err(error) => exit::with_message(exit::FAILURE, format_args!("stanchion: {error}")),
    }
}
