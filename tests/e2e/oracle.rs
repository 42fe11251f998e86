//! Random conversations with Redis 7 and with Stanchion, whose bytes must be the same but for a table of differences.

use std::collections::BTreeSet;

use stanchion_tests::oracle::{DIFFERENCES, Oracle};
use stanchion_tests::{RedisServer, Server, Value};

/// The first seed; always the same, so that the gate says the same about the same code.
const SEED: u64 = 1;

/// How many conversations the gate holds; `--bin oracle` holds as many as one likes.
const CONVERSATIONS: u64 = 1_500;

#[test]
fn redis_and_we_say_the_same() {
    let report = Oracle::start().run(SEED..SEED + CONVERSATIONS, 5);
    assert!(report.disagreements.is_empty(), "{}", report.disagreements.join("\n\n"));
    // What no conversation needs is no difference, or the conversations don't reach it.
    let unused: Vec<&str> = DIFFERENCES
        .iter()
        .zip(&report.used)
        .filter(|(_, used)| **used == 0)
        .map(|(row, _)| row.about)
        .collect();
    assert!(unused.is_empty(), "these differences were not seen: {unused:?}");
    let untold: Vec<String> =
        common_commands().difference(&report.commands).filter(|name| !is_left_out(name)).cloned().collect();
    assert!(untold.is_empty(), "no conversation says {untold:?}");
}

#[test]
fn a_planted_difference_is_found() {
    let mut oracle = Oracle::start();
    // A queue that Redis has no key for.
    oracle.pair().plant(&["QPUSH", "planted", "x"]);
    let report = oracle.run(SEED..SEED + CONVERSATIONS, 1);
    assert_eq!(report.disagreements.len(), 1, "in {} conversations", report.conversations);
    assert!(report.disagreements[0].contains("planted") || report.disagreements[0].contains(":1"));
}

/// The commands that both have.
fn common_commands() -> BTreeSet<String> {
    let (redis, server) = (RedisServer::start(), Server::start());
    let [theirs, ours] = [redis.connect(), server.connect()].map(|mut connection| {
        let names = connection.call(&["COMMAND", "LIST", "FILTERBY", "PATTERN", "*"]);
        names.array().iter().map(Value::text).collect::<BTreeSet<String>>()
    });
    theirs.intersection(&ours).cloned().collect()
}

/// Whether a command is not asked; `docs/differences.md` says why.
fn is_left_out(name: &str) -> bool {
    ["monitor", "bgsave", "debug"].contains(&name)
}
