//! MONITOR: whoever listens gets a line for each command that any client sends.
//!
//! Nobody listens most of the time, and then a command costs no more than a look at [`Attention`].

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use stanchion_protocol::table::{CommandId, Flags};
use stanchion_protocol::{Args, CommandSpec};

use crate::attention::Attention;
use crate::clients::Client;
use crate::endpoint::Endpoint;
use crate::limits::MONITOR_LINE_BYTES;
use crate::mailbox::{Care, Message};
use crate::redact::redact;

/// The clients that listen.
#[derive(Default)]
pub(crate) struct Monitors {
    clients: Mutex<Vec<Arc<Client>>>,
}

impl Monitors {
    /// A client listens from here on; false when it does already.
    pub(crate) fn add(&self, client: &Arc<Client>, attention: &Attention) -> bool {
        let mut clients = self.clients.lock();
        if clients.iter().any(|other| other.id == client.id) {
            return false;
        }
        client.monitors.store(true, Ordering::Relaxed);
        clients.push(Arc::clone(client));
        attention.set_monitored(true);
        true
    }

    /// A client does not listen any more, if it did.
    pub(crate) fn remove(&self, client: &Client, attention: &Attention) {
        if attention.wanted().is_monitored() {
            let mut clients = self.clients.lock();
            client.monitors.store(false, Ordering::Relaxed);
            clients.retain(|other| other.id != client.id);
            attention.set_monitored(!clients.is_empty());
        }
    }

    /// Tells everybody of a command.
    #[cold]
    pub(crate) fn tell(&self, client: &Client, spec: &CommandSpec, args: Args<'_>) {
        if !is_shown(spec) {
            return;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line: Arc<str> = line(now, &client.peer, redact(spec, args)).into();
        let clients = self.clients.lock().clone();
        for monitor in clients {
            monitor.mailbox.post(Message::Line(Arc::clone(&line)), Care::Whole);
        }
    }
}

/// Whether a command is shown: those of operators are not, as in Redis.
fn is_shown(spec: &CommandSpec) -> bool {
    !spec.flags.has(Flags::ADMIN) && spec.id != CommandId::AclSetuser
}

/// A command as a line without its end.
fn line<'a>(now: Duration, peer: &Endpoint, words: impl ExactSizeIterator<Item = &'a [u8]>) -> String {
    let mut line = format!("{}.{:06} [0 ", now.as_secs(), now.subsec_micros());
    _ = match peer {
        Endpoint::Network(address) => write!(line, "{address}]"),
        Endpoint::Local(path) => write!(line, "unix:{}]", path.display().to_string().escape_default()),
    };
    let mut left = words.len();
    for word in words {
        let room = MONITOR_LINE_BYTES.saturating_sub(line.len());
        if room == 0 {
            _ = write!(line, " \"... ({left} more arguments)\"");
            break;
        }
        left -= 1;
        let shown = &word[..word.len().min(room)];
        line.push_str(" \"");
        quote(shown, &mut line);
        if shown.len() < word.len() {
            _ = write!(line, "... ({} more bytes)", word.len() - shown.len());
        }
        line.push('"');
    }
    line
}

/// Bytes as Redis shows them within quotes.
fn quote(word: &[u8], line: &mut String) {
    for &byte in word {
        match byte {
            b'\\' => line.push_str("\\\\"),
            b'"' => line.push_str("\\\""),
            b'\n' => line.push_str("\\n"),
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            0x07 => line.push_str("\\a"),
            0x08 => line.push_str("\\b"),
            b' '..=b'~' => line.push(byte.into()),
            _ => _ = write!(line, "\\x{byte:02x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn shown(peer: &Endpoint, words: &[&[u8]]) -> String {
        line(Duration::from_micros(1_700_000_000_000_042), peer, words.iter().copied())
    }

    #[test]
    fn a_line_is_as_redis_writes_it() {
        let network = Endpoint::Network("127.0.0.1:59606".parse().unwrap());
        assert_eq!(
            shown(&network, &[b"set", b"k", b"a\"\\\r\n\t\x07\x08\x00\xff "]),
            r#"1700000000.000042 [0 127.0.0.1:59606] "set" "k" "a\"\\\r\n\t\a\b\x00\xff ""#
        );
        let local = Endpoint::Local(Path::new("/run/s").into());
        assert_eq!(shown(&local, &[b"PING"]), r#"1700000000.000042 [0 unix:/run/s] "PING""#);
    }

    #[test]
    fn a_line_has_an_end() {
        let network = Endpoint::Network("127.0.0.1:1".parse().unwrap());
        let long = vec![b'x'; 2 * MONITOR_LINE_BYTES];
        let line = shown(&network, &[b"QPUSH", &long, b"a", b"b"]);
        assert!(line.len() < MONITOR_LINE_BYTES + 100, "{}", line.len());
        assert!(line.ends_with("more bytes)\" \"... (2 more arguments)\""));
    }
}
