//! `kill -9` under load: what was acknowledged is kept, and what a crash lost never comes back under another's name.
//!
//! A round: clients push, claim and report as fast as they are answered; at a random moment the server is killed;
//! it is started again on the same directory, and an oracle outside of it judges what it finds by what the clients
//! were told. An outcome that no reply told is unknown until the next start shows it, and certain from then on.

mod client;
mod oracle;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc;

use stanchion_tests::{Options, Random, Server};

use self::client::{Client, Event};
use self::oracle::{Oracle, Promise};

/// How many clients work at once.
const CLIENTS: usize = 4;

#[test]
fn fifty_kills_under_load_lose_nothing_and_repeat_nothing() {
    run(50, Promise::Kept, Options::new());
}

#[test]
fn kills_between_small_segments_lose_nothing() {
    // Segments that fill in a round, so that crashes meet their creation, their end and their reclaiming.
    run(15, Promise::Kept, Options::new().configuration(SMALL_SEGMENTS));
}

#[test]
fn without_syncs_a_crash_may_lose_but_never_repeats() {
    run(10, Promise::Lossy, Options::new().arguments(&["--durability", "never"]));
}

/// The canary: a disk that forgot what it had synced must not pass.
#[test]
fn a_log_that_went_back_in_time_is_noticed() {
    let options = Options::new();
    let mut random = Random::new(7);
    let mut oracle = Oracle::new(Promise::Kept);
    let mut round = |number: usize| {
        let mut server = options.start();
        oracle.examine(&mut server.connect());
        oracle.learn(load(&mut server, &mut random, number, 100));
    };
    round(0);
    let kept = options.file("kept", "");
    fs::remove_file(&kept).expect("a name in the temporary directory");
    copy(&options.data(), &kept);
    round(1);
    fs::remove_dir_all(options.data()).expect("the data can be removed");
    copy(&kept, &options.data());
    let server = options.start();
    let mut connection = server.connect();
    let judged = catch_unwind(AssertUnwindSafe(|| oracle.examine(&mut connection)));
    let verdict = judged.expect_err("the oracle did not notice");
    let verdict = verdict.downcast_ref::<String>().expect("the verdict is a text");
    assert!(verdict.contains("was lost") || verdict.contains("was undone"), "{verdict}");
}

/// Copies a directory without directories in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a new directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a file can be copied");
    }
}

/// Some dozens of commits each.
const SMALL_SEGMENTS: &str = "segment-bytes = 16384\n";

#[expect(clippy::print_stdout, reason = "a failed test shows what it can be run again with")]
fn run(rounds: usize, promise: Promise, options: Options) {
    let seed = Random::seed_from_environment();
    println!("run again with E2E_SEED={seed}");
    let mut random = Random::new(seed);
    let mut oracle = Oracle::new(promise);
    options.start().check("> QCONFIG SET q attempts 0 => +OK\n> WAITAOF 1 0 0");
    for round in 0..rounds {
        if random.one_in(10) {
            // Also while it recovers.
            options.spawn().kill();
        }
        let mut server = options.start();
        oracle.examine(&mut server.connect());
        let work = 1 + random.below(300);
        let events = load(&mut server, &mut random, round, work);
        oracle.learn(events);
    }
    let server = options.start();
    oracle.examine(&mut server.connect());
    assert!(
        oracle.jobs_seen() > rounds * 20,
        "only {} jobs in {rounds} rounds are no load",
        oracle.jobs_seen()
    );
}

/// Lets the clients work until they have taken so many steps together, and kills the server in the midst of it.
fn load(server: &mut Server, random: &mut Random, round: usize, steps: usize) -> Vec<Event> {
    let (took_step, steps_taken) = mpsc::channel();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let name = format!("{round}.{number}");
                let mut client = Client::new(name, server.connect(), Random::new(random.bits()));
                let took_step = took_step.clone();
                scope.spawn(move || {
                    while client.step() {
                        // The receiver goes when it has counted enough.
                        let _ = took_step.send(());
                    }
                    client.into_events()
                })
            })
            .collect();
        for _ in 0..steps {
            steps_taken.recv().expect("the clients work until the server is killed");
        }
        server.kill();
        drop(steps_taken);
        clients
            .into_iter()
            .flat_map(|client| client.join().expect("a client ends with its connection"))
            .collect()
    })
}
