//! `check(&["0 QPUSH q a DEDUPE k -> ready #1", ...])`: what a queue does, one line a step.
//!
//! A line is the instant in ms since the script's start, a command as a client writes it (the protocol's own
//! parser reads it), and what it answers. Time passes as in the server: what is due fires before the command.
//!
//! - `#2` is the second id that was issued, `#2.3` the receipt of the third claim of that job. `""` is an
//!   empty word, `T+500` the instant 500 as a Unix time.
//! - Answers are words: `ready #1`, `duplicate #1`; claimed jobs are `#1.1=payload`, from several queues
//!   `q/#1.1=payload`, none is `nothing`; several pushes are joined by `, `.
//! - QJOB, QSTATS and QCONFIG GET answer `field=value` words; those that a line names must be among them, and
//!   no word may start with what follows a `!`.
//! - Without `->` any answer but an error will do.
//! - Words in lower case are not commands: see [`Script::verb`].
//!
//! Every step is also explained by the model, and at the end the log alone must make the same shard, also
//! after reclaiming all of it.

use std::collections::{BTreeMap, HashMap};

use stanchion_protocol::command::QueueCommand;
use stanchion_protocol::id::{JobId, Receipt};
use stanchion_protocol::{Limits, OwnedArgs, parse, table};

use crate::{Ended, PayloadBytes, PayloadRoom, Pushed, WaiterId};

use super::pair::Pair;
use super::rig::{Answer, Handed};
use super::show::{self, instant, or_nothing, refused};

/// The instant 0 of every script.
pub(crate) const START_MS: u64 = 1_700_000_000_000;

/// Runs a script; panics with the line that is not as expected.
#[track_caller]
pub(crate) fn check(lines: &[&str]) {
    let mut script = Script::new();
    for line in lines {
        if let Err(why) = script.line(line) {
            panic!("{line}\n  {why}");
        }
    }
    if let Err(why) = script.end() {
        panic!("at the end of the script: {why}");
    }
}

/// A script in progress.
pub(crate) struct Script {
    pub(crate) pair: Pair,
    ids: Vec<JobId>,
    receipts: HashMap<JobId, Vec<Receipt>>,
}

impl Script {
    /// Nothing has happened.
    pub(crate) fn new() -> Script {
        Script { pair: Pair::new(START_MS), ids: Vec::new(), receipts: HashMap::new() }
    }

    /// One step.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), String> {
        let (command, expected) = match line.split_once(" -> ") {
            Some((command, expected)) => (command, Some(expected.trim())),
            None => (line, None),
        };
        let mut words = command.split_whitespace();
        let at: u64 = words.next().and_then(|at| at.parse().ok()).ok_or("a line starts with its instant")?;
        let words: Vec<Vec<u8>> = words.map(|word| self.word(word)).collect::<Result<_, _>>()?;
        let restart = words.first().is_some_and(|word| word == b"restart");
        let passed = (START_MS + at).checked_sub(self.pair.rig.now).ok_or("time goes on")?;
        // While the server is down nothing fires.
        if !restart {
            self.pair.advance(passed)?;
        }
        let answer = match words.first() {
            Some(verb) if verb.is_ascii() && verb[0].is_ascii_lowercase() => self.verb(&words, passed)?,
            _ => self.command(&words)?,
        };
        let fits = match expected {
            Some(expected) => fits(&answer, expected),
            None => !["ERR", "PAUSED", "FULL"].iter().any(|code| answer.starts_with(code)),
        };
        if fits { Ok(()) } else { Err(format!("answers {answer}")) }
    }

    /// What holds for every script.
    pub(crate) fn end(&mut self) -> Result<(), String> {
        self.pair.rig.check_replay()?;
        self.pair.rig.check_merged()?;
        self.pair.sweep(true)?;
        self.pair.rig.checkpoint();
        self.pair.rig.check_merged()?;
        self.pair.rig.reclaim();
        self.pair.rig.check_replay().map_err(|why| format!("after reclaiming: {why}"))
    }

    /// `#1`, `#1.1`, `""` and `T+5` stand for something.
    fn word(&self, word: &str) -> Result<Vec<u8>, String> {
        if word == "\"\"" {
            return Ok(Vec::new());
        }
        if let Some(at) = word.strip_prefix("T+") {
            return Ok((START_MS + at.parse::<u64>().map_err(|_| "T+ needs a number")?).to_string().into());
        }
        let Some(name) = word.strip_prefix('#') else { return Ok(word.into()) };
        let (number, claim) = name.split_once('.').map_or((name, None), |(n, claim)| (n, Some(claim)));
        let number: usize = number.parse().map_err(|_| "# needs a number")?;
        let id = self.ids.get(number.wrapping_sub(1)).ok_or_else(|| format!("{word} was never issued"))?;
        let Some(claim) = claim else { return Ok(id.to_string().into()) };
        let claim: usize = claim.parse().map_err(|_| "a receipt needs a number")?;
        let receipts = self.receipts.get(id);
        let receipt = receipts.and_then(|receipts| receipts.get(claim.wrapping_sub(1)));
        receipt.map(|receipt| receipt.to_string().into()).ok_or_else(|| format!("{word} was never claimed"))
    }

    /// What is done to a shard other than by a command.
    ///
    /// `tick` only lets time pass, `sweep` runs background work to its end, `reclaim` reclaims the whole log,
    /// `checkpoint` makes a whole one, `capture` writes the next entry of one,
    /// `restart` starts again from the log (its instant is when it is up again), `lapse queue receipt ...`
    /// ends BOUND leases, `del queue` is DEL, `exists queue` is EXISTS, `park waiter queue|* [group]` blocks a
    /// claim of one job, `unpark waiter` ends it, `grants` serves those that can be served, `deadline` tells
    /// when the shard wants to be woken, `keep bytes` limits the payloads in memory, `spill` gives them up, `lose queue
    /// id reason` is when one can't be read, `version worker v` tells what a worker runs (`-`: nothing), `bye worker`
    /// takes its jobs back, `hands` tells how many each has, `figures` how the claims of each version ended (acked, nacked, lapsed), `payloads` tells how much of them is where, `notes` what was noted since the last time: events, each with its job.
    fn verb(&mut self, words: &[Vec<u8>], passed: u64) -> Result<String, String> {
        let word = |at: usize| words.get(at).map(Vec::as_slice).ok_or("a word is missing");
        Ok(match &words[0][..] {
            b"tick" => String::new(),
            b"sweep" => self.pair.sweep(true).map(|()| String::new())?,
            b"reclaim" => {
                self.pair.rig.reclaim();
                self.pair.rig.check_replay().map(|()| String::new())?
            }
            b"checkpoint" => {
                self.pair.rig.checkpoint();
                self.pair.rig.check_merged().map(|()| String::new())?
            }
            b"capture" => {
                let more = self.pair.rig.checkpoint_a_little(1);
                self.pair.rig.check_merged()?;
                if more { "more".into() } else { "done".into() }
            }
            b"restart" => self.pair.restart(passed).map(|()| String::new())?,
            b"lapse" => {
                let receipts: Option<Vec<Receipt>> =
                    words[2..].iter().map(|word| Receipt::parse(word)).collect();
                self.pair.lapse(word(1)?, &receipts.ok_or("not a receipt")?)?.to_string()
            }
            b"version" => {
                let version = word(2)?;
                let version = (version != b"-").then(|| version.into());
                self.pair.rig.shard.set_worker_version(word(1)?, version);
                String::new()
            }
            b"bye" => self.pair.release_worker(word(1)?)?.to_string(),
            b"hands" => {
                let mut hands: BTreeMap<String, u64> = BTreeMap::new();
                self.pair.rig.shard.workers(0, usize::MAX, &mut |worker, jobs| {
                    *hands.entry(worker.escape_ascii().to_string()).or_default() += jobs;
                });
                let each = hands.iter().map(|(worker, jobs)| format!("{worker}={jobs}"));
                or_nothing(each.collect::<Vec<_>>().join(" "))
            }
            b"figures" => {
                let mut figures = Vec::new();
                self.pair.rig.shard.versions(0, usize::MAX, &mut |line| {
                    let (queue, version) = (line.queue.escape_ascii(), line.version.escape_ascii());
                    let Ended { acked, nacked, lapsed } = line.ended;
                    figures.push(format!("{queue}/{version} {acked} {nacked} {lapsed}"));
                });
                or_nothing(figures.join(", "))
            }
            b"del" => u8::from(self.pair.delete_queue(word(1)?)?).to_string(),
            b"keep" => {
                let bytes = std::str::from_utf8(word(1)?).ok().and_then(|text| text.parse().ok());
                let bytes_max = bytes.ok_or("keep needs a number")?;
                self.pair.rig.limit_payloads(PayloadRoom { bytes_max, queue_bytes: bytes_max });
                String::new()
            }
            b"spill" => {
                while self.pair.rig.spill(u64::MAX) {}
                String::new()
            }
            b"lose" => {
                let id = JobId::parse(word(2)?).ok_or("not an id")?;
                self.pair.lose(word(1)?, id, word(3)?).map(|()| String::new())?
            }
            b"payloads" => {
                let PayloadBytes { here, logged } = self.pair.rig.shard.payload_bytes();
                format!("here={here} logged={logged}")
            }
            b"exists" => u8::from(self.pair.rig.shard.exists(word(1)?)).to_string(),
            b"park" => {
                let queue = Some(word(2)?).filter(|queue| *queue != b"*");
                self.pair.park(waiter(word(1)?)?, queue, words.get(3).map(Vec::as_slice));
                String::new()
            }
            b"unpark" => {
                self.pair.unpark(waiter(word(1)?)?);
                String::new()
            }
            b"grants" => {
                let served = self.pair.serve()?;
                let each = served
                    .iter()
                    .map(|served| format!("{} {}", served.waiter.0, self.jobs(&served.jobs, false)));
                or_nothing(each.collect::<Vec<_>>().join(", "))
            }
            b"notes" => {
                let heard = std::mem::take(&mut self.pair.heard);
                let each = heard.iter().map(|note| format!("{} {}", note.event.word(), self.id(note.id)));
                or_nothing(each.collect::<Vec<_>>().join(", "))
            }
            b"deadline" => self.pair.rig.shard.next_deadline().map_or("none".into(), instant),
            other => return Err(format!("no verb {}", other.escape_ascii())),
        })
    }

    fn command(&mut self, words: &[Vec<u8>]) -> Result<String, String> {
        let args: OwnedArgs = words.iter().collect();
        let limits = Limits::default();
        let spec = table::resolve(args.as_args()).map_err(|error| error.to_string())?;
        let command = match parse::parse(spec, args.as_args(), &limits) {
            Ok(command) => command,
            Err(error) => return Ok(error.to_string()),
        };
        if let Some(answer) = show::read(&self.pair.rig, &command, &|id| self.id(id)) {
            return Ok(answer);
        }
        let many = matches!(command, QueueCommand::ClaimMany(_));
        Ok(match self.pair.run(&command)? {
            Answer::Pushed(Ok(pushed)) => {
                pushed.iter().map(|one| self.pushed(*one)).collect::<Vec<_>>().join(", ")
            }
            Answer::Pushed(Err(refusal)) | Answer::Done(Err(refusal)) => refused(&refusal),
            Answer::Flag(flag) => u8::from(flag).to_string(),
            Answer::Jobs(jobs) => self.jobs(&jobs, many),
            Answer::Count(count) => count.to_string(),
            Answer::Nacked(nacked) => format!("{nacked:?}").to_lowercase(),
            Answer::Done(Ok(())) => "OK".into(),
        })
    }

    fn pushed(&mut self, pushed: Pushed) -> String {
        let (status, id) = match pushed {
            Pushed::Ready(id) => ("ready", id),
            Pushed::Delayed(id) => ("delayed", id),
            Pushed::Replaced(id) => ("replaced", id),
            Pushed::Duplicate(id) => ("duplicate", id),
            Pushed::Superseded => return "superseded".into(),
        };
        if !self.ids.contains(&id) {
            self.ids.push(id);
        }
        format!("{status} {}", self.id(id))
    }

    fn id(&self, id: JobId) -> String {
        let at = self.ids.iter().position(|known| *known == id);
        at.map_or_else(|| id.to_string(), |at| format!("#{}", at + 1))
    }

    fn jobs(&mut self, jobs: &[Handed], with_queue: bool) -> String {
        let mut text = Vec::new();
        for job in jobs {
            let receipts = self.receipts.entry(job.receipt.id).or_default();
            receipts.push(job.receipt);
            let claim = receipts.len();
            let queue = if with_queue { format!("{}/", job.queue.escape_ascii()) } else { String::new() };
            let payload = match job.payload.len() {
                0..100 => job.payload.escape_ascii().to_string(),
                long => format!("{long}B"),
            };
            text.push(format!("{queue}{}.{claim}={payload}", self.id(job.receipt.id)));
        }
        or_nothing(text.join(" "))
    }
}

fn waiter(word: &[u8]) -> Result<WaiterId, String> {
    let number = std::str::from_utf8(word).ok().and_then(|text| text.parse().ok());
    number.map(WaiterId).ok_or_else(|| "a waiter is a number".to_owned())
}

/// The whole answer; or, for `field=value` and `!field`, each of them among its words; or an error's words.
fn fits(answer: &str, expected: &str) -> bool {
    let fields = expected.split_whitespace().all(|word| word.starts_with('!') || is_field(word));
    if expected.starts_with("ERR") {
        return answer.starts_with("ERR") && expected.split_whitespace().all(|word| answer.contains(word));
    }
    if !fields {
        return answer == expected;
    }
    expected.split_whitespace().all(|word| match word.strip_prefix('!') {
        Some(absent) => !answer.split_whitespace().any(|other| other.split('=').next() == Some(absent)),
        None => answer.split_whitespace().any(|other| other == word),
    })
}

fn is_field(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c.is_ascii_digit())
    })
}
