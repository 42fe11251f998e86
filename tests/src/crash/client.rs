//! A client that works at random and remembers what it was told.

use crate::{Connection, Random, Value};

/// What was asked, and the reply, if there was one.
pub struct Event {
    pub(super) asked: Asked,
    pub(super) reply: Option<Value>,
}

/// Something that a client asked for.
#[derive(Clone)]
pub(super) enum Asked {
    /// QMPUSH … STATUS of these payloads, with a dedupe key or not.
    Push { payloads: Vec<String>, key: Option<String> },
    /// QCLAIM.
    Claim { count: usize },
    /// QACK.
    Ack { held: Held },
    /// QNACK … DELAY 0.
    Nack { held: Held },
    /// QRELEASE.
    Release { held: Held },
    /// An ack and a push of what comes next, in one transaction.
    Move { held: Held, next: String },
}

/// A claim that this client was given.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) payload: String,
    pub(super) receipt: String,
}

/// One connection and its own random choices.
pub(super) struct Client {
    name: String,
    connection: Connection,
    random: Random,
    pushed: usize,
    held: Vec<Held>,
    events: Vec<Event>,
}

/// How many dedupe keys there are: few, so that they meet.
const KEYS: usize = 20;

/// Long enough that no lease lapses while the test runs.
const LEASE_MS: &str = "3600000";

impl Client {
    pub(super) fn new(name: String, connection: Connection, random: Random) -> Client {
        Client { name, connection, random, pushed: 0, held: Vec::new(), events: Vec::new() }
    }

    /// Sends some commands at once and reads their replies; false once the connection has ended.
    pub(super) fn step(&mut self) -> bool {
        let asked: Vec<Asked> = (0..1 + self.random.below(6)).map(|_| self.choose()).collect();
        let sent = asked
            .iter()
            .all(|asked| asked.commands().iter().all(|words| self.connection.send(words).is_ok()));
        let mut alive = sent;
        for asked in asked {
            let mut reply = None;
            for _ in asked.commands() {
                reply = if alive { self.connection.receive().ok() } else { None };
                alive &= reply.is_some();
            }
            if let (Asked::Claim { .. }, Some(reply)) = (&asked, &reply) {
                self.held.extend(jobs(reply));
            }
            self.events.push(Event { asked, reply });
        }
        alive
    }

    pub(super) fn into_events(self) -> Vec<Event> {
        self.events
    }

    fn choose(&mut self) -> Asked {
        match self.random.below(10) {
            0..=2 => {
                let payloads = (0..1 + self.random.below(4)).map(|_| self.payload()).collect();
                Asked::Push { payloads, key: None }
            }
            3 => Asked::Push {
                payloads: vec![self.payload()],
                key: Some(format!("k{}", self.random.below(KEYS))),
            },
            4 | 5 => Asked::Claim { count: 1 + self.random.below(5) },
            choice => {
                let Some(held) = self.take_held() else { return Asked::Claim { count: 3 } };
                match choice {
                    6 | 7 => Asked::Ack { held },
                    8 if self.random.one_in(2) => Asked::Nack { held },
                    8 => Asked::Release { held },
                    _ => Asked::Move { held, next: self.payload() },
                }
            }
        }
    }

    fn take_held(&mut self) -> Option<Held> {
        let choice = self.random.below(self.held.len().max(1));
        (!self.held.is_empty()).then(|| self.held.swap_remove(choice))
    }

    /// A payload that nobody else pushes, ever.
    fn payload(&mut self) -> String {
        self.pushed += 1;
        format!("{}.{}", self.name, self.pushed)
    }
}

impl Asked {
    /// The commands, of which the last one's reply tells the outcome.
    fn commands(&self) -> Vec<Vec<&str>> {
        const COUNTS: [&str; 6] = ["0", "1", "2", "3", "4", "5"];
        match self {
            Asked::Push { payloads, key } => {
                let mut words = vec!["QMPUSH", "q", payloads[0].as_str(), "STATUS"];
                if let Some(key) = key {
                    words.extend(["DEDUPE", key, "UNTIL", "DONE"]);
                }
                words.extend(payloads[1..].iter().flat_map(|payload| ["NEXT", payload.as_str()]));
                vec![words]
            }
            Asked::Claim { count } => vec![vec!["QCLAIM", "q", "COUNT", COUNTS[*count], "LEASE", LEASE_MS]],
            Asked::Ack { held } => vec![vec!["QACK", "q", &held.receipt]],
            Asked::Nack { held } => {
                vec![vec!["QNACK", "q", &held.receipt, "DELAY", "0", "ERROR", "at random"]]
            }
            Asked::Release { held } => vec![vec!["QRELEASE", "q", &held.receipt]],
            Asked::Move { held, next } => vec![
                vec!["MULTI"],
                vec!["QACK", "q", &held.receipt],
                vec!["QPUSH", "q", next, "STATUS"],
                vec!["EXEC"],
            ],
        }
    }
}

/// The jobs of a claim's reply.
pub(super) fn jobs(reply: &Value) -> impl Iterator<Item = Held> {
    reply.array().iter().map(|job| Held { payload: job.array()[2].text(), receipt: job.array()[1].text() })
}
