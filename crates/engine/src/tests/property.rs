//! Random runs against the model. After each step answers, jobs, keys, counts, totals and the shard's own
//! invariants agree; at the end the live state, the replayed one, the one after reclaiming and the one from a
//! checkpoint are the same, and every prefix of the log makes what the shard was then.
//!
//! `PROPTEST_CASES=20000 cargo test -p stanchion-engine property` looks longer.

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::ops::{Op, Run, op};

/// Enough to meet each rule, in a few seconds.
const CASES: u32 = 1_500;

fn config() -> Config {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(CASES);
    // A found bug becomes a script with its number; no seeds are kept.
    Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_shard_does_what_the_model_allows(ops in proptest::collection::vec(op(), 1..100)) {
        run(&ops).map_err(TestCaseError::fail)?;
    }
}

fn run(ops: &[Op]) -> Result<(), String> {
    let mut run = Run::new()?;
    for (at, op) in ops.iter().enumerate() {
        run.step(op).map_err(|why| format!("step {at}, {op:?}: {why}"))?;
    }
    run.pair.rig.check_prefixes()?;
    run.pair.rig.check_merged_prefixes()?;
    run.pair.sweep(true)?;
    run.pair.rig.check_replay()?;
    run.pair.rig.check_merged()?;
    run.pair.rig.checkpoint();
    run.pair.rig.check_merged().map_err(|why| format!("at rest: {why}"))?;
    run.pair.rig.reclaim();
    run.pair.rig.check_replay().map_err(|why| format!("after reclaiming: {why}"))?;
    run.pair.rig.check_prefixes()
}
