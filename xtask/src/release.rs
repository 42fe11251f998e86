//! The binaries of a release: built twice, the second time with what the first ones did at work.
//!
//! A compiler that knows what a job goes through puts that into one piece and all else out of its way, and no
//! attribute in the source tells it as much: docs/benchmarks.md says what it gives. The work is that of the
//! benchmarks and of the demo. What they never call is built as small, not as fast as can be.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::metadata::Metadata;
use crate::process::{output, run, run_with, say};

/// What is released.
const BINARIES: [&str; 2] = ["stanchion", "stanchion-runner"];

/// What is done with the first build: all of the benchmarks' workloads that take no gigabytes, a fan-out, and the demo,
/// which has retries, schedules and a runner. The floors are what Stanchion is compared with, so they get the same.
const WORK: [&[&str]; 3] = [
    &["bench", "compare", "--peers", "stanchion,floor,floor-kept", "--rounds", "1", "--seconds", "1"],
    &[
        "bench",
        "compare",
        "--peers",
        "stanchion",
        "--rounds",
        "1",
        "--workloads",
        "fan-out",
        "--size",
        "100000",
    ],
    &["demo"],
];

/// Builds both binaries for this machine, or for another target that runs on it.
pub(crate) fn build(target: Option<&str>) -> Result<()> {
    let host = output("rustc", &["--print", "host-tuple"])?;
    let target = target.unwrap_or(host.trim());
    let profdata = profdata()?;
    let directory = Metadata::load()?.target.join("guided");
    let (counts, profile) = (directory.join("counts"), directory.join("merged.profdata"));
    // Those of an earlier build are of other code.
    if counts.exists() {
        fs::remove_dir_all(&counts)?;
    }
    say("1 of 3: building with counters");
    let built = compile(target, &directory, &format!("-Cprofile-generate={}", counts.display()))?;
    say("2 of 3: the benchmarks' workloads and the demo");
    for words in WORK {
        work(&built.join("stanchion"), words, &directory)?;
    }
    run_with(Command::new(profdata).args(["merge", "--output"]).args([&profile, &counts]))?;
    say("3 of 3: building with the profile");
    let built = compile(target, &directory, &format!("-Cprofile-use={}", profile.display()))?;
    for name in BINARIES {
        let released = directory.join(name);
        fs::copy(built.join(name), &released)
            .with_context(|| format!("cannot write {}", released.display()))?;
        say(&format!("built {}", released.display()));
    }
    Ok(())
}

/// Builds with one more flag, and says where the binaries are. With a target, flags do not apply to what runs while
/// others are built.
fn compile(target: &str, directory: &Path, flag: &str) -> Result<PathBuf> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--release", "--locked", "--package", "stanchion-cli", "--bins"]);
    command.args(["--target", target, "--target-dir"]).arg(directory);
    // Paths may have blanks, which the plain variable can't.
    let given = std::env::var("RUSTFLAGS").unwrap_or_default();
    let flags: Vec<&str> = given.split_whitespace().chain([flag]).collect();
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    run_with(&mut command)?;
    Ok(directory.join(target).join("release"))
}

fn work(binary: &Path, words: &[&str], directory: &Path) -> Result<()> {
    let mut command = Command::new(binary);
    command.args(words);
    if words[0] == "bench" {
        command.arg("--dir").arg(directory).arg("--out").arg(directory.join("report"));
    }
    run_with(&mut command)
}

/// The toolchain's own: the format of profiles changes with the compiler.
fn profdata() -> Result<PathBuf> {
    let libraries = output("rustc", &["--print", "target-libdir"])?;
    let tool = Path::new(libraries.trim()).with_file_name("bin/llvm-profdata");
    if !tool.exists() {
        run("rustup", &["component", "add", "llvm-tools"])
            .context("llvm-profdata of this toolchain is needed: the component llvm-tools has it")?;
    }
    ensure!(tool.exists(), "there is no {} after `rustup component add llvm-tools`", tool.display());
    Ok(tool)
}
