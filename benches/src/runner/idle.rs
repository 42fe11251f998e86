//! A runner without work: what it takes, and what it asks of the server.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::host::Host;
use crate::report::{Limit, Report, say};
use crate::setting::Setting;

/// Ticks of 10 ms need some seconds to tell 0.5 % from less.
const WATCH: Duration = Duration::from_secs(20);
/// The runner has started, and everything waits.
const SETTLE: Duration = Duration::from_secs(2);
const CPU_PERCENT_MAX: f64 = 0.5;
/// The claim that waits, and the heartbeat.
const EXPECTED: [&str; 2] = ["qmclaim", "qworker|beat"];
/// With a job: the push is this bench's, the ack goes in front of a claim, and a group may still be connecting.
const WITH_A_JOB: [&str; 4] = ["qmpush", "qack", "client|id", "client|setinfo"];
/// What this bench asks the server itself.
const OWN: [&str; 3] = ["info", "qstats", "ping"];

/// The groups of the first example in docs/runner.md, where the bench's own queue is none of low priority.
const GROUPS: &str = r#"
[groups.basic]
slots = 19
include = ["*"]
exclude = ["webVideoTranscode", "upload*"]
low-priority = ["cdnPurge", "htmlCacheUpdate"]
low-priority-share = 0.2
dispatcher = "php"

[groups.transcode]
slots = 2
include = ["webVideoTranscode"]
dispatcher = "php"

[dispatchers.php]
kind = "exec"
command = ["/bin/true"]
"#;

/// Measures, prints, and returns the figures.
pub(super) fn run(setting: &Setting, report: &mut Report) -> Result<Value> {
    let mut host = Host::start(setting, "always")?;
    host.run(setting, GROUPS)?;
    std::thread::sleep(SETTLE);
    let (cpu, commands) = (host.runner_cpu()?, host.commands()?);
    std::thread::sleep(WATCH);
    let cpu = host.runner_cpu()?.since(cpu).total();
    let sent = sent(&commands, &host.commands()?);
    let percent = 100.0 * cpu.as_secs_f64() / WATCH.as_secs_f64();
    let words: Vec<String> = sent.iter().map(|(name, calls)| format!("{calls} {name}")).collect();
    say(format!(
        "\nrunner, idle: {percent:.2} % of a core ({} ms in {} s); it sent {}",
        cpu.as_millis(),
        WATCH.as_secs(),
        words.join(", ")
    ))?;
    report.bar("idle runner, % of a core", percent, Limit::Below(CPU_PERCENT_MAX));
    report.bar(
        "commands of an idle runner but claim and beat",
        unexpected(&sent, &[]) as f64,
        Limit::Below(1.0),
    );
    finish(host)?;
    Ok(json!({ "percent-of-a-core": percent, "commands": sent }))
}

/// A runner that has done a job and waits for the next one has sent nothing else.
pub(super) fn exercise(setting: &Setting) -> Result<()> {
    let mut host = Host::start(setting, "always")?;
    host.run(setting, GROUPS)?;
    host.push(1)?;
    host.wait_all_done()?;
    let before = host.commands()?;
    host.push(1)?;
    host.wait_all_done()?;
    let sent = sent(&before, &host.commands()?);
    let more = unexpected(&sent, &WITH_A_JOB);
    ensure!(more == 0, "for one job the runner sent {sent:?}");
    host.finish()
}

/// It still takes jobs.
fn finish(mut host: Host) -> Result<()> {
    host.push(1)?;
    host.wait_all_done()?;
    host.finish()
}

/// What others than this bench have sent in between.
fn sent(before: &[(String, u64)], after: &[(String, u64)]) -> BTreeMap<String, u64> {
    let earlier: BTreeMap<&str, u64> = before.iter().map(|(name, calls)| (name.as_str(), *calls)).collect();
    after
        .iter()
        .filter(|(name, _)| !OWN.contains(&name.as_str()))
        .map(|(name, calls)| (name.clone(), calls - earlier.get(name.as_str()).unwrap_or(&0)))
        .filter(|(_, calls)| *calls > 0)
        .collect()
}

/// How many of them are neither claim nor beat nor one of these.
fn unexpected(sent: &BTreeMap<String, u64>, also: &[&str]) -> u64 {
    let is_expected = |name: &str| EXPECTED.contains(&name) || also.contains(&name);
    sent.iter().filter(|(name, _)| !is_expected(name)).map(|(_, calls)| calls).sum()
}
