//! `docs/differences.md`, written from the table that the comparison allows.

use std::fmt::Write;

use super::{DIFFERENCES, NOT_COMPARED};

const HEAD: &str = "\
# Differences to Redis

Stanchion answers Redis's own commands as Redis 7 does, byte for byte, but for what stands here. This page is written from
the table that the tests allow (`tests/src/oracle/differences/table.rs`, by `cargo xtask docs`), so it can't leave a
difference out: random conversations are held with redis-server 7.0.15 and with Stanchion, and a reply that differs in
another way fails the gate. To hold more of them, or those of one seed again:

    cargo run -p stanchion-tests --bin oracle -- --conversations 100000
    cargo run -p stanchion-tests --bin oracle -- --seed 4711 --conversations 1

The redis-server beside it is started with `--databases 1`, because queues have names and one space of names is enough:
`SELECT 1` is `ERR DB index is out of range`.
";

/// The document.
pub fn differences_md() -> String {
    let mut text = HEAD.to_owned();
    let mut say = |line: &str| writeln!(text, "{line}").expect("a string takes all");
    for difference in DIFFERENCES {
        say(&format!("\n## {}\n", difference.about));
        say(&format!("- **Redis:** {}.", difference.redis));
        say(&format!("- **Stanchion:** {}.", difference.stanchion));
        say(&format!("- **Why:** {}.", difference.why));
    }
    say("\n## What is not compared\n");
    say("| what | why |\n|---|---|");
    for (what, why) in NOT_COMPARED {
        say(&format!("| {what} | {why} |"));
    }
    text
}
