//! `kill -9` under load, as often as one likes, with an oracle outside that judges what each start finds.

mod client;
mod oracle;

use std::io::Write;
use std::sync::mpsc;

use self::client::Client;
use crate::{Options, Random, Server};

pub use self::client::Event;
pub use self::oracle::{Oracle, Promise};

/// How many clients work at once.
const CLIENTS: usize = 4;

/// Rounds of one run. What stands is examined at each start, so a run that goes on for ever would do nothing else.
const ROUNDS_OF_A_RUN: usize = 50;

/// Segments that fill in a round, so that crashes meet their creation, their end and their reclaiming.
const SMALL_SEGMENTS: &str = "segment-bytes = 16384\n";

/// The ways in which the server is set up, in turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// As it comes.
    Plain,
    /// With segments that fill in a round.
    SmallSegments,
    /// Without syncs: a crash of the machine may lose the last of what was acknowledged, and nothing comes twice.
    Unsynced,
}

impl Setup {
    /// Every one.
    pub const ALL: [Setup; 3] = [Setup::Plain, Setup::SmallSegments, Setup::Unsynced];

    fn options(self) -> (Promise, Options) {
        match self {
            Setup::Plain => (Promise::Kept, Options::new()),
            Setup::SmallSegments => (Promise::Kept, Options::new().configuration(SMALL_SEGMENTS)),
            Setup::Unsynced => (Promise::Lossy, Options::new().arguments(&["--durability", "never"])),
        }
    }
}

/// Kills a server so often in each setup in turn, and returns how many jobs were judged.
///
/// # Panics
/// If anything was lost or came twice.
pub fn crash(rounds: usize, seed: u64) -> usize {
    let mut random = Random::new(seed);
    let (mut done, mut jobs) = (0, 0);
    for setup in Setup::ALL.into_iter().cycle() {
        let part = ROUNDS_OF_A_RUN.min(rounds - done);
        if part == 0 {
            break;
        }
        let seed = random.bits();
        // Lost when nobody listens.
        drop(writeln!(std::io::stdout(), "rounds {} to {}, {setup:?}, seed {seed}", done + 1, done + part));
        jobs += crash_in(setup, part, seed);
        done += part;
    }
    jobs
}

/// Kills a server of one setup so often, and returns how many jobs were judged.
///
/// # Panics
/// If anything was lost or came twice.
pub fn crash_in(setup: Setup, rounds: usize, seed: u64) -> usize {
    let (promise, options) = setup.options();
    let mut random = Random::new(seed);
    let mut oracle = Oracle::new(promise);
    options.start().check("> QCONFIG SET q attempts 0 => +OK\n> WAITAOF 1 0 0");
    for round in 0..rounds {
        if random.one_in(10) {
            // Also while it recovers.
            options.spawn().kill();
        }
        let mut server = options.start();
        oracle.examine(&mut server.connect());
        let work = 1 + random.below(300);
        let events = load(&mut server, &mut random, round, work);
        oracle.learn(events);
    }
    let server = options.start();
    oracle.examine(&mut server.connect());
    assert!(
        oracle.jobs_seen() > rounds * 20,
        "only {} jobs in {rounds} rounds are no load",
        oracle.jobs_seen()
    );
    oracle.jobs_seen()
}

/// Lets the clients work until they have taken so many steps together, and kills the server in the midst of it.
///
/// # Panics
/// If a client does.
pub fn load(server: &mut Server, random: &mut Random, round: usize, steps: usize) -> Vec<Event> {
    let (took_step, steps_taken) = mpsc::channel();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let name = format!("{round}.{number}");
                let mut client = Client::new(name, server.connect(), Random::new(random.bits()));
                let took_step = took_step.clone();
                scope.spawn(move || {
                    while client.step() {
                        // The receiver goes when it has counted enough.
                        let _ = took_step.send(());
                    }
                    client.into_events()
                })
            })
            .collect();
        for _ in 0..steps {
            steps_taken.recv().expect("the clients work until the server is killed");
        }
        server.kill();
        drop(steps_taken);
        clients
            .into_iter()
            .flat_map(|client| client.join().expect("a client ends with its connection"))
            .collect()
    })
}
