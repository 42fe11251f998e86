//! Many jobs in one command, for what is not measured.

use std::ops::Range;

use anyhow::{Result, bail};
use stanchion_bench::client::Client;
use stanchion_bench::job::{Job, Sizes};
use stanchion_bench::resp::{self, Node};

/// Pushes the jobs of these numbers in one QMPUSH. `options` writes so many more words for each of them.
pub(crate) fn push_many(
    client: &mut Client,
    queue: &[u8],
    jobs: Range<usize>,
    words: usize,
    options: impl Fn(&mut Vec<u8>, &Job, usize),
) -> Result<()> {
    let (mut out, mut job) = (Vec::new(), Job::new(&Sizes::default()));
    // Command and queue, then each job's words, and NEXT between two jobs.
    resp::header(&mut out, 2 + (1 + words) * jobs.len() + (jobs.len() - 1));
    resp::word(&mut out, b"QMPUSH");
    resp::word(&mut out, queue);
    for number in jobs.clone() {
        if number > jobs.start {
            resp::word(&mut out, b"NEXT");
        }
        job.set(number as u64);
        resp::word(&mut out, job.payload());
        options(&mut out, &job, number);
    }
    client.send_encoded(&out)?;
    client.receive(|reply| match reply.nodes() {
        [Node::Array(ids), ..] if *ids == jobs.len() => Ok(()),
        _ => bail!("expected {} ids, got {}", jobs.len(), reply.show()),
    })
}
