//! What the binaries `stanchion` and `stanchion-runner` share: arguments, logs, exit codes, and the demo.
//!
//! Thin on purpose: the server is `stanchion-server`, the runner `stanchion-runner`. Errors are made to be read by
//! a person here and nowhere else.

pub mod demo;
pub mod exit;
pub mod logging;
pub mod runner_command;
pub mod server_command;
