//! Hostile input for everything that reads bytes it does not trust.
//!
//! A seeded mutator works on a committed corpus and in every gate; it needs nothing but stable Rust. Input that makes
//! a target panic is kept under `target/fuzz/`; the seed that is printed makes the same inputs again.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};

use stanchion_tests::resident_bytes;

use crate::process::say;

mod targets;

use targets::{TARGETS, Target};

/// How long one target is fed by hand.
pub(crate) const SECONDS_DEFAULT: u64 = 60;

/// How long one target is fed in the gate.
pub(crate) const SECONDS_IN_GATE: u64 = 5;

/// Memory that a target may keep beyond what it has after a fifth of its time.
const GROWTH_BYTES_MAX: usize = 16 << 20;

/// Bytes that an input may grow to.
const INPUT_BYTES_MAX: usize = 8 << 10;

/// Feeds one target, or all.
pub(crate) fn run(name: Option<&str>, seconds: u64) -> Result<()> {
    let chosen: Vec<&Target> =
        TARGETS.iter().filter(|target| name.is_none_or(|name| name == target.name)).collect();
    let names = || TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
    ensure!(
        !chosen.is_empty(),
        "there is no fuzz target {}; there are {}",
        name.unwrap_or_default(),
        names()
    );
    let seed = match std::env::var("FUZZ_SEED") {
        Ok(seed) => seed.parse().context("FUZZ_SEED is no number")?,
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    };
    for target in chosen {
        feed(target, seed, Duration::from_secs(seconds))?;
    }
    Ok(())
}

fn feed(target: &Target, seed: u64, time: Duration) -> Result<()> {
    let corpus = corpus(target.name)?;
    let mut mutator = Mutator { state: seed };
    let (started, deadline) = (Instant::now(), Instant::now() + time);
    let mut executions = 0u64;
    let mut warm_bytes = None;
    // The corpus as it is comes first: an input that once failed must not fail again.
    for input in &corpus {
        execute(target, input, seed)?;
        executions += 1;
    }
    while Instant::now() < deadline {
        let input = mutator.mutate(&corpus);
        execute(target, &input, seed)?;
        executions += 1;
        // A fifth of the time is enough to have seen what there is to keep.
        if warm_bytes.is_none() && started.elapsed() >= time / 5 {
            warm_bytes = Some(resident_bytes(std::process::id()));
        }
    }
    let (name, bytes) = (target.name, resident_bytes(std::process::id()));
    let grown = bytes.saturating_sub(warm_bytes.unwrap_or(bytes));
    ensure!(grown < GROWTH_BYTES_MAX, "{name} has grown by {grown} bytes; FUZZ_SEED={seed} makes it again");
    let (seeds, kib) = (corpus.len(), grown >> 10);
    say(&format!("{name}: {executions} inputs from {seeds} seeds, {kib} KiB grown, FUZZ_SEED={seed}"));
    Ok(())
}

fn execute(target: &Target, input: &[u8], seed: u64) -> Result<()> {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_ok() {
        return Ok(());
    }
    let directory = Path::new("target/fuzz");
    fs::create_dir_all(directory)?;
    let path = directory.join(format!("{}-{seed}.bin", target.name));
    fs::write(&path, input)?;
    bail!("{} panicked at {}; FUZZ_SEED={seed} makes it again", target.name, path.display())
}

/// The committed inputs of a target, in the order of their names.
fn corpus(target: &str) -> Result<Vec<Vec<u8>>> {
    let directory = Path::new("xtask/fuzz").join(target);
    let entries =
        fs::read_dir(&directory).with_context(|| format!("{} has no corpus", directory.display()))?;
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    let inputs: Vec<Vec<u8>> = paths.iter().map(fs::read).collect::<Result<_, _>>()?;
    ensure!(!inputs.is_empty(), "{} is empty", directory.display());
    Ok(inputs)
}

/// Makes inputs that are almost right, which reach further than noise.
struct Mutator {
    state: u64,
}

/// What parsers stumble over.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\0",
    b"*",
    b"$",
    b"-1",
    b"0",
    b"1",
    b"255",
    b"256",
    b"65536",
    b"2147483648",
    b"9223372036854775807",
    b"18446744073709551616",
    b" ",
    b"\"",
    b"'",
    b"NEXT",
    b"DEDUPE",
    b"ACK",
    b"\xff\xff\xff\xff",
];

impl Mutator {
    /// SplitMix64.
    fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number up to and without `bound`, 0 for 0.
    fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound.max(1) as u64) as usize
    }

    fn mutate(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[self.below(corpus.len())].clone();
        for _ in 0..1 + self.below(6) {
            self.change(&mut input, corpus);
        }
        input.truncate(INPUT_BYTES_MAX);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(input.len());
        let end = at + self.below((input.len() - at).min(64));
        match self.below(7) {
            0 if !input.is_empty() => input[at] ^= 1 << self.below(8),
            1 if !input.is_empty() => input[at] = self.bits() as u8,
            2 => drop(input.drain(at..end)),
            3 => {
                let copy = input[at..end].to_vec();
                let to = self.below(input.len());
                input.splice(to..to, copy);
            }
            4 => input.truncate(at),
            5 => {
                // The head of one input and the tail of another.
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len());
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => {
                let word = WORDS[self.below(WORDS.len())];
                let replaced = if self.below(2) == 0 { at..at } else { at..end };
                input.splice(replaced, word.iter().copied());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A parser that trusts a length: the planted bug.
    fn trusts_a_length(input: &[u8]) {
        if let [b'$', length, rest @ ..] = input
            && length.is_ascii_digit()
        {
            let _ = &rest[..usize::from(length - b'0')];
        }
    }

    #[test]
    fn a_planted_bug_is_found() {
        let corpus = [b"$3abc".to_vec(), b"+OK".to_vec()];
        let mut mutator = Mutator { state: 1 };
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let found = (0..10_000).any(|_| {
            let input = mutator.mutate(&corpus);
            catch_unwind(|| trusts_a_length(&input)).is_err()
        });
        std::panic::set_hook(hook);
        assert!(found);
    }

    #[test]
    fn every_target_has_a_corpus_that_passes() {
        std::env::set_current_dir(crate::metadata::workspace()).expect("the workspace is there");
        for target in TARGETS {
            for input in corpus(target.name).expect("a corpus") {
                execute(target, &input, 0).expect("the corpus passes");
            }
        }
    }
}
