//! What clients ask for, and in which words.

use crate::plan::Plan;

/// The number of a job among all that were ever pushed in a run; its payload begins with it.
pub(crate) type Serial = usize;

/// A request.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Push(Push),
    Claim(Claim),
    Ack {
        queue: usize,
        held: Vec<Held>,
    },
    Nack {
        held: Held,
        retry: Retry,
    },
    Release {
        queue: usize,
        held: Vec<Held>,
        delay_ms: Option<u64>,
    },
    Extend {
        held: Held,
        ms: u64,
    },
    Root {
        queue: usize,
        group: u64,
        root: Root,
    },
    Delete {
        queue: usize,
        id: String,
    },
    /// QPURGE, or DEL, which takes roots, windows and settings, too.
    Wipe {
        queue: usize,
        all: bool,
    },
    RequeueDead {
        queue: usize,
    },
    Pause {
        queue: usize,
        what: PauseWhat,
        ms: u64,
    },
    Resume {
        queue: usize,
    },
    /// WAITAOF
    Barrier,
    /// SAVE, or BGSAVE, which waits for nothing.
    Save {
        waits: bool,
    },
    Kill {
        client: i64,
    },
    Unblock {
        client: i64,
    },
    /// Sets the queue's `dead-max` to a number that tells which of these it was.
    Set {
        queue: usize,
        value: u64,
    },
    Get {
        queue: usize,
    },
    Length {
        queue: usize,
    },
    /// QPEEK of the jobs in a state.
    Peek {
        queue: usize,
        state: &'static str,
    },
    Transaction(Vec<Ask>),
}

/// A push of one job or several.
#[derive(Clone, Debug)]
pub(crate) struct Push {
    pub(crate) queue: usize,
    pub(crate) jobs: Vec<NewJob>,
    pub(crate) sync: Option<bool>,
}

/// A job as it is pushed.
#[derive(Clone, Debug)]
pub(crate) struct NewJob {
    pub(crate) serial: Serial,
    pub(crate) payload_bytes: usize,
    pub(crate) group: u64,
    pub(crate) priority: u64,
    pub(crate) delay_ms: u64,
    pub(crate) ttl_ms: Option<u64>,
    pub(crate) dedupe: Option<Dedupe>,
    pub(crate) root: Option<Root>,
}

/// How a push is deduplicated.
#[derive(Clone, Debug)]
pub(crate) struct Dedupe {
    pub(crate) key: u64,
    pub(crate) until_done: bool,
    pub(crate) window_ms: u64,
    pub(crate) replaces: bool,
}

/// The event that a job comes from.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    pub(crate) signature: u64,
    pub(crate) timestamp: u64,
}

/// A claim.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) queue: usize,
    pub(crate) by: ClaimBy,
    pub(crate) count: u64,
    pub(crate) lease_ms: Option<u64>,
    pub(crate) block_ms: Option<u64>,
    pub(crate) group: Option<u64>,
    pub(crate) is_bound: bool,
    pub(crate) meta: bool,
    pub(crate) acks: Vec<Held>,
}

/// How a claim names its queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ClaimBy {
    /// QCLAIM
    Name,
    /// QMCLAIM QUEUES, of one
    List,
    /// QMCLAIM MATCH, with a glob that only its queue matches
    Glob,
}

/// A job that a client was handed.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) queue: usize,
    pub(crate) serial: Serial,
    pub(crate) receipt: String,
    /// The number of the claim among all of a run.
    pub(crate) claim: usize,
}

/// What a pause is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PauseWhat {
    Push,
    Claim,
    All,
}

impl PauseWhat {
    fn word(self) -> &'static str {
        match self {
            PauseWhat::Push => "PUSH",
            PauseWhat::Claim => "CLAIM",
            PauseWhat::All => "ALL",
        }
    }
}

/// What becomes of a job that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Retry {
    Backoff,
    Delay(u64),
    Dead,
}

/// The payload of a job, which no other job has.
pub(crate) fn payload(serial: Serial, bytes: usize) -> Vec<u8> {
    let mut payload = format!("{serial}:").into_bytes();
    let start = payload.len();
    payload.extend((0..bytes).map(|index| (serial.wrapping_mul(31) + index) as u8));
    debug_assert_eq!(payload.len(), start + bytes);
    payload
}

/// The name of a group; 0 is the empty one.
pub(crate) fn group_name(group: u64) -> String {
    if group == 0 { String::new() } else { format!("g{group}") }
}

impl Ask {
    /// The words of each request that it takes: several for a transaction.
    pub(crate) fn requests(&self, plan: &Plan) -> Vec<Vec<Vec<u8>>> {
        match self {
            Ask::Transaction(asks) => {
                let mut requests = vec![vec![b"MULTI".to_vec()]];
                requests.extend(asks.iter().map(|ask| ask.words(plan)));
                requests.push(vec![b"EXEC".to_vec()]);
                requests
            }
            ask => vec![ask.words(plan)],
        }
    }

    /// The queues that it names.
    pub(crate) fn claims(&self) -> Vec<&Claim> {
        match self {
            Ask::Claim(claim) => vec![claim],
            Ask::Transaction(asks) => asks.iter().flat_map(Ask::claims).collect(),
            _ => Vec::new(),
        }
    }

    fn words(&self, plan: &Plan) -> Vec<Vec<u8>> {
        let mut words = Words(Vec::new());
        let name = |queue: &usize| plan.queues[*queue].name.as_str();
        match self {
            Ask::Push(push) => push.words(name(&push.queue), &mut words),
            Ask::Claim(claim) => claim.words(name(&claim.queue), &mut words),
            Ask::Ack { queue, held } => {
                words.all(&["QACK", name(queue)]);
                words.receipts(held);
            }
            Ask::Nack { held, retry } => {
                words.all(&["QNACK", name(&held.queue), &held.receipt]);
                match retry {
                    Retry::Backoff => {}
                    Retry::Delay(ms) => words.pair("DELAY", ms),
                    Retry::Dead => words.all(&["DEAD"]),
                }
            }
            Ask::Release { queue, held, delay_ms } => {
                words.all(&["QRELEASE", name(queue)]);
                words.option("DELAY", delay_ms.as_ref());
                words.receipts(held);
            }
            Ask::Extend { held, ms } => {
                words.all(&["QEXTEND", name(&held.queue), &ms.to_string(), &held.receipt]);
            }
            Ask::Root { queue, group, root } => {
                words.all(&["QROOT", name(queue), &format!("s{}", root.signature)]);
                words.all(&[&root.timestamp.to_string(), "GROUP", &group_name(*group)]);
            }
            Ask::Delete { queue, id } => words.all(&["QDEL", name(queue), id]),
            Ask::Wipe { queue, all } => words.all(&[if *all { "DEL" } else { "QPURGE" }, name(queue)]),
            Ask::RequeueDead { queue } => words.all(&["QREQUEUE", name(queue), "DEAD"]),
            Ask::Pause { queue, what, ms } => {
                words.all(&["QPAUSE", name(queue), what.word()]);
                words.pair("FOR", ms);
            }
            Ask::Resume { queue } => words.all(&["QRESUME", name(queue)]),
            Ask::Barrier => words.all(&["WAITAOF", "1", "0", "0"]),
            Ask::Save { waits } => words.all(&[if *waits { "SAVE" } else { "BGSAVE" }]),
            Ask::Kill { client } => words.all(&["CLIENT", "KILL", "ID", &client.to_string()]),
            Ask::Unblock { client } => words.all(&["CLIENT", "UNBLOCK", &client.to_string(), "ERROR"]),
            Ask::Set { queue, value } => {
                words.all(&["QCONFIG", "SET", name(queue), "dead-max", &(DEAD_MAX + value).to_string()]);
            }
            Ask::Get { queue } => words.all(&["QCONFIG", "GET", name(queue), "dead-max"]),
            Ask::Peek { queue, state } => words.all(&["QPEEK", name(queue), state, "COUNT", "20"]),
            Ask::Length { queue } => words.all(&["QLEN", name(queue), "ALL"]),
            Ask::Transaction(_) => unreachable!("transactions are not nested"),
        }
        words.0
    }
}

/// Values of `dead-max` count from here, so that none is ever reached.
pub(crate) const DEAD_MAX: u64 = 1_000_000;

impl Push {
    fn words(&self, queue: &str, words: &mut Words) {
        words.all(&[if self.jobs.len() == 1 { "QPUSH" } else { "QMPUSH" }, queue]);
        for (index, job) in self.jobs.iter().enumerate() {
            if index > 0 {
                words.all(&["NEXT"]);
            }
            words.0.push(payload(job.serial, job.payload_bytes));
            if index == 0 {
                words.all(&["STATUS"]);
                if let Some(sync) = self.sync {
                    words.all(&[if sync { "SYNC" } else { "NOSYNC" }]);
                }
            }
            job.options(words);
        }
    }
}

impl NewJob {
    fn options(&self, words: &mut Words) {
        if self.group > 0 {
            words.pair("GROUP", &group_name(self.group));
        }
        if self.priority > 0 {
            words.pair("PRIORITY", &self.priority);
        }
        if self.delay_ms > 0 {
            words.pair("DELAY", &self.delay_ms);
        }
        words.option("TTL", self.ttl_ms.as_ref());
        if let Some(dedupe) = &self.dedupe {
            words.pair("DEDUPE", &format!("k{}", dedupe.key));
            words.pair("UNTIL", &if dedupe.until_done { "DONE" } else { "CLAIM" });
            if dedupe.window_ms > 0 {
                words.pair("WINDOW", &dedupe.window_ms);
            }
            if dedupe.replaces {
                words.all(&["REPLACE"]);
            }
        }
        if let Some(root) = &self.root {
            words.all(&["ROOT", &format!("s{}", root.signature), &root.timestamp.to_string()]);
        }
    }
}

impl Claim {
    fn words(&self, queue: &str, words: &mut Words) {
        match self.by {
            ClaimBy::Name => words.all(&["QCLAIM", queue]),
            ClaimBy::List => words.all(&["QMCLAIM", "QUEUES", "1", queue]),
            ClaimBy::Glob => {
                let glob: String =
                    queue.chars().map(|letter| if letter == 'i' { '?' } else { letter }).collect();
                words.all(&["QMCLAIM", "MATCH", "1", &glob, "EXCEPT", "1", "other*"]);
            }
        }
        words.pair("COUNT", &self.count);
        words.option("LEASE", self.lease_ms.as_ref());
        words.option("BLOCK", self.block_ms.as_ref());
        if let Some(group) = self.group {
            words.pair("GROUP", &group_name(group));
        }
        if self.is_bound {
            words.all(&["BOUND"]);
        }
        if self.meta {
            words.all(&["META"]);
        }
        if !self.acks.is_empty() {
            words.pair("ACK", &self.acks.len());
            words.receipts(&self.acks);
        }
    }
}

/// The words of a request.
struct Words(Vec<Vec<u8>>);

impl Words {
    fn all(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(|word| word.as_bytes().to_vec()));
    }

    fn pair(&mut self, name: &str, value: &impl ToString) {
        self.all(&[name, &value.to_string()]);
    }

    fn option(&mut self, name: &str, value: Option<&u64>) {
        if let Some(value) = value {
            self.pair(name, value);
        }
    }

    fn receipts(&mut self, held: &[Held]) {
        self.0.extend(held.iter().map(|held| held.receipt.as_bytes().to_vec()));
    }
}
