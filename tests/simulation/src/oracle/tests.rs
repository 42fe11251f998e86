//! The judge about requests that cross, as scripts: a letter for each request, `>` when it goes out and `<` when its
//! reply comes.

use std::collections::BTreeMap;
use std::sync::Arc;

use stanchion_storage::Durability;
use stanchion_storage::simulation::Random;

use super::{Oracle, Sent};
use crate::ask::{Ask, Claim, ClaimBy, DEAD_MAX, Held, NewJob, PauseWhat, Push, payload};
use crate::plan::Plan;
use crate::wire::Reply;

/// The queue, the only one.
const QUEUE: usize = 0;

/// How long pauses are.
const PAUSE_MS: u64 = 1_000;

/// A judge of one plain queue, and the requests that it was told of.
struct Court {
    oracle: Oracle,
    under_way: BTreeMap<char, Sent>,
    held: Vec<Held>,
    now_ms: u64,
}

impl Court {
    fn new() -> Court {
        let mut plan = Plan::draw(&mut Random(1));
        (plan.durability, plan.clock_steps) = (Durability::Never, false);
        plan.queues.truncate(1);
        let queue = &mut plan.queues[QUEUE];
        (queue.durability, queue.concurrency, queue.group_concurrency) = (None, None, None);
        (queue.lease_ms, queue.roots, queue.replaces) = (60_000, false, false);
        let oracle = Oracle::new(Arc::new(plan));
        Court { oracle, under_way: BTreeMap::new(), held: Vec::new(), now_ms: 1_000_000 }
    }

    /// The request of a letter.
    fn ask(&self, letter: char) -> Ask {
        match letter {
            'P' => Ask::Pause { queue: QUEUE, what: PauseWhat::Claim, ms: PAUSE_MS },
            'N' => Ask::Pause { queue: QUEUE, what: PauseWhat::Push, ms: PAUSE_MS },
            'A' => Ask::Pause { queue: QUEUE, what: PauseWhat::All, ms: PAUSE_MS / 2 },
            'R' => Ask::Resume { queue: QUEUE },
            'D' => Ask::Wipe { queue: QUEUE, all: true },
            'G' => Ask::Wipe { queue: QUEUE, all: false },
            'S' | 'T' => Ask::Set { queue: QUEUE, value: u64::from(letter == 'T') + 1 },
            'V' => Ask::Get { queue: QUEUE },
            'E' | 'F' => {
                Ask::Extend { held: self.held[0].clone(), ms: if letter == 'E' { 10 } else { 9_000 } }
            }
            'Q' => Ask::Push(Push { queue: QUEUE, jobs: vec![self.job()], sync: None }),
            'C' => Ask::Claim(Claim {
                queue: QUEUE,
                by: ClaimBy::Name,
                count: 1,
                lease_ms: None,
                block_ms: None,
                group: None,
                is_bound: false,
                meta: false,
                acks: Vec::new(),
            }),
            other => panic!("{other} is no request"),
        }
    }

    fn job(&self) -> NewJob {
        NewJob {
            serial: self.oracle.next_serial(),
            payload_bytes: 3,
            group: 0,
            priority: 0,
            delay_ms: 0,
            ttl_ms: None,
            dedupe: None,
            root: None,
        }
    }

    /// What a server could say to the request of a letter: a claim gets the newest job.
    fn reply(&self, letter: char) -> Reply {
        let newest = self.oracle.next_serial().saturating_sub(1);
        let word = |text: String| Reply::Bulk(text.into_bytes());
        match letter {
            'P' | 'N' | 'A' | 'R' | 'S' | 'T' => Reply::Simple(b"OK".to_vec()),
            'V' => {
                let value = Reply::Array(vec![word((DEAD_MAX + 1).to_string()), word("queue".to_owned())]);
                Reply::Array(vec![word("dead-max".to_owned()), value])
            }
            'Q' => Reply::Array(vec![word("ready".to_owned()), word(id(newest))]),
            'C' => {
                let receipt = word(format!("{}-{}", id(newest), 1 + self.held.len()));
                let queue = word(self.oracle.plan.queues[QUEUE].name.clone());
                let payload = Reply::Bulk(payload(newest, 3));
                Reply::Array(vec![Reply::Array(vec![queue, receipt, payload, Reply::Integer(2)])])
            }
            _ => Reply::Integer(1),
        }
    }

    /// Plays a script; gives what can't be. `.` is half the time of a pause, and `x` behind a letter is a connection
    /// that ends before the reply.
    fn play(&mut self, script: &str) -> Result<(), String> {
        for step in script.split_whitespace() {
            let (letter, what) = (step.chars().next().expect("a step"), step.chars().nth(1));
            match what {
                None => self.now_ms += PAUSE_MS / 2,
                Some('>') => {
                    let sent = self.oracle.sent(self.ask(letter), 1, self.now_ms);
                    self.under_way.insert(letter, sent);
                }
                Some(end) => {
                    let sent = self.under_way.remove(&letter).expect("it was sent");
                    if end == 'x' {
                        self.oracle.unanswered(&sent, None);
                    } else {
                        let reply = self.reply(letter);
                        self.held.extend(self.oracle.replied(&sent, &reply, self.now_ms)?);
                    }
                }
            }
        }
        Ok(())
    }
}

/// The id of a job.
fn id(serial: usize) -> String {
    format!("{:016x}", 0x1000 + serial)
}

/// Plays scripts; the judge has to say this of each, or nothing.
#[track_caller]
fn check(scripts: &[&str], want: Option<&str>) {
    for script in scripts {
        let said = Court::new().play(script);
        match (&said, want) {
            (Ok(()), None) => {}
            (Err(problem), Some(want)) if problem.contains(want) => {}
            _ => panic!("'{script}': {said:?}, and not {want:?}"),
        }
    }
}

/// A claim of a job that was pushed for it.
const CLAIMED: &str = "Q> Q< C> C<";

#[test]
fn a_pause_that_was_answered_holds() {
    let paused = Some("its queue is paused");
    check(
        &[
            "P> P< Q> Q< C> C<",
            "Q> Q< P> P< . C> C<",
            // What ended pauses was over before it was asked for.
            "D> D< P> P< Q> Q< C> C<",
            "R> R< P> P< Q> Q< C> C<",
            // QPURGE ends no pause, whenever it comes.
            "P> G> G< P< Q> Q< C> C<",
            "G> P> P< G< Q> Q< C> C<",
            "P> P< G> G< Q> Q< C> C<",
            // A shorter one that comes later ends none either.
            "Q> Q< P> A> P< A< . C> C<",
            // Even if a pause of pushes is in doubt.
            "N> R> R< P> P< N< Q> Q< C> C<",
        ],
        paused,
    );
    check(&["N> N< Q> Q<", "A> A< Q> Q<", "R> R< N> N< Q> Q<"], Some("paused for pushes"));
}

#[test]
fn a_pause_and_its_end_that_cross_come_in_either_order() {
    for end in ['D', 'R'] {
        for crossing in ["P> e> e< P<", "P> e> P< e<", "e> P> e< P<", "e> P> P< e<"] {
            let crossing = crossing.replace('e', &end.to_string());
            check(&[&format!("{crossing} {CLAIMED}")], None);
            // Another pause, asked for when both are over, is not in doubt.
            check(&[&format!("{crossing} P> P< {CLAIMED}")], Some("its queue is paused"));
            check(&[&format!("{} Q> Q<", crossing.replace('P', "N"))], None);
        }
    }
}

#[test]
fn a_pause_ends_by_its_end_its_time_and_an_end_without_a_reply() {
    check(
        &[
            "P> P< D> D< Q> Q< C> C<",
            "P> P< R> R< Q> Q< C> C<",
            "P> P< R> Q> Q< C> C<",
            "P> P< . . Q> Q< C> C<",
            "A> A< . Q> Q< C> C<",
            "Q> Q< P> C> P< C<",
            "R> Rx P> P< Q> Q< C> C<",
            "D> Dx P> P< Q> Q< C> C<",
            // Two of them, of which one crosses.
            "R> D> R< P> P< D< Q> Q< C> C<",
        ],
        None,
    );
}

#[test]
fn a_setting_is_the_newest_unless_they_cross() {
    check(&["S> S< T> T< V> V<"], Some("was set later"));
    check(&["S> T> T< S< V> V<", "T> S> T< S< V> V<", "T> T< S> S< V> V<", "S> S< T> V> V<"], None);
    // Whichever comes first of one that is set and one that is deleted.
    check(&["S> D> D< S< V> V<", "D> S> D< S< V> V<", "D> S> S< D< V> V<", "S> S< D> V> V<"], None);
    check(&["D> S> D< S< T> T< V> V<"], None);
}

#[test]
fn a_lease_is_as_long_as_the_last_extension_unless_they_cross() {
    let live = "is live until";
    let claimed = "Q> Q< C> C<";
    check(&[&format!("{claimed} F> F< . C> C<"), &format!("{claimed} E> E< F> F< . C> C<")], Some(live));
    // The first may be done after the second.
    check(&[&format!("{claimed} E> Ex F> F< . C> C<"), &format!("{claimed} F> F< E> E< . C> C<")], None);
}
