//! What random runs are made of: operations over few queues, groups, keys, roots and durations, so that they
//! meet; and how each one is done to a shard and its model.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use stanchion_protocol::command::{
    Claim, ClaimMany, Dedupe, Nack, NewJob, Pause, Push, QueueCommand, Retry, RootTag, Selection, Sources,
    State, SyncWish, Take, Until, When,
};
use stanchion_protocol::id::{Epoch, JobId, Receipt};

use crate::{PayloadRoom, WaiterId};

use super::model::Verdict;
use super::pair::{Pair, one};
use super::rig::Answer;

const QUEUES: [&[u8]; 2] = [b"q", b"r"];
const GROUPS: [&[u8]; 3] = [b"", b"a", b"b"];
const KEYS: [&[u8]; 2] = [b"k", b"l"];
const SIGNATURES: [&[u8]; 2] = [b"s", b"t"];
/// The last two are long enough to be in the log only.
const PAYLOADS: [&[u8]; 5] = [
    b"",
    b"x",
    b"a longer payload",
    b"a payload that is worth its place in memory",
    b"another payload that has just as many bytes",
];
const DURATIONS_MS: [u64; 6] = [0, 1, 50, 1_000, 60_000, 5_400_000];
const WORKER: &[u8] = b"w1";
const ERRORS: [&[u8]; 2] = [b"boom", b"bang"];
const LOST: &[u8] = b"its payload can't be read";

/// Settings and values that random runs change at any time.
const SETTINGS: [(&[u8], &[u8]); 28] = [
    (b"lease", b"50"),
    (b"lease", b"1h"),
    (b"attempts", b"0"),
    (b"attempts", b"1"),
    (b"attempts", b"3"),
    (b"backoff", b"100ms"),
    (b"backoff", b"0"),
    (b"backoff-factor", b"1"),
    (b"backoff-factor", b"2"),
    (b"backoff-max", b"1m"),
    (b"backoff-jitter", b"0"),
    (b"backoff-jitter", b"0.5"),
    (b"run-max", b"1s"),
    (b"run-max", b"0"),
    (b"max-jobs", b"4"),
    (b"max-jobs", b"0"),
    (b"max-bytes", b"40"),
    (b"max-bytes", b"0"),
    (b"concurrency", b"2"),
    (b"concurrency", b"0"),
    (b"group-concurrency", b"1"),
    (b"group-concurrency", b"0"),
    (b"rate", b"2/100ms"),
    (b"rate", b"5/1h"),
    (b"order", b"lifo"),
    (b"order", b"fifo"),
    (b"notify", b"on"),
    (b"notify", b"off"),
];

/// A job to push; the numbers choose from the tables above.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewSpec {
    payload: &'static [u8],
    group: &'static [u8],
    priority: u8,
    when: When,
    dedupe: Option<Dedupe<'static>>,
    root: Option<RootTag<'static>>,
    ttl_ms: Option<u64>,
    attempts_max: Option<u32>,
}

/// Which claim or job an operation means: one of those that last, or any there ever was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pick {
    lasting: bool,
    index: Index,
}

/// One step of a random run.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Push { queue: &'static [u8], jobs: Vec<NewSpec> },
    Root { queue: &'static [u8], group: &'static [u8], root: RootTag<'static> },
    Claim { queue: &'static [u8], take: Take<'static>, acks: Vec<Pick> },
    ClaimQueues { take: Take<'static> },
    ClaimMatching { take: Take<'static>, except: Option<&'static [u8]> },
    Ack { queue: &'static [u8], picks: Vec<Pick> },
    Nack { queue: &'static [u8], pick: Pick, retry: Retry, error: Option<&'static [u8]> },
    Release { queue: &'static [u8], picks: Vec<Pick>, delay_ms: Option<u64> },
    Extend { queue: &'static [u8], picks: Vec<Pick>, lease_ms: u64 },
    Lapse { queue: &'static [u8], picks: Vec<Pick> },
    Bye,
    Requeue { queue: &'static [u8], picks: Vec<Pick> },
    RequeueDead { queue: &'static [u8], group: Option<&'static [u8]>, count: Option<u64> },
    Delete { queue: &'static [u8], picks: Vec<Pick> },
    DeleteKey { queue: &'static [u8], group: &'static [u8], key: &'static [u8] },
    Purge { queue: &'static [u8], state: Option<State>, group: Option<&'static [u8]> },
    DeleteQueue { queue: &'static [u8] },
    Pause { queue: &'static [u8], what: Pause, for_ms: Option<u64> },
    Resume { queue: &'static [u8] },
    Set { queue: &'static [u8], pairs: Vec<(&'static [u8], &'static [u8])> },
    Unset { queue: &'static [u8], key: &'static [u8] },
    Advance { ms: u64 },
    Sweep { to_the_end: bool },
    Reclaim { bytes: usize, newest: u64 },
    Checkpoint { bytes: usize },
    Restart { down_ms: u64 },
    Park { queue: Option<&'static [u8]>, group: Option<&'static [u8]> },
    Unpark { index: Index },
    Keep { room: PayloadRoom },
    Spill { bytes: u64 },
    Lose { queue: &'static [u8], pick: Pick },
}

fn queue() -> impl Strategy<Value = &'static [u8]> {
    prop_oneof![4 => Just(QUEUES[0]), 1 => Just(QUEUES[1])]
}

fn group() -> impl Strategy<Value = &'static [u8]> {
    select(&GROUPS[..])
}

fn some_group() -> impl Strategy<Value = Option<&'static [u8]>> {
    prop_oneof![3 => Just(None), 1 => group().prop_map(Some)]
}

fn duration() -> impl Strategy<Value = u64> {
    select(&DURATIONS_MS[..])
}

fn root() -> impl Strategy<Value = RootTag<'static>> {
    (select(&SIGNATURES[..]), 1..6u64).prop_map(|(signature, timestamp)| RootTag { signature, timestamp })
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![4 => Just(When::Now), 2 => duration().prop_map(When::Delay), 1 => Just(When::At(5))]
}

fn dedupe() -> impl Strategy<Value = Dedupe<'static>> {
    let until = select(&[Until::Claim, Until::Done][..]);
    let window = prop_oneof![2 => Just(0), 1 => duration()];
    (select(&KEYS[..]), until, window, any::<bool>()).prop_map(|(key, until, window_ms, replace)| Dedupe {
        key,
        until,
        window_ms,
        replace,
    })
}

fn new_job() -> impl Strategy<Value = NewSpec> {
    let priority = prop_oneof![3 => Just(0u8), 1 => 0..10u8];
    (
        (select(&PAYLOADS[..]), group(), priority, when()),
        proptest::option::weighted(0.5, dedupe()),
        proptest::option::weighted(0.4, root()),
        proptest::option::weighted(0.2, select(&[1, 100, 2_000, 86_400_000][..])),
        proptest::option::weighted(0.2, 0..3u32),
    )
        .prop_map(|((payload, group, priority, when), dedupe, root, ttl_ms, attempts_max)| NewSpec {
            payload,
            group,
            priority,
            when,
            dedupe,
            root,
            ttl_ms,
            attempts_max,
        })
}

fn pick() -> impl Strategy<Value = Pick> {
    (prop::bool::weighted(0.8), any::<Index>()).prop_map(|(lasting, index)| Pick { lasting, index })
}

fn picks() -> impl Strategy<Value = Vec<Pick>> {
    proptest::collection::vec(pick(), 1..4)
}

fn take() -> impl Strategy<Value = Take<'static>> {
    let lease = proptest::option::weighted(0.3, select(&[1, 100, 7_200_000][..]));
    let worker = proptest::option::weighted(0.5, Just(WORKER));
    (1..5u32, lease, some_group(), worker).prop_map(|(count, lease_ms, group, worker)| Take {
        count,
        lease_ms,
        group,
        worker,
        ..one()
    })
}

fn room() -> impl Strategy<Value = PayloadRoom> {
    let some = |bytes: &'static [u64]| select(bytes);
    (some(&[0, 0, 50, u64::MAX]), some(&[0, 0, 50]))
        .prop_map(|(bytes_max, queue_bytes)| PayloadRoom { bytes_max, queue_bytes })
}

fn state() -> impl Strategy<Value = State> {
    select(&[State::Delayed, State::Ready, State::Claimed, State::Dead][..])
}

/// Any operation, the daily ones more often.
pub(super) fn op() -> impl Strategy<Value = Op> {
    let retry = prop_oneof![
        3 => Just(Retry::Backoff),
        1 => Just(Retry::Dead),
        2 => duration().prop_map(Retry::Delay)
    ];
    let error = proptest::option::of(select(&ERRORS[..]));
    let what = select(&[Pause::Claim, Pause::Push, Pause::All][..]);
    let setting = select(&SETTINGS[..]);
    let step = prop_oneof![4 => select(&[1u64, 10, 50, 100][..]), 2 => duration(), 1 => Just(90_000_000u64)];
    prop_oneof![
        20 => (queue(), proptest::collection::vec(new_job(), 1..4)).prop_map(|(queue, jobs)| Op::Push { queue, jobs }),
        4 => (queue(), group(), root()).prop_map(|(queue, group, root)| Op::Root { queue, group, root }),
        14 => (queue(), take(), proptest::collection::vec(pick(), 0..2))
            .prop_map(|(queue, take, acks)| Op::Claim { queue, take, acks }),
        2 => take().prop_map(|take| Op::ClaimQueues { take }),
        4 => (take(), proptest::option::weighted(0.2, queue()))
            .prop_map(|(take, except)| Op::ClaimMatching { take, except }),
        6 => (queue(), picks()).prop_map(|(queue, picks)| Op::Ack { queue, picks }),
        8 => (queue(), pick(), retry, error)
            .prop_map(|(queue, pick, retry, error)| Op::Nack { queue, pick, retry, error }),
        5 => (queue(), picks(), proptest::option::of(select(&[1, 50, 60_000][..])))
            .prop_map(|(queue, picks, delay_ms)| Op::Release { queue, picks, delay_ms }),
        3 => (queue(), picks(), select(&[1, 100, 7_200_000][..]))
            .prop_map(|(queue, picks, lease_ms)| Op::Extend { queue, picks, lease_ms }),
        2 => (queue(), picks()).prop_map(|(queue, picks)| Op::Lapse { queue, picks }),
        4 => (queue(), picks()).prop_map(|(queue, picks)| Op::Requeue { queue, picks }),
        2 => (queue(), some_group(), proptest::option::of(1..3u64))
            .prop_map(|(queue, group, count)| Op::RequeueDead { queue, group, count }),
        2 => (queue(), picks()).prop_map(|(queue, picks)| Op::Delete { queue, picks }),
        2 => (queue(), group(), select(&KEYS[..]))
            .prop_map(|(queue, group, key)| Op::DeleteKey { queue, group, key }),
        1 => (queue(), proptest::option::of(state()), some_group())
            .prop_map(|(queue, state, group)| Op::Purge { queue, state, group }),
        1 => queue().prop_map(|queue| Op::DeleteQueue { queue }),
        2 => (queue(), what, proptest::option::of(select(&[1, 50, 60_000][..])))
            .prop_map(|(queue, what, for_ms)| Op::Pause { queue, what, for_ms }),
        3 => queue().prop_map(|queue| Op::Resume { queue }),
        5 => (queue(), proptest::collection::vec(setting.clone(), 1..3))
            .prop_map(|(queue, pairs)| Op::Set { queue, pairs }),
        2 => (queue(), setting).prop_map(|(queue, (key, _))| Op::Unset { queue, key }),
        20 => step.prop_map(|ms| Op::Advance { ms }),
        4 => any::<bool>().prop_map(|to_the_end| Op::Sweep { to_the_end }),
        4 => (select(&[1usize, 100, 100_000][..]), select(&[0, 0, 1, 5, 20][..]))
            .prop_map(|(bytes, newest)| Op::Reclaim { bytes, newest }),
        8 => select(&[1usize, 1, 100, 100_000][..]).prop_map(|bytes| Op::Checkpoint { bytes }),
        1 => select(&[0u64, 10, 1_000, 90_000_000][..]).prop_map(|down_ms| Op::Restart { down_ms }),
        3 => (proptest::option::weighted(0.7, queue()), some_group())
            .prop_map(|(queue, group)| Op::Park { queue, group }),
        1 => any::<Index>().prop_map(|index| Op::Unpark { index }),
        3 => room().prop_map(|room| Op::Keep { room }),
        2 => select(&[1u64, 60, u64::MAX][..]).prop_map(|bytes| Op::Spill { bytes }),
        1 => (queue(), pick()).prop_map(|(queue, pick)| Op::Lose { queue, pick }),
        1 => Just(Op::Bye),
    ]
}

/// A run in progress.
pub(super) struct Run {
    pub(super) pair: Pair,
    /// Every receipt and id there ever was.
    receipts: Vec<Receipt>,
    ids: Vec<JobId>,
    waiters: u64,
}

impl Run {
    /// Two queues, which keep few dead jobs: `dead-max` and `dead-retention` don't change during a run.
    pub(super) fn new() -> Result<Run, String> {
        let mut run = Run {
            pair: Pair::new(1_700_000_000_000),
            receipts: vec![Receipt { id: JobId(1), epoch: Epoch(1) }],
            ids: vec![JobId(1)],
            waiters: 0,
        };
        run.pair.rig.dumps_wanted = true;
        run.pair.rig.pipelined = true;
        let pairs: Vec<(&[u8], &[u8])> =
            vec![(b"dead-max", b"2"), (b"dead-retention", b"2h"), (b"notify", b"on")];
        run.command(&QueueCommand::ConfigSet { queue: QUEUES[0], pairs })?;
        Ok(run)
    }

    /// Does one step to both, and compares them.
    pub(super) fn step(&mut self, op: &Op) -> Verdict {
        match *op {
            Op::Advance { ms } => self.pair.advance(ms)?,
            Op::Sweep { to_the_end } => self.pair.sweep(to_the_end)?,
            Op::Reclaim { bytes, newest } => {
                if !self.pair.rig.reclaim_a_little(bytes, newest) {
                    self.pair.rig.check_replay()?;
                }
            }
            Op::Checkpoint { bytes } => {
                if !self.pair.rig.checkpoint_a_little(bytes) {
                    self.pair.rig.check_merged()?;
                }
            }
            Op::Restart { down_ms } => self.pair.restart(down_ms)?,
            Op::Park { queue, group } => {
                self.waiters += 1;
                self.pair.park(WaiterId(self.waiters), queue, group);
            }
            Op::Unpark { index } => self.pair.unpark(WaiterId(index.index(self.waiters as usize + 1) as u64)),
            Op::Lapse { queue, ref picks } => {
                self.pair.lapse(queue, &self.claims(queue, picks))?;
            }
            Op::Bye => {
                self.pair.release_worker(WORKER)?;
            }
            Op::DeleteQueue { queue } => {
                self.pair.delete_queue(queue)?;
            }
            Op::Keep { room } => self.pair.rig.limit_payloads(room),
            Op::Spill { bytes } => {
                self.pair.rig.spill(bytes);
            }
            Op::Lose { queue, pick } => self.pair.lose(queue, self.jobs(queue, &[pick])[0], LOST)?,
            ref op => self.step_command(op)?,
        }
        for served in self.pair.serve()? {
            self.receipts.extend(served.jobs.iter().map(|job| job.receipt));
        }
        Ok(())
    }

    fn step_command(&mut self, op: &Op) -> Verdict {
        let command = match *op {
            Op::Push { queue, ref jobs } => QueueCommand::Push(Push {
                queue,
                jobs: jobs.iter().map(NewSpec::job).collect(),
                sync: SyncWish::Policy,
                status: false,
                many: true,
            }),
            Op::Root { queue, group, root } => QueueCommand::Root { queue, group, root },
            Op::Claim { queue, take, ref acks } => {
                QueueCommand::Claim(Claim { queue, take, acks: self.claims(queue, acks).into() })
            }
            Op::ClaimQueues { take } => {
                QueueCommand::ClaimMany(ClaimMany { from: Sources::Queues(QUEUES.to_vec()), take })
            }
            Op::ClaimMatching { take, except } => {
                let from = Sources::Match { globs: vec![b"*"], except: except.into_iter().collect() };
                QueueCommand::ClaimMany(ClaimMany { from, take })
            }
            Op::Ack { queue, ref picks } => {
                QueueCommand::Ack { queue, receipts: self.claims(queue, picks).into() }
            }
            Op::Nack { queue, pick, retry, error } => {
                QueueCommand::Nack(Nack { queue, receipt: self.claims(queue, &[pick])[0], retry, error })
            }
            Op::Release { queue, ref picks, delay_ms } => {
                QueueCommand::Release { queue, delay_ms, receipts: self.claims(queue, picks).into() }
            }
            Op::Extend { queue, ref picks, lease_ms } => {
                QueueCommand::Extend { queue, lease_ms, receipts: self.claims(queue, picks).into() }
            }
            Op::Requeue { queue, ref picks } => {
                let jobs = Selection::Ids(self.jobs(queue, picks).into());
                QueueCommand::Requeue { queue, jobs }
            }
            Op::RequeueDead { queue, group, count } => {
                QueueCommand::Requeue { queue, jobs: Selection::Dead { group, count } }
            }
            Op::Delete { queue, ref picks } => {
                QueueCommand::Del { queue, jobs: Selection::Ids(self.jobs(queue, picks).into()) }
            }
            Op::DeleteKey { queue, group, key } => {
                QueueCommand::Del { queue, jobs: Selection::Key { key, group } }
            }
            Op::Purge { queue, state, group } => QueueCommand::Purge { queue, state, group },
            Op::Pause { queue, what, for_ms } => QueueCommand::Pause { queue, what, for_ms },
            Op::Resume { queue } => QueueCommand::Resume { queue },
            Op::Set { queue, ref pairs } => QueueCommand::ConfigSet { queue, pairs: pairs.clone() },
            Op::Unset { queue, key } => QueueCommand::ConfigUnset { queue, keys: vec![key] },
            ref other => unreachable!("{other:?} is no command"),
        };
        self.command(&command)
    }

    fn command(&mut self, command: &QueueCommand<'_>) -> Verdict {
        if let Answer::Jobs(jobs) = self.pair.run(command)? {
            self.receipts.extend(jobs.iter().map(|job| job.receipt));
        }
        self.ids.extend(self.pair.model.queues.iter().flat_map(|queue| &queue.jobs).map(|job| job.id));
        self.ids.sort();
        self.ids.dedup();
        Ok(())
    }

    fn claims(&self, queue: &[u8], picks: &[Pick]) -> Vec<Receipt> {
        let jobs = self.pair.model.queue(queue).into_iter().flat_map(|queue| &queue.jobs);
        let claimed = jobs.filter(|job| job.state == State::Claimed);
        let lasting: Vec<Receipt> =
            claimed.map(|job| Receipt { id: job.id, epoch: Epoch(job.epoch) }).collect();
        picks.iter().map(|pick| pick.choose(&lasting, &self.receipts)).collect()
    }

    fn jobs(&self, queue: &[u8], picks: &[Pick]) -> Vec<JobId> {
        let jobs = self.pair.model.queue(queue).into_iter().flat_map(|queue| &queue.jobs);
        let lasting: Vec<JobId> = jobs.map(|job| job.id).collect();
        picks.iter().map(|pick| pick.choose(&lasting, &self.ids)).collect()
    }
}

impl NewSpec {
    fn job(&self) -> NewJob<'static> {
        let NewSpec { payload, group, priority, when, dedupe, root, ttl_ms, attempts_max } = *self;
        NewJob { payload, when, group, priority, dedupe, root, ttl_ms, attempts_max }
    }
}

impl Pick {
    fn choose<T: Copy>(self, lasting: &[T], all: &[T]) -> T {
        let from = if self.lasting && !lasting.is_empty() { lasting } else { all };
        from[self.index.index(from.len())]
    }
}
