//! What an option is: its word, what follows it, and which others it goes with.

/// Names an option; the same word means the same option in every command.
#[expect(missing_docs, reason = "each is the option of that word; the table's rows describe them")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Opt {
    Ack,
    All,
    At,
    Attempts,
    Auth,
    Block,
    Bound,
    Claim,
    Claimed,
    Count,
    Dead,
    Dedupe,
    Delay,
    Delayed,
    Error,
    Except,
    For,
    Group,
    Groups,
    Host,
    Jobs,
    Key,
    Lease,
    Match,
    Meta,
    Next,
    NoSync,
    Pid,
    Priority,
    Push,
    Queues,
    Ready,
    Replace,
    Root,
    SetName,
    Slots,
    State,
    Status,
    Sync,
    Ttl,
    Type,
    Until,
    Version,
    Window,
    Worker,
}

/// A set of options.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OptSet(u64);

impl OptSet {
    /// The empty set.
    pub const NONE: OptSet = OptSet(0);

    /// The set of these.
    pub const fn of(options: &[Opt]) -> OptSet {
        let mut bits = 0;
        let mut i = 0;
        while i < options.len() {
            bits |= 1 << options[i] as u8;
            i += 1;
        }
        OptSet(bits)
    }

    /// Whether `option` is in it.
    #[inline]
    pub const fn has(self, option: Opt) -> bool {
        self.0 & 1 << option as u8 != 0
    }

    /// Adds one.
    #[inline]
    pub fn insert(&mut self, option: Opt) {
        self.0 |= 1 << option as u8;
    }

    /// Whether the two have a member in common.
    #[inline]
    pub const fn meets(self, other: OptSet) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether it has no member.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// One option of one command.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// Which one.
    pub opt: Opt,
    /// Its word, in upper case.
    pub word: &'static str,
    /// What follows the word.
    pub value: ValueKind,
    /// Options that contradict it.
    pub excludes: OptSet,
    /// An option without which it means nothing.
    pub needs: Option<Opt>,
    /// Where it may stand.
    pub place: Place,
    /// What it does, in one line.
    pub summary: &'static str,
}

/// What follows an option's word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ValueKind {
    /// Nothing.
    None,
    /// A whole number.
    Number(Number),
    /// A name of 1 to `name-bytes-max` bytes: a worker's, its host's or version's, a dedupe key.
    Name,
    /// A group: like a name, but it may be empty.
    Group,
    /// A glob.
    Glob,
    /// Text for humans, of any length.
    Text,
    /// A job.
    Payload,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A root's signature and its timestamp.
    Root,
    /// A count, 0 allowed, and so many receipts.
    Receipts,
    /// A count and so many queues.
    Queues,
    /// A count and so many globs.
    Globs,
    /// A user's name and a password.
    Login,
}

/// Which numbers an option takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Number {
    /// Milliseconds, from this many up to 10 years.
    Milliseconds(u64),
    /// An instant in Unix milliseconds.
    Instant,
    /// From the first to the second.
    Between(u64, u64),
    /// How many jobs to claim.
    ClaimJobs,
}

/// Where an option may stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// With any job; of a command of one job: anywhere among the options.
    Job,
    /// With the first job only, and it holds for all.
    FirstJob,
}
