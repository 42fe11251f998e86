//! What must, may and must not be there, judged by replies alone.

use std::collections::{HashMap, HashSet};

use crate::{Connection, Value};

use super::client::{Asked, Event, Held, jobs};

/// What the server's durability promises.
#[derive(Clone, Copy, PartialEq)]
pub enum Promise {
    /// What was acknowledged is kept.
    Kept,
    /// A crash may lose the last of it.
    Lossy,
}

/// All that was ever told about the jobs.
pub struct Oracle {
    promise: Promise,
    jobs: HashMap<String, Facts>,
    /// The job that each id was issued to, for ever.
    ids: HashMap<String, String>,
    /// Receipts of claims that nobody has reported, newest last.
    receipts: HashMap<String, Vec<String>>,
    /// Unanswered pushes of several jobs: all of them or none.
    batches: Vec<Vec<String>>,
    /// Unanswered moves: the first is there or the second is.
    moves: Vec<(String, String)>,
}

/// What is known of one payload; each fact alone, so that the order in which clients report does not matter.
#[derive(Clone, Copy, Default)]
struct Facts {
    pushed: Answer,
    gone: Answer,
}

#[derive(Clone, Copy, Default, PartialEq, PartialOrd)]
enum Answer {
    #[default]
    Never,
    /// Asked for without a reply.
    Perhaps,
    Certain,
}

impl Oracle {
    /// Knows of nothing yet.
    pub fn new(promise: Promise) -> Oracle {
        Oracle {
            promise,
            jobs: HashMap::new(),
            ids: HashMap::new(),
            receipts: HashMap::new(),
            batches: Vec::new(),
            moves: Vec::new(),
        }
    }

    /// How many jobs anybody has tried to push.
    pub fn jobs_seen(&self) -> usize {
        self.jobs.len()
    }

    /// Takes in what the clients of a round were told.
    pub fn learn(&mut self, events: Vec<Event>) {
        for Event { asked, reply } in events {
            if let Some(Value::Error(error)) = &reply {
                panic!("a legal command was refused: {}", error.escape_ascii());
            }
            match asked {
                Asked::Push { payloads, key } => self.learn_push(payloads, key.is_some(), reply.as_ref()),
                Asked::Claim { .. } => {
                    for held in reply.iter().flat_map(jobs) {
                        // A claim waits for the pushes that it hands out.
                        self.fact(&held.payload).pushed = Answer::Certain;
                        self.receipts.entry(held.payload).or_default().push(held.receipt);
                    }
                }
                Asked::Ack { held } => self.learn_ack(&held, reply.as_ref()),
                Asked::Nack { .. } => {
                    assert!(reply.is_none_or(|reply| reply.text() == "retry"), "a live claim's nack")
                }
                Asked::Release { .. } => {
                    assert!(reply.is_none_or(|reply| reply == Value::Integer(1)), "a live claim's release")
                }
                Asked::Move { held, next } => match &reply {
                    Some(reply) => {
                        self.learn_ack(&held, Some(&reply.array()[0]));
                        self.learn_pushed(&next, &reply.array()[1]);
                    }
                    None => {
                        self.learn_ack(&held, None);
                        self.fact(&next).pushed = Answer::Perhaps;
                        self.moves.push((held.payload, next));
                    }
                },
            }
        }
    }

    fn learn_push(&mut self, payloads: Vec<String>, keyed: bool, reply: Option<&Value>) {
        match reply {
            Some(reply) => {
                for (payload, status) in payloads.iter().zip(reply.array()) {
                    self.learn_pushed(payload, status);
                }
            }
            None => {
                for payload in &payloads {
                    self.raise(payload, |facts| &mut facts.pushed, Answer::Perhaps);
                }
                if !keyed {
                    self.batches.push(payloads);
                }
            }
        }
    }

    fn learn_pushed(&mut self, payload: &str, status: &Value) {
        let [word, id] = status.array() else { panic!("{status} is no status") };
        match word.text().as_str() {
            "ready" => {
                self.raise(payload, |facts| &mut facts.pushed, Answer::Certain);
                self.learn_id(id.text(), payload);
            }
            "duplicate" => {
                self.fact(payload);
            }
            other => panic!("a plain push was answered {other}"),
        }
    }

    fn learn_ack(&mut self, held: &Held, reply: Option<&Value>) {
        let answer = match reply {
            Some(reply) => {
                assert_eq!(
                    *reply,
                    Value::Integer(1),
                    "the live claim {} of {} was not acked",
                    held.receipt,
                    held.payload
                );
                Answer::Certain
            }
            None => Answer::Perhaps,
        };
        self.raise(&held.payload, |facts| &mut facts.gone, answer);
    }

    fn learn_id(&mut self, id: String, payload: &str) {
        if let Some(other) = self.ids.insert(id.clone(), payload.to_owned()) {
            assert_eq!(other, payload, "the id {id} was issued twice");
        }
    }

    fn fact(&mut self, payload: &str) -> &mut Facts {
        self.jobs.entry(payload.to_owned()).or_default()
    }

    fn raise(&mut self, payload: &str, fact: fn(&mut Facts) -> &mut Answer, answer: Answer) {
        let known = fact(self.fact(payload));
        if answer > *known {
            *known = answer;
        }
    }

    /// Judges a server that has just been started again, and makes what it shows certain.
    pub fn examine(&mut self, connection: &mut Connection) {
        let there = self.list(connection);
        self.judge(&there);
        self.settle(&there);
        self.try_old_receipts(connection, there.len());
    }

    /// Every job that is there.
    fn list(&mut self, connection: &mut Connection) -> HashSet<String> {
        let mut ids = HashSet::new();
        let mut cursor = "0".to_owned();
        loop {
            let reply = connection.call(&["QSCAN", "q", &cursor, "COUNT", "1000"]);
            ids.extend(reply.array()[1].array().iter().map(Value::text));
            cursor = reply.array()[0].text();
            if cursor == "0" {
                break;
            }
        }
        let mut there = HashSet::new();
        let mut keys = HashSet::new();
        for id in ids {
            let job = connection.call(&["QJOB", "q", &id]);
            let payload = job
                .field("payload")
                .unwrap_or_else(|| panic!("the job {id} was scanned and is not there"))
                .text();
            assert!(self.jobs.contains_key(&payload), "{payload} is there and was never pushed");
            self.learn_id(id, &payload);
            assert!(there.insert(payload.clone()), "{payload} is there twice");
            // Held until done: of the jobs with one key at most one lives.
            if let Some(key) = job.field("dedupe") {
                assert!(keys.insert(key.text()), "two jobs hold the key {key}, one of them {payload}");
            }
        }
        assert_eq!(
            connection.call(&["QLEN", "q", "ALL"]).integer(),
            i64::try_from(there.len()).expect("a count")
        );
        there
    }

    fn judge(&self, there: &HashSet<String>) {
        if self.promise == Promise::Kept {
            for (payload, facts) in &self.jobs {
                let is_there = there.contains(payload);
                if facts.pushed == Answer::Certain && facts.gone == Answer::Never {
                    assert!(is_there, "the acknowledged push of {payload} was lost");
                }
                assert!(
                    !is_there || facts.gone != Answer::Certain,
                    "the acknowledged ack of {payload} was undone"
                );
                assert!(
                    !is_there || facts.pushed != Answer::Never,
                    "{payload} is there although its push was dropped"
                );
            }
        }
        for batch in &self.batches {
            // Jobs of it that were claimed and acked meanwhile say nothing any more.
            let open: Vec<&String> =
                batch.iter().filter(|payload| self.jobs[*payload].gone == Answer::Never).collect();
            let count = open.iter().filter(|payload| there.contains(**payload)).count();
            assert!(
                count == 0 || count == open.len(),
                "of one command's jobs {open:?} only {count} are there"
            );
        }
        for (first, second) in &self.moves {
            let pair = (there.contains(first), there.contains(second));
            let second_gone = self.jobs[second].gone != Answer::Never;
            assert!(pair != (true, true), "a transaction was half done: {first} and {second} are both there");
            if self.promise == Promise::Kept && !second_gone {
                assert!(
                    pair != (false, false),
                    "a transaction was half done: neither {first} nor {second} is there"
                );
            }
        }
    }

    /// What a start has shown is no longer unknown.
    fn settle(&mut self, there: &HashSet<String>) {
        for (payload, facts) in &mut self.jobs {
            if there.contains(payload) {
                *facts = Facts { pushed: Answer::Certain, gone: Answer::Never };
            } else if facts.pushed != Answer::Never {
                facts.gone = Answer::Certain;
                self.receipts.remove(payload);
            }
        }
        if self.promise == Promise::Lossy {
            // After a start that shows it, a lost push or ack is as certain as any other: it must not change again.
            self.jobs.retain(|payload, facts| there.contains(payload) || facts.gone == Answer::Certain);
        }
        self.batches.clear();
        self.moves.clear();
    }

    /// Takes every claim anew and tries the receipts from before the crash on it.
    fn try_old_receipts(&mut self, connection: &mut Connection, count: usize) {
        let old: Vec<(String, String)> = self
            .receipts
            .drain()
            .flat_map(|(payload, receipts)| {
                receipts.into_iter().map(move |receipt| (payload.clone(), receipt))
            })
            .collect();
        for (_, receipt) in &old {
            // 1 when the claim survived, 0 when the crash lost it or it was reported.
            let released = connection.call(&["QRELEASE", "q", receipt]).integer();
            assert!((0..=1).contains(&released));
        }
        let reply = connection.call(&["QCLAIM", "q", "COUNT", "10000", "LEASE", "3600000"]);
        let new: HashMap<String, String> = jobs(&reply).map(|held| (held.payload, held.receipt)).collect();
        for (payload, receipt) in &old {
            if let Some(newer) = new.get(payload) {
                assert!(epoch(newer) > epoch(receipt), "{newer} of {payload} is not newer than {receipt}");
            }
            assert_eq!(
                connection.call(&["QACK", "q", receipt]),
                Value::Integer(0),
                "{receipt} of {payload} was accepted"
            );
        }
        assert_eq!(connection.call(&["QLEN", "q", "ALL"]).integer(), i64::try_from(count).expect("a count"));
        for (payload, receipt) in new {
            // Most are done now, so that the backlog stays small; the rest goes into the next round.
            let (command, fate) = match payload.len() % 3 {
                0 => ("QRELEASE", Answer::Never),
                _ => ("QACK", Answer::Certain),
            };
            assert_eq!(
                connection.call(&[command, "q", &receipt]),
                Value::Integer(1),
                "the new claim of {payload}"
            );
            self.raise(&payload, |facts| &mut facts.gone, fate);
        }
    }
}

fn epoch(receipt: &str) -> u64 {
    let (_, epoch) = receipt.split_once('-').expect("a receipt has a dash");
    epoch.parse().expect("an epoch is a number")
}
