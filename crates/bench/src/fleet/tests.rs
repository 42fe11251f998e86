//! Fleets on servers that are planted: one that stops, one that loses, one that doubles.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::*;
use crate::dialect::lists::Lists;
use crate::load::Load;
use crate::pace::Arrivals;

/// How the planted server treats its clients.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Before the answer to this command, counted from 0, it stops for [`STOP`].
    Stops(usize),
    /// Hands out the first job again instead of the second.
    Doubles,
    /// Has nothing when it is asked for a job.
    Loses,
}

const STOP: Duration = Duration::from_millis(300);

/// A queue for one client that knows LPUSH, LMOVE and LREM.
fn serve(listener: &TcpListener, fault: Fault, never: &Receiver<()>) {
    let (stream, _) = listener.accept().expect("a connection");
    let mut input = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut output = stream;
    let (mut ready, mut first) = (std::collections::VecDeque::new(), None);
    for number in 0.. {
        let Some(words) = request(&mut input) else { return };
        if fault == Fault::Stops(number) {
            // Nobody ever sends: it is the time that counts.
            let _ = never.recv_timeout(STOP);
        }
        let answer = match &words[0][..] {
            b"LPUSH" => {
                ready.extend(words[2..].iter().cloned());
                format!(":{}\r\n", ready.len()).into_bytes()
            }
            b"LMOVE" => {
                let mut job = ready.pop_front().filter(|_| fault != Fault::Loses);
                if let (Fault::Doubles, Some(first)) = (fault, &first) {
                    job = Some(Vec::clone(first));
                }
                first = first.or_else(|| job.clone());
                match job {
                    Some(job) => [format!("${}\r\n", job.len()).as_bytes(), &job, b"\r\n"].concat(),
                    None => b"$-1\r\n".to_vec(),
                }
            }
            b"LREM" => b":1\r\n".to_vec(),
            other => panic!("{} is not known", other.escape_ascii()),
        };
        if output.write_all(&answer).is_err() {
            return;
        }
    }
}

fn request(input: &mut BufReader<TcpStream>) -> Option<Vec<Vec<u8>>> {
    let mut line = String::new();
    let mut length = |input: &mut BufReader<TcpStream>| {
        line.clear();
        input.read_line(&mut line).ok().filter(|read| *read > 0)?;
        line.trim_end()[1..].parse::<usize>().ok()
    };
    (0..length(input)?)
        .map(|_| {
            let mut word = vec![0; length(input)? + 2];
            input.read_exact(&mut word).ok()?;
            word.truncate(word.len() - 2);
            Some(word)
        })
        .collect()
}

/// One worker on such a server.
fn run(fault: Fault, pace: Pace, jobs: u64) -> Result<Run> {
    run_and_tell(fault, pace, jobs, &mut |_| {})
}

fn run_and_tell(fault: Fault, pace: Pace, jobs: u64, tell: &mut dyn FnMut(Progress)) -> Result<Run> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address: SocketAddr = listener.local_addr().expect("an address");
    let (_sender, never) = channel();
    std::thread::scope(|scope| {
        scope.spawn(move || serve(&listener, fault, &never));
        let load = Load { crew: Crew::Workers(1), ..Load::default() };
        let mut dialect = Lists::dialect(&load);
        let mut ledger = Ledger::default();
        let mut fleet = Fleet::connect(address, &load, &mut dialect)?;
        let order = Order { work: Work::Cycle, shape: load.shape, pace, until: Until::Jobs(jobs) };
        let run = fleet.run(&mut dialect, &mut ledger, order, tell)?;
        ledger.close(0)?;
        Ok(run)
    })
}

const OPEN: Pace = Pace::Open { pushes_per_second: 1_000.0, arrivals: Arrivals::Fixed };

#[test]
fn a_stop_of_the_server_shows_in_all_that_was_due_meanwhile() {
    // 300 ms are 300 arrivals; only one command was under way, and a closed loop would see but that one.
    let run = run(Fault::Stops(3 * 100), OPEN, 400).unwrap();
    let Latencies { push, unhindered, job, .. } = run.latencies;
    assert_eq!((run.jobs, push.count, unhindered.count, job.count), (400, 400, 400, 400));
    let stop = STOP.as_secs_f64() * 1e6;
    assert!(push.max >= stop, "{push:?}");
    assert!(unhindered.max >= stop, "{unhindered:?}");
    // Arrivals 101 to 400 waited for what was left of the stop: half of all for more than a quarter of it.
    assert!(push.p50 >= stop / 4.0, "{push:?}");
    assert!(job.p50 >= stop / 4.0, "{job:?}");
}

#[test]
fn a_stop_of_the_generator_is_told_apart() {
    let pace = Pace::Open { pushes_per_second: 2.0, arrivals: Arrivals::Fixed };
    let (_sender, never) = channel::<()>();
    // The third is due after a second, when it tells how far it is, which takes long.
    let mut tell = |_: Progress| {
        let _ = never.recv_timeout(STOP);
    };
    let run = run_and_tell(Fault::None, pace, 3, &mut tell).unwrap();
    let Latencies { push, unhindered, late, .. } = run.latencies;
    let stop = STOP.as_secs_f64() * 1e6;
    assert!(push.max >= stop && late.max >= stop, "{push:?}, {late:?}");
    assert!(unhindered.max < push.max, "{unhindered:?}, {push:?}");
}

#[test]
fn a_closed_loop_sees_the_stop_once() {
    let run = run(Fault::Stops(3 * 100), Pace::Closed, 400).unwrap();
    let Latencies { push, claim, ack, job, .. } = run.latencies;
    assert!(push.max >= STOP.as_secs_f64() * 1e6, "{push:?}");
    for times in [push, claim, ack, job] {
        assert_eq!(times.count, 400);
    }
}

#[test]
fn what_was_due_and_never_sent_counts_with_its_wait() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (_sender, never) = channel();
    let run = std::thread::scope(|scope| {
        scope.spawn(move || serve(&listener, Fault::Stops(0), &never));
        let load = Load { crew: Crew::Workers(1), ..Load::default() };
        let mut dialect = Lists::dialect(&load);
        let mut fleet = Fleet::connect(address, &load, &mut dialect).unwrap();
        let until = Until::Elapsed(STOP / 3);
        let order = Order { work: Work::Cycle, shape: load.shape, pace: OPEN, until };
        fleet.run(&mut dialect, &mut Ledger::default(), order, &mut |_| {}).unwrap()
    });
    // One was sent and stopped; a hundred were due before the end.
    assert_eq!((run.jobs, run.unsent, run.latencies.push.count), (1, 99, 100));
    assert!(run.latencies.push.p50 >= (STOP / 2).as_secs_f64() * 1e6, "{:?}", run.latencies.push);
}

#[test]
fn a_server_that_doubles_or_loses_jobs_is_caught() {
    assert_eq!(run(Fault::None, Pace::Closed, 10).unwrap().jobs, 10);
    let doubled = run(Fault::Doubles, Pace::Closed, 10).unwrap_err().to_string();
    assert_eq!(doubled, "job 0 was claimed twice");
    assert!(run(Fault::Loses, Pace::Closed, 10).is_err());
}
