//! The servers that more than one bench starts.

use std::path::Path;

use anyhow::Result;
use stanchion_bench::contender::Contender;
use stanchion_bench::load::{Acks, Crew, Load};
use stanchion_bench::peer::Peer;
use stanchion_bench::process::{Persistence, Process};

/// So many workers with dedupe keys on so many queues, each of which has a backlog.
pub(crate) fn load(connections: usize, queues: usize, backlog: u64) -> Load {
    Load {
        prefix: "enwiki".to_owned(),
        crew: Crew::Workers(connections),
        queues,
        dedupe: true,
        backlog: backlog * queues as u64,
        ..Load::default()
    }
}

/// Redis with JobQueueRedis's scripts.
pub(crate) fn redis(base: &Path, persistence: Persistence, load: &Load) -> Result<Contender> {
    let name = match persistence {
        Persistence::None => "redis + Lua, no AOF",
        Persistence::Always | Persistence::Rewritten => "redis + Lua, AOF always",
        Persistence::EverySecond => "redis + Lua, AOF every second",
    };
    Contender::new(name, Peer::named("lua")?, Process::redis(base, persistence)?, load)
}

/// The real Stanchion server.
pub(crate) fn stanchion(
    binary: &Path,
    base: &Path,
    durability: &str,
    acks: Acks,
    load: &Load,
) -> Result<Contender> {
    let name = match acks {
        Acks::Alone => format!("stanchion, {durability}"),
        Acks::WithClaims => format!("stanchion, {durability}, QCLAIM ACK"),
    };
    let load = Load { acks, ..load.clone() };
    Contender::new(name, Peer::stanchion(), Process::stanchion(binary, base, durability)?, &load)
}
