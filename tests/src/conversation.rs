//! The conversation that a program in any language has with a server through its own library.
//!
//! The program gets a host and a port and says what it has done, a line each, with the same names in every language:
//!
//! | it prints | meaning |
//! |---|---|
//! | `ok push` | the step is done and every reply was as expected; the steps come in the order of `STEPS` |
//! | `please push jobs` | it blocks in a claim on that queue next: push a job when it does |
//! | `please publish` | it listens to `news` and to the jobs of `events` now, or will soon |
//! | `please restart` | start the server anew on its data and port, then write a line to standard input |
//!
//! What it pushed and acked in the end is checked over a connection of our own, so that a program that does nothing
//! and says `ok` does not pass.

use std::process::Command;

use crate::{Process, RestartingServer, Server};

/// What every program does, in this order.
const STEPS: &[&str] = &[
    "connect",
    "handshake",
    "push",
    "pipeline",
    "transaction",
    "claim",
    "ack",
    "errors",
    "watch",
    "subscribe",
    "reconnect",
];

/// What is published when somebody listens: a message, and what happens to a job.
const PUBLISH: &str = r#"
    ? PUBSUB NUMSUB news __job__:events => [news, 1, "__job__:events", 1]
    > PUBLISH news hello => 1
    > QCONFIG SET events notify on
    > QPUSH events x
    > QCLAIM events => [[events, $r, x, 1]]
    > QACK events $r => 1
"#;

/// The name that every program gives its connection, in its library's way.
const NAME: &str = "conversation";

/// How a library introduces the connection that it keeps.
pub struct Identity {
    /// What it says with CLIENT SETINFO; empty when it says nothing.
    pub library: &'static str,
    /// The version of RESP that it speaks.
    pub resp: u8,
}

/// Has the conversation with a program, and checks what it has left behind. One that keeps no connection has no identity.
#[track_caller]
pub fn converse(command: &mut Command, identity: Option<Identity>) {
    let mut server = RestartingServer::start();
    let address = server.address();
    command.arg(address.ip().to_string()).arg(address.port().to_string());
    let mut program = Process::start_with_input(command);
    let mut done = Vec::new();
    while let Some(line) = program.next_line() {
        match line.split_once(' ').unwrap_or_default() {
            ("ok", step) => {
                done.push(step.to_owned());
                if let ("handshake", Some(identity)) = (step, &identity) {
                    check_identity(&server, identity);
                }
            }
            ("please", "restart") => {
                // These two count what changed nothing, and so are not in the log.
                server.check("> QSTATS jobs => {duplicates: 1, stale-acks: 103, ...}");
                server.restart();
                program.write_line("restarted");
            }
            ("please", "publish") => server.check(PUBLISH),
            ("please", request) => {
                let queue = request.strip_prefix("push ").unwrap_or_else(|| panic!("cannot {request}"));
                server.check(&format!("~ 1 blocked\n> QPUSH {queue} woken"));
            }
            _ => panic!("the program says what is no part of the conversation: {line}"),
        }
    }
    let status = program.wait();
    assert!(
        status.success(),
        "the program ended with {status}; if it misses a library, `cargo xtask tools` installs it:\n{}",
        program.output()
    );
    assert_eq!(done, STEPS, "the steps of the conversation, by a program that said:\n{}", program.output());
    check_state(&server);
}

fn check_identity(server: &Server, identity: &Identity) {
    let list = server.connect().call(&["CLIENT", "LIST"]).text();
    let name = format!(" name={NAME} ");
    let lines: Vec<&str> = list.lines().filter(|line| line.contains(&name)).collect();
    assert!(!lines.is_empty(), "no connection has the name `{NAME}`:\n{list}");
    let Identity { library, resp } = identity;
    for line in lines {
        assert!(line.contains(&format!(" lib-name={library} ")), "not the library `{library}`: {line}");
        assert!(line.contains(&format!(" resp={resp}")), "not RESP{resp}: {line}");
    }
}

/// Everything but one job is acked, each as often as the steps say.
fn check_state(server: &Server) {
    server.check(
        r#"
        > QLEN jobs ALL => 0
        > QSTATS jobs => {pushed: 104, claims: 104, acked: 104, ...}
        > QSTATS other => {pushed: 1, claims: 2, nacked: 1, acked: 1, ...}
        > QLIST => ({queue: jobs, ...}, {queue: other, ...}, {queue: binary, ...}, {queue: watched, ready: 2, ...},
            {queue: events, ...})
        > QCLAIM binary => [[binary, *, "\x00\r\n\xff", 1]]
        "#,
    );
}
