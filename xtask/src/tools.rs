//! What the tests need beside Rust: Debian packages and a virtual environment of Python.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::process::{is_installed, output, run, run_with, say};

/// A program and the Debian package that brings it.
struct Tool {
    program: &'static str,
    arguments: &'static [&'static str],
    package: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool { program: "redis-server", arguments: &["--version"], package: "redis-server" },
    Tool { program: "redis-cli", arguments: &["--version"], package: "redis-tools" },
    Tool { program: "strace", arguments: &["--version"], package: "strace" },
    Tool { program: "python3", arguments: &["-c", "import venv, ensurepip"], package: "python3-venv" },
];

const VENV: &str = ".venv";
const REQUIREMENTS: &str = "tests/clients/requirements.txt";

/// Installs what is missing; what can't be installed is an error that names it.
pub(crate) fn install() -> Result<()> {
    let missing: Vec<&str> = TOOLS
        .iter()
        .filter(|tool| !is_installed(tool.program, tool.arguments))
        .map(|tool| tool.package)
        .collect();
    if !missing.is_empty() {
        install_packages(&missing)?;
    }
    install_venv()?;
    say("redis-server, redis-cli, strace and the Python environment are there");
    Ok(())
}

fn install_packages(packages: &[&str]) -> Result<()> {
    let is_root = output("id", &["-u"])?.trim() == "0";
    if !is_root || !is_installed("apt-get", &["--version"]) {
        bail!("the tests need {}; install with: apt-get install {}", packages.join(", "), packages.join(" "));
    }
    let apt = |arguments: &[&str]| {
        run_with(
            std::process::Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    apt(&["update", "-q"])?;
    apt(&[&["install", "-q", "-y", "--no-install-recommends"], packages].concat())
}

/// Makes the environment, unless it holds these very requirements already.
fn install_venv() -> Result<()> {
    let wanted = fs::read_to_string(REQUIREMENTS).with_context(|| format!("cannot read {REQUIREMENTS}"))?;
    let stamp = Path::new(VENV).join("requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    run("python3", &["-m", "venv", "--clear", VENV])?;
    let pip = format!("{VENV}/bin/pip");
    run(&pip, &["install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS])?;
    // Written last: an environment that was left half made is made again.
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}
