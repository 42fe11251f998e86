//! NATS JetStream as a work queue: a stream for each queue, which deletes what is acked, and a durable pull consumer.
//!
//! Its protocol is lines of words, and payloads of a length that the line before tells. Acks ask for an answer, which
//! is optional there: all peers say when a job is gone.

use std::io::Write;
use std::ops::Range;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::{Asked, Books, Dialect, Heard, Place, Receipts, What};
use crate::client::Client;
use crate::job::{Job, Sizes};
use crate::load::Load;

const CONSUMER: &str = "workers";
const CONNECT: &str = r#"CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}"#;
/// The subscription of each connection.
const SUBSCRIPTION: u32 = 1;
/// Nobody takes longer with a job of the load, nor does a claim wait longer: what it claims is there.
const ACK_WAIT_NS: u64 = 3_600 * 1_000_000_000;
const CLAIM_WAIT_NS: u64 = 20 * 1_000_000_000;
/// How long the server knows a dedupe key, as it does by default.
const DEDUPE_NS: u64 = 120 * 1_000_000_000;
/// Claims under way on one consumer. The default, 512, is less than some loads have.
const CLAIMS_MAX: u32 = 1_000_000;
/// No line of an answer is longer, but that of the server's first words.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// One stream and one consumer for each queue.
pub struct JetStream {
    queues: Vec<Queue>,
    job: Job,
    sizes: Sizes,
    dedupe: bool,
    /// What the inboxes of this load begin with; those of another process have another one.
    inbox: String,
}

struct Queue {
    stream: String,
    subject: String,
}

/// One frame of the server.
#[derive(PartialEq, Eq, Debug)]
enum Frame<'a> {
    Info,
    Ping,
    Pong,
    Ok,
    Message(Message<'a>),
}

#[derive(PartialEq, Eq, Debug)]
struct Message<'a> {
    reply: &'a str,
    headers: &'a [u8],
    payload: &'a [u8],
}

impl JetStream {
    /// Makes the streams and their consumers.
    ///
    /// # Errors
    /// The server refuses.
    pub fn dialect(client: &mut Client, load: &Load) -> Result<JetStream> {
        let names = super::redis::names(&load.prefix, load.queues);
        let queue =
            |name: String| Queue { stream: name.replace([':', '.'], "-"), subject: name.replace(':', ".") };
        let queues: Vec<Queue> = names.into_iter().map(queue).collect();
        for Queue { stream, subject } in &queues {
            let config = json!({
                "name": stream, "subjects": [subject], "retention": "workqueue", "storage": "file",
                "duplicate_window": DEDUPE_NS,
            });
            ask(client, &format!("STREAM.CREATE.{stream}"), &config)?;
            let config = json!({
                "durable_name": CONSUMER, "ack_policy": "explicit", "deliver_policy": "all", "ack_wait": ACK_WAIT_NS,
                "max_ack_pending": -1, "max_waiting": CLAIMS_MAX,
            });
            let consumer = json!({ "stream_name": stream, "config": config });
            ask(client, &format!("CONSUMER.DURABLE.CREATE.{stream}.{CONSUMER}"), &consumer)?;
        }
        Ok(JetStream {
            queues,
            job: Job::new(&load.payload),
            sizes: load.payload.clone(),
            dedupe: load.dedupe,
            inbox: format!("_INBOX.bench{}", std::process::id()),
        })
    }

    /// Books an answer.
    fn book(&self, asked: Asked, message: &Message<'_>, books: &mut Books<'_>) -> Result<()> {
        if let Some(status) = message.headers.strip_prefix(b"NATS/1.0 ") {
            let line = status.split(|byte| *byte == b'\r').next().unwrap_or_default();
            bail!("JetStream answers {}", line.escape_ascii());
        }
        match asked.what {
            What::Push => {
                ensure!(
                    !says(message.payload, br#""error":"#),
                    "JetStream answers {}",
                    message.payload.escape_ascii()
                );
                books.ledger.added(u64::from(!says(message.payload, br#""duplicate":"#)));
            }
            What::Claim => {
                books.ledger.claimed(self.sizes.number(message.payload)?)?;
                books.receipts.add(message.reply.as_bytes());
            }
            What::Ack => books.ledger.acked(1),
            What::Greeting => bail!("JetStream sends a message before it was asked for one"),
        }
        Ok(())
    }
}

impl Dialect for JetStream {
    fn greet(&mut self, out: &mut Vec<u8>, place: Place) -> usize {
        let (inbox, connection) = (&self.inbox, place.connection);
        say(out, format_args!("{CONNECT}\r\nSUB {inbox}.{connection} {SUBSCRIPTION}\r\nPING\r\n"));
        1
    }

    fn push(&mut self, out: &mut Vec<u8>, place: Place, jobs: Range<u64>) -> usize {
        let answers = jobs.clone().count();
        let (subject, inbox, connection) = (&self.queues[place.queue].subject, &self.inbox, place.connection);
        for number in jobs {
            self.job.set(number);
            let payload = self.job.payload();
            if self.dedupe {
                let key = std::str::from_utf8(self.job.key()).expect("keys are digits");
                let headers = format!("NATS/1.0\r\nNats-Msg-Id: {key}\r\n\r\n");
                let (length, all) = (headers.len(), headers.len() + payload.len());
                say(out, format_args!("HPUB {subject} {inbox}.{connection} {length} {all}\r\n{headers}"));
            } else {
                say(out, format_args!("PUB {subject} {inbox}.{connection} {}\r\n", payload.len()));
            }
            out.extend_from_slice(payload);
            out.extend_from_slice(b"\r\n");
        }
        answers
    }

    fn claim(&mut self, out: &mut Vec<u8>, place: Place, count: usize) -> usize {
        let (stream, inbox, connection) = (&self.queues[place.queue].stream, &self.inbox, place.connection);
        let body = format!(r#"{{"batch":{count},"expires":{CLAIM_WAIT_NS}}}"#);
        let length = body.len();
        let subject = format_args!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{CONSUMER}");
        say(out, format_args!("PUB {subject} {inbox}.{connection} {length}\r\n{body}\r\n"));
        // Each job is a message of its own.
        count
    }

    fn ack(&mut self, out: &mut Vec<u8>, place: Place, receipts: &Receipts, which: Range<usize>) -> usize {
        let answers = which.len();
        for receipt in which {
            out.extend_from_slice(b"PUB ");
            out.extend_from_slice(receipts.get(receipt));
            say(out, format_args!(" {}.{} 4\r\n+ACK\r\n", self.inbox, place.connection));
        }
        answers
    }

    fn hear(&mut self, asked: Asked, bytes: &[u8], books: &mut Books<'_>) -> Result<Heard> {
        let Some((frame, length)) = frame(bytes)? else { return Ok(Heard::Incomplete) };
        Ok(match frame {
            Frame::Info | Frame::Ok => Heard::Aside { length, reply: b"" },
            Frame::Ping => Heard::Aside { length, reply: b"PONG\r\n" },
            Frame::Pong => Heard::Answer { length },
            Frame::Message(message) => {
                self.book(asked, &message, books)?;
                Heard::Answer { length }
            }
        })
    }

    fn left(&mut self, client: &mut Client, queue: usize) -> Result<u64> {
        let answer = ask(client, &format!("STREAM.INFO.{}", self.queues[queue].stream), &Value::Null)?;
        answer["state"]["messages"].as_u64().context("JetStream does not say how many messages a stream has")
    }

    fn forget(&mut self, client: &mut Client, queue: usize) -> Result<()> {
        ask(client, &format!("STREAM.DELETE.{}", self.queues[queue].stream), &Value::Null).map(drop)
    }
}

fn say(out: &mut Vec<u8>, words: std::fmt::Arguments<'_>) {
    out.write_fmt(words).expect("a vector takes all");
}

/// Whether some bytes hold some others.
fn says(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|part| part == what)
}

/// Asks JetStream's API and waits for its answer.
fn ask(client: &mut Client, subject: &str, body: &Value) -> Result<Value> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let inbox = format!("_INBOX.bench{}.api", std::process::id());
    let length = body.len();
    let words = format!(
        "{CONNECT}\r\nSUB {inbox} {SUBSCRIPTION}\r\nUNSUB {SUBSCRIPTION} 1\r\nPUB $JS.API.{subject} {inbox} {length}\r\n{body}\r\n"
    );
    client.send_encoded(words.as_bytes())?;
    loop {
        let answer = client.find(|bytes| {
            let Some((frame, length)) = frame(bytes)? else { return Ok(None) };
            let Frame::Message(message) = frame else { return Ok(Some((None, length))) };
            ensure!(
                message.headers.is_empty(),
                "nobody answers for JetStream; is the server one without it? start it with --jetstream"
            );
            Ok(Some((Some(serde_json::from_slice::<Value>(message.payload)?), length)))
        })?;
        let Some(answer) = answer else { continue };
        ensure!(answer["error"].is_null(), "JetStream answers to {subject}: {}", answer["error"]);
        return Ok(answer);
    }
}

/// The first frame and its length, or nothing while it is not whole.
fn frame(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>> {
    let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
        ensure!(bytes.len() < LINE_BYTES_MAX, "the server answers what is no line of NATS");
        return Ok(None);
    };
    let line = bytes[..end].strip_suffix(b"\r").context("the server ends its lines otherwise than NATS")?;
    let line = std::str::from_utf8(line)?;
    let rest = end + 1;
    // Where nobody is to answer there may be two blanks.
    let mut words = line.split_ascii_whitespace();
    let frame = match words.next().unwrap_or_default() {
        "INFO" => Frame::Info,
        "PING" => Frame::Ping,
        "PONG" => Frame::Pong,
        "+OK" => Frame::Ok,
        "MSG" => return message(line, words.skip(2).collect(), false, bytes, rest),
        "HMSG" => return message(line, words.skip(2).collect(), true, bytes, rest),
        _ => bail!("NATS answers {line}"),
    };
    Ok(Some((frame, rest)))
}

/// A message, of whose line these words follow the subscription: where to answer, if anywhere, and lengths.
fn message<'a>(
    line: &str,
    words: Vec<&'a str>,
    has_headers: bool,
    bytes: &'a [u8],
    at: usize,
) -> Result<Option<(Frame<'a>, usize)>> {
    let wrong = || format!("NATS answers {line}");
    let (reply, lengths) = match (words.len(), has_headers) {
        (1, false) | (2, true) => ("", &words[..]),
        (2, false) | (3, true) => (words[0], &words[1..]),
        _ => bail!(wrong()),
    };
    let lengths: Vec<usize> =
        lengths.iter().map(|word| word.parse()).collect::<Result<_, _>>().with_context(wrong)?;
    let (headers, all) = match lengths[..] {
        [all] => (0, all),
        [headers, all] if headers <= all => (headers, all),
        _ => bail!(wrong()),
    };
    if bytes.len() < at + all + 2 {
        return Ok(None);
    }
    let (headers, payload) = bytes[at..at + all].split_at(headers);
    Ok(Some((Frame::Message(Message { reply, headers, payload }), at + all + 2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_frames_are_read_once_they_are_whole() {
        let ack = b"$JS.ACK.bench.workers.1.5.5.1766.0";
        let table: &[(&[u8], Frame<'_>)] = &[
            (b"INFO {\"server_id\":\"NA\",\"max_payload\":1048576} \r\n", Frame::Info),
            (b"PING\r\n", Frame::Ping),
            (b"PONG\r\n", Frame::Pong),
            (b"+OK\r\n", Frame::Ok),
            (
                b"MSG _INBOX.bench1.0 1  30\r\n{\"stream\":\"bench\", \"seq\":1234}\r\n",
                Frame::Message(Message {
                    reply: "",
                    headers: b"",
                    payload: br#"{"stream":"bench", "seq":1234}"#,
                }),
            ),
            (
                b"MSG bench.q 1 $JS.ACK.bench.workers.1.5.5.1766.0 3\r\nabc\r\n",
                Frame::Message(Message {
                    reply: std::str::from_utf8(ack).unwrap(),
                    headers: b"",
                    payload: b"abc",
                }),
            ),
            (
                b"HMSG _INBOX.bench1.0 1 28 28\r\nNATS/1.0 408 No Messages\r\n\r\n\r\n",
                Frame::Message(Message {
                    reply: "",
                    headers: b"NATS/1.0 408 No Messages\r\n\r\n",
                    payload: b"",
                }),
            ),
        ];
        for (bytes, wanted) in table {
            for length in 0..bytes.len() {
                assert_eq!(frame(&bytes[..length]).unwrap(), None, "{}", bytes.escape_ascii());
            }
            let (read, length) = frame(bytes).unwrap().unwrap();
            assert_eq!((&read, length), (wanted, bytes.len()));
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for bytes in [
            &b"-ERR 'Authorization Violation'\r\n"[..],
            b"MSG a 1\r\n",
            b"MSG a 1 b c 5\r\n",
            b"HMSG a 1 5 3\r\n",
            b"MSG a 1 many\r\n",
            b"PING\n",
            b"HTTP/1.1 400 Bad Request\r\n",
        ] {
            assert!(frame(bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn answers_are_booked() {
        let load = Load::default();
        let dialect = JetStream {
            queues: Vec::new(),
            job: Job::new(&load.payload),
            sizes: load.payload.clone(),
            dedupe: false,
            inbox: String::new(),
        };
        let book = |what, headers: &[u8], payload: &[u8]| {
            let (mut ledger, mut receipts) = (crate::ledger::Ledger::default(), Receipts::default());
            let _ = ledger.send(1);
            let mut books = Books { ledger: &mut ledger, receipts: &mut receipts };
            let message = Message { reply: "$JS.ACK.1", headers, payload };
            dialect.book(Asked { what, jobs: 1, nth: 0 }, &message, &mut books)?;
            Ok::<_, anyhow::Error>((ledger.count_added(), ledger.done(), receipts.len()))
        };
        assert_eq!(book(What::Push, b"", br#"{"stream":"s", "seq":1}"#).unwrap(), (1, 0, 0));
        assert_eq!(
            book(What::Push, b"", br#"{"stream":"s", "seq":1,"duplicate": true}"#).unwrap(),
            (0, 0, 0)
        );
        assert!(book(What::Push, b"", br#"{"error":{"code":503},"stream":"s"}"#).is_err());
        assert!(book(What::Claim, b"NATS/1.0 408 Request Timeout\r\n\r\n", b"").is_err());
        assert_eq!(book(What::Claim, b"", Job::new(&load.payload).payload()).unwrap(), (0, 0, 1));
        assert_eq!(book(What::Ack, b"", b"").unwrap(), (0, 1, 0));
    }
}
