//! Connections that come, and connections that stay without a word: what each of them takes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use stanchion_bench::client::Client;
use stanchion_bench::process::{self, Persistence, Process};
use stanchion_bench::stats::Spread;
use stanchion_bench::table::table;

use crate::report::{Limit, Report, say};
use crate::setting::Setting;

/// How many of each kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    /// One after the other: connect, ask, read, close.
    pub(crate) comers: usize,
    /// All at once, after one PING each.
    pub(crate) idlers: usize,
}

/// So few comers a round that the system does not run out of ports, each of which it keeps for a minute.
const CROWD: Crowd = Crowd { comers: 1_000, idlers: 10_000 };

/// Ticks of 10 ms need some seconds to tell 1 % from less.
const WATCH: Duration = Duration::from_secs(10);

/// What was allocated is counted once the last connection is known.
const SETTLE: Duration = Duration::from_secs(1);

/// Noise of two equal servers on a shared machine.
const RATIO_MAX: f64 = 1.05;
const KIB_MAX: f64 = 20.0;
const CPU_PERCENT_MAX: f64 = 1.0;

/// Files beside one for each connection.
const FILES_SPARE: u64 = 200;

/// Measures, prints and records.
pub(crate) fn run(setting: &Setting, report: &mut Report) -> Result<()> {
    process::allow_files(CROWD.idlers as u64 + FILES_SPARE)?;
    say(format!(
        "\nconnections: {} comers a round, {} rounds; then {} that stay",
        CROWD.comers, setting.rounds, CROWD.idlers
    ))?;
    come(setting, report)?;
    stay(setting, report)
}

/// The time from connect to the first reply, and what a connection costs the server.
fn come(setting: &Setting, report: &mut Report) -> Result<()> {
    let servers = servers(setting)?;
    let mut times = [Vec::new(), Vec::new()];
    let mut costs = [Vec::new(), Vec::new()];
    for round in 0..setting.rounds {
        for turn in 0..servers.len() {
            let which = (round + turn) % servers.len();
            let before = servers[which].usage().cpu()?;
            let mut rounds_times = Vec::with_capacity(CROWD.comers);
            for _ in 0..CROWD.comers {
                rounds_times.push(greet(servers[which].address())?.as_secs_f64() * 1e6);
            }
            let cpu = servers[which].usage().cpu()?.since(before).total();
            times[which].push(Spread::of(rounds_times).median);
            costs[which].push(cpu.as_secs_f64() * 1e6 / CROWD.comers as f64);
        }
    }
    let mut table = table(&["connect, PING, close", "µs to the first reply", "server µs"]);
    for (name, which) in [("redis", 0), ("stanchion", 1)] {
        let (time, cost) =
            (Spread::of(times[which].iter().copied()), Spread::of(costs[which].iter().copied()));
        table.add_row([name.to_owned(), format!("{time:.0}"), format!("{cost:.0}")]);
    }
    say(table)?;
    let ratio = Spread::of(times[0].iter().zip(&times[1]).map(|(redis, own)| own / redis));
    report.bar("connect to first reply, over Redis's", ratio.median, Limit::Below(RATIO_MAX));
    report.record("connect", json!({ "over-redis": ratio.json() }));
    servers.into_iter().try_for_each(Process::stop)
}

/// Memory and CPU of connections that say nothing.
fn stay(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut table = table(&["idle connections", "KiB each", "% of a core"]);
    for (name, process) in ["redis", "stanchion"].into_iter().zip(servers(setting)?) {
        let before = process.usage().resident_bytes()?;
        let idlers = idle(process.address(), CROWD.idlers)?;
        std::thread::sleep(SETTLE);
        let kib =
            (process.usage().resident_bytes()?.saturating_sub(before)) as f64 / 1024.0 / CROWD.idlers as f64;
        let cpu = process.usage().cpu()?;
        std::thread::sleep(WATCH);
        let spent = process.usage().cpu()?.since(cpu).total();
        let percent = 100.0 * spent.as_secs_f64() / WATCH.as_secs_f64();
        table.add_row([name.to_owned(), format!("{kib:.1}"), format!("{percent:.2}")]);
        if name == "stanchion" {
            report.bar("memory of an idle connection, KiB", kib, Limit::Below(KIB_MAX));
            report.bar("10,000 idle connections, % of a core", percent, Limit::Below(CPU_PERCENT_MAX));
            report.record("idle-connections", json!({ "kib-each": kib, "percent-of-a-core": percent }));
        }
        drop(idlers);
        process.stop()?;
    }
    say(table)
}

/// Redis, then Stanchion.
fn servers(setting: &Setting) -> Result<[Process; 2]> {
    Ok([
        Process::redis(setting.base(), Persistence::None)?,
        Process::stanchion(setting.binary(), setting.base(), "never")?,
    ])
}

/// Does what both benches do, a few times, on both servers.
pub(crate) fn exercise(setting: &Setting, crowd: Crowd) -> Result<()> {
    for process in servers(setting)? {
        for _ in 0..crowd.comers {
            greet(process.address())?;
        }
        drop(idle(process.address(), crowd.idlers)?);
        process.stop()?;
    }
    Ok(())
}

/// Connects, asks and reads; the time until the reply was there.
fn greet(address: SocketAddr) -> Result<Duration> {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).context("connecting; are there free ports?")?;
    stream.set_nodelay(true)?;
    stream.write_all(b"*1\r\n$4\r\nPING\r\n")?;
    let mut reply = [0; 7];
    stream.read_exact(&mut reply)?;
    let time = begun.elapsed();
    ensure!(&reply == b"+PONG\r\n", "PING was answered {}", reply.escape_ascii());
    Ok(time)
}

/// So many connections that have said PING once.
fn idle(address: SocketAddr, count: usize) -> Result<Vec<Client>> {
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        let mut client = Client::connect(address)?;
        client.call(&[b"PING"], |_| Ok(()))?;
        clients.push(client);
    }
    Ok(clients)
}
