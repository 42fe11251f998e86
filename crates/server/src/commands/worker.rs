//! QWORKER: workers about themselves, and operators about them.

use std::collections::{BTreeMap, HashMap};

use stanchion_engine::{Step, VersionLine};
use stanchion_protocol::command::WorkerCommand;
use stanchion_protocol::error::Quoted;
use stanchion_protocol::{Args, CommandError, CommandSpec, Proto, Reply, parse};

use super::Done;
use super::listing::{Listing, Wanted};
use super::steps::{LongTask, Work};
use super::survey::{self, Question};
use crate::fields::Fields;
use crate::hold::Hold;
use crate::limits::{LIST_STEP, WORKERS_MAX};
use crate::session::Pending;
use crate::turn::Turn;
use crate::workers::{Order, TooMany, Worker};

/// Takes back what a worker has claimed, wherever it is.
pub(super) struct ByeTask {
    worker: Box<[u8]>,
    /// Only what it had claimed by then.
    through: u64,
    shard: usize,
    cursor: u32,
    /// Jobs so far.
    total: u64,
}

/// Any subcommand of QWORKER.
pub(super) fn worker(turn: &mut Turn<'_, '_>, spec: &'static CommandSpec, args: Args<'_>) -> Done {
    match parse::worker(spec, args, &turn.server.config.limits)? {
        WorkerCommand::Beat { name, told } => {
            turn.end_hold();
            let order = turn.server.workers.beat(turn.lane(), name, &told).map_err(too_many)?;
            turn.reply().bulk(order.word().as_bytes());
            Ok(())
        }
        WorkerCommand::Bye { name, host, pid } => bye(turn, name, host, pid),
        WorkerCommand::List => list(turn),
        WorkerCommand::Quiet { name } => order(turn, name, Order::Quiet),
        WorkerCommand::Resume { name } => order(turn, name, Order::Ok),
        WorkerCommand::Stop { name } => order(turn, name, Order::Stop),
        WorkerCommand::Versions { glob } => versions(turn, glob),
    }
}

#[cold]
fn too_many(_: TooMany) -> CommandError {
    CommandError::new(format!(
        "{WORKERS_MAX} workers are heard, and there may be no more; let those end with QWORKER BYE that are not needed"
    ))
}

fn order(turn: &mut Turn<'_, '_>, name: &[u8], order: Order) -> Done {
    if !turn.server.workers.order(name, order) {
        let name = Quoted(name);
        return Err(CommandError::new(format!(
            "no worker {name} is heard; QWORKER LIST shows those that are"
        )));
    }
    turn.reply().ok();
    Ok(())
}

fn bye(turn: &mut Turn<'_, '_>, name: &[u8], host: Option<&[u8]>, pid: Option<u32>) -> Done {
    turn.end_hold();
    let lane = turn.lane();
    if !turn.server.workers.bye(lane, name, host, pid) {
        turn.reply().integer(0);
        return Ok(());
    }
    let through = lane.clock.now_ms();
    let task = ByeTask { worker: name.into(), through, shard: 0, cursor: 0, total: 0 };
    let task = LongTask::new(Work::Bye(task), turn.session.run.take_newest());
    turn.session.pending = Some(Pending::Task(task));
    Ok(())
}

impl ByeTask {
    /// Does one step; true when it was the last, and the reply is written.
    pub(super) fn step(&mut self, turn: &mut Turn<'_, '_>) -> bool {
        let (holds, session, outbox) = turn.parts();
        holds.enter_shard(self.shard, outbox);
        let (worker, through, cursor) = (&*self.worker, self.through, &mut self.cursor);
        let step = holds.record(|engine, now, log| engine.release_worker(now, worker, through, cursor, log));
        let (Step::More(jobs) | Step::Done(jobs)) = step;
        self.total += jobs;
        if let Step::Done(_) = step {
            (self.shard, self.cursor) = (self.shard + 1, 0);
        }
        let done = self.shard == holds.lane().shard_count();
        if done {
            outbox.wait(holds.hold().wait_any());
            outbox.reply(session.proto).integer(self.total);
        }
        holds.serve();
        holds.end(outbox);
        done
    }
}

/// QWORKER LIST.
struct Crew {
    workers: BTreeMap<Box<[u8]>, Worker>,
    /// Jobs that each of them has.
    hands: HashMap<Box<[u8]>, u64>,
    lines: Listing,
}

fn list(turn: &mut Turn<'_, '_>) -> Done {
    let workers = turn.server.workers.all();
    survey::ask(turn, Crew { workers, hands: HashMap::new(), lines: Listing::default() })
}

impl Question for Crew {
    fn look(&mut self, hold: &mut Hold<'_>, cursor: u32, _: Proto) -> u32 {
        let Crew { workers, hands, .. } = self;
        hold.engine().workers(cursor, LIST_STEP, &mut |name, jobs| match hands.get_mut(name) {
            Some(claimed) => *claimed += jobs,
            None if workers.contains_key(name) => _ = hands.insert(name.into(), jobs),
            None => {}
        })
    }

    fn answer(&mut self, turn: &mut Turn<'_, '_>) -> bool {
        let (proto, now_ms) = (turn.session.proto, turn.lane().clock.now_ms());
        for _ in 0..LIST_STEP {
            let Some((name, worker)) = self.workers.pop_first() else {
                return self.lines.write(turn.outbox, proto);
            };
            let claimed = self.hands.get(&name).copied().unwrap_or(0);
            self.lines.add(proto, |reply| write_worker(&name, &worker, claimed, now_ms, reply));
        }
        false
    }
}

fn write_worker(name: &[u8], worker: &Worker, claimed: u64, now_ms: u64, reply: &mut Reply<'_>) {
    let mut fields = Fields::new(reply.proto());
    fields.text("name", name);
    fields.text("order", worker.order.word().as_bytes());
    fields.maybe_text("version", worker.version.as_deref());
    fields.maybe_text("host", worker.host.as_deref());
    fields.maybe("pid", worker.pid.map(u64::from));
    fields.maybe("slots", worker.slots.map(u64::from));
    fields.maybe("jobs", worker.jobs.map(u64::from));
    fields.number("claimed", claimed);
    fields.maybe_text("groups", worker.groups.as_deref());
    fields.number("since", worker.since_ms);
    fields.number("heard-ms", now_ms.saturating_sub(worker.heard_ms));
    fields.write(reply);
}

/// QWORKER VERSIONS.
struct Versions {
    wanted: Wanted,
    lines: Listing,
}

fn versions(turn: &mut Turn<'_, '_>, pattern: Option<&[u8]>) -> Done {
    let wanted = Wanted::new(turn.session, pattern);
    survey::ask(turn, Versions { wanted, lines: Listing::default() })
}

impl Question for Versions {
    fn look(&mut self, hold: &mut Hold<'_>, cursor: u32, proto: Proto) -> u32 {
        let Versions { wanted, lines } = self;
        hold.engine().versions(cursor, LIST_STEP, &mut |line| {
            if wanted.has(line.queue) {
                lines.add(proto, |reply| write_version(&line, reply));
            }
        })
    }

    fn answer(&mut self, turn: &mut Turn<'_, '_>) -> bool {
        self.lines.write(turn.outbox, turn.session.proto)
    }
}

fn write_version(line: &VersionLine<'_>, reply: &mut Reply<'_>) {
    let mut fields = Fields::new(reply.proto());
    fields.text("queue", line.queue);
    fields.text("version", line.version);
    fields.number("acked", line.ended.acked);
    fields.number("nacked", line.ended.nacked);
    fields.number("lapsed", line.ended.lapsed);
    fields.write(reply);
}
