//! What is pushed: the jobs that a MediaWiki 1.39 pushed while its pages and templates were edited, as if 40
//! wikis had done so, each from several application servers.

use anyhow::{Context, Result};
use serde::Deserialize;
use stanchion_client::{Dedupe, Push};

/// One job a line, recorded from a wiki; see `docs/` of the data for its fields.
const JOBS: &str = include_str!("../../demo/mediawiki-jobs.jsonl");

/// How many pushes go out before the answers are awaited; under `always` such a batch waits for the disk once.
pub(super) const BATCH: usize = 500;

/// The kind of job that never succeeds: one a wiki.
const HOPELESS: &str = "ThumbnailRender";

/// The queues, and what is set for them so that retries fit into half a minute.
pub(super) const SETTINGS: &[(&str, &[(&str, &str)])] = &[
    ("htmlCacheUpdate", &[("backoff", "250ms"), ("attempts", "5")]),
    ("recentChangesUpdate", &[("backoff", "250ms"), ("attempts", "5")]),
    ("refreshLinks", &[("backoff", "250ms"), ("attempts", "5")]),
    (HOPELESS, &[("backoff", "250ms"), ("attempts", "2")]),
];

/// Groups of the queues.
#[rustfmt::skip]
pub(super) const WIKIS: [&str; 40] = [
    "enwiki", "dewiki", "frwiki", "eswiki", "ruwiki", "jawiki", "itwiki", "zhwiki", "plwiki", "ptwiki",
    "nlwiki", "svwiki", "ukwiki", "arwiki", "cswiki", "fawiki", "fiwiki", "hewiki", "huwiki", "idwiki",
    "kowiki", "nowiki", "rowiki", "trwiki", "viwiki", "cawiki", "dawiki", "elwiki", "bgwiki", "hrwiki",
    "etwiki", "glwiki", "hiwiki", "ltwiki", "lvwiki", "mswiki", "skwiki", "slwiki", "srwiki", "thwiki",
];

/// A push, and the queue that it goes to.
pub(super) type QueuedPush = (String, Push);

#[derive(Debug, Deserialize)]
struct Recorded {
    r#type: String,
    /// What MediaWiki deduplicates by; empty for jobs that it does not.
    sha1: String,
    root: Option<Root>,
}

#[derive(Debug, Deserialize)]
struct Root {
    signature: String,
    timestamp: String,
}

/// All pushes, in the order in which they go out.
pub(super) fn pushes() -> Result<Vec<QueuedPush>> {
    let mut recorded = JOBS.lines().collect::<Vec<_>>();
    swap_neighbours(&mut recorded);
    let mut pushes = Vec::with_capacity((recorded.len() + 1) * WIKIS.len());
    for line in recorded {
        let job: Recorded = serde_json::from_str(line).with_context(|| format!("not a job: {line}"))?;
        for wiki in WIKIS {
            pushes.push((job.r#type.clone(), push(&job, line, wiki)?));
        }
    }
    for wiki in WIKIS {
        let payload = format!("{{\"wiki\":\"{wiki}\",\"type\":\"{HOPELESS}\",\"title\":\"File:Lost.svg\"}}");
        pushes.push((HOPELESS.to_owned(), Push::new(payload).group(wiki)));
    }
    Ok(pushes)
}

fn push(job: &Recorded, line: &str, wiki: &str) -> Result<Push> {
    let payload = line.replacen("\"wiki\":\"wiki\"", &format!("\"wiki\":\"{wiki}\""), 1);
    let mut push = Push::new(payload).group(wiki);
    if !job.sha1.is_empty() {
        push = push.dedupe(Dedupe::until_claim(&job.sha1));
    }
    if let Some(root) = &job.root {
        push = push.root(&root.signature, root.timestamp.parse()?);
    }
    Ok(push)
}

/// Application servers push at the same time, so neighbours in time change places on their way. Always in the
/// same manner, so that two demos push the same.
fn swap_neighbours(jobs: &mut [&str]) {
    const SPAN: usize = 8;
    for window in jobs.chunks_mut(SPAN) {
        window.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recorded_job_is_pushed_by_every_wiki() {
        let pushes = pushes().unwrap();
        assert_eq!(pushes.len(), (261 + 1) * WIKIS.len());
        let queues: Vec<&str> = SETTINGS.iter().map(|(queue, _)| *queue).collect();
        for (queue, _) in &pushes {
            assert!(queues.contains(&queue.as_str()), "{queue} has no settings");
        }
    }

    #[test]
    fn payloads_name_their_wiki() {
        let line = JOBS.lines().next().unwrap();
        let job: Recorded = serde_json::from_str(line).unwrap();
        let push = format!("{:?}", push(&job, line, "enwiki").unwrap());
        let named = b"\"wiki\":\"enwiki\"".map(|byte| byte.to_string()).join(", ");
        assert!(push.contains(&named), "{push}");
    }
}
