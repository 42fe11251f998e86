//! beanstalkd's protocol: lines, and bodies of a length that the line before tells. It has no commands of several
//! jobs: a batch is so many in one pipeline.

use std::io::Write;
use std::ops::Range;

use anyhow::{Context, Result, bail, ensure};

use super::{Asked, Books, Dialect, Heard, Place, Receipts, What};
use crate::client::Client;
use crate::job::{Job, Sizes};
use crate::load::Load;

const PRIORITY: u32 = 1024;
/// Longer than any job of the load is held.
const RUN_SECONDS: u32 = 3600;
/// No line of an answer is longer.
const LINE_BYTES_MAX: usize = 1024;

/// One tube for each queue.
pub struct Beanstalk {
    tubes: Vec<String>,
    job: Job,
    sizes: Sizes,
    delay_seconds: u64,
    /// Of each connection: the tube that it uses and the one that it watches.
    states: Vec<State>,
}

#[derive(Clone, Copy, Default)]
struct State {
    used: usize,
    watched: usize,
}

impl Beanstalk {
    /// Speaks as this load wants.
    #[must_use]
    pub fn dialect(load: &Load) -> Beanstalk {
        // Colons are not allowed in names.
        let names = super::redis::names(&load.prefix, load.queues);
        Beanstalk {
            tubes: names.into_iter().map(|name| name.replace(':', ".")).collect(),
            job: Job::new(&load.payload),
            sizes: load.payload.clone(),
            delay_seconds: load.delay_ms / 1_000,
            states: Vec::new(),
        }
    }

    /// Books the answer that begins with this line; how long the answer is, or nothing while it is incomplete.
    fn book(&self, asked: Asked, line: &str, bytes: &[u8], books: &mut Books<'_>) -> Result<Option<usize>> {
        let body = line.len() + 2;
        let mut words = line.split(' ');
        match (asked.what, words.next().unwrap_or_default()) {
            (_, "USING" | "WATCHING") => {}
            (What::Push, "INSERTED") => books.ledger.added(1),
            (What::Claim, "RESERVED") => {
                let (id, length) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                let length: usize = length.parse().with_context(|| format!("beanstalkd answers {line}"))?;
                let Some(payload) = bytes.get(body..body + length) else { return Ok(None) };
                if bytes.len() < body + length + 2 {
                    return Ok(None);
                }
                books.ledger.claimed(self.sizes.number(payload)?)?;
                books.receipts.add(id.as_bytes());
                return Ok(Some(body + length + 2));
            }
            // Nothing is due yet; the claim is short.
            (What::Claim, "TIMED_OUT") => {}
            (What::Ack, "DELETED") => books.ledger.acked(1),
            _ => bail!("beanstalkd answers {line}"),
        }
        Ok(Some(body))
    }
}

impl Dialect for Beanstalk {
    fn greet(&mut self, out: &mut Vec<u8>, place: Place) -> usize {
        let Place { connection, queue } = place;
        if self.states.len() <= connection {
            self.states.resize(connection + 1, State::default());
        }
        self.states[connection] = State { used: queue, watched: queue };
        let tube = &self.tubes[queue];
        say(out, format_args!("use {tube}\r\nwatch {tube}\r\nignore default\r\n"));
        3
    }

    fn push(&mut self, out: &mut Vec<u8>, place: Place, jobs: Range<u64>) -> usize {
        let mut answers = jobs.clone().count();
        let state = &mut self.states[place.connection];
        if state.used != place.queue {
            state.used = place.queue;
            say(out, format_args!("use {}\r\n", self.tubes[place.queue]));
            answers += 1;
        }
        for number in jobs {
            self.job.set(number);
            let payload = self.job.payload();
            let delay = self.delay_seconds;
            say(out, format_args!("put {PRIORITY} {delay} {RUN_SECONDS} {}\r\n", payload.len()));
            out.extend_from_slice(payload);
            out.extend_from_slice(b"\r\n");
        }
        answers
    }

    fn claim(&mut self, out: &mut Vec<u8>, place: Place, count: usize) -> usize {
        let mut answers = count;
        let state = &mut self.states[place.connection];
        if state.watched != place.queue {
            let (tube, old) = (&self.tubes[place.queue], &self.tubes[state.watched]);
            say(out, format_args!("watch {tube}\r\nignore {old}\r\n"));
            state.watched = place.queue;
            answers += 2;
        }
        let reserve: &[u8] = match self.delay_seconds {
            0 => b"reserve-with-timeout 0\r\n",
            _ => b"reserve-with-timeout 1\r\n",
        };
        for _ in 0..count {
            out.extend_from_slice(reserve);
        }
        answers
    }

    fn ack(&mut self, out: &mut Vec<u8>, _place: Place, receipts: &Receipts, which: Range<usize>) -> usize {
        let answers = which.len();
        for receipt in which {
            out.extend_from_slice(b"delete ");
            out.extend_from_slice(receipts.get(receipt));
            out.extend_from_slice(b"\r\n");
        }
        answers
    }

    fn hear(&mut self, asked: Asked, bytes: &[u8], books: &mut Books<'_>) -> Result<Heard> {
        let Some(line) = line(bytes)? else { return Ok(Heard::Incomplete) };
        Ok(match self.book(asked, line, bytes, books)? {
            Some(length) => Heard::Answer { length },
            None => Heard::Incomplete,
        })
    }

    fn left(&mut self, client: &mut Client, queue: usize) -> Result<u64> {
        client.send_encoded(format!("stats-tube {}\r\n", self.tubes[queue]).as_bytes())?;
        client.find(|bytes| {
            let Some(line) = line(bytes)? else { return Ok(None) };
            let body = line.len() + 2;
            let Some(length) = line.strip_prefix("OK ") else {
                // A tube that nobody uses and that has no jobs is gone.
                ensure!(line == "NOT_FOUND", "beanstalkd answers {line}");
                return Ok(Some((0, body)));
            };
            let length: usize = length.parse().with_context(|| format!("beanstalkd answers {line}"))?;
            if bytes.len() < body + length + 2 {
                return Ok(None);
            }
            let stats = std::str::from_utf8(&bytes[body..body + length])?;
            let mut left = 0;
            for state in ["ready", "reserved", "delayed", "buried"] {
                left += statistic(stats, &format!("current-jobs-{state}: "))?;
            }
            Ok(Some((left, body + length + 2)))
        })
    }

    /// There is no command that empties a tube.
    fn forget(&mut self, client: &mut Client, queue: usize) -> Result<()> {
        client.send_encoded(format!("watch {}\r\nignore default\r\n", self.tubes[queue]).as_bytes())?;
        for _ in 0..2 {
            client.find(answer)?;
        }
        loop {
            client.send_encoded(b"reserve-with-timeout 0\r\n")?;
            let Some(id) = client.find(reserved)? else { break };
            client.send_encoded(format!("delete {id}\r\n").as_bytes())?;
            client.find(answer)?;
        }
        client.send_encoded(format!("watch default\r\nignore {}\r\n", self.tubes[queue]).as_bytes())?;
        (0..2).try_for_each(|_| client.find(answer))
    }
}

fn say(out: &mut Vec<u8>, words: std::fmt::Arguments<'_>) {
    out.write_fmt(words).expect("a vector takes all");
}

/// The first line without its end, once it is whole.
fn line(bytes: &[u8]) -> Result<Option<&str>> {
    let Some(end) = bytes.iter().take(LINE_BYTES_MAX).position(|&byte| byte == b'\n') else {
        ensure!(bytes.len() < LINE_BYTES_MAX, "beanstalkd answers what is no line");
        return Ok(None);
    };
    let line = bytes[..end].strip_suffix(b"\r").context("beanstalkd answers a line with another end")?;
    Ok(Some(std::str::from_utf8(line)?))
}

/// Any answer of one line.
fn answer(bytes: &[u8]) -> Result<Option<((), usize)>> {
    Ok(line(bytes)?.map(|line| ((), line.len() + 2)))
}

/// The id of a reserved job, or nothing when there is none.
fn reserved(bytes: &[u8]) -> Result<Option<(Option<String>, usize)>> {
    let Some(line) = line(bytes)? else { return Ok(None) };
    let Some((id, length)) = line.strip_prefix("RESERVED ").and_then(|rest| rest.split_once(' ')) else {
        ensure!(line == "TIMED_OUT", "beanstalkd answers {line}");
        return Ok(Some((None, line.len() + 2)));
    };
    let whole = line.len() + 2 + length.parse::<usize>()? + 2;
    Ok((bytes.len() >= whole).then(|| (Some(id.to_owned()), whole)))
}

fn statistic(stats: &str, name: &str) -> Result<u64> {
    let value = stats.lines().find_map(|line| line.strip_prefix(name));
    Ok(value.with_context(|| format!("beanstalkd has no {name}"))?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;

    fn heard(what: What, bytes: &[u8]) -> (Result<Heard>, Ledger, Receipts) {
        let mut dialect = Beanstalk::dialect(&Load::default());
        let (mut ledger, mut receipts) = (Ledger::default(), Receipts::default());
        let _ = ledger.send(10);
        let mut books = Books { ledger: &mut ledger, receipts: &mut receipts };
        let heard = dialect.hear(Asked { what, jobs: 1, nth: 0 }, bytes, &mut books);
        (heard, ledger, receipts)
    }

    #[test]
    fn commands_switch_tubes_where_they_must() {
        let load = Load { queues: 2, payload: Sizes::new(vec![32]).unwrap(), ..Load::default() };
        let mut dialect = Beanstalk::dialect(&load);
        let mut out = Vec::new();
        let first = Place { connection: 0, queue: 0 };
        assert_eq!(dialect.greet(&mut out, first), 3);
        out.clear();
        assert_eq!(dialect.push(&mut out, first, 0..1), 1);
        assert!(out.starts_with(b"put 1024 0 3600 32\r\n"), "{}", out.escape_ascii());
        assert_eq!(out.len(), 20 + 32 + 2);
        out.clear();
        let second = Place { connection: 0, queue: 1 };
        assert_eq!(dialect.push(&mut out, second, 1..3), 3);
        assert!(out.starts_with(b"use bench.jobqueue.refreshLinks1\r\nput "));
        out.clear();
        assert_eq!(dialect.claim(&mut out, second, 1), 3);
        let wanted = "watch bench.jobqueue.refreshLinks1\r\nignore bench.jobqueue.refreshLinks0\r\n\
            reserve-with-timeout 0\r\n";
        assert_eq!(String::from_utf8_lossy(&out), wanted);
    }

    #[test]
    fn a_reserved_job_is_heard_once_it_is_whole() {
        let mut job = Job::new(&Sizes::default());
        job.set(7);
        let bytes = [&b"RESERVED 12 200\r\n"[..], job.payload(), b"\r\n"].concat();
        for length in 0..bytes.len() {
            assert_eq!(heard(What::Claim, &bytes[..length]).0.unwrap(), Heard::Incomplete, "{length} bytes");
        }
        let (heard, _, receipts) = heard(What::Claim, &bytes);
        assert_eq!(heard.unwrap(), Heard::Answer { length: bytes.len() });
        assert_eq!(receipts.get(0), b"12");
    }

    #[test]
    fn answers_are_booked() {
        let (answer, ledger, _) = heard(What::Push, b"INSERTED 5\r\n");
        assert_eq!(answer.unwrap(), Heard::Answer { length: 12 });
        assert_eq!(ledger.count_added(), 1);
        let (answer, ledger, _) = heard(What::Ack, b"DELETED\r\n");
        assert_eq!(answer.unwrap(), Heard::Answer { length: 9 });
        assert_eq!(ledger.done(), 1);
        assert_eq!(heard(What::Push, b"USING x\r\n").0.unwrap(), Heard::Answer { length: 9 });
    }

    #[test]
    fn what_is_no_success_is_an_error() {
        for (what, bytes) in [
            (What::Push, &b"JOB_TOO_BIG\r\n"[..]),
            (What::Push, b"DRAINING\r\n"),
            (What::Ack, b"NOT_FOUND\r\n"),
            (What::Claim, b"DEADLINE_SOON\r\n"),
            (What::Push, b"INSERTED 5\n"),
        ] {
            assert!(heard(what, bytes).0.is_err(), "{}", bytes.escape_ascii());
        }
        assert!(heard(What::Push, &[b'x'; 2_000]).0.is_err());
    }
}
