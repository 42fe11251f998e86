//! What several tests of this crate need.

use stanchion_client::{Job, Receipt};

/// A job of this queue.
pub(crate) fn job(queue: &str) -> Job {
    Job {
        queue: queue.as_bytes().to_vec(),
        receipt: Receipt::from("0000100000000001-7".to_owned()),
        payload: b"payload".to_vec(),
        attempt: 2,
        group: b"enwiki".to_vec(),
        priority: 0,
        pushed_at: 1,
        ready_at: 1,
        lease_until: 30_001,
        failures: 1,
        root: None,
        dedupe: None,
        last_error: None,
    }
}
