//! A storm: random commands of the server's whole table, well formed and not, from several connections at once.
//!
//! What the server answers is not judged, only that it answers: it must not panic, must not leak, and must find the
//! same jobs again when it is started on its log. One seed makes the same commands again; how the connections' commands
//! meet is up to the system.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::connection::encode;
use crate::{Connection, Options, Random, Server, Value, resident_bytes};

/// Connections at once.
const CONNECTIONS: u64 = 4;

/// Commands that are sent before their replies are read.
const PIPELINE: usize = 50;

/// Ids and receipts that a connection remembers, to name them again.
const REMEMBERED: usize = 64;

/// What an allocator may keep, with this many threads and commands under way.
const GROWTH_BYTES_MAX: usize = 48 << 20;

/// So many looks that find the same jobs are taken for the end of all sweeping.
const SAME_LOOKS: usize = 5;

/// These would end the conversation itself.
const LEFT_OUT: &[&str] = &["shutdown", "debug"];

/// Words that mean something somewhere. Nothing that takes memory or connections away for good, and nothing that lets
/// jobs disappear by themselves, because they are counted at the end.
const WORDS: &[&str] = &[
    "mail",
    "video",
    "{a}1",
    "{a}2",
    "",
    "x",
    "*",
    "m*",
    "[a-",
    "\\",
    "-1",
    "0",
    "1",
    "2",
    "3",
    "10",
    "100000",
    "1.5",
    "9223372036854775807",
    "18446744073709551616",
    "99999999999999999999",
    "READY",
    "DELAYED",
    "CLAIMED",
    "DEAD",
    "ALL",
    "MATCH",
    "COUNT",
    "GROUP",
    "PRIORITY",
    "DELAY",
    "AT",
    "DEDUPE",
    "UNTIL",
    "CLAIM",
    "DONE",
    "WINDOW",
    "REPLACE",
    "ROOT",
    "ATTEMPTS",
    "SYNC",
    "NOSYNC",
    "STATUS",
    "NEXT",
    "LEASE",
    "BLOCK",
    "WORKER",
    "BOUND",
    "ACK",
    "META",
    "QUEUES",
    "EXCEPT",
    "ERROR",
    "KEY",
    "STATE",
    "FOR",
    "PUSH",
    "PULL",
    "TYPE",
    "ID",
    "lease",
    "backoff",
    "notify",
    "on",
    "off",
    "order",
    "lifo",
    "concurrency",
    "rate",
    "5/1s",
    "50ms",
    "1h",
    "GET",
    "SET",
    "HELP",
    "RESET",
    "USER",
    "SKIPME",
    "yes",
    "no",
    "normal",
    "timeout",
    "slowlog-max-len",
    "everything",
    "~*",
    "+@all",
    "-@push",
    ">word",
    "(+qpush ~x)",
    "ab\r\ncd",
    "\u{0}\u{7f}é",
];

/// The queues, as few as let commands meet.
const QUEUES: &[&str] = &["mail", "video", "{a}1", "{a}2", "paused"];

/// What became of a storm.
#[derive(Debug)]
pub struct Weathered {
    /// How many commands were sent.
    pub commands: u64,
    /// How many of them were answered by errors.
    pub errors: u64,
    /// How often a connection ended, as QUIT, CLIENT KILL and broken requests make it.
    pub reconnects: u64,
    /// The server's memory after a fifth of the commands and at the end, both times without a job.
    pub resident_bytes: [usize; 2],
    /// Jobs that were found again after the restart.
    pub jobs: i64,
}

/// Sends `commands` to a server of its own.
///
/// # Panics
/// When the server does not stand it.
pub fn storm(commands: u64, seed: u64) -> Weathered {
    let options = Options::new().arguments(&["--durability", "never"]);
    let server = options.start();
    let mut weathered = Weathered { commands: 0, errors: 0, reconnects: 0, resident_bytes: [0; 2], jobs: 0 };
    blow(&server, commands / 5, seed, &mut weathered);
    weathered.resident_bytes[0] = resident_when_empty(&server);
    blow(&server, commands - commands / 5, seed ^ 1 << 63, &mut weathered);
    weathered.resident_bytes[1] = resident_when_empty(&server);
    let [before, after] = weathered.resident_bytes;
    assert!(after < before + GROWTH_BYTES_MAX, "the server has grown from {before} to {after} bytes");
    // Something to find again.
    blow(&server, commands / 5, seed, &mut weathered);
    restart(server, &options, &mut weathered);
    weathered
}

/// Sends so many commands from all connections.
fn blow(server: &Server, commands: u64, seed: u64, weathered: &mut Weathered) {
    let table = Arc::new(table(server));
    let address = server.address();
    let gusts: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            let table = Arc::clone(&table);
            std::thread::spawn(move || {
                Gust::new(address, table, seed ^ number << 56).blow(commands / CONNECTIONS)
            })
        })
        .collect();
    for gust in gusts {
        let gust = gust.join().expect("a connection of the storm failed");
        weathered.commands += gust.commands;
        weathered.errors += gust.errors;
        weathered.reconnects += gust.reconnects;
    }
}

/// The names of all commands and subcommands, from the server itself.
fn table(server: &Server) -> Vec<Vec<String>> {
    let listed = server.connect().call(&["COMMAND", "LIST"]);
    let mut names: Vec<Vec<String>> = listed.array().iter().map(|name| vec![name.text()]).collect();
    for name in names.clone() {
        let described = server.connect().call(&["COMMAND", "INFO", &name[0]]);
        let subcommands = described.array()[0].array()[9].array().to_vec();
        for subcommand in subcommands {
            let full = subcommand.array()[0].text();
            names.push(full.split('|').map(str::to_owned).collect());
        }
    }
    names.retain(|name| !LEFT_OUT.contains(&name[0].as_str()));
    names
}

/// The server's memory once all queues are gone.
fn resident_when_empty(server: &Server) -> usize {
    let mut connection = server.connect();
    assert_eq!(connection.call(&["FLUSHALL"]).text(), "OK");
    assert_eq!(connection.call(&["DBSIZE"]).integer(), 0);
    resident_bytes(server.id())
}

/// Kills the server and looks for the jobs in the next one.
fn restart(mut server: Server, options: &Options, weathered: &mut Weathered) {
    // Gone connections may still be giving jobs back; one that is in hand counts like one that waits.
    let before = jobs(&server);
    server.connect().call(&["WAITAOF", "1", "0", "0"]);
    assert!(!server.output().contains("panicked"), "{}", server.output());
    server.kill();
    let next = options.start();
    let after = jobs(&next);
    let lost: Vec<_> = before.iter().filter(|(queue, count)| after.get(*queue) != Some(count)).collect();
    assert!(lost.is_empty() && after.len() == before.len(), "not found again as they were: {lost:?}");
    weathered.jobs = before.values().sum();
}

/// The jobs of each queue, once the sweep of superseded ones has come by: when several looks in a row find the same.
fn jobs(server: &Server) -> BTreeMap<String, i64> {
    let mut connection = server.connect();
    let mut last = look(&mut connection);
    let mut same = 0;
    while same < SAME_LOOKS {
        let next = look(&mut connection);
        same = if next == last { same + 1 } else { 0 };
        last = next;
    }
    last
}

fn look(connection: &mut Connection) -> BTreeMap<String, i64> {
    let mut jobs = BTreeMap::new();
    for line in connection.call(&["QLIST"]).array() {
        let name = line.field("queue").and_then(Value::bytes).expect("every line names its queue");
        let words: [&[u8]; 3] = [b"QLEN", name, b"ALL"];
        jobs.insert(name.escape_ascii().to_string(), connection.call(&words).integer());
    }
    jobs.retain(|_, count| *count > 0);
    jobs
}

/// One connection's part.
struct Gust {
    address: SocketAddr,
    table: Arc<Vec<Vec<String>>>,
    random: Random,
    /// Ids and receipts that were answered.
    remembered: Vec<Vec<u8>>,
    commands: u64,
    errors: u64,
    reconnects: u64,
}

impl Gust {
    fn new(address: SocketAddr, table: Arc<Vec<Vec<String>>>, seed: u64) -> Gust {
        let (commands, errors, reconnects) = (0, 0, 0);
        Gust {
            address,
            table,
            random: Random::new(seed),
            remembered: Vec::new(),
            commands,
            errors,
            reconnects,
        }
    }

    fn blow(mut self, commands: u64) -> Gust {
        let mut connection = self.connect();
        while self.commands < commands {
            if self.pipeline(&mut connection).is_err() {
                self.reconnects += 1;
                connection = self.connect();
            }
        }
        self
    }

    fn connect(&self) -> Connection {
        Connection::tcp(self.address).expect("the server still accepts connections")
    }

    /// Sends some commands and reads until all are answered, or the connection ends.
    fn pipeline(&mut self, connection: &mut Connection) -> io::Result<()> {
        let mut bytes = Vec::new();
        for _ in 0..PIPELINE {
            self.write(&mut bytes);
        }
        self.commands += PIPELINE as u64;
        // RESET ends whatever was begun: a transaction, a subscription, MONITOR, CLIENT REPLY OFF.
        let marker = format!("marker-{}", self.random.bits());
        encode(&mut bytes, &["RESET"]);
        encode(&mut bytes, &["ECHO", &marker]);
        connection.send_bytes(&bytes)?;
        loop {
            let reply = connection.receive()?;
            if matches!(&reply, Value::Bulk(text) if *text == marker.as_bytes()) {
                return Ok(());
            }
            self.errors += u64::from(matches!(reply, Value::Error(_)));
            self.remember(&reply);
        }
    }

    /// Keeps what looks like an id or a receipt.
    fn remember(&mut self, reply: &Value) {
        match reply {
            Value::Array(elements) => elements.iter().for_each(|element| self.remember(element)),
            Value::Bulk(text)
                if text.len() >= 16 && text[..16].iter().all(u8::is_ascii_hexdigit) && text.len() < 40 =>
            {
                if self.remembered.len() == REMEMBERED {
                    let place = self.random.below(REMEMBERED);
                    self.remembered.swap_remove(place);
                }
                self.remembered.push(text.clone());
            }
            _ => {}
        }
    }

    /// Writes one command, seldom as bytes that are none.
    fn write(&mut self, bytes: &mut Vec<u8>) {
        if self.random.one_in(2_000) {
            let junk = (0..self.random.below(40)).map(|_| self.random.bits().to_le_bytes()[0]);
            bytes.extend(junk.collect::<Vec<_>>());
            return;
        }
        let mut words = match self.random.below(4) {
            0 => self.any_command(),
            _ => self.queue_command(),
        };
        let name = words[0].to_ascii_uppercase();
        // Nothing may wait for ever, or make the others wait.
        let waits =
            name.starts_with(b"WAIT") || words.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"pause"));
        for at in 1..words.len() {
            if waits && words[at].first().is_some_and(u8::is_ascii_digit)
                || words[at - 1].eq_ignore_ascii_case(b"BLOCK")
            {
                words[at] = b"1".to_vec();
            }
        }
        encode(bytes, &words);
    }

    /// A command of the table with words that may mean nothing to it.
    fn any_command(&mut self) -> Vec<Vec<u8>> {
        let table = Arc::clone(&self.table);
        let name = &table[self.random.below(table.len())];
        // Deleting everything is for the end, or there would be nothing to work with.
        let name = if name[0].starts_with("flush") && !self.random.one_in(50) { &table[0] } else { name };
        let mut words: Vec<Vec<u8>> = name.iter().map(|word| word.clone().into_bytes()).collect();
        for _ in 0..self.random.below(6) {
            words.push(self.word());
        }
        words
    }

    fn word(&mut self) -> Vec<u8> {
        if !self.remembered.is_empty() && self.random.one_in(6) {
            return self.remembered[self.random.below(self.remembered.len())].clone();
        }
        WORDS[self.random.below(WORDS.len())].as_bytes().to_vec()
    }

    fn queue(&mut self) -> Vec<u8> {
        QUEUES[self.random.below(QUEUES.len())].as_bytes().to_vec()
    }

    /// A command that workers, producers and operators would send.
    fn queue_command(&mut self) -> Vec<Vec<u8>> {
        let queue = self.queue();
        let number = self.random.below(50).to_string().into_bytes();
        let known = self.word();
        let lines: &[&[&[u8]]] = &[
            &[b"QPUSH", &queue, b"payload"],
            &[b"QPUSH", &queue, b"payload", b"DEDUPE", &number, b"GROUP", &number],
            &[b"QPUSH", &queue, b"payload", b"DEDUPE", &number, b"UNTIL", b"DONE", b"REPLACE", b"STATUS"],
            &[b"QPUSH", &queue, b"payload", b"DELAY", &number, b"PRIORITY", b"3"],
            &[b"QPUSH", &queue, b"payload", b"ROOT", b"page", &number],
            &[b"QMPUSH", &queue, b"one", b"NEXT", b"two", b"GROUP", &number, b"NEXT", b"three"],
            &[b"QCLAIM", &queue, b"COUNT", b"5", b"META"],
            &[b"QCLAIM", &queue, b"BLOCK", b"1", b"BOUND", b"LEASE", b"5"],
            &[b"QCLAIM", &queue, b"COUNT", b"10", b"ACK", b"1", &known],
            &[b"QMCLAIM", b"QUEUES", b"2", &queue, b"mail", b"COUNT", b"3"],
            &[b"QMCLAIM", b"MATCH", b"1", b"*", b"COUNT", b"20"],
            &[b"QACK", &queue, &known],
            &[b"QNACK", &queue, &known, b"ERROR", b"no"],
            &[b"QNACK", &queue, &known, b"DELAY", b"0"],
            &[b"QRELEASE", &queue, &known],
            &[b"QEXTEND", &queue, b"1000", &known],
            &[b"QROOT", &queue, b"page", &number],
            &[b"QDEL", &queue, &known],
            &[b"QREQUEUE", &queue, b"DEAD", b"COUNT", b"5"],
            &[b"QPURGE", &queue, b"STATE", b"DEAD"],
            &[b"QPURGE", &queue],
            &[b"DEL", b"paused"],
            &[b"QPAUSE", b"paused", b"ALL", b"FOR", b"5"],
            &[b"QRESUME", b"paused"],
            &[b"QCONFIG", b"SET", &queue, b"notify", b"on", b"attempts", b"2"],
            &[b"QCLAIM", &queue, b"COUNT", b"3", b"WORKER", b"w"],
            &[b"QWORKER", b"BEAT", b"w", b"VERSION", &number],
            &[b"QWORKER", b"BYE", b"w"],
            &[b"QWORKER", b"LIST"],
            &[b"QWORKER", b"VERSIONS"],
            &[b"QSTATS", &queue],
            &[b"QPEEK", &queue, b"READY", b"COUNT", b"3"],
            &[b"MULTI"],
            &[b"EXEC"],
            &[b"WATCH", &queue],
            &[b"HELLO", b"3"],
            &[b"SUBSCRIBE", b"__job__:mail"],
        ];
        let line = lines[self.random.below(lines.len())];
        line.iter().map(|word| word.to_vec()).collect()
    }
}
