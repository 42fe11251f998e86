//! Whom the generator speaks to: one table of the peers, which drives look-up, refusals, help and reports.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail, ensure};

use crate::bullmq;
use crate::client::Client;
use crate::dialect::Dialect;
use crate::dialect::beanstalk::Beanstalk;
use crate::dialect::jetstream::JetStream;
use crate::dialect::lists::Lists;
use crate::dialect::lua::Lua;
use crate::dialect::native::Native;
use crate::dialect::streams::Streams;
use crate::load::{Acks, Load};
use crate::process::{Persistence, Process};
use crate::workload::Durability;

/// A kind of queue server.
#[derive(Debug)]
pub struct Peer {
    /// As it is named on the command line.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
    /// The port that it listens on where nobody says another one.
    pub port: u16,
    /// Beyond pushing, claiming and acking.
    knows: &'static [Feature],
    kind: Kind,
}

/// What is not found by its name alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Programs {
    /// Stanchion's own program.
    pub stanchion: PathBuf,
    /// The directory of BullMQ's client, where `npm ci` was run.
    pub bullmq: PathBuf,
}

/// What some peers have and others have not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Feature {
    /// Groups that take turns.
    Groups,
    /// Dedupe keys.
    Dedupe,
    /// Jobs that are not due yet.
    Delay,
    /// Acks that travel with claims.
    AcksWithClaims,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Stanchion,
    Lua,
    Lists,
    Streams,
    Beanstalkd,
    JetStream,
    Bullmq,
    Floor,
    FloorKept,
}

/// What a load may ask for: the feature, the option, and how it is called.
const FEATURES: &[(Feature, &str, &str)] = &[
    (Feature::Groups, "--groups", "groups"),
    (Feature::Dedupe, "--dedupe", "dedupe keys"),
    (Feature::Delay, "--delay", "delayed jobs"),
    (Feature::AcksWithClaims, "--acks with-claims", "acks that travel with claims"),
];

/// Streams of JetStream, one for each queue, that are made in bearable time.
const STREAMS_MAX: usize = 500;

/// All peers, Stanchion first.
pub const PEERS: &[Peer] = &[
    Peer {
        name: "stanchion",
        what: "Stanchion's own commands",
        port: 7379,
        knows: &[Feature::Groups, Feature::Dedupe, Feature::Delay, Feature::AcksWithClaims],
        kind: Kind::Stanchion,
    },
    Peer {
        name: "lua",
        what: "Redis with JobQueueRedis's scripts",
        port: 6379,
        // Its delayed jobs are moved by a second program, jobchron, which does not run here.
        knows: &[Feature::Dedupe],
        kind: Kind::Lua,
    },
    Peer {
        name: "lists",
        what: "Redis with plain lists: LPUSH, LMOVE, LREM",
        port: 6379,
        knows: &[],
        kind: Kind::Lists,
    },
    Peer {
        name: "streams",
        what: "Redis with streams: XADD, XREADGROUP, XACK, XDEL",
        port: 6379,
        knows: &[],
        kind: Kind::Streams,
    },
    Peer {
        name: "beanstalkd",
        what: "beanstalkd with a tube for each queue",
        port: 11300,
        knows: &[Feature::Delay],
        kind: Kind::Beanstalkd,
    },
    Peer {
        name: "jetstream",
        what: "NATS JetStream with a work-queue stream for each queue",
        port: 4222,
        knows: &[Feature::Dedupe],
        kind: Kind::JetStream,
    },
    Peer {
        name: "bullmq",
        what: "BullMQ on Redis, by its own client in Node; only for `compare`",
        port: 6379,
        knows: &[Feature::Dedupe],
        kind: Kind::Bullmq,
    },
    Peer {
        name: "floor",
        what: "the least that Stanchion's commands can cost: they are read and answered, with lists behind them and nothing else",
        port: 7379,
        knows: &[],
        kind: Kind::Floor,
    },
    Peer {
        name: "floor-kept",
        what: "the floor, and what no queue can do without: it keeps jobs until their acks, holds dedupe keys and writes a log",
        port: 7379,
        knows: &[Feature::Dedupe],
        kind: Kind::FloorKept,
    },
];

impl Peer {
    /// The peer of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn named(name: &str) -> Result<&'static Peer> {
        match PEERS.iter().find(|peer| peer.name == name) {
            Some(peer) => Ok(peer),
            None => {
                let names: Vec<_> = PEERS.iter().map(|peer| peer.name).collect();
                bail!("there is no peer {name:?}; it is one of {}", names.join(", "))
            }
        }
    }

    /// Stanchion.
    #[must_use]
    pub fn stanchion() -> &'static Peer {
        &PEERS[0]
    }

    /// Whether it has this.
    #[must_use]
    pub fn knows(&self, feature: Feature) -> bool {
        self.knows.contains(&feature)
    }

    /// That it has all that the load asks for.
    ///
    /// # Errors
    /// Names the option of the first that it has not.
    pub fn check(&self, load: &Load) -> Result<()> {
        load.check()?;
        for (feature, option, what) in FEATURES {
            let wanted = match feature {
                Feature::Groups => load.groups > 0,
                Feature::Dedupe => load.dedupe,
                Feature::Delay => load.delay_ms > 0,
                Feature::AcksWithClaims => load.acks == Acks::WithClaims,
            };
            if wanted && !self.knows(*feature) {
                let others = PEERS.iter().filter(|peer| peer.knows(*feature));
                let others: Vec<_> = others.map(|peer| peer.name).collect();
                bail!(
                    "{option}: the peer {} has no {what} here; leave it out, or name a peer that has them: {}",
                    self.name,
                    others.join(", ")
                );
            }
        }
        ensure!(
            self.kind != Kind::Beanstalkd || load.delay_ms.is_multiple_of(1_000),
            "--delay: beanstalkd delays jobs by whole seconds, and {} ms are none",
            load.delay_ms
        );
        ensure!(
            self.kind != Kind::JetStream || load.queues <= STREAMS_MAX,
            "--queues: JetStream takes about 20 ms to make and delete the stream of each queue; at most {STREAMS_MAX} here"
        );
        if self.kind == Kind::Bullmq {
            bullmq::check(load)?;
        }
        Ok(())
    }

    /// Whether this generator loads it; BullMQ has a client of its own, which goes as fast as it gets answers.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.kind != Kind::Bullmq
    }

    /// Whether the server can be started with this durability.
    #[must_use]
    pub fn keeps(&self, durability: Durability) -> bool {
        !matches!(self.kind, Kind::JetStream | Kind::Floor | Kind::FloorKept)
            || durability == Durability::Never
    }

    /// Starts the server on a free port and a fresh directory in `base`.
    ///
    /// # Errors
    /// It is not installed, has no such durability, or does not start.
    pub fn start(&self, programs: &Programs, base: &Path, durability: Durability) -> Result<Process> {
        self.start_with(programs, base, durability, &[])
    }

    /// The same with these variables, where it is Stanchion.
    ///
    /// # Errors
    /// The same.
    pub fn start_with(
        &self,
        programs: &Programs,
        base: &Path,
        durability: Durability,
        variables: &'static [(&str, &str)],
    ) -> Result<Process> {
        ensure!(self.keeps(durability), "{} has no durability {}", self.name, durability.name());
        match self.kind {
            Kind::Stanchion => {
                Process::stanchion_with(&programs.stanchion, base, durability.name(), variables)
            }
            Kind::Lua | Kind::Lists | Kind::Streams | Kind::Bullmq => {
                let persistence = match durability {
                    Durability::Never => Persistence::None,
                    Durability::EverySecond => Persistence::EverySecond,
                    Durability::Always => Persistence::Always,
                };
                Process::redis(base, persistence)
            }
            Kind::Beanstalkd => {
                let sync = match durability {
                    Durability::Never => "-F",
                    Durability::EverySecond => "-f1000",
                    Durability::Always => "-f0",
                };
                Process::beanstalkd(base, sync)
            }
            Kind::JetStream => Process::nats(base),
            Kind::Floor => Process::floor(&programs.stanchion, base, None),
            Kind::FloorKept => Process::floor(&programs.stanchion, base, Some("kept")),
        }
    }

    /// How to install the server, if it is not.
    #[must_use]
    pub fn missing(&self, programs: &Programs) -> Option<String> {
        if self.kind == Kind::Bullmq && !bullmq::is_installed(&programs.bullmq) {
            let directory = programs.bullmq.display();
            return Some(format!(
                "in crates/bench/bullmq of the source, or where --bullmq names a copy of it ({directory}): apt install nodejs npm, \
                 then npm ci --ignore-scripts"
            ));
        }
        let (program, argument) = self.version_command(programs);
        let mut command = Command::new(&program);
        command.arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let installed = command.status().is_ok_and(|status| status.success());
        (!installed).then(|| match self.kind {
            Kind::Stanchion | Kind::Floor | Kind::FloorKept => {
                format!("{} does not run; build it", program.display())
            }
            _ => format!("install it with: apt install {}", program.display()),
        })
    }

    /// The client's version, where the peer has one of its own.
    pub(crate) fn client_version(&self, programs: &Programs) -> Option<String> {
        (self.kind == Kind::Bullmq).then(|| bullmq::version(&programs.bullmq)).flatten()
    }

    /// What asks the server's program for its version.
    pub(crate) fn version_command(&self, programs: &Programs) -> (PathBuf, &'static str) {
        match self.kind {
            Kind::Stanchion | Kind::Floor | Kind::FloorKept => (programs.stanchion.clone(), "--version"),
            Kind::Lua | Kind::Lists | Kind::Streams | Kind::Bullmq => ("redis-server".into(), "--version"),
            Kind::Beanstalkd => ("beanstalkd".into(), "-v"),
            Kind::JetStream => ("nats-server".into(), "--version"),
        }
    }

    /// Prepares the server and says how to speak to it.
    ///
    /// # Errors
    /// The server refuses.
    pub fn dialect(&self, client: &mut Client, load: &Load) -> Result<Box<dyn Dialect>> {
        Ok(match self.kind {
            Kind::Stanchion | Kind::Floor | Kind::FloorKept => Box::new(Native::dialect(load)),
            Kind::Lua => Box::new(Lua::dialect(client, load)?),
            Kind::Lists => Box::new(Lists::dialect(load)),
            Kind::Streams => Box::new(Streams::dialect(client, load)?),
            Kind::Beanstalkd => Box::new(Beanstalk::dialect(load)),
            Kind::JetStream => Box::new(JetStream::dialect(client, load)?),
            Kind::Bullmq => bail!("bullmq is spoken by its own client only: use stanchion bench compare"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_unknown_ones_refused() {
        for peer in PEERS {
            assert_eq!(Peer::named(peer.name).unwrap().name, peer.name);
        }
        assert!(Peer::named("rabbitmq").unwrap_err().to_string().contains("lists, streams, beanstalkd"));
        assert_eq!(Peer::stanchion().name, "stanchion");
    }

    #[test]
    fn what_a_peer_has_not_is_refused_by_name() {
        let refused =
            |peer: &str, load: Load| Peer::named(peer).unwrap().check(&load).unwrap_err().to_string();
        let groups = refused("lua", Load { groups: 3, ..Load::default() });
        assert_eq!(
            groups,
            "--groups: the peer lua has no groups here; leave it out, or name a peer that has them: stanchion"
        );
        assert!(refused("lists", Load { dedupe: true, ..Load::default() }).starts_with("--dedupe: "));
        let acks = Load { acks: Acks::WithClaims, ..Load::default() };
        assert!(refused("streams", acks).starts_with("--acks with-claims: "));
        let queues = refused("jetstream", Load { queues: STREAMS_MAX + 1, ..Load::default() });
        assert!(queues.starts_with("--queues: "), "{queues}");
        Peer::named("lua").unwrap().check(&Load { dedupe: true, ..Load::default() }).unwrap();
    }
}
