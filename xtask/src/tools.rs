//! What the tests need beside Rust: Debian packages, a virtual environment of Python, and modules of Node.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::process::{is_installed, output, run, run_with, say};

/// A Debian package and a command that succeeds where it is installed, whoever installed it.
struct Tool {
    package: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
}

const TOOLS: &[Tool] = &[
    tool("redis-server", "redis-server", &["--version"]),
    tool("beanstalkd", "beanstalkd", &["-v"]),
    tool("nats-server", "nats-server", &["--version"]),
    tool("redis-tools", "redis-cli", &["--version"]),
    tool("prometheus-redis-exporter", "prometheus-redis-exporter", &["--version"]),
    tool("valgrind", "valgrind", &["--version"]),
    // For promtool: 20 MB.
    tool("prometheus", "promtool", &["--version"]),
    tool("strace", "strace", &["--version"]),
    tool("openssl", "openssl", &["version"]),
    tool("python3-venv", "python3", &["-c", "import venv, ensurepip"]),
    tool("python3-yaml", "python3", &["-c", "import yaml"]),
    tool("nodejs", "node", &["--version"]),
    tool("npm", "npm", &["--version"]),
    tool("iproute2", "ip", &["-V"]),
    tool("php-cli", "php", &["--version"]),
    tool("php-redis", "php", &["-r", "exit(extension_loaded('redis') ? 0 : 1);"]),
    tool("php-predis", "php", &["-r", "exit((include 'Predis/Autoloader.php') ? 0 : 1);"]),
    tool("ruby-redis", "ruby", &["-e", "require 'redis'"]),
    tool("gcc", "gcc", &["--version"]),
    tool(
        "libhiredis-dev",
        "gcc",
        &["-fsyntax-only", "-include", "hiredis/hiredis.h", "-x", "c", "/dev/null"],
    ),
    tool("golang-go", "go", &["version"]),
    tool("golang-gopkg-redis.v5-dev", "test", &["-d", "/usr/share/gocode/src/gopkg.in/redis.v5"]),
    tool(
        "golang-github-gomodule-redigo-dev",
        "test",
        &["-d", "/usr/share/gocode/src/github.com/gomodule/redigo"],
    ),
];

const fn tool(package: &'static str, program: &'static str, arguments: &'static [&'static str]) -> Tool {
    Tool { package, program, arguments }
}

const VENV: &str = ".venv";
const REQUIREMENTS: &str = "tests/clients/requirements.txt";
/// Directories with a package.json and its lock file.
const NODE_PROJECTS: &[&str] = &["tests/clients", "crates/bench/bullmq"];

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
    install_node_modules()?;
    say(&format!("{} packages, the Python environment and the Node modules are there", TOOLS.len()));
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
    once(REQUIREMENTS, &Path::new(VENV).join("requirements.txt"), || {
        run("python3", &["-m", "venv", "--clear", VENV])?;
        let pip = format!("{VENV}/bin/pip");
        run(&pip, &["install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS])
    })
}

/// Installs what the lock files say, unless that is there already.
fn install_node_modules() -> Result<()> {
    NODE_PROJECTS.iter().try_for_each(|project| {
        let stamp = Path::new(project).join("node_modules/.installed");
        once(&format!("{project}/package-lock.json"), &stamp, || {
            // No module's own scripts are run: none of these needs one.
            run("npm", &["ci", "--prefix", project, "--ignore-scripts", "--no-audit", "--no-fund"])
        })
    })
}

/// Installs what a file lists, unless the stamp that the last time left behind says the same.
fn once(list: &str, stamp: &Path, install: impl FnOnce() -> Result<()>) -> Result<()> {
    let wanted = fs::read_to_string(list).with_context(|| format!("cannot read {list}"))?;
    if fs::read_to_string(stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    install()?;
    // Written last: what was left half installed is installed again.
    fs::write(stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}
