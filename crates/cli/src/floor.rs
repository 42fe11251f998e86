//! `stanchion bench floor`: what no server of these commands can do without, as a server to measure.
//!
//! It reads commands, keeps payloads in lists and answers in the same bytes as Stanchion, on one thread and with one
//! system call for each way of a pipeline. It has no leases, attempts, dedupe keys, timers, limits, figures or log. What a
//! job costs here is what it costs to speak of it, so a bar below that is out of reach for any server of the protocol.
//! With `--keep` it also does what no queue that keeps its jobs can do without.

mod kept;

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use stanchion_protocol::id::{Epoch, JobId, Receipt};
use stanchion_protocol::{Args, Decoded, Decoder, Limits, Proto, Reply};

use kept::Kept;

/// Marks the socket that listens; connections are marked by their places.
const DOOR: u64 = u64::MAX;

/// The least room for what comes next.
const READ_BYTES: usize = 64 << 10;

/// Connections that are looked at together.
const EVENTS_MAX: usize = 256;

/// A job that waits.
struct Job {
    id: JobId,
    /// Its key, if that is kept, and its payload.
    contents: Box<[u8]>,
    key_bytes: usize,
}

/// Payloads in lists.
#[derive(Default)]
struct Lists {
    queues: HashMap<Box<[u8]>, VecDeque<Job>>,
    issued: u64,
    /// Where more is kept than waits.
    kept: Option<Kept>,
}

/// A client.
struct Connection {
    stream: TcpStream,
    decoder: Decoder,
    input: Vec<u8>,
    output: Vec<u8>,
}

/// Serves on a port of this machine until it is killed; jobs are kept with the help of a file, if there is one.
///
/// # Errors
/// The port is taken, the file can't be made, or the system fails.
pub(crate) fn serve(port: u16, keep: Option<&Path>) -> Result<Infallible> {
    let kept = keep.map(Kept::new).transpose()?;
    let door =
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| format!("listen on port {port}"))?;
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&poll, &door, epoll::EventData::new_u64(DOOR), epoll::EventFlags::IN)?;
    let (mut lists, mut connections) = (Lists { kept, ..Lists::default() }, Vec::new());
    let mut events = Vec::with_capacity(EVENTS_MAX);
    loop {
        events.clear();
        match epoll::wait(&poll, spare_capacity(&mut events), None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            if event.data.u64() == DOOR {
                let (stream, _) = door.accept()?;
                stream.set_nodelay(true)?;
                let place = epoll::EventData::new_u64(connections.len() as u64);
                epoll::add(&poll, &stream, place, epoll::EventFlags::IN)?;
                connections.push(Some(Connection::new(stream)));
                continue;
            }
            let connection: &mut Option<Connection> = &mut connections[event.data.u64() as usize];
            // Its socket leaves the set when it is closed.
            if !connection.as_mut().is_some_and(|connection| connection.turn(&mut lists)) {
                *connection = None;
            }
        }
    }
}

impl Connection {
    fn new(stream: TcpStream) -> Connection {
        let decoder = Decoder::new(&Limits::default(), true);
        Connection { stream, decoder, input: Vec::new(), output: Vec::new() }
    }

    /// Reads once, answers what is complete, and writes; false when the connection is to end. The socket waits while the
    /// client does not read, and so do all others: that is a load generator's, which always does.
    fn turn(&mut self, lists: &mut Lists) -> bool {
        self.answer(lists).unwrap_or_else(|error| {
            _ = writeln!(io::stderr(), "a connection ends: {error:#}");
            false
        })
    }

    fn answer(&mut self, lists: &mut Lists) -> Result<bool> {
        self.input.reserve(READ_BYTES.max(self.decoder.missing(self.input.len())));
        let read = rustix::io::read(&self.stream, spare_capacity(&mut self.input))?;
        self.output.clear();
        loop {
            match self.decoder.decode(&self.input)? {
                Decoded::Incomplete => break,
                Decoded::Command => {
                    let mut reply = Reply::new(&mut self.output, Proto::Resp2);
                    lists.run(self.decoder.args(&self.input), &mut reply)?;
                }
                Decoded::TooLarge(error) => bail!(error),
            }
        }
        self.input.drain(..self.decoder.consume());
        self.stream.write_all(&self.output)?;
        Ok(read > 0)
    }
}

impl Lists {
    fn run(&mut self, args: Args<'_>, reply: &mut Reply<'_>) -> Result<()> {
        match args.at(0) {
            b"PING" => reply.simple("PONG"),
            b"QPUSH" => self.push(args.at(1), args.skip(2), reply)?,
            b"QMPUSH" => {
                let words = args.skip(2);
                reply.array(1 + words.iter().filter(|word| *word == b"NEXT").count());
                let mut at = 0;
                while at < words.len() {
                    let job = words.skip(at);
                    let count = job.iter().position(|word| word == b"NEXT").unwrap_or(job.len());
                    self.push(args.at(1), job.first(count).context("a job of QMPUSH")?, reply)?;
                    at += count + 1;
                }
            }
            b"QCLAIM" => self.claim(args, reply)?,
            b"QACK" => self.ack(args.skip(2), reply)?,
            b"QLEN" => reply.integer(self.queues.get(args.at(1)).map_or(0, VecDeque::len)),
            b"DEL" => reply.integer(usize::from(self.queues.remove(args.at(1)).is_some())),
            other => bail!("the floor has no command {:?}", String::from_utf8_lossy(other)),
        }
        Ok(())
    }

    /// A payload, and perhaps DEDUPE and a key, which is read like any word and ignored unless more is kept than waits.
    fn push(&mut self, queue: &[u8], job: Args<'_>, reply: &mut Reply<'_>) -> Result<()> {
        let payload = job.get(0).context("a push without a payload")?;
        self.issued += 1;
        let id = JobId::new(1, self.issued);
        let job = match &mut self.kept {
            None => Job { id, contents: payload.into(), key_bytes: 0 },
            Some(kept) => {
                let key = job.get(2).unwrap_or_default();
                if !kept.hold(key) {
                    reply.nil();
                    return Ok(());
                }
                let contents = [key, payload].concat();
                kept.pushed(id, &contents)?;
                Job { id, contents: contents.into(), key_bytes: key.len() }
            }
        };
        match self.queues.get_mut(queue) {
            Some(jobs) => jobs.push_back(job),
            None => _ = self.queues.insert(queue.into(), [job].into()),
        }
        reply.bulk_id(id);
        Ok(())
    }

    /// QCLAIM with nothing but COUNT, which is all that a load without delays sends.
    fn claim(&mut self, args: Args<'_>, reply: &mut Reply<'_>) -> Result<()> {
        let count = match args.get(3) {
            None => 1,
            Some(count) => std::str::from_utf8(count)?.parse().context("COUNT of a claim")?,
        };
        ensure!(args.len() <= 4, "the floor has no options of a claim but COUNT");
        let queue = args.at(1);
        let none = &mut VecDeque::new();
        let jobs = self.queues.get_mut(queue).unwrap_or(none);
        let count = jobs.len().min(count);
        reply.array(count);
        for Job { id, contents, key_bytes } in jobs.drain(..count) {
            reply.claimed_job(queue, Receipt { id, epoch: Epoch(1) }, &contents[key_bytes..], 1);
            if let Some(kept) = &mut self.kept {
                kept.claimed(id, contents, key_bytes)?;
            }
        }
        Ok(())
    }

    fn ack(&mut self, receipts: Args<'_>, reply: &mut Reply<'_>) -> Result<()> {
        let mut acked = receipts.len();
        if let Some(kept) = &mut self.kept {
            acked = 0;
            for receipt in receipts.iter() {
                let receipt = Receipt::parse(receipt).context("an ack without a receipt")?;
                acked += usize::from(kept.acked(receipt.id)?);
            }
        }
        reply.integer(acked);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(lists: &mut Lists, requests: &str) -> String {
        let mut output = Vec::new();
        for line in requests.lines() {
            let mut decoder = Decoder::new(&Limits::default(), true);
            let line = format!("{line}\r\n");
            assert_eq!(decoder.decode(line.as_bytes()), Ok(Decoded::Command));
            lists.run(decoder.args(line.as_bytes()), &mut Reply::new(&mut output, Proto::Resp2)).unwrap();
        }
        String::from_utf8(output).unwrap().replace("\r\n", " ")
    }

    #[test]
    fn what_is_pushed_is_claimed_in_order() {
        let lists = &mut Lists::default();
        let pushed =
            answers(lists, "QPUSH q one DEDUPE 1\nQMPUSH q two DEDUPE 2 NEXT three DEDUPE 3\nQLEN q ALL");
        assert!(pushed.contains(" *2 $16 ") && pushed.ends_with(" :3 "), "{pushed}");
        let claimed = answers(lists, "QCLAIM q\nQCLAIM q COUNT 5\nQCLAIM q\nQACK q a b");
        let payloads: Vec<_> = ["one", "two", "three"].map(|payload| claimed.find(payload).unwrap()).into();
        assert!(payloads.is_sorted() && claimed.ends_with("*0 :2 "), "{claimed}");
        assert_eq!(answers(lists, "DEL q\nDEL q\nQLEN q"), ":1 :0 :0 ");
    }

    #[test]
    fn jobs_are_kept_until_their_acks_and_keys_until_their_claims() {
        let directory = tempfile::tempdir().unwrap();
        let kept = Some(Kept::new(&directory.path().join("kept")).unwrap());
        let lists = &mut Lists { kept, ..Lists::default() };
        let first = answers(lists, "QPUSH q one DEDUPE k");
        assert_eq!(
            answers(lists, "QMPUSH q two DEDUPE k NEXT three DEDUPE other").split(' ').nth(1),
            Some("$-1")
        );
        let claimed = answers(lists, "QCLAIM q");
        assert!(claimed.contains(" one "), "{claimed}");
        assert!(answers(lists, "QPUSH q four DEDUPE k").starts_with("$16 "), "the key is free again");
        let id = first.split(' ').nth(1).unwrap();
        assert_eq!(answers(lists, &format!("QACK q {id}-1\nQACK q {id}-1")), ":1 :0 ");
    }

    #[test]
    fn what_it_has_not_is_refused() {
        let mut decoder = Decoder::new(&Limits::default(), true);
        let line = b"QCLAIM q BLOCK 5 COUNT 1\r\n";
        assert_eq!(decoder.decode(line), Ok(Decoded::Command));
        let mut output = Vec::new();
        let refused = Lists::default().run(decoder.args(line), &mut Reply::new(&mut output, Proto::Resp2));
        assert!(refused.is_err() && output.is_empty());
    }
}
