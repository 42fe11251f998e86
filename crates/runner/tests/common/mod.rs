//! What the tests of several dispatchers need.

use stanchion_client::{Job, Receipt};
use stanchion_runner::outcome::Outcome;

/// A job whose fields are all different.
pub(crate) fn job() -> Job {
    Job {
        queue: b"transcode".to_vec(),
        receipt: Receipt::from("0000100000000001-7".to_owned()),
        payload: b"the payload".to_vec(),
        attempt: 2,
        group: b"enwiki".to_vec(),
        priority: 3,
        pushed_at: 1,
        ready_at: 1,
        lease_until: 30_001,
        failures: 1,
        root: None,
        dedupe: None,
        last_error: None,
    }
}

/// The reason of a failure.
#[track_caller]
pub(crate) fn failed(outcome: Outcome) -> String {
    match outcome {
        Outcome::Failed(error) => error,
        other => panic!("not a failure: {other:?}"),
    }
}
