//! Runs seeds on all cores, or on as many as it may take, and says which of them fail and how to see one again.
//!
//! `cargo run --release -p stanchion-simulation --bin simulate -- --seeds 1..100000`
//! `cargo run --release -p stanchion-simulation --bin simulate -- --seed 4711 --trace`

use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use stanchion_simulation::{Less, Options, Tally, run, shrink};

const USAGE: &str = "simulate --seeds FIRST..LAST [--threads N] | --seed N [--trace] [--fewer-lives N] [--fewer-clients N] [--fewer-pipelines N]";

/// After so many failures there is enough to look at.
const FAILURES_MAX: usize = 20;

/// How often the run says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// What the command line asks for.
#[derive(Default)]
struct Wanted {
    seeds: Option<(u64, u64)>,
    threads: Option<usize>,
    traces: bool,
    less: Less,
}

fn main() -> ExitCode {
    let Some(wanted) = parse(std::env::args().skip(1)) else {
        say(USAGE);
        return ExitCode::FAILURE;
    };
    let Some((first, last)) = wanted.seeds else {
        say(USAGE);
        return ExitCode::FAILURE;
    };
    let options = Options { traces: wanted.traces, less: wanted.less, ..Options::default() };
    let threads =
        wanted.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    if first == last { one(first, options) } else { many(first, last, threads, options) }
}

fn parse(mut words: impl Iterator<Item = String>) -> Option<Wanted> {
    let mut wanted = Wanted::default();
    while let Some(word) = words.next() {
        let mut number = || words.next()?.parse().ok();
        match word.as_str() {
            "--seed" => {
                let seed = number()?;
                wanted.seeds = Some((seed, seed));
            }
            "--seeds" => {
                let range = words.next()?;
                let (first, last) = range.split_once("..")?;
                wanted.seeds = Some((first.parse().ok()?, last.trim_start_matches('=').parse().ok()?));
            }
            "--threads" => {
                wanted.threads = Some(usize::try_from(number()?).ok().filter(|&threads| threads > 0)?)
            }
            "--trace" => wanted.traces = true,
            "--fewer-lives" => wanted.less.lives = u32::try_from(number()?).ok()?,
            "--fewer-clients" => wanted.less.clients = number()?,
            "--fewer-pipelines" => wanted.less.pipelines = number()?,
            _ => return None,
        }
    }
    Some(wanted)
}

/// Runs one seed.
fn one(seed: u64, options: Options) -> ExitCode {
    let run = run(seed, options);
    run.trace.iter().for_each(|line| say(line));
    say(&format!("seed {seed}: {:?}", run.tally));
    match run.failure {
        None => ExitCode::SUCCESS,
        Some(failure) => {
            say(&failure);
            ExitCode::FAILURE
        }
    }
}

/// Runs many on so many threads.
fn many(first: u64, last: u64, threads: usize, options: Options) -> ExitCode {
    let (next, done) = (AtomicU64::new(first), AtomicU64::new(0));
    let failures = Mutex::new(Vec::new());
    let total = Mutex::new(Tally::default());
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > last || failures.lock().len() >= FAILURES_MAX {
                        return;
                    }
                    let run = run(seed, options);
                    total.lock().add(&run.tally);
                    if let Some(failure) = run.failure {
                        tell(seed, &failure, options);
                        failures.lock().push(seed);
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        scope.spawn(|| {
            let mut told = Instant::now();
            while next.load(Ordering::Relaxed) <= last && failures.lock().len() < FAILURES_MAX {
                std::thread::sleep(Duration::from_millis(50));
                if told.elapsed() >= PROGRESS_EVERY {
                    told = Instant::now();
                    say(&format!(
                        "{} seeds in {:.0} s",
                        done.load(Ordering::Relaxed),
                        started.elapsed().as_secs_f64()
                    ));
                }
            }
        });
    });
    let failures = failures.into_inner();
    let seeds = done.into_inner();
    let seconds = started.elapsed().as_secs_f64();
    say(&format!(
        "{seeds} seeds in {seconds:.1} s ({:.1} ms of a core each): {} failed; {:?}",
        seconds * 1e3 * threads as f64 / seeds.max(1) as f64,
        failures.len(),
        total.into_inner(),
    ));
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Says what is wrong with a seed, and how to see it as small as it gets.
fn tell(seed: u64, failure: &str, options: Options) {
    let Less { lives, clients, pipelines } = shrink(seed, options);
    say(&format!(
        "seed {seed} FAILED: {failure}\n  see it: simulate --seed {seed} --trace --fewer-lives {lives} --fewer-clients {clients} --fewer-pipelines {pipelines}"
    ));
}

fn say(text: &str) {
    // A reader that has gone needs no report.
    drop(writeln!(std::io::stdout(), "{text}"));
}
