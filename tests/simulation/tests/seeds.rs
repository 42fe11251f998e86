//! A fixed number of seeds, that a seed decides everything, and that the judge finds bugs that were planted.

use std::sync::atomic::{AtomicU64, Ordering};

use stanchion_server::simulation::Planted;
use stanchion_simulation::{Options, run, shrink};

/// Seeds of the gate. Many more are run by the program `simulate`.
const SEEDS: u64 = 400;

/// Within so many seeds each planted bug has to be found.
const CANARY_SEEDS: u64 = 400;

/// Runs seeds on two threads until one fails; gives its number and what is wrong.
fn first_failure(last: u64, options: Options) -> Option<(u64, String)> {
    let next = AtomicU64::new(1);
    let look = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > last {
                return None;
            }
            if let Some(failure) = run(seed, options).failure {
                next.fetch_max(last, Ordering::Relaxed);
                return Some((seed, failure));
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = [scope.spawn(look), scope.spawn(look)];
        threads.into_iter().filter_map(|thread| thread.join().expect("a run does not panic")).min()
    })
}

#[test]
fn nothing_that_was_promised_is_broken() {
    if let Some((seed, failure)) = first_failure(SEEDS, Options::default()) {
        let less = shrink(seed, Options::default());
        panic!(
            "{failure}\nsee it: cargo run -p stanchion-simulation --bin simulate -- --seed {seed} --trace \
             --fewer-lives {} --fewer-clients {} --fewer-pipelines {}",
            less.lives, less.clients, less.pipelines
        );
    }
}

#[test]
fn a_seed_decides_everything() {
    let mut lines = 0;
    for seed in 1..=40 {
        let options = Options { traces: true, ..Options::default() };
        let (one, other) = (run(seed, options), run(seed, options));
        for (line, (one, other)) in one.trace.iter().zip(&other.trace).enumerate() {
            assert_eq!(one, other, "line {line} of seed {seed}");
        }
        assert_eq!(one, other, "seed {seed}");
        lines += one.trace.len();
    }
    assert!(lines > 10_000, "seeds do something: {lines} lines");
}

#[test]
fn runs_show_what_they_are_for() {
    let mut total = stanchion_simulation::Tally::default();
    for seed in 1..=60 {
        total.add(&run(seed, Options::default()).tally);
    }
    assert!(total.answered > 5_000 && total.deliveries > 1_000, "{total:?}");
    assert!(total.unanswered > 100, "connections end and servers die: {total:?}");
    assert!(total.lost > 10, "crashes lose what may be lost: {total:?}");
    assert!(total.refused > 100, "disks and memory are full: {total:?}");
    assert!(total.read_back > 100, "payloads are only in the log: {total:?}");
}

#[test]
fn planted_bugs_are_found() {
    for planted in Planted::ALL {
        let options = Options { planted: Some(planted), ..Options::default() };
        let found = first_failure(CANARY_SEEDS, options);
        let (seed, failure) =
            found.unwrap_or_else(|| panic!("{planted:?} was not found in {CANARY_SEEDS} seeds"));
        eprintln!("{planted:?} was found by seed {seed}: {failure}");
    }
}
