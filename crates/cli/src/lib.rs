//! What the binaries `stanchion` and `stanchion-runner` share: arguments, logs, exit codes, the demo, and the
//! commands for a data directory whose server does not run.
//!
//! Thin on purpose: the server is `stanchion-server`, the runner `stanchion-runner`. Errors are made to be read by
//! a person here and nowhere else.

pub mod backup;
pub mod bench_command;
pub mod canary_command;
pub mod check_command;
mod data_directory;
pub mod demo;
pub mod dump_command;
pub mod exit;
mod floor;
mod json_line;
pub mod logging;
pub mod repair_command;
pub mod runner_command;
pub mod server_command;
mod tls_args;
