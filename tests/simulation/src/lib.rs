//! Whole servers on simulated machines, judged from outside.
//!
//! One seed decides everything: what clients send, how late the log's writer is, when the machine crashes and what
//! of its disk survives. The same seed gives the same run, to the byte, so that a failure is a number.

mod ask;
mod client;
mod drain;
mod life;
mod listener;
mod oracle;
mod panics;
mod plan;
mod trace;
mod wire;
mod workload;
mod world;

use std::sync::Arc;

use stanchion_server::simulation::Planted;
use stanchion_storage::simulation::{Random, SimulatedDisk};

use life::Ending;
pub use oracle::Tally;
use plan::Plan;
use trace::Trace;
use world::World;

/// How to run a seed.
#[derive(Clone, Copy, Default, Debug)]
pub struct Options {
    /// Keep what happened, line by line.
    pub traces: bool,
    /// A bug that the judge has to find.
    pub planted: Option<Planted>,
    /// Do less than the seed says.
    pub less: Less,
}

/// What is left out of a run, to make a failure smaller.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Less {
    /// So many clients fewer.
    pub clients: u64,
    /// So many pipelines of each client fewer.
    pub pipelines: u64,
    /// So many lives fewer.
    pub lives: u32,
}

/// What became of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// What can't be, if anything.
    pub failure: Option<String>,
    /// What happened, if it was to be kept.
    pub trace: Vec<String>,
    /// How much it has shown.
    pub tally: Tally,
}

/// When the first life begins, in Unix milliseconds: the MediaWiki job queue was taken over by Redis about then.
const EPOCH_MS: u64 = 1_380_000_000_000;

/// Runs a seed.
pub fn run(seed: u64, options: Options) -> Run {
    panics::watch();
    let mut random = Random(seed);
    let mut plan = Plan::draw(&mut random.fork());
    plan.clients = plan.clients.saturating_sub(options.less.clients).max(1);
    plan.pipelines = plan.pipelines.saturating_sub(options.less.pipelines).max(1);
    plan.lives = plan.lives.saturating_sub(options.less.lives).max(1);
    let world = Arc::new(World::new(plan, Trace::new(options.traces), EPOCH_MS));
    world.trace.line(|| format!("seed {seed}: {:?}", world.plan));
    let mut disk = SimulatedDisk::new();
    for _ in 0..world.plan.lives {
        let mut random = random.fork();
        let ending = draw_ending(&world.plan, &mut random);
        disk = life::live(&world, &disk, ending, options.planted, &mut random);
    }
    if world.failure().is_none() {
        life::live(&world, &disk, Ending::Drain, options.planted, &mut random);
    }
    Run { failure: world.failure(), tally: world.oracle(|oracle| oracle.tally), trace: world.trace.take() }
}

fn draw_ending(plan: &Plan, random: &mut Random) -> Ending {
    let soon = random.one_in(4);
    match random.below(8) {
        0 => Ending::Rest,
        1 => Ending::Stop(random.below(2_000)),
        2 | 3 => Ending::Kill(1 + random.below(60)),
        4 if plan.disk_failures => Ending::SyncFailure(random.below(120)),
        5 if plan.disk_failures => Ending::Failure(random.below(120)),
        _ if plan.crashes => Ending::Crash(random.below(if soon { 12 } else { 150 })),
        _ => Ending::Kill(1 + random.below(30)),
    }
}

/// Makes a failing run smaller while it fails in any way; gives what can be left out.
pub fn shrink(seed: u64, options: Options) -> Less {
    let mut less = options.less;
    let fails = |less| run(seed, Options { less, traces: false, ..options }).failure.is_some();
    loop {
        let smaller = [
            Less { lives: less.lives + 1, ..less },
            Less { clients: less.clients + 1, ..less },
            Less { pipelines: less.pipelines + 3, ..less },
            Less { pipelines: less.pipelines + 1, ..less },
        ];
        let is_less = |next: &Less| next.lives < 8 && next.clients < 8 && next.pipelines < 20;
        match smaller.into_iter().filter(is_less).find(|next| fails(*next)) {
            Some(next) => less = next,
            None => return less,
        }
    }
}
