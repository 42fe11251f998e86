//! beanstalkd's protocol: lines, and bodies of a length that the line before tells. It has no dedupe keys.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, bail, ensure};

use super::speech::Speech;
use crate::job::{self, Job, PAYLOAD_BYTES};
use crate::ledger::Ledger;

/// Priority, delay and time to run of every job.
const TERMS: &str = "1024 0 3600";

/// One connection, whose pushes go to the tube `default`; probes go to one of their own.
pub(super) struct Beanstalk {
    stream: BufReader<TcpStream>,
    job: Job,
    out: Vec<u8>,
    line: String,
    /// Whether it uses the tube of the probes.
    probes: bool,
}

impl Beanstalk {
    pub(super) fn connect(address: SocketAddr) -> Result<Beanstalk> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Beanstalk {
            stream: BufReader::with_capacity(1 << 16, stream),
            job: Job::new(),
            out: Vec::new(),
            line: String::new(),
            probes: false,
        })
    }

    fn put(&mut self, number: u64) {
        self.job.set(number);
        self.out.extend_from_slice(format!("put {TERMS} {PAYLOAD_BYTES}\r\n").as_bytes());
        self.out.extend_from_slice(self.job.payload());
        self.out.extend_from_slice(b"\r\n");
    }

    fn send(&mut self) -> Result<()> {
        self.stream.get_ref().write_all(&self.out).context("beanstalkd does not take commands")?;
        self.out.clear();
        Ok(())
    }

    /// The next line, which must begin with this word; what follows the word.
    fn expect(&mut self, word: &str) -> Result<&str> {
        self.line.clear();
        ensure!(self.stream.read_line(&mut self.line)? > 0, "beanstalkd closed the connection");
        let line = self.line.trim_end();
        match line.strip_prefix(word) {
            Some(rest) => Ok(rest.trim_start()),
            None => bail!("beanstalkd answers {line}, not {word}"),
        }
    }
}

impl Speech for Beanstalk {
    fn push(&mut self, ledger: &mut Ledger, count: u64) -> Result<()> {
        ledger.send(count).for_each(|number| self.put(number));
        self.send()?;
        for _ in 0..count {
            self.expect("INSERTED")?;
        }
        ledger.added(count);
        Ok(())
    }

    fn take(&mut self, ledger: &mut Ledger, count: u64) -> Result<()> {
        for _ in 0..count {
            self.out.extend_from_slice(b"reserve-with-timeout 0\r\n");
        }
        self.send()?;
        let mut body = [0; PAYLOAD_BYTES + 2];
        let mut deletes = Vec::new();
        for _ in 0..count {
            let reserved = self.expect("RESERVED")?;
            let id = reserved.split(' ').next().unwrap_or_default();
            deletes.extend_from_slice(format!("delete {id}\r\n").as_bytes());
            self.stream.read_exact(&mut body)?;
            ledger.claimed(job::number(&body[..PAYLOAD_BYTES])?)?;
        }
        self.out = deletes;
        self.send()?;
        for _ in 0..count {
            self.expect("DELETED")?;
        }
        ledger.acked(count);
        Ok(())
    }

    fn probe(&mut self, number: u64) -> Result<()> {
        if !self.probes {
            self.out.extend_from_slice(b"use probes\r\n");
            self.send()?;
            self.expect("USING probes")?;
            self.probes = true;
        }
        self.put(number);
        self.send()?;
        self.expect("INSERTED").map(|_| ())
    }

    fn log_bytes(&mut self) -> Result<Option<u64>> {
        Ok(None)
    }

    fn figure(&mut self, _name: &str) -> Result<Option<f64>> {
        Ok(None)
    }
}
