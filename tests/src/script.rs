//! Scripts: what is sent, and what is expected, a line each.
//!
//! ```text
//! # a comment
//! > QPUSH q hello STATUS      => [ready, $id]
//! > QCLAIM q                  => [[q, $r, hello, 1]]
//! w! QCLAIM q BLOCK 0
//! ~ 1 blocked
//! > QNACK q $r DELAY 0        => retry
//! w<                          => [[q, $r2, hello, 2]]
//! ? QLEN q CLAIMED            => 1
//! ```
//!
//! `>` sends a command on the connection `main`, `w>` on the connection `w`, which is opened when it is first
//! named; without `=>` anything but an error is expected. `w!` sends without reading, `w<` reads. `?` asks again
//! until the reply is as expected. `~ n blocked` waits until the server says that n clients are blocked. `$name`
//! in a command stands for what a reply has set. An expectation may begin or go on in the lines below it;
//! its notation is the table in `pattern.rs`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;

use crate::connection::{Connection, command_text};
use crate::pattern::{Captures, Pattern, unquote};
use crate::{PATIENCE, Value};

/// Connections to one server and the names that their replies have set.
pub struct Session {
    address: SocketAddr,
    connections: HashMap<String, Connection>,
    captures: Captures,
}

struct Action<'a> {
    line: usize,
    connection: &'a str,
    kind: Kind,
    command: &'a str,
    expected: Option<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Call,
    Send,
    Receive,
    Until,
    Blocked,
}

impl Session {
    /// A session without connections yet.
    pub fn new(address: SocketAddr) -> Session {
        Session { address, connections: HashMap::new(), captures: Captures::new() }
    }

    /// Runs a script; the first reply that is not as expected panics, naming its line.
    #[track_caller]
    pub fn check(&mut self, script: &str) {
        for action in parse(script) {
            if let Err(problem) = self.run(&action) {
                let connection = if action.connection.is_empty() { "main" } else { action.connection };
                panic!("line {} of the script, on {connection}: {}\n{problem}", action.line, action.command);
            }
        }
    }

    /// What a `$name` stands for.
    #[track_caller]
    pub fn captured(&self, name: &str) -> String {
        match self.captures.get(name) {
            Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            None => panic!("no reply has set ${name}"),
        }
    }

    /// A connection by its name in scripts.
    pub fn connection(&mut self, name: &str) -> &mut Connection {
        let address = self.address;
        self.connections
            .entry(name.to_owned())
            .or_insert_with(|| Connection::tcp(address).expect("the server accepts a connection"))
    }

    /// Closes a connection; its name opens a new one.
    pub fn close(&mut self, name: &str) {
        self.connections.remove(name);
    }

    fn run(&mut self, action: &Action<'_>) -> Result<(), String> {
        if action.kind == Kind::Blocked {
            return self.wait_blocked(action.command);
        }
        let words = self.words(action.command)?;
        let expected = action.expected.as_deref().map(Pattern::parse).transpose()?;
        let failed = |error: std::io::Error| format!("the connection failed: {error}");
        let name = if action.connection.is_empty() { "main" } else { action.connection };
        let connection = self.connection(name);
        let mut reply = match action.kind {
            Kind::Send => return connection.send(&words).map_err(failed),
            Kind::Receive => connection.receive().map_err(failed)?,
            Kind::Call | Kind::Until | Kind::Blocked => connection.try_call(&words).map_err(failed)?,
        };
        let started = Instant::now();
        while action.kind == Kind::Until
            && !self.matches(expected.as_ref(), &reply)
            && started.elapsed() < PATIENCE
        {
            std::thread::yield_now();
            reply = self.connection(name).try_call(&words).map_err(failed)?;
        }
        if self.matches(expected.as_ref(), &reply) {
            return Ok(());
        }
        let expected = action.expected.as_deref().unwrap_or("anything but an error");
        Err(format!("  expected {expected}\n  received {reply}\n  sent     {}", command_text(&words)))
    }

    fn matches(&mut self, expected: Option<&Pattern>, reply: &Value) -> bool {
        match expected {
            None => !matches!(reply, Value::Error(_)),
            Some(pattern) => {
                let mut captures = self.captures.clone();
                let matched = pattern.matches(reply, &mut captures);
                if matched {
                    self.captures = captures;
                }
                matched
            }
        }
    }

    fn wait_blocked(&mut self, text: &str) -> Result<(), String> {
        let count = text.strip_suffix(" blocked").ok_or("after `~` stands `n blocked`")?;
        let wanted = format!("blocked_clients:{count}\r\n");
        let started = Instant::now();
        loop {
            let info = self.connection("~").call(&["INFO", "clients"]).text();
            if info.contains(&wanted) {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                return Err(format!("never were {count} clients blocked; INFO clients says:\n{info}"));
            }
            std::thread::yield_now();
        }
    }

    fn words(&self, command: &str) -> Result<Vec<Vec<u8>>, String> {
        let mut words = Vec::new();
        let mut rest = command.trim_start().as_bytes();
        while let Some(&first) = rest.first() {
            let length = if first == b'"' {
                let (word, length) = unquote(rest, b'"')?;
                words.push(word);
                length
            } else {
                let length = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
                words.push(self.substitute(&rest[..length])?);
                length
            };
            rest = rest[length..].trim_ascii_start();
        }
        Ok(words)
    }

    fn substitute(&self, word: &[u8]) -> Result<Vec<u8>, String> {
        let Some(name) = word.strip_prefix(b"$").filter(|name| !name.is_empty()) else {
            return Ok(word.to_vec());
        };
        let name = String::from_utf8_lossy(name);
        self.captures.get(&*name).cloned().ok_or_else(|| format!("no reply has set ${name}"))
    }
}

fn parse(script: &str) -> Vec<Action<'_>> {
    let mut actions: Vec<Action<'_>> = Vec::new();
    for (index, text) in script.lines().enumerate() {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        if let Some((connection, kind, rest)) = action_start(text) {
            let (command, expected) = match rest.split_once("=>") {
                Some((command, expected)) => (command.trim(), Some(expected.trim().to_owned())),
                None => (rest.trim(), None),
            };
            actions.push(Action { line: index + 1, connection, kind, command, expected });
        } else {
            let last =
                actions.last_mut().unwrap_or_else(|| panic!("line {} is no action: {text}", index + 1));
            let expected = match (text.strip_prefix("=>"), &mut last.expected) {
                (Some(start), None) => {
                    last.expected = Some(start.trim().to_owned());
                    continue;
                }
                (_, Some(expected)) => expected,
                (None, None) => panic!("line {} continues no expectation: {text}", index + 1),
            };
            expected.push(' ');
            expected.push_str(text);
        }
    }
    actions
}

/// Splits `name> rest` and its likes; `None` for a line that goes on with an expectation.
fn action_start(text: &str) -> Option<(&str, Kind, &str)> {
    let at = text.find(|c: char| !c.is_ascii_alphanumeric())?;
    let (name, rest) = text.split_at(at);
    let kind = match rest.as_bytes()[0] {
        b'>' => Kind::Call,
        b'!' => Kind::Send,
        b'<' => Kind::Receive,
        b'?' => Kind::Until,
        b'~' => Kind::Blocked,
        _ => return None,
    };
    let rest = &rest[1..];
    (rest.is_empty() || rest.starts_with(' ')).then(|| (name, kind, rest.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_as_it_looks() {
        let actions = parse(
            "\n# note\n> PING\n  => +PONG\nw! QCLAIM q\nw< => [a,\n   b]\n~ 1 blocked\n? QLEN q => 0\n",
        );
        let lines: Vec<usize> = actions.iter().map(|action| action.line).collect();
        assert_eq!(lines, [3, 5, 6, 8, 9]);
        assert_eq!(actions[0].expected.as_deref(), Some("+PONG"));
        assert!(
            actions[1].kind == Kind::Send && actions[1].connection == "w" && actions[1].expected.is_none()
        );
        assert!(actions[2].kind == Kind::Receive && actions[2].expected.as_deref() == Some("[a, b]"));
        assert!(actions[3].kind == Kind::Blocked && actions[3].command == "1 blocked");
        assert!(actions[4].kind == Kind::Until && actions[4].connection.is_empty());
    }

    #[test]
    fn words_are_split_as_redis_cli_splits_them() {
        let mut session = Session::new(([127, 0, 0, 1], 1).into());
        session.captures.insert("r".into(), b"0-1".to_vec());
        let words = session.words("QPUSH q \"a b\\x00\" $r $").expect("words");
        assert_eq!(words, [&b"QPUSH"[..], b"q", b"a b\0", b"0-1", b"$"]);
        assert!(session.words("QACK q $unset").is_err());
    }
}
