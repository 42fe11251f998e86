//! What commands do: each is parsed, calls one action of the engine, and writes a reply.

mod acl;
pub(crate) mod backup;
mod browse;
mod claim;
mod client;
mod configuration;
mod connection;
mod debug;
mod flush;
mod info;
mod jobs;
mod keys;
mod kill;
mod latency;
mod listing;
mod memory;
mod operate;
mod produce;
mod pubsub;
mod report;
mod save;
mod settings;
mod slow_log;
mod space;
mod steps;
mod survey;
pub(crate) mod transaction;
mod waiting;
pub(crate) mod watch;
mod worker;

use stanchion_engine::Refusal;
use stanchion_protocol::command::{QueueCommand, Selection};
use stanchion_protocol::table::CommandId;
use stanchion_protocol::{Args, CommandError, CommandSpec, ErrorCode};

use crate::hub::Topic;
use crate::turn::Turn;

pub(crate) use claim::{finish_claim, unpark};
pub(crate) use steps::LongTask;
pub(crate) use waiting::{WaitOver, poll_pending};

/// Runs a queue command.
#[inline]
pub(crate) fn run(turn: &mut Turn<'_, '_>, spec: &'static CommandSpec, command: &QueueCommand<'_>) {
    if let Err(error) = space::check(turn, command) {
        return turn.fail(spec, &error);
    }
    let result = match command {
        QueueCommand::Push(push) => produce::push(turn, push),
        QueueCommand::Root { queue, root, group } => produce::root(turn, queue, root, group),
        QueueCommand::Claim(claim) => claim::claim(turn, claim),
        QueueCommand::ClaimMany(claim) => claim::claim_many(turn, claim),
        QueueCommand::Ack { queue, receipts } => report::ack(turn, queue, receipts),
        QueueCommand::Nack(nack) => report::nack(turn, nack),
        QueueCommand::Release { queue, delay_ms, receipts } => {
            report::release(turn, queue, *delay_ms, receipts)
        }
        QueueCommand::Extend { queue, lease_ms, receipts } => {
            report::extend(turn, queue, *lease_ms, receipts)
        }
        QueueCommand::Len { queue, count, group } => operate::len(turn, queue, *count, *group),
        QueueCommand::Stats { queue } => operate::stats(turn, queue),
        QueueCommand::List { glob } => browse::list(turn, *glob),
        QueueCommand::Ready { cursor, glob, count } => browse::ready(turn, *cursor, *glob, *count),
        QueueCommand::Peek { queue, state, count, group } => {
            jobs::peek(turn, queue, (*state, *count, *group))
        }
        QueueCommand::Job { queue, which } => jobs::job(turn, queue, *which),
        QueueCommand::Scan { queue, cursor, state, group, count } => {
            jobs::scan(turn, queue, *cursor, (*state, *group, *count))
        }
        QueueCommand::Requeue { queue, jobs: Selection::Dead { group, count } } => {
            steps::requeue_dead(turn, queue, *group, *count)
        }
        QueueCommand::Requeue { queue, jobs } => operate::requeue(turn, queue, jobs),
        QueueCommand::Del { queue, jobs } => operate::delete(turn, queue, jobs),
        QueueCommand::Purge { queue, state, group } => steps::purge(turn, queue, *state, *group),
        QueueCommand::Pause { queue, what, for_ms } => operate::pause(turn, queue, *what, *for_ms),
        QueueCommand::Resume { queue } => operate::resume(turn, queue),
        QueueCommand::ConfigSet { queue, pairs } => settings::set(turn, queue, pairs),
        QueueCommand::ConfigGet { queue, key } => settings::get(turn, queue, *key),
        QueueCommand::ConfigUnset { queue, keys } => settings::unset(turn, queue, keys),
    };
    if let Err(error) = result {
        turn.fail(spec, &error);
    }
}

/// Runs one of Redis's own commands, or one about workers.
pub(crate) fn run_redis(turn: &mut Turn<'_, '_>, spec: &'static CommandSpec, args: Args<'_>) {
    let result = match spec.id {
        CommandId::Ping => connection::ping(turn, args),
        CommandId::Echo => connection::echo(turn, args),
        CommandId::Hello => connection::hello(turn, args),
        CommandId::Auth => connection::auth(turn, args),
        CommandId::Select => connection::select(turn, args),
        CommandId::Quit => connection::quit(turn),
        CommandId::Reset => connection::reset(turn),
        CommandId::ClientId => client::id(turn),
        CommandId::ClientSetname => client::set_name(turn, args),
        CommandId::ClientGetname => client::get_name(turn),
        CommandId::ClientSetinfo => client::set_info(turn, args),
        CommandId::ClientList => client::list(turn, args),
        CommandId::ClientInfo => client::info(turn),
        CommandId::ClientKill => kill::kill(turn, args),
        CommandId::ClientPause => client::pause(turn, args),
        CommandId::ClientUnpause => client::unpause(turn),
        CommandId::ClientReply => client::reply(turn, args),
        CommandId::ClientNoEvict | CommandId::ClientNoTouch => client::accept_switch(turn, args),
        CommandId::ClientUnblock => client::unblock(turn, args),
        CommandId::Info => info::info(turn, args),
        CommandId::ConfigGet => configuration::get(turn, args),
        CommandId::ConfigSet => configuration::set(turn, args),
        CommandId::ConfigResetstat => configuration::reset_statistics(turn),
        CommandId::ConfigRewrite => configuration::rewrite(turn),
        CommandId::Type => keys::kind(turn, args),
        CommandId::Exists => keys::exists(turn, args),
        CommandId::Del | CommandId::Unlink => keys::delete(turn, args),
        CommandId::Scan => keys::scan(turn, spec, args),
        CommandId::Dbsize => keys::count(turn),
        CommandId::Keys => keys::list(turn, args),
        CommandId::Randomkey => keys::random(turn),
        CommandId::Flushall | CommandId::Flushdb => flush::flush(turn, args),
        CommandId::Save => save::save(turn),
        CommandId::Bgsave => save::background(turn, args),
        CommandId::Lastsave => save::last(turn),
        CommandId::BackupBegin => backup::begin(turn),
        CommandId::BackupRead => backup::read(turn, args),
        CommandId::BackupEnd => backup::end(turn),
        CommandId::Wait => waiting::wait(turn, args),
        CommandId::Watch => watch::watch(turn, args),
        CommandId::Unwatch => watch::unwatch(turn),
        CommandId::Multi => transaction::multi(turn),
        CommandId::Exec => transaction::exec(turn),
        CommandId::Discard => transaction::discard(turn),
        CommandId::Subscribe => pubsub::subscribe(turn, Topic::Channel, args),
        CommandId::Psubscribe => pubsub::subscribe(turn, Topic::Pattern, args),
        CommandId::Unsubscribe => pubsub::unsubscribe(turn, Topic::Channel, args),
        CommandId::Punsubscribe => pubsub::unsubscribe(turn, Topic::Pattern, args),
        CommandId::Publish => pubsub::publish(turn, args),
        CommandId::PubsubChannels => pubsub::channels(turn, args),
        CommandId::PubsubNumsub => pubsub::listeners(turn, args),
        CommandId::PubsubNumpat => pubsub::patterns(turn),
        CommandId::SlowlogGet => slow_log::get(turn, args),
        CommandId::SlowlogLen => slow_log::len(turn),
        CommandId::SlowlogReset => slow_log::reset(turn),
        CommandId::LatencyLatest => latency::latest(turn),
        CommandId::LatencyHistory => latency::history(turn, args),
        CommandId::LatencyReset => latency::reset(turn, args),
        CommandId::LatencyGraph => latency::graph(turn, args),
        CommandId::LatencyDoctor => latency::doctor(turn),
        CommandId::LatencyHistogram => latency::histogram(turn, args),
        CommandId::Monitor => debug::monitor(turn),
        CommandId::MemoryUsage => memory::usage(turn, args),
        CommandId::MemoryStats => memory::stats(turn),
        CommandId::MemoryDoctor => memory::doctor(turn),
        CommandId::MemoryPurge => memory::purge(turn),
        CommandId::MemoryMallocStats => memory::malloc_stats(turn),
        CommandId::ObjectEncoding => memory::encoding(turn, args),
        CommandId::ObjectRefcount => memory::reference_count(turn, args),
        CommandId::ObjectIdletime => memory::idle_time(turn, args),
        CommandId::ObjectFreq => memory::frequency(turn, args),
        CommandId::DebugSleep => debug::sleep(turn, args),
        CommandId::QworkerBeat
        | CommandId::QworkerBye
        | CommandId::QworkerList
        | CommandId::QworkerQuiet
        | CommandId::QworkerResume
        | CommandId::QworkerStop
        | CommandId::QworkerVersions => worker::worker(turn, spec, args),
        CommandId::Time => connection::time(turn),
        CommandId::Shutdown => connection::shutdown(turn, args),
        CommandId::Waitaof => waiting::wait_aof(turn, args),
        CommandId::AclCat => acl::categories(turn, args),
        CommandId::AclDeluser => acl::delete_users(turn, args),
        CommandId::AclDryrun => acl::dry_run(turn, args),
        CommandId::AclGenpass => acl::generate_password(turn, args),
        CommandId::AclGetuser => acl::get_user(turn, args),
        CommandId::AclList => acl::list(turn),
        CommandId::AclLoad => acl::load(turn),
        CommandId::AclSave => acl::save(turn),
        CommandId::AclLog => acl::log(turn, args),
        CommandId::AclSetuser => acl::set_user(turn, args),
        CommandId::AclUsers => acl::names(turn),
        CommandId::AclWhoami => acl::who_am_i(turn),
        _ => connection::documentation(turn, spec, args),
    };
    if let Err(error) = result {
        turn.fail(spec, &error);
    }
}

/// What an action answers: it has written its reply, or this error is the reply.
pub(crate) type Done = Result<(), CommandError>;

/// The error of a command that the engine refused.
#[cold]
fn refused(refusal: Refusal) -> CommandError {
    let code = match refusal {
        Refusal::Paused { .. } => ErrorCode::Paused,
        Refusal::FullJobs { .. } | Refusal::FullBytes { .. } => ErrorCode::Full,
        Refusal::Setting(_) | Refusal::TooFar { .. } => ErrorCode::Err,
    };
    CommandError::with_code(code, refusal.to_string())
}

/// Refuses a command that would bring more jobs than there is memory for.
#[inline]
fn check_memory(turn: &Turn<'_, '_>) -> Done {
    if !turn.lane().memory.is_full() {
        return Ok(());
    }
    let bytes_max = turn.server.memory_bytes_max();
    Err(CommandError::with_code(
        ErrorCode::Full,
        format!(
            "memory: jobs take {bytes_max} bytes even without their payloads, which is maxmemory; claim or delete some, or raise it with CONFIG SET"
        ),
    ))
}

/// A word as text, for words that our own tables know.
fn upper(word: &[u8]) -> String {
    String::from_utf8_lossy(word).to_ascii_uppercase()
}
