//! `kill -9` under load: what was acknowledged is kept, and what a crash lost never comes back under another's name.
//!
//! A round: clients push, claim and report as fast as they are answered; at a random moment the server is killed;
//! it is started again on the same directory, and an oracle outside of it judges what it finds by what the clients
//! were told. An outcome that no reply told is unknown until the next start shows it, and certain from then on.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use stanchion_tests::crash::{Oracle, Promise, Setup, crash_in, load};
use stanchion_tests::{Options, Random};

#[test]
fn fifty_kills_under_load_lose_nothing_and_repeat_nothing() {
    run(Setup::Plain, 50);
}

#[test]
fn kills_between_small_segments_lose_nothing() {
    run(Setup::SmallSegments, 15);
}

#[test]
fn without_syncs_a_crash_may_lose_but_never_repeats() {
    run(Setup::Unsynced, 10);
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

#[expect(clippy::print_stdout, reason = "a failed test shows what it can be run again with")]
fn run(setup: Setup, rounds: usize) {
    let seed = Random::seed_from_environment();
    println!("run again with E2E_SEED={seed}");
    crash_in(setup, rounds, seed);
}
