//! MULTI, EXEC and DISCARD: queued commands run as one step, under the locks of all their shards, as one record.

use stanchion_protocol::command::{QueueCommand, Selection, Sources};
use stanchion_protocol::table::{self, CommandId, Flags};
use stanchion_protocol::{Args, CommandError, CommandSpec, ErrorCode, Limits, OwnedArgs, keys, parse};

use super::Done;
use super::watch::Watched;
use crate::acl::Context;
use crate::lane::Lane;
use crate::turn::Turn;

/// The commands of a transaction that waits for EXEC.
#[derive(Default)]
pub(crate) struct Queued {
    commands: Vec<(&'static CommandSpec, OwnedArgs)>,
    bytes: usize,
    jobs: usize,
    spoilt: bool,
}

impl Queued {
    /// What they are.
    pub(crate) fn specs(&self) -> impl Iterator<Item = &'static CommandSpec> {
        self.commands.iter().map(|(spec, _)| *spec)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.commands.len()
    }

    /// A command was refused, so EXEC will do nothing.
    pub(crate) fn spoil(&mut self) {
        self.spoilt = true;
        self.commands.clear();
    }
}

/// Whether a command runs at once although a transaction is open.
pub(crate) fn runs_at_once(spec: &CommandSpec) -> bool {
    matches!(
        spec.id,
        CommandId::Exec
            | CommandId::Discard
            | CommandId::Multi
            | CommandId::Watch
            | CommandId::Quit
            | CommandId::Reset
    )
}

/// MULTI.
pub(super) fn multi(turn: &mut Turn<'_, '_>) -> Done {
    if turn.session.queued.is_some() {
        return Err(CommandError::new("MULTI calls can not be nested"));
    }
    turn.session.queued = Some(Queued::default());
    turn.reply().ok();
    Ok(())
}

/// DISCARD.
pub(super) fn discard(turn: &mut Turn<'_, '_>) -> Done {
    if turn.session.queued.take().is_none() {
        return Err(CommandError::new("DISCARD without MULTI"));
    }
    turn.session.watched = Watched::default();
    turn.reply().ok();
    Ok(())
}

/// Queues a command, when it could run.
pub(crate) fn queue(turn: &mut Turn<'_, '_>, spec: &'static CommandSpec, args: Args<'_>) {
    let limits = &turn.server.config.limits;
    let queued = turn.session.queued.as_mut().expect("a transaction is open");
    match check(queued, spec, args, limits) {
        Ok(jobs) => {
            if !queued.spoilt {
                queued.bytes += args.bytes_len();
                queued.jobs += jobs;
                queued.commands.push((spec, args.to_owned()));
            }
            turn.reply().simple("QUEUED");
        }
        Err(error) => {
            turn.session.run.rejected(spec);
            turn.refuse(&error);
        }
    }
}

/// What is wrong with queueing this command; how many jobs it names.
fn check(
    queued: &Queued,
    spec: &CommandSpec,
    args: Args<'_>,
    limits: &Limits,
) -> Result<usize, CommandError> {
    if spec.flags.has(Flags::NO_MULTI) {
        return Err(CommandError::new("Command not allowed inside a transaction"));
    }
    let mut jobs = 1;
    if parse::is_queue_command(spec) {
        let spec = table::resolve(args)?;
        let command = parse::parse(spec, args, limits)?;
        if matches!(command, QueueCommand::Requeue { jobs: Selection::Dead { .. }, .. }) {
            return Err(CommandError::new(
                "Command not allowed inside a transaction: QREQUEUE DEAD runs in steps",
            ));
        }
        jobs = jobs_of(&command);
    }
    let bytes = queued.bytes + args.bytes_len();
    if bytes > limits.args_bytes_max {
        let max = limits.args_bytes_max;
        return Err(CommandError::new(format!(
            "a transaction of {bytes} bytes is above the limit of {max} (args-bytes-max)"
        )));
    }
    if queued.jobs + jobs > limits.command_jobs_max as usize {
        let (jobs, max) = (queued.jobs + jobs, limits.command_jobs_max);
        return Err(CommandError::new(format!(
            "a transaction of {jobs} jobs and commands is above the limit of {max} (command-jobs-max)"
        )));
    }
    Ok(jobs)
}

/// How many jobs a command names or asks for: its share of the transaction's record.
fn jobs_of(command: &QueueCommand<'_>) -> usize {
    match command {
        QueueCommand::Push(push) => push.jobs.len(),
        QueueCommand::Claim(claim) => claim.take.count as usize + claim.acks.len(),
        QueueCommand::ClaimMany(claim) => claim.take.count as usize,
        QueueCommand::Ack { receipts, .. }
        | QueueCommand::Release { receipts, .. }
        | QueueCommand::Extend { receipts, .. } => receipts.len(),
        QueueCommand::Requeue { jobs: Selection::Ids(ids), .. }
        | QueueCommand::Del { jobs: Selection::Ids(ids), .. } => ids.len(),
        _ => 1,
    }
}

/// EXEC.
pub(super) fn exec(turn: &mut Turn<'_, '_>) -> Done {
    let Some(queued) = turn.session.queued.take() else {
        return Err(CommandError::new("EXEC without MULTI"));
    };
    let watched = std::mem::take(&mut turn.session.watched);
    if queued.spoilt {
        return Err(CommandError::with_code(
            ErrorCode::ExecAbort,
            "Transaction discarded because of previous errors.",
        ));
    }
    let alone = turn.session.run.take_newest();
    if let Some(holds) = &mut turn.holds {
        let shards = shards(holds.lane(), &queued.commands, &watched, &turn.server.config.limits);
        holds.begin_transaction(&shards, turn.outbox);
        if watched.has_changed(holds, turn.outbox) {
            turn.outbox.wait(holds.hold().wait_any());
            turn.outbox.reply(turn.session.proto).nil_array();
            holds.end_transaction(turn.outbox);
            turn.finish_alone(alone);
            return Ok(());
        }
    }
    turn.reply().array(queued.commands.len());
    for (spec, args) in &queued.commands {
        let args = args.as_args();
        // Its user may have lost a permission since it was queued.
        if turn.session.access.is_restricted()
            && let Err(denied) = turn.permit(spec, args, Context::Multi)
        {
            turn.session.run.rejected(spec);
            let error = denied.error_at_exec();
            turn.error(error.code, &error.text);
            continue;
        }
        turn.start(spec, args);
        if turn.lap_is_over() {
            turn.end_lap(spec, args);
        }
    }
    if let Some(holds) = &mut turn.holds {
        holds.end_transaction(turn.outbox);
    }
    turn.finish_alone(alone);
    Ok(())
}

/// The shards of all commands and watched queues, in the order in which their locks are taken.
fn shards(
    lane: &Lane,
    commands: &[(&'static CommandSpec, OwnedArgs)],
    watched: &Watched,
    limits: &Limits,
) -> Vec<usize> {
    let mut shards: Vec<_> = watched.queues().map(|queue| lane.shard_of(queue)).collect();
    for (spec, args) in commands {
        let args = args.as_args();
        if visits_all(spec, args, limits) {
            return (0..lane.shard_count()).collect();
        }
        shards.extend(keys::keys(spec, args).map(|queue| lane.shard_of(queue)));
    }
    shards.sort_unstable();
    shards.dedup();
    shards
}

/// Whether a command looks at every shard.
fn visits_all(spec: &'static CommandSpec, args: Args<'_>, limits: &Limits) -> bool {
    match spec.id {
        CommandId::Qlist
        | CommandId::Qready
        | CommandId::QworkerList
        | CommandId::QworkerVersions
        | CommandId::Scan
        | CommandId::Keys
        | CommandId::Randomkey
        | CommandId::Dbsize
        | CommandId::Info
        | CommandId::MemoryStats
        | CommandId::MemoryDoctor => true,
        CommandId::Qmclaim => matches!(
            parse::parse(spec, args, limits),
            Ok(QueueCommand::ClaimMany(claim)) if matches!(claim.from, Sources::Match { .. })
        ),
        _ => false,
    }
}
