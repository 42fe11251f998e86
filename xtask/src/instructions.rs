//! Instructions of a job, compared with those of the last commit: a figure that a busy machine does not blur.
//!
//! The work is `benches/instructions`, counted by callgrind at two lengths, so that what start and end take cancels
//! out. A change of cost, for better or worse, is accepted on purpose: the counts are in the repository.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::metadata::Metadata;
use crate::process::{cargo, say};

/// Where the counts are, by architecture and shape.
const COUNTS: &str = "benches/instructions/counts.toml";

/// What the file begins with.
const HEAD: &str = "\
# Instructions of one job that is pushed, claimed and acked, with the client's and the disk's part, which are simulated.
# `cargo xtask instructions` compares with these; `cargo xtask instructions accept` writes them.
";

/// How far a count may be from the accepted one, in percent. Hashes are seeded anew in each process, which moves
/// it by a tenth of one.
const DIFFERENCE_PERCENT_MAX: f64 = 3.0;

/// What is counted.
struct Shape {
    name: &'static str,
    depth: u32,
    batch: u32,
    /// Of the shorter and the longer run.
    rounds: [u32; 2],
}

const SHAPES: &[Shape] = &[
    Shape { name: "depth-1", depth: 1, batch: 1, rounds: [500, 1_500] },
    Shape { name: "depth-32", depth: 32, batch: 1, rounds: [20, 60] },
    Shape { name: "batch-16", depth: 1, batch: 16, rounds: [40, 120] },
    Shape { name: "batch-256", depth: 1, batch: 256, rounds: [4, 12] },
];

/// Counts by shape, by architecture.
type Counts = BTreeMap<String, BTreeMap<String, u64>>;

/// Counts, and compares with what was accepted.
pub(crate) fn check() -> Result<()> {
    let accepted = read()?.remove(ARCH).with_context(|| {
        format!("{COUNTS} has no counts for {ARCH}; add them with: cargo xtask instructions accept")
    })?;
    let mut strayed = Vec::new();
    for (shape, count) in measure()? {
        let line = match accepted.get(&shape) {
            Some(&before) => {
                let percent = (count as f64 / before as f64 - 1.0) * 100.0;
                let line = format!("{shape}: {count} instructions a job, {percent:+.1} % to {before}");
                if percent.abs() > DIFFERENCE_PERCENT_MAX {
                    strayed.push(line.clone());
                }
                line
            }
            None => bail!("{COUNTS} has no count for {shape}; add it with: cargo xtask instructions accept"),
        };
        say(&line);
    }
    ensure!(
        strayed.is_empty(),
        "more than {DIFFERENCE_PERCENT_MAX} % off: {}; if that is what the change should cost: cargo xtask instructions accept",
        strayed.join("; ")
    );
    Ok(())
}

/// Counts, and takes that for what it should be.
pub(crate) fn accept() -> Result<()> {
    let mut all = read()?;
    let measured: BTreeMap<String, u64> = measure()?.into_iter().collect();
    for (shape, count) in &measured {
        say(&format!("{shape}: {count} instructions a job"));
    }
    all.insert(ARCH.to_owned(), measured);
    fs::write(COUNTS, format!("{HEAD}\n{}", toml::to_string(&all)?))
        .with_context(|| format!("cannot write {COUNTS}"))
}

fn read() -> Result<Counts> {
    let text = fs::read_to_string(COUNTS).with_context(|| format!("cannot read {COUNTS}"))?;
    toml::from_str(&text).with_context(|| COUNTS)
}

fn measure() -> Result<Vec<(String, u64)>> {
    cargo(&["build", "--release", "--locked", "--package", "stanchion-instructions"])?;
    let binary = Metadata::load()?.target.join("release/stanchion-instructions");
    SHAPES.iter().map(|shape| Ok((shape.name.to_owned(), per_job(&binary, shape)?))).collect()
}

fn per_job(binary: &Path, shape: &Shape) -> Result<u64> {
    let [short, long] = shape.rounds.map(|rounds| count(binary, shape, rounds));
    let ((few, less), (many, more)) = (short?, long?);
    more.checked_sub(less)
        .and_then(|instructions| instructions.checked_div(many - few))
        .with_context(|| format!("{}: {more} instructions for {many} jobs, and {less} for {few}", shape.name))
}

/// Jobs, and instructions of all of the run.
fn count(binary: &Path, shape: &Shape, rounds: u32) -> Result<(u64, u64)> {
    let numbers = [shape.depth, shape.batch, rounds].map(|number| number.to_string());
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(binary).args(&numbers);
    let output =
        command.stdin(Stdio::null()).output().context("cannot start valgrind (apt install valgrind)")?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "callgrind ended with {}:\n{told}", output.status);
    let jobs =
        String::from_utf8_lossy(&output.stdout).trim().parse().context("it prints a number of jobs")?;
    Ok((jobs, collected(&told).with_context(|| format!("callgrind says no count:\n{told}"))?))
}

/// The count in callgrind's last words.
fn collected(told: &str) -> Option<u64> {
    told.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callgrinds_count_is_found() {
        let told = "==12== Events    : Ir\n==12== Collected : 57761870\n==12== \n";
        assert_eq!(collected(told), Some(57_761_870));
        assert_eq!(collected("==12== Events    : Ir"), None);
    }

    #[test]
    fn each_shape_has_a_count() {
        let text = fs::read_to_string(crate::metadata::workspace().join(COUNTS)).unwrap();
        for (arch, counts) in toml::from_str::<Counts>(&text).unwrap() {
            let names: Vec<&str> = counts.keys().map(String::as_str).collect();
            let mut wanted: Vec<&str> = SHAPES.iter().map(|shape| shape.name).collect();
            wanted.sort_unstable();
            assert_eq!(names, wanted, "{arch}");
        }
    }
}
