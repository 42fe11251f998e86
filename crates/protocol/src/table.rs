//! The table of commands: everything that is known about a command besides what it does.
//!
//! It drives look-up, arity, the parsing of options, COMMAND and its subcommands, help, ACL categories, key
//! extraction and docs/PROTOCOL.md, so that none of them can disagree with another.

mod acl;
mod connection;
mod consumer;
mod lookup;
mod operator;
mod option;
mod producer;
mod pubsub;
mod redis;
mod row;
mod server;
mod sets;
mod words;
mod worker;

pub use lookup::{find, is_http, resolve, subcommand, wrong_arity};
pub use option::{Number, Opt, OptSet, OptionSpec, Place, ValueKind};
pub use sets::{Categories, Flags};

/// Names a command or a subcommand.
#[expect(missing_docs, reason = "each is the command of that name; the table's rows describe them")]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CommandId {
    Qpush,
    Qmpush,
    Qroot,
    Qclaim,
    Qmclaim,
    Qack,
    Qnack,
    Qrelease,
    Qextend,
    Qlen,
    Qstats,
    Qlist,
    Qready,
    Qpeek,
    Qjob,
    Qscan,
    Qrequeue,
    Qdel,
    Qpurge,
    Qpause,
    Qresume,
    Qconfig,
    QconfigSet,
    QconfigGet,
    QconfigUnset,
    Qworker,
    QworkerBeat,
    QworkerBye,
    QworkerList,
    QworkerQuiet,
    QworkerResume,
    QworkerStop,
    QworkerVersions,
    Ping,
    Echo,
    Hello,
    Auth,
    Select,
    Quit,
    Reset,
    Client,
    ClientId,
    ClientSetname,
    ClientGetname,
    ClientSetinfo,
    ClientList,
    ClientInfo,
    ClientKill,
    ClientNoEvict,
    ClientNoTouch,
    ClientPause,
    ClientReply,
    ClientUnblock,
    ClientUnpause,
    Command,
    CommandCount,
    CommandDocs,
    CommandInfo,
    CommandList,
    CommandGetkeys,
    CommandGetkeysandflags,
    Info,
    Config,
    ConfigGet,
    ConfigSet,
    ConfigResetstat,
    ConfigRewrite,
    Type,
    Exists,
    Del,
    Unlink,
    Scan,
    Dbsize,
    Keys,
    Randomkey,
    Object,
    ObjectEncoding,
    ObjectFreq,
    ObjectIdletime,
    ObjectRefcount,
    Multi,
    Exec,
    Discard,
    Watch,
    Unwatch,
    Wait,
    Waitaof,
    Time,
    Slowlog,
    SlowlogGet,
    SlowlogLen,
    SlowlogReset,
    Latency,
    LatencyDoctor,
    LatencyGraph,
    LatencyHistogram,
    LatencyHistory,
    LatencyLatest,
    LatencyReset,
    Monitor,
    Memory,
    MemoryDoctor,
    MemoryMallocStats,
    MemoryPurge,
    MemoryStats,
    MemoryUsage,
    Save,
    Bgsave,
    Lastsave,
    Backup,
    BackupBegin,
    BackupEnd,
    BackupRead,
    Flushdb,
    Flushall,
    Debug,
    DebugSleep,
    Shutdown,
    Acl,
    AclCat,
    AclDeluser,
    AclDryrun,
    AclGenpass,
    AclGetuser,
    AclList,
    AclLoad,
    AclLog,
    AclSave,
    AclSetuser,
    AclUsers,
    AclWhoami,
    Subscribe,
    Psubscribe,
    Unsubscribe,
    Punsubscribe,
    Publish,
    Pubsub,
    PubsubChannels,
    PubsubNumpat,
    PubsubNumsub,
    Eval,
    EvalRo,
    Evalsha,
    EvalshaRo,
    Script,
    Fcall,
    FcallRo,
    /// `HELP` of any command with subcommands; `docs::help` answers it.
    Help,
}

/// One row: a command, or a subcommand of one.
#[derive(Debug)]
pub struct CommandSpec {
    /// What the server branches on.
    pub id: CommandId,
    /// In lower case; of a subcommand the second word only.
    pub name: &'static str,
    /// Words with the command's name, and the subcommand's; `-n` means at least `n`, as in Redis.
    pub arity: i32,
    /// What it does to the server.
    pub flags: Flags,
    /// Who may be allowed to run it.
    pub categories: Categories,
    /// Which of its words are keys.
    pub keys: Keys,
    /// Its chapter in the documentation.
    pub group: Group,
    /// The first version that has it.
    pub since: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// What it costs.
    pub complexity: &'static str,
    /// Its words after the name, in order.
    pub arguments: &'static [Argument],
    /// Its options, sorted by word.
    pub options: &'static [OptionSpec],
    /// What it answers.
    pub reply: &'static str,
    /// Errors of its own, besides those of syntax and limits.
    pub errors: &'static [crate::ErrorCode],
    /// Its second words, if it has some.
    pub subcommands: &'static [CommandSpec],
    /// Set for a command of Redis that we refuse: what to use in its place.
    pub refused: Option<&'static str>,
}

/// Where the keys of a command are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keys {
    /// It has none.
    None,
    /// The word at this position.
    One(usize),
    /// All words from this position on.
    From(usize),
    /// After this keyword at position 1: how many, then the keys.
    Counted(&'static str),
}

/// A chapter of the documentation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// What adds jobs.
    Producer,
    /// What runs jobs.
    Consumer,
    /// What watches and steers.
    Operator,
    /// Redis's connection commands.
    Connection,
    /// Redis's commands on keys.
    Generic,
    /// Redis's transactions.
    Transactions,
    /// Redis's server commands.
    Server,
    /// Redis's publish and subscribe.
    Pubsub,
    /// Redis's scripts, which are refused.
    Scripting,
}

/// A word of a command, or several.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Argument {
    /// A word.
    Word {
        /// What the documentation calls it.
        name: &'static str,
        /// What it holds.
        kind: WordKind,
        /// Whether and how often it stands.
        times: Times,
    },
    /// Here stand the options.
    Options,
    /// Here stands a word, or several; or, in its place, the options.
    WordOrOptions {
        /// What the documentation calls the word.
        name: &'static str,
        /// What it holds.
        kind: WordKind,
        /// How often it stands.
        times: Times,
    },
}

/// What a word holds, as COMMAND DOCS says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WordKind {
    /// A queue.
    Key,
    /// Any bytes.
    String,
    /// A number.
    Integer,
    /// A glob.
    Pattern,
}

/// Whether and how often a word stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Times {
    /// Once.
    One,
    /// At most once.
    Optional,
    /// At least once.
    Many,
    /// Any number of times.
    Any,
}

impl CommandSpec {
    /// Whether a command of so many words, its name included, has the right number of them.
    #[inline]
    pub fn arity_fits(&self, words: usize) -> bool {
        let arity = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { words >= arity } else { words == arity }
    }

    /// What the server does to the keys, in the words of COMMAND GETKEYSANDFLAGS.
    pub fn key_flags(&self) -> &'static [&'static str] {
        match self.id {
            CommandId::Del | CommandId::Unlink => &["RM", "delete"],
            CommandId::Qpush | CommandId::Qmpush => &["RW", "insert"],
            CommandId::Qclaim | CommandId::Qmclaim => &["RW", "access", "update"],
            CommandId::Watch | CommandId::MemoryUsage => &["RO"],
            // Redis's commands on keys say something about them and show none of their data.
            _ if self.flags.has(Flags::READONLY) && self.group == Group::Generic => &["RO"],
            _ if self.flags.has(Flags::READONLY) => &["RO", "access"],
            _ => &["RW", "update"],
        }
    }

    /// Whether it has subcommands.
    pub fn is_container(&self) -> bool {
        !self.subcommands.is_empty()
    }
}

impl Group {
    /// The name that COMMAND DOCS and the documentation use.
    pub fn name(self) -> &'static str {
        match self {
            Group::Producer => "producer",
            Group::Consumer => "consumer",
            Group::Operator => "operator",
            Group::Connection => "connection",
            Group::Generic => "generic",
            Group::Transactions => "transactions",
            Group::Server => "server",
            Group::Pubsub => "pubsub",
            Group::Scripting => "scripting",
        }
    }
}

/// The chapters of the table.
const CHAPTERS: [&[CommandSpec]; 9] = [
    producer::COMMANDS,
    consumer::COMMANDS,
    operator::COMMANDS,
    worker::COMMANDS,
    connection::COMMANDS,
    redis::COMMANDS,
    pubsub::COMMANDS,
    server::COMMANDS,
    acl::COMMANDS,
];

/// How many commands there are.
const COMMANDS_LEN: usize = {
    let mut len = 0;
    let mut chapter = 0;
    while chapter < CHAPTERS.len() {
        len += CHAPTERS[chapter].len();
        chapter += 1;
    }
    len
};

/// Every command, without subcommands: those of queues first.
pub static COMMANDS: [&CommandSpec; COMMANDS_LEN] = {
    let mut rows = [&row::BASE; COMMANDS_LEN];
    let mut filled = 0;
    let mut chapter = 0;
    while chapter < CHAPTERS.len() {
        let mut row = 0;
        while row < CHAPTERS[chapter].len() {
            rows[filled] = &CHAPTERS[chapter][row];
            filled += 1;
            row += 1;
        }
        chapter += 1;
    }
    rows
};

#[cfg(test)]
mod tests;
