//! Connections that come in bursts, ask once and go: what the thread that accepts them takes, and the others.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, ensure};
use stanchion_bench::process::Process;

use crate::scale::insight::Insight;
use crate::scale::side::server;
use crate::setting::Setting;

/// Connections that are there before the first of them is answered; the system keeps more than that until they are
/// accepted.
const BURST: usize = 250;

/// A server that is visited.
pub(crate) struct Host {
    process: Process,
    insight: Insight,
}

/// CPU for each visit, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Toll {
    /// Of the thread that accepts.
    pub(crate) first_us: f64,
    /// Of the other ones together.
    pub(crate) further_us: f64,
}

impl Host {
    pub(crate) fn start(setting: &Setting, threads: usize) -> Result<Host> {
        let process = server(setting, threads, "never")?;
        let insight = Insight::of(process.address())?;
        Ok(Host { process, insight })
    }

    /// So many bursts of visits.
    pub(crate) fn measure(&mut self, bursts: usize) -> Result<Toll> {
        let before = self.insight.read()?;
        for _ in 0..bursts {
            burst(self.process.address(), BURST)?;
        }
        let taken = self.insight.read()? - before;
        let each = |time: std::time::Duration| time.as_secs_f64() * 1e6 / (bursts * BURST) as f64;
        Ok(Toll { first_us: each(taken.first), further_us: each(taken.further) })
    }

    pub(crate) fn finish(self) -> Result<()> {
        drop(self.insight);
        self.process.stop()
    }
}

/// All connect, then all ask, then all are answered.
fn burst(address: SocketAddr, count: usize) -> Result<()> {
    let connect = |_| TcpStream::connect(address).context("connecting; are there free ports?");
    let mut visitors = (0..count).map(connect).collect::<Result<Vec<_>>>()?;
    for visitor in &mut visitors {
        visitor.write_all(b"*1\r\n$4\r\nPING\r\n")?;
    }
    for visitor in &mut visitors {
        let mut reply = [0; 7];
        visitor.read_exact(&mut reply)?;
        ensure!(&reply == b"+PONG\r\n", "PING was answered {}", reply.escape_ascii());
    }
    Ok(())
}
