//! Random commands of the whole table; ten million of them by hand, `cargo run --release -p stanchion-tests --bin storm --
//! 10000000`.

use stanchion_tests::{Random, storm};

#[test]
fn random_commands_break_nothing() {
    let seed = Random::seed_from_environment();
    eprintln!("E2E_SEED={seed}");
    let weathered = storm(100_000, seed);
    assert!(weathered.commands >= 100_000, "{weathered:?}");
    assert!(weathered.errors < weathered.commands * 2 / 3, "most commands are refused: {weathered:?}");
    assert!(weathered.jobs > 0, "nothing was left to find again: {weathered:?}");
}
