//! What a seed decides before anything runs: the machine, the server's configuration, the queues and the clients.

use std::time::Duration;

use stanchion_server::Config;
use stanchion_storage::Durability;
use stanchion_storage::limits::BUDGET_SEGMENTS_MIN;
use stanchion_storage::simulation::Random;

/// What the server counts for a push at most beside its payload, with the names that clients use.
const BESIDE_PAYLOAD_BYTES: u64 = 500;

/// The plan of one seed.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) queues: Vec<QueuePlan>,
    /// Clients at once.
    pub(crate) clients: u64,
    /// Pipelines that each client sends in one life of the server.
    pub(crate) pipelines: u64,
    /// Lives before the last one, in which the queues are drained.
    pub(crate) lives: u32,
    pub(crate) durability: Durability,
    pub(crate) segment_bytes: u64,
    staged_bytes_max: usize,
    lease_grace_ms: u64,
    /// `maxmemory` of most lives: so little that many payloads are only in the log.
    memory_bytes_max: Option<u64>,
    /// How large the log's files may be together.
    pub(crate) budget_bytes: Option<u64>,
    /// How long the log's writer may take for a turn, in milliseconds.
    pub(crate) turn_ms_max: u64,
    /// How long a client thinks between two pipelines, at most.
    pub(crate) think_ms_max: u64,
    /// Connections end in the middle of replies, and kill each other.
    pub(crate) disconnects: bool,
    /// The disk is full now and then.
    pub(crate) fills: bool,
    /// The process has no descriptor left now and then.
    pub(crate) lacks_descriptors: bool,
    /// The disk can't read now and then.
    pub(crate) read_failures: bool,
    /// The disk fails to sync, or to do something once.
    pub(crate) disk_failures: bool,
    /// The machine crashes.
    pub(crate) crashes: bool,
    /// The wall clock is another one in each life.
    pub(crate) clock_steps: bool,
}

/// One queue, and what clients do with it.
#[derive(Clone, Debug)]
pub(crate) struct QueuePlan {
    pub(crate) name: String,
    /// What the server's configuration says about it.
    pub(crate) settings: Vec<(&'static str, String)>,
    /// When replies about it wait, unless the lane decides.
    pub(crate) durability: Option<QueueDurability>,
    pub(crate) lease_ms: u64,
    pub(crate) concurrency: Option<usize>,
    pub(crate) group_concurrency: Option<usize>,
    pub(crate) is_lifo: bool,
    pub(crate) is_rated: bool,
    /// Groups besides the empty one.
    pub(crate) groups: u64,
    pub(crate) priorities: bool,
    pub(crate) delays: bool,
    pub(crate) expires: bool,
    pub(crate) dedupes: bool,
    pub(crate) replaces: bool,
    pub(crate) roots: bool,
    pub(crate) pauses: bool,
    pub(crate) deletes: bool,
    /// QPURGE and DEL.
    pub(crate) wipes: bool,
    pub(crate) requeues: bool,
    /// Payloads as large as they may be, which do not fit in a segment where there is no budget.
    pub(crate) large: bool,
    /// Job events tell what happens to its jobs.
    pub(crate) notifies: bool,
}

/// When replies about a queue wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum QueueDurability {
    Always,
    Never,
    Interval(u64),
}

impl Plan {
    /// Draws a plan.
    pub(crate) fn draw(random: &mut Random) -> Plan {
        let durability = match random.below(4) {
            0 => Durability::Never,
            1 => Durability::Interval(Duration::from_millis(1 + random.below(300))),
            _ => Durability::Always,
        };
        let segment_bytes = 4_096 << random.below(3);
        let budget_segments = random.one_in(5).then(|| BUDGET_SEGMENTS_MIN + random.below(12));
        Plan {
            queues: (0..1 + random.below(3)).map(|index| QueuePlan::draw(index, random)).collect(),
            clients: 1 + random.below(5),
            pipelines: 4 + random.below(12),
            lives: 1 + random.below(4) as u32,
            durability,
            segment_bytes,
            staged_bytes_max: 1_024 << random.below(8),
            lease_grace_ms: random.below(2_000),
            turn_ms_max: [0, 0, 1, 4, 30][random.below(5) as usize],
            think_ms_max: [0, 3, 50, 400][random.below(4) as usize],
            disconnects: random.one_in(2),
            fills: random.one_in(5),
            disk_failures: random.one_in(4),
            crashes: !random.one_in(8),
            clock_steps: random.one_in(4),
            memory_bytes_max: random.one_in(3).then(|| 4_096 << random.below(5)),
            budget_bytes: budget_segments.map(|segments| segments * segment_bytes),
            lacks_descriptors: random.one_in(6),
            read_failures: random.one_in(6),
        }
    }

    /// The server's configuration in one life.
    pub(crate) fn config(&self, random: &mut Random) -> Config {
        let mut config = Config {
            durability: self.durability,
            segment_bytes: self.segment_bytes,
            staged_bytes_max: self.staged_bytes_max,
            lease_grace: Duration::from_millis(self.lease_grace_ms),
            shards: 1 + random.below(4) as u16,
            threads: 1,
            memory_bytes_max: self.memory_bytes_max.filter(|_| !random.one_in(4)).unwrap_or(0),
            disk_budget: self.budget_bytes,
            ..Config::default()
        };
        for queue in &self.queues {
            config.queues.add(&queue.name, &queue.settings).expect("the settings exist");
        }
        config
    }

    /// How large a payload may be: with a budget, what takes half of a segment with all that is beside it.
    pub(crate) fn payload_bytes_max(&self) -> u64 {
        if self.budget_bytes.is_some() { self.segment_bytes / 2 - BESIDE_PAYLOAD_BYTES } else { 12_000 }
    }

    /// Whether a reply waits for the disk; `sync` is what a push asks for by itself.
    pub(crate) fn waits(&self, queue: usize, sync: Option<bool>) -> bool {
        sync.unwrap_or_else(|| match self.queues[queue].durability {
            Some(durability) => durability == QueueDurability::Always,
            None => self.durability == Durability::Always,
        })
    }
}

impl QueuePlan {
    fn draw(index: u64, random: &mut Random) -> QueuePlan {
        let mut queue = QueuePlan {
            name: ["mail", "video", "{a}thumbs"][index as usize].to_owned(),
            settings: Vec::new(),
            durability: match random.below(8) {
                0 => Some(QueueDurability::Never),
                1 => Some(QueueDurability::Always),
                2 => Some(QueueDurability::Interval(1 + random.below(500))),
                _ => None,
            },
            lease_ms: [20, 300, 2_000, 60_000][random.below(4) as usize],
            concurrency: random.one_in(5).then(|| 1 + random.below(4) as usize),
            group_concurrency: random.one_in(5).then(|| 1 + random.below(2) as usize),
            is_lifo: random.one_in(6),
            is_rated: random.one_in(8),
            groups: [0, 0, 1, 3][random.below(4) as usize],
            priorities: random.one_in(3),
            delays: random.one_in(2),
            expires: random.one_in(4),
            dedupes: random.one_in(2),
            replaces: random.one_in(4),
            roots: random.one_in(4),
            pauses: random.one_in(6),
            deletes: random.one_in(4),
            wipes: random.one_in(8),
            requeues: random.one_in(4),
            large: random.one_in(4),
            notifies: random.one_in(3),
        };
        let mut set = |name, value: String| queue.settings.push((name, value));
        set("lease", format!("{}ms", queue.lease_ms));
        set("attempts", [0, 1, 3, 5][random.below(4) as usize].to_string());
        set("backoff", format!("{}ms", 1 + random.below(500)));
        set("backoff-max", "5s".to_owned());
        match queue.durability {
            Some(QueueDurability::Always) => set("durability", "always".to_owned()),
            Some(QueueDurability::Never) => set("durability", "never".to_owned()),
            Some(QueueDurability::Interval(ms)) => set("durability", format!("{ms}ms")),
            None => {}
        }
        if let Some(most) = queue.concurrency {
            set("concurrency", most.to_string());
        }
        if let Some(most) = queue.group_concurrency {
            set("group-concurrency", most.to_string());
        }
        if queue.is_lifo {
            set("order", "lifo".to_owned());
        }
        if queue.notifies {
            set("notify", "on".to_owned());
        }
        if queue.is_rated {
            set("rate", format!("{}/1s", 1 + random.below(20)));
        }
        queue
    }

    /// Whether a claim that finds nothing proves that nothing was ready.
    pub(crate) fn always_serves(&self) -> bool {
        self.concurrency.is_none()
            && self.group_concurrency.is_none()
            && !self.is_rated
            && !self.pauses
            && !self.roots
    }
}
