//! The engine alone, in this process: nanoseconds of a push, a claim and an ack, and whether a claim costs the
//! same however many groups take turns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use stanchion_bench::job::{Job, Sizes};
use stanchion_bench::stats::Spread;
use stanchion_bench::table::table;
use stanchion_engine::{Claimed, Now, Payload, Pushed, Shard, ShardConfig};
use stanchion_protocol::command::{Dedupe, NewJob, Take, Until, When};
use stanchion_protocol::id::Receipt;

use crate::report::{Limit, Report, say};

const QUEUE: &[u8] = b"enwiki:jobqueue:refreshLinks";

/// Commands of one hold of the shard, as a pipeline of depth 32 makes them.
const HOLD_COMMANDS: u64 = 32;

/// What takes turns.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Turns {
    /// Numbers of groups to measure with. Each group has a job standing all the time.
    #[arg(long, value_name = "N", num_args = 1.., default_values_t = GROUPS, value_parser = clap::value_parser!(u64).range(1..))]
    groups: Vec<u64>,
}

impl Default for Turns {
    fn default() -> Turns {
        Turns { groups: GROUPS.to_vec() }
    }
}

const GROUPS: [u64; 3] = [1, 1_000, 1_000_000];

/// With one group, this many jobs stand in it, so that the memory of a busy queue is touched.
const JOBS_STANDING_MIN: u64 = 1_000;

/// When the bench begins, for the engine.
const EPOCH_MS: u64 = 1_780_000_000_000;

/// From a thousand groups to a million only the caches get worse: a search among them would cost far more.
const CLAIM_RATIO_MAX: f64 = 8.0;

/// Measures, prints and records. It needs no server, so it takes only how often and how long.
pub(crate) fn run(turns: &Turns, rounds: usize, slice: Duration, report: &mut Report) -> Result<()> {
    say(format!(
        "\nengine: {HOLD_COMMANDS} commands a hold, one thread, {rounds} rounds of {:.1} s",
        slice.as_secs_f64()
    ))?;
    let mut table = table(&["groups", "push ns", "claim ns", "ack ns", "ns/job"]);
    let mut figures = Vec::new();
    let mut claim_ns = Vec::new();
    for &groups in &turns.groups {
        let mut bench = Bench::start(groups)?;
        let laps: Vec<Lap> = (0..rounds).map(|_| bench.run(slice)).collect::<Result<_>>()?;
        let of = |read: fn(&Lap) -> f64| Spread::of(laps.iter().map(read));
        let (push, claim, ack, whole) =
            (of(Lap::push_ns), of(Lap::claim_ns), of(Lap::ack_ns), of(Lap::job_ns));
        table.add_row([
            groups.to_string(),
            format!("{push:.0}"),
            format!("{claim:.0}"),
            format!("{ack:.0}"),
            format!("{whole:.0}"),
        ]);
        claim_ns.push((groups, claim.median));
        figures.push(json!({ "groups": groups, "push-ns": push.json(), "claim-ns": claim.json(), "ack-ns": ack.json() }));
    }
    say(table)?;
    if let [_, (1_000, few), (1_000_000, many)] = claim_ns[..] {
        report.bar(
            "claim of a million groups over one of a thousand",
            many / few,
            Limit::Below(CLAIM_RATIO_MAX),
        );
    }
    report.record("engine", figures.into());
    Ok(())
}

/// Some cycles over a few groups, for the smoke test: each claim must hand out the job whose turn it is.
pub(crate) fn exercise() -> Result<()> {
    let mut bench = Bench::start(7)?;
    (0..20).try_for_each(|_| bench.cycle(&mut Lap::default()))
}

/// What one slice took.
#[derive(Default)]
pub(crate) struct Lap {
    pub(crate) jobs: u64,
    push: Duration,
    claim: Duration,
    ack: Duration,
}

impl Lap {
    fn push_ns(&self) -> f64 {
        self.push.as_nanos() as f64 / self.jobs as f64
    }

    fn claim_ns(&self) -> f64 {
        self.claim.as_nanos() as f64 / self.jobs as f64
    }

    fn ack_ns(&self) -> f64 {
        self.ack.as_nanos() as f64 / self.jobs as f64
    }

    pub(crate) fn job_ns(&self) -> f64 {
        self.push_ns() + self.claim_ns() + self.ack_ns()
    }

    /// What another thread did besides.
    pub(crate) fn add(&mut self, other: &Lap) {
        self.jobs += other.jobs;
        self.push += other.push;
        self.claim += other.claim;
        self.ack += other.ack;
    }
}

/// A shard with its standing jobs, and what a caller of it keeps.
pub(crate) struct Bench {
    shard: Shard,
    groups: u64,
    pushed: u64,
    claims: u64,
    base: u64,
    start: Instant,
    now: Now,
    job: Job,
    sizes: Sizes,
    log: Vec<u8>,
    outcomes: Vec<Pushed>,
    claimed: Claimed,
    receipts: Vec<Receipt>,
}

impl Bench {
    pub(crate) fn start(groups: u64) -> Result<Bench> {
        let file = Arc::new(|_: &[u8]| Default::default());
        let mut bench = Bench {
            shard: Shard::new(ShardConfig { index: 0, count: 1, boot: 1, file }),
            groups,
            pushed: 0,
            claims: 0,
            base: 0,
            start: Instant::now(),
            now: Now { ms: EPOCH_MS, entropy: 0 },
            job: Job::new(&Sizes::default()),
            sizes: Sizes::default(),
            log: Vec::new(),
            outcomes: Vec::new(),
            claimed: Claimed::default(),
            receipts: Vec::new(),
        };
        for _ in 0..groups.max(JOBS_STANDING_MIN) {
            bench.begin();
            bench.push()?;
        }
        Ok(bench)
    }

    pub(crate) fn run(&mut self, slice: Duration) -> Result<Lap> {
        let (start, mut lap) = (Instant::now(), Lap::default());
        while start.elapsed() < slice {
            self.cycle(&mut lap)?;
        }
        Ok(lap)
    }

    /// A hold of pushes, one of claims and one of acks.
    pub(crate) fn cycle(&mut self, lap: &mut Lap) -> Result<()> {
        let begun = cpu_now();
        self.begin();
        for _ in 0..HOLD_COMMANDS {
            self.push()?;
        }
        let pushed = cpu_now();
        self.begin();
        for _ in 0..HOLD_COMMANDS {
            self.claim()?;
        }
        let claimed = cpu_now();
        self.begin();
        self.ack()?;
        lap.push += pushed - begun;
        lap.claim += claimed - pushed;
        lap.ack += cpu_now() - claimed;
        lap.jobs += HOLD_COMMANDS;
        Ok(())
    }

    /// The records of the hold before are staged: the buffer is empty again.
    fn begin(&mut self) {
        self.log.clear();
        self.base += HOLD_COMMANDS;
        self.shard.begin(self.base);
        self.now.ms = EPOCH_MS + self.start.elapsed().as_millis() as u64;
    }

    /// Groups push in the order in which their turns come, so that none ever runs empty.
    fn push(&mut self) -> Result<()> {
        self.job.set(self.pushed);
        let group = (self.pushed % self.groups).to_le_bytes();
        let new = NewJob {
            payload: self.job.payload(),
            when: When::Now,
            group: &group,
            priority: 0,
            dedupe: Some(Dedupe { key: self.job.key(), until: Until::Claim, window_ms: 0, replace: false }),
            root: None,
            ttl_ms: None,
            attempts_max: None,
        };
        self.outcomes.clear();
        self.shard.push(self.now, QUEUE, &[new], &mut self.log, &mut self.outcomes)?;
        ensure!(matches!(self.outcomes[..], [Pushed::Ready(_)]), "job {} was not added", self.pushed);
        self.pushed += 1;
        Ok(())
    }

    /// Claims one job, which must be the one whose turn it is.
    fn claim(&mut self) -> Result<()> {
        self.claimed.clear();
        self.shard.claim(self.now, QUEUE, &Take::ONE, &mut self.log, &mut self.claimed);
        ensure!(self.claimed.len() == 1, "a claim found no job, though some were ready");
        let view = self.shard.view(self.claimed.jobs()[0]);
        let Payload::Here(payload) = view.payload else { bail!("a payload is not in memory") };
        let number = self.sizes.number(payload)?;
        ensure!(number == self.claims, "job {number} came out of turn: it was job {}'s", self.claims);
        self.receipts.push(view.receipt);
        self.claims += 1;
        Ok(())
    }

    /// Acks all that the hold before claimed, one command each.
    fn ack(&mut self) -> Result<()> {
        for receipt in self.receipts.drain(..) {
            let acked = self.shard.ack(self.now, QUEUE, &[receipt], &mut self.log);
            ensure!(acked == 1, "a live claim could not be acked");
        }
        Ok(())
    }
}

/// CPU of this thread so far: unlike the time of day it stands still while another process has the core.
pub(crate) fn cpu_now() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
}
