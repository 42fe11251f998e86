//! Where the binaries under test are.
//!
//! Cargo tells a package's tests only about that package's own binaries, so this one finds the others: the gate
//! builds them and names their directory in `E2E_BIN_DIR`; without it they are built here, once a process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of a binary of `stanchion-cli`, built from the sources as they are now.
pub fn binary(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| match std::env::var_os("E2E_BIN_DIR") {
        Some(directory) => directory.into(),
        None => build(),
    });
    let path = directory.join(name);
    assert!(path.exists(), "{} is missing; run `cargo build -p stanchion-cli --bins`", path.display());
    path
}

/// The Python of the gate's virtual environment, with the clients that `tests/clients/requirements.txt` names.
pub fn venv_python() -> PathBuf {
    let path = workspace().join(".venv/bin/python");
    assert!(path.exists(), "{} is missing; `cargo xtask tools` makes it", path.display());
    path
}

/// A program in `tests/clients`.
pub fn client_program(name: &str) -> PathBuf {
    workspace().join("tests/clients").join(name)
}

/// The guide to clients, whose programs the tests run.
pub fn guide() -> String {
    std::fs::read_to_string(workspace().join("docs/clients.md")).expect("the guide is there")
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests' crate is in the workspace")
}

fn build() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "stanchion-cli", "--bins"])
        .current_dir(workspace())
        .output()
        .expect("cargo starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the binaries under test do not build:\n{errors}");
    target_directory()
}

/// Where cargo has built the running test.
pub(crate) fn target_directory() -> PathBuf {
    // target/debug/deps/e2e-0123, or target/debug/oracle → target/debug
    let test = std::env::current_exe().expect("a running test has a path");
    let deps = test.parent().expect("a test binary is in a directory");
    if deps.ends_with("deps") {
        deps.parent().expect("a profile has a directory").to_owned()
    } else {
        deps.to_owned()
    }
}
