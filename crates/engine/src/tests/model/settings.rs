//! The model's settings and its rate bucket.

/// The settings that change what a shard does with jobs; the others are the server's.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Settings {
    pub(crate) lease: u64,
    pub(crate) attempts: u32,
    pub(crate) backoff: u64,
    pub(crate) backoff_factor: f64,
    pub(crate) backoff_max: u64,
    pub(crate) backoff_jitter: f64,
    pub(crate) dead_retention: u64,
    pub(crate) dead_max: u64,
    pub(crate) root_retention: u64,
    pub(crate) run_max: u64,
    pub(crate) max_jobs: u64,
    pub(crate) max_bytes: u64,
    pub(crate) concurrency: u64,
    pub(crate) group_concurrency: u64,
    pub(crate) rate: Option<(u64, u64)>,
    pub(crate) lifo: bool,
    pub(crate) notify: bool,
    /// Names that were set and not unset since.
    names: Vec<String>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            lease: 3_600_000,
            attempts: 3,
            backoff: 10_000,
            backoff_factor: 4.0,
            backoff_max: 3_600_000,
            backoff_jitter: 0.2,
            dead_retention: 7 * 86_400_000,
            dead_max: 100_000,
            root_retention: 28 * 86_400_000,
            run_max: 0,
            max_jobs: 0,
            max_bytes: 0,
            concurrency: 0,
            group_concurrency: 0,
            rate: None,
            lifo: false,
            notify: false,
            names: Vec::new(),
        }
    }
}

impl Settings {
    /// No setting of its own.
    pub(crate) fn is_default(&self) -> bool {
        self.names.is_empty()
    }

    /// Sets one; panics on a name that the model does not know.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.unset(name);
        self.names.push(name.to_owned());
        self.assign(name, value);
    }

    /// Goes back to the default.
    pub(crate) fn unset(&mut self, name: &str) {
        self.names.retain(|set| set != name);
        let defaults = Settings::default();
        match name {
            "lease" => self.lease = defaults.lease,
            "attempts" => self.attempts = defaults.attempts,
            "backoff" => self.backoff = defaults.backoff,
            "backoff-factor" => self.backoff_factor = defaults.backoff_factor,
            "backoff-max" => self.backoff_max = defaults.backoff_max,
            "backoff-jitter" => self.backoff_jitter = defaults.backoff_jitter,
            "dead-retention" => self.dead_retention = defaults.dead_retention,
            "dead-max" => self.dead_max = defaults.dead_max,
            "root-retention" => self.root_retention = defaults.root_retention,
            "run-max" => self.run_max = defaults.run_max,
            "max-jobs" => self.max_jobs = defaults.max_jobs,
            "max-bytes" => self.max_bytes = defaults.max_bytes,
            "concurrency" => self.concurrency = defaults.concurrency,
            "group-concurrency" => self.group_concurrency = defaults.group_concurrency,
            "rate" => self.rate = defaults.rate,
            "order" => self.lifo = defaults.lifo,
            "notify" => self.notify = defaults.notify,
            other => panic!("the model does not know the setting {other}"),
        }
    }

    fn assign(&mut self, name: &str, value: &str) {
        let number = || value.parse::<u64>().expect("a number");
        let fraction = || value.parse::<f64>().expect("a fraction");
        match name {
            "lease" => self.lease = duration(value),
            "attempts" => self.attempts = u32::try_from(number()).expect("attempts"),
            "backoff" => self.backoff = duration(value),
            "backoff-factor" => self.backoff_factor = fraction(),
            "backoff-max" => self.backoff_max = duration(value),
            "backoff-jitter" => self.backoff_jitter = fraction(),
            "dead-retention" => self.dead_retention = duration(value),
            "dead-max" => self.dead_max = number(),
            "root-retention" => self.root_retention = duration(value),
            "run-max" => self.run_max = duration(value),
            "max-jobs" => self.max_jobs = number(),
            "max-bytes" => self.max_bytes = number(),
            "concurrency" => self.concurrency = number(),
            "group-concurrency" => self.group_concurrency = number(),
            "rate" => {
                let rate = value.split_once('/').map(|(n, per)| (n.parse().expect("a count"), duration(per)));
                self.rate = rate;
            }
            "order" => self.lifo = value == "lifo",
            "notify" => self.notify = value == "on",
            other => panic!("the model does not know the setting {other}"),
        }
    }
}

/// `250ms 30s 5m 1h 7d`; a bare number is ms.
fn duration(text: &str) -> u64 {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number: u64 = text[..text.len() - unit.len()].parse().expect("a duration starts with its number");
    let unit_ms = match unit {
        "" | "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        other => panic!("{other} is no unit"),
    };
    number * unit_ms
}

/// A bucket of n tokens that fills in `per` ms, in units of which a token has `per`.
///
/// commands.md does not say how many tokens a changed rate starts with, so there are a lower and an upper
/// bound; they meet once the bucket has been full.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    count: u64,
    per: u64,
    least: u64,
    most: u64,
    at: u64,
}

impl Bucket {
    /// A full one, unless an earlier rate may have left it emptier.
    pub(crate) fn new((count, per): (u64, u64), now: u64, full: bool) -> Bucket {
        Bucket { count, per, least: if full { count * per } else { 0 }, most: count * per, at: now }
    }

    /// Fills it up to now.
    pub(crate) fn fill(&mut self, now: u64) {
        let drops = (now - self.at).saturating_mul(self.count);
        let full = self.count * self.per;
        self.least = self.least.saturating_add(drops).min(full);
        self.most = self.most.saturating_add(drops).min(full);
        self.at = now;
    }

    /// Some reading of the page has a token.
    pub(crate) fn may_give(&self) -> bool {
        self.most >= self.per
    }

    /// Every reading has one.
    pub(crate) fn must_give(&self) -> bool {
        self.least >= self.per
    }

    /// A claim takes one.
    pub(crate) fn take(&mut self) {
        self.least = self.least.saturating_sub(self.per);
        self.most -= self.per;
    }
}
