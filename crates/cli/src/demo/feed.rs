//! What is pushed: the jobs that a MediaWiki 1.39 pushed while its pages and templates were edited, as if 40
//! wikis had done so.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;
use stanchion_client::{Dedupe, Push};

/// One job a line, as the wiki pushed it.
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

/// Between two edits, as a difference of MediaWiki's timestamps (`20261121214631`).
const ONE_DAY: u64 = 1_000_000;

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

/// What each wiki pushed, and its one hopeless job.
pub(super) fn recorded() -> Result<Vec<QueuedPush>> {
    let mut pushes = Vec::new();
    for (line, job) in lines()? {
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

/// The same pages and templates are edited once more: for each event one job, which will find the pages again.
/// What still waits of the earlier event is superseded; the job itself may still wait too, and then takes over.
pub(super) fn edited_again() -> Result<Vec<QueuedPush>> {
    let mut newest: BTreeMap<(String, String), (String, &str, Recorded)> = BTreeMap::new();
    for (line, job) in lines()? {
        let Some(root) = &job.root else { continue };
        let key = (job.r#type.clone(), root.signature.clone());
        let timestamp = root.timestamp.clone();
        match newest.get(&key) {
            Some((known, ..)) if *known >= timestamp => {}
            _ => drop(newest.insert(key, (timestamp, line, job))),
        }
    }
    let mut pushes = Vec::new();
    for ((queue, _), (timestamp, line, mut job)) in newest {
        let later = (timestamp.parse::<u64>()? + ONE_DAY).to_string();
        let line = line.replace(&timestamp, &later);
        if let Some(root) = &mut job.root {
            root.timestamp = later;
        }
        for wiki in WIKIS {
            pushes.push((queue.clone(), push(&job, &line, wiki)?));
        }
    }
    Ok(pushes)
}

fn lines() -> Result<Vec<(&'static str, Recorded)>> {
    let parse = |line| Ok((line, serde_json::from_str(line).with_context(|| format!("not a job: {line}"))?));
    JOBS.lines().map(parse).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recorded_job_is_pushed_by_every_wiki() {
        let pushes = recorded().unwrap();
        assert_eq!(pushes.len(), (261 + 1) * WIKIS.len());
        let queues: Vec<&str> = SETTINGS.iter().map(|(queue, _)| *queue).collect();
        for (queue, _) in &pushes {
            assert!(queues.contains(&queue.as_str()), "{queue} has no settings");
        }
    }

    #[test]
    fn every_event_happens_again() {
        let mut events: Vec<(String, String)> = lines()
            .unwrap()
            .into_iter()
            .filter_map(|(_, job)| Some((job.r#type, job.root?.signature)))
            .collect();
        events.sort();
        events.dedup();
        assert_eq!(edited_again().unwrap().len(), events.len() * WIKIS.len());
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
