//! The `stanchion` binary: the server, a demo and benches of it, and what there is for its data directory.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use stanchion_cli::backup::{self, BackupArgs};
use stanchion_cli::bench_command::{self, BenchArgs};
use stanchion_cli::check_command::{self, CheckArgs};
use stanchion_cli::demo::{self, DemoArgs};
use stanchion_cli::dump_command::{self, DumpArgs};
use stanchion_cli::exit;
use stanchion_cli::repair_command::{self, RepairArgs};
use stanchion_cli::runner_command::{self, RunnerArgs};
use stanchion_cli::server_command::{self, ServerArgs};

/// Small payloads come and go; this allocator keeps their memory from fragmenting.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A durable job queue for everything that speaks Redis.
#[derive(Debug, Parser)]
#[command(name = "stanchion", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server until SIGTERM or SIGINT; a second one hurries
    Server(ServerArgs),
    /// Copy the log of a running server, to a directory that a server can start from or as a tar archive to standard output
    Backup(BackupArgs),
    /// Run real MediaWiki jobs through a server and a runner of its own, in half a minute
    Demo(DemoArgs),
    /// Load a queue server, Stanchion or a peer, and measure it
    Bench(BenchArgs),
    /// Read all of a data directory; exits 1 if something is damaged, 2 if there is nothing to read
    Check(CheckArgs),
    /// Write the jobs of a data directory, or the records of its log, as JSON lines
    Dump(DumpArgs),
    /// Write off what is damaged in a data directory, or cut it off; says what is lost and keeps the originals
    Repair(RepairArgs),
    /// The same as the binary `stanchion-runner`: `cargo run` builds one binary, and the demo needs both
    #[command(hide = true)]
    Runner(RunnerArgs),
}

fn main() -> ExitCode {
    if let Some(code) = stanchion_runner::shim::run_if_called() {
        return code;
    }
    match Args::try_parse() {
        Ok(Args { command: Command::Server(args) }) => server_command::run(args),
        Ok(Args { command: Command::Backup(args) }) => backup::main(&args),
        Ok(Args { command: Command::Demo(args) }) => demo::main(&args),
        Ok(Args { command: Command::Bench(args) }) => bench_command::main(args),
        Ok(Args { command: Command::Check(args) }) => check_command::main(&args),
        Ok(Args { command: Command::Dump(args) }) => dump_command::main(&args),
        Ok(Args { command: Command::Repair(args) }) => repair_command::main(&args),
        Ok(Args { command: Command::Runner(args) }) => runner_command::main(args),
        Err(error) => exit::arguments("stanchion", &error),
    }
}
