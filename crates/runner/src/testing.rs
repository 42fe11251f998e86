//! What several tests of this crate need.

use stanchion_client::{Job, Receipt};

/// A job of this queue.
pub(crate) fn job(queue: &str) -> Job {
    let receipt = Receipt::from("0000100000000001-7".to_owned());
    Job { attempt: 2, group: b"enwiki".to_vec(), ..Job::new(queue, receipt, "payload") }
}
