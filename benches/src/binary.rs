//! The server under measurement: a given one, or this workspace's.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Where this run's server binary is, with the runner's beside it: the given one, or this workspace's, built now so
/// that it is not a stale one.
pub(crate) fn stanchion(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(given) = given {
        ensure!(given.is_file(), "there is no server at {}", given.display());
        return Ok(given.to_owned());
    }
    let own = std::env::current_exe()?;
    let built = own.parent().context("the bench has no directory")?;
    let target = built
        .parent()
        .context("the bench is not in cargo's target directory; name a server with --server")?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", "stanchion-cli", "--bins", "--target-dir"]).arg(target);
    cargo.args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
    if built.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.status().context("running cargo to build the server; name one with --server")?;
    ensure!(status.success(), "the server does not build ({status}); name one with --server");
    Ok(built.join("stanchion"))
}
