//! A shard with its log in memory: runs commands as the server does, one record each, and can start again
//! from the records that reclaiming left.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use stanchion_protocol::command::{
    Nack, NewJob, QueueCommand, Retry, RootTag, Selection, Sources, Take, When,
};
use stanchion_protocol::id::{JobId, Receipt};

use crate::{
    Claimed, JobEvent, LoggedPayload, Lsn, Nacked, Notes, Now, Payload, PayloadRoom, Purge, Pushed,
    ReadPayloads, Refusal, Requeue, SettingsPatch, Shard, ShardConfig, Step, payloads,
};

use super::checkpoints::Checkpoints;
use super::pair::{claim, one};
use super::watched::Watched;

/// Milliseconds that leases last after a start at least.
pub(crate) const LEASE_GRACE_MS: u64 = 60_000;

/// What the engine answered.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Answer {
    /// QPUSH, QMPUSH.
    Pushed(Result<Vec<Pushed>, Refusal>),
    /// QROOT.
    Flag(bool),
    /// QCLAIM, QMCLAIM.
    Jobs(Vec<Handed>),
    /// Everything that counts.
    Count(u64),
    /// QNACK.
    Nacked(Nacked),
    /// OK or not.
    Done(Result<(), Refusal>),
}

/// A job of a claim's reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Handed {
    pub(crate) queue: Vec<u8>,
    pub(crate) receipt: Receipt,
    /// Read after the hold, as a server does.
    pub(crate) payload: Vec<u8>,
    logged: Option<LoggedPayload>,
    pub(crate) attempt: u32,
    pub(crate) group: Vec<u8>,
}

/// A note of what happened to a job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Noted {
    pub(crate) queue: Vec<u8>,
    pub(crate) event: JobEvent,
    pub(crate) id: JobId,
    pub(crate) attempt: u32,
    pub(crate) group: Vec<u8>,
}

impl Noted {
    /// Which job.
    pub(crate) fn job(&self) -> (&[u8], JobId) {
        (&self.queue, self.id)
    }
}

/// A shard, its log and its clock.
pub(crate) struct Rig {
    pub(crate) shard: Shard,
    pub(crate) now: u64,
    boot: u32,
    /// What the log holds: the records from the first that was not reclaimed on.
    pub(crate) records: VecDeque<(Lsn, Vec<u8>)>,
    next_lsn: Lsn,
    /// The base of the newest hold.
    newest_base: Lsn,
    /// When that was, while more commands may run in it.
    held_at: Option<u64>,
    /// Whether now and then they do.
    pub(crate) pipelined: bool,
    entropy: u64,
    /// Records below this one are being reclaimed.
    reclaiming: Option<Lsn>,
    pub(super) checkpoints: Checkpoints,
    /// What the shard was after each record, for a crash after it.
    dumps: BTreeMap<Lsn, String>,
    /// Whether they are kept: not for runs of thousands of jobs.
    pub(crate) dumps_wanted: bool,
    /// The file's settings of every queue.
    pub(crate) file: SettingsPatch,
    /// How much of payloads the shard, and those made from its log, may keep.
    room: PayloadRoom,
    /// What was noted since somebody looked.
    pub(crate) notes: Vec<Noted>,
}

impl Rig {
    /// An empty shard that starts at this instant.
    pub(crate) fn new(now: u64, file: SettingsPatch) -> Rig {
        let shard = empty_shard(1, &file);
        let mut rig = Rig {
            shard,
            now,
            boot: 1,
            records: VecDeque::new(),
            next_lsn: 1,
            newest_base: 0,
            held_at: None,
            pipelined: false,
            entropy: 0x9e37_79b9_7f4a_7c15,
            reclaiming: None,
            checkpoints: Checkpoints::default(),
            dumps: BTreeMap::new(),
            dumps_wanted: false,
            file,
            room: PayloadRoom::UNLIMITED,
            notes: Vec::new(),
        };
        rig.announce_boot();
        rig
    }

    /// One hold of the shard with at most one record, or, where commands are pipelined, now and then the same again.
    pub(crate) fn hold<T>(&mut self, work: impl FnOnce(&mut Shard, Now, &mut Vec<u8>) -> T) -> T {
        // xorshift: any bits do.
        self.entropy ^= self.entropy << 13;
        self.entropy ^= self.entropy >> 7;
        self.entropy ^= self.entropy << 17;
        let now = Now { ms: self.now, entropy: self.entropy };
        let watched = self.dumps_wanted.then(|| Watched::new(&self.shard, &|payload| self.read(payload)));
        let mut log = self.go_on().unwrap_or_else(|| {
            self.shard.begin(self.next_lsn);
            self.newest_base = self.next_lsn;
            // Other shards of the lane may stage something while this hold lasts.
            self.next_lsn += (self.entropy >> 40) % 3;
            Vec::new()
        });
        let before = log.len();
        let answer = work(&mut self.shard, now, &mut log);
        self.hear();
        let is_recorded = log.len() > before;
        self.held_at = (!log.is_empty()).then_some(self.now);
        if !log.is_empty() {
            self.append(log);
        }
        if let Some(watched) = watched {
            let now = Watched::new(&self.shard, &|payload| self.read(payload));
            watched.compare(&self.shard, &now, is_recorded);
        }
        answer
    }

    /// The record of the newest hold, if that goes on.
    fn go_on(&mut self) -> Option<Vec<u8>> {
        let goes_on = self.pipelined && self.held_at == Some(self.now) && self.entropy >> 45 & 1 == 1;
        let (lsn, body) = self.records.pop_back_if(|_| goes_on)?;
        self.dumps.remove(&lsn);
        self.next_lsn = lsn;
        Some(body)
    }

    /// What is done next is done in a hold of its own.
    pub(super) fn end_hold(&mut self) {
        self.held_at = None;
    }

    /// Takes the notes, as a server does at the end of a hold.
    fn hear(&mut self) {
        assert!(
            self.shard
                .queues
                .iter()
                .all(|(_, queue)| queue.notes.as_ref().is_none_or(|notes| notes.is_empty()))
        );
        let mut notes = Notes::default();
        self.shard.take_notes(&mut notes);
        assert_eq!(notes.dropped(), 0);
        self.notes.extend(notes.iter().map(|note| Noted {
            queue: note.queue.to_vec(),
            event: note.event,
            id: note.id,
            attempt: note.attempt,
            group: note.group.to_vec(),
        }));
    }

    fn append(&mut self, body: Vec<u8>) {
        self.records.push_back((self.next_lsn, body));
        if self.dumps_wanted {
            self.dumps.insert(self.next_lsn, self.dump(&self.shard));
        }
        self.next_lsn += 1;
    }

    /// Runs a command that may change something; panics on one that only reads.
    pub(crate) fn run(&mut self, command: &QueueCommand<'_>) -> Answer {
        let mut answer = self.run_in_hold(command);
        if let Answer::Jobs(jobs) = &mut answer {
            for job in jobs {
                job.payload =
                    job.logged.take().map_or_else(|| job.payload.clone(), |logged| self.read(logged));
            }
        }
        answer
    }

    fn run_in_hold(&mut self, command: &QueueCommand<'_>) -> Answer {
        match command {
            QueueCommand::Push(push) => self.hold(|shard, now, log| {
                let mut out = Vec::new();
                let done = shard.push(now, push.queue, &push.jobs, log, &mut out);
                Answer::Pushed(done.map(|()| out))
            }),
            QueueCommand::Root { queue, root, group } => {
                self.hold(|shard, now, log| Answer::Flag(shard.root(now, queue, group, *root, log)))
            }
            QueueCommand::Claim(claim) => self.hold(|shard, now, log| {
                shard.ack(now, claim.queue, &claim.acks, log);
                let mut out = Claimed::default();
                shard.claim(now, claim.queue, &claim.take, log, &mut out);
                Answer::Jobs(handed(shard, &out))
            }),
            QueueCommand::ClaimMany(claim) => self.hold(|shard, now, log| {
                let mut out = Claimed::default();
                match &claim.from {
                    Sources::Queues(names) => {
                        for name in names {
                            let left = claim.take.count - out.len() as u32;
                            if left > 0 {
                                shard.claim(now, name, &Take { count: left, ..claim.take }, log, &mut out);
                            }
                        }
                    }
                    Sources::Match { globs, except } => {
                        shard.claim_matching(now, globs, except, &claim.take, log, &mut out);
                    }
                }
                Answer::Jobs(handed(shard, &out))
            }),
            QueueCommand::Ack { queue, receipts } => {
                self.hold(|shard, now, log| Answer::Count(shard.ack(now, queue, receipts, log)))
            }
            QueueCommand::Nack(nack) => {
                self.hold(|shard, now, log| Answer::Nacked(shard.nack(now, nack, log)))
            }
            QueueCommand::Release { queue, delay_ms, receipts } => self
                .hold(|shard, now, log| Answer::Count(shard.release(now, queue, *delay_ms, receipts, log))),
            QueueCommand::Extend { queue, lease_ms, receipts } => {
                self.hold(|shard, now, log| Answer::Count(shard.extend(now, queue, *lease_ms, receipts, log)))
            }
            QueueCommand::Pause { queue, what, for_ms } => self.hold(|shard, now, log| {
                shard.pause(now, queue, *what, *for_ms, log);
                Answer::Done(Ok(()))
            }),
            QueueCommand::Resume { queue } => self.hold(|shard, now, log| {
                shard.resume(now, queue, log);
                Answer::Done(Ok(()))
            }),
            QueueCommand::ConfigSet { queue, pairs } => {
                self.hold(|shard, now, log| Answer::Done(shard.config_set(now, queue, pairs, log)))
            }
            QueueCommand::ConfigUnset { queue, keys } => {
                self.hold(|shard, now, log| Answer::Done(shard.config_unset(now, queue, keys, log)))
            }
            QueueCommand::Requeue { queue, jobs } => Answer::Count(self.requeue(queue, jobs)),
            QueueCommand::Del { queue, jobs } => self.hold(|shard, now, log| {
                Answer::Count(match jobs {
                    Selection::Ids(ids) => shard.delete(now, queue, ids, log),
                    Selection::Key { key, group } => shard.delete_key(now, queue, group, key, log),
                    Selection::Dead { .. } => panic!("QDEL has no DEAD"),
                })
            }),
            QueueCommand::Purge { queue, state, group } => {
                let mut purge = Purge::begin(&self.shard);
                let mut purged = 0;
                loop {
                    match self
                        .hold(|shard, now, log| shard.purge(now, queue, *state, *group, &mut purge, log))
                    {
                        Step::More(count) => purged += count,
                        Step::Done(count) => return Answer::Count(purged + count),
                    }
                }
            }
            command => panic!("{command:?} only reads"),
        }
    }

    fn requeue(&mut self, queue: &[u8], jobs: &Selection<'_>) -> u64 {
        match jobs {
            Selection::Ids(ids) => self.hold(|shard, now, log| shard.requeue(now, queue, ids, log)),
            Selection::Dead { group, count } => {
                let mut requeue = Requeue::begin(&self.shard, Now { ms: self.now, entropy: 0 }, *count);
                let mut done = 0;
                loop {
                    match self
                        .hold(|shard, now, log| shard.requeue_dead(now, queue, *group, &mut requeue, log))
                    {
                        Step::More(count) => done += count,
                        Step::Done(count) => return done + count,
                    }
                }
            }
            Selection::Key { .. } => panic!("QREQUEUE has no KEY"),
        }
    }

    /// Fires everything that is due.
    pub(crate) fn tick(&mut self) {
        while self.hold(|shard, now, log| shard.tick(now, log)) {}
    }

    /// Background steps to the end.
    pub(crate) fn sweep(&mut self) {
        while self.hold(|shard, now, log| shard.background(now, log)) {}
        assert!(!self.shard.has_background(), "background() is done, but there is more");
    }

    /// One background step; whether there is more.
    pub(crate) fn sweep_a_little(&mut self) -> bool {
        self.hold(|shard, now, log| shard.background(now, log))
    }

    /// One step of reclaiming all records but the `newest` ones; whether there is more. Then they are gone.
    pub(crate) fn reclaim_a_little(&mut self, bytes: usize, newest: u64) -> bool {
        self.end_hold();
        let below = *self.reclaiming.get_or_insert(self.next_lsn.saturating_sub(newest));
        let read = self.read_for_reclaiming(below, bytes);
        match self.hold(|shard, now, log| shard.reclaim(now, below, bytes, &read, log)) {
            Step::More(_) => true,
            Step::Done(_) => {
                self.reclaiming = None;
                self.records.retain(|(lsn, _)| *lsn >= below);
                self.checkpoints.forget_below(below);
                // What follows in the log before the snapshots' end is no state that ever was.
                self.dumps.clear();
                false
            }
        }
    }

    /// What the next step needs; now and then it comes late, as when a job got another base meanwhile.
    fn read_for_reclaiming(&self, below: Lsn, bytes: usize) -> ReadPayloads {
        let mut read = ReadPayloads::new();
        if self.entropy & 6 != 0 {
            self.shard.reclaim_reads(below, bytes, &mut |_, payload| {
                read.insert(payload, self.read(payload).into());
            });
        }
        read
    }

    /// A payload that is only in the log.
    pub(crate) fn read(&self, payload: LoggedPayload) -> Vec<u8> {
        let first = self.records.partition_point(|(lsn, _)| *lsn < payload.base);
        let found = self.records.range(first..).find_map(|(_, body)| {
            let payloads = payloads(body).expect("the record was written a moment ago");
            payloads.into_iter().find(|(id, _)| *id == payload.id).map(|(_, bytes)| bytes)
        });
        let bytes = found.unwrap_or_else(|| panic!("{payload:?} is not in the log"));
        assert_eq!(bytes.len(), payload.bytes as usize, "{payload:?} is another's");
        bytes.to_vec()
    }

    /// A payload, wherever it is.
    pub(crate) fn bytes(&self, payload: Payload<'_>) -> Vec<u8> {
        match payload {
            Payload::Here(bytes) => bytes.to_vec(),
            Payload::Logged(logged) => self.read(logged),
        }
    }

    /// Everything durable of a shard that was made from this log.
    pub(crate) fn dump(&self, shard: &Shard) -> String {
        shard.dump(&|payload| self.read(payload))
    }

    /// From here on so much of payloads is kept in memory.
    pub(crate) fn limit_payloads(&mut self, room: PayloadRoom) {
        self.room = room;
        self.shard.limit_payloads(room);
    }

    /// Gives up the memory of payloads; whether there is more to look at.
    pub(crate) fn spill(&mut self, bytes: u64) -> bool {
        self.end_hold();
        matches!(self.hold(|shard, _, _| shard.spill(bytes)), Step::More(_))
    }

    /// Reclaims everything, in small steps.
    pub(crate) fn reclaim(&mut self) {
        while self.reclaim_a_little(200, 0) {}
        while self.reclaim_a_little(200, 0) {}
    }

    /// A shard of the next boot, fed with the first `count` records.
    pub(crate) fn replayed(&self, count: usize) -> Shard {
        let mut shard = empty_shard(self.boot + 1, &self.file);
        shard.limit_payloads(self.room);
        for (lsn, body) in self.records.iter().take(count) {
            replay(&mut shard, *lsn, body);
        }
        shard
    }

    /// Ends the server and starts it again `down_ms` later, from the newest checkpoint if there is one.
    pub(crate) fn restart(&mut self, down_ms: u64) {
        self.shard = self.merged().unwrap_or_else(|| self.replayed(self.records.len()));
        self.checkpoints.interrupt();
        self.boot += 1;
        self.end_hold();
        self.now = (self.now + down_ms).max(self.shard.last_now());
        self.reclaiming = None;
        self.announce_boot();
    }

    fn announce_boot(&mut self) {
        let mut body = Vec::new();
        Shard::boot_event(Now { ms: self.now, entropy: 0 }, LEASE_GRACE_MS, &mut body);
        replay(&mut self.shard, self.next_lsn, &body);
        self.append(body);
    }

    /// What reads.
    pub(crate) fn shard_and_now(&self) -> (&Shard, Now) {
        (&self.shard, Now { ms: self.now, entropy: 0 })
    }

    /// The number of the next record.
    pub(crate) fn next_lsn(&self) -> Lsn {
        self.next_lsn
    }

    /// What may have been the next lsn for somebody who asked during the newest hold, or after it.
    pub(super) fn any_lsn_of_now(&self) -> Lsn {
        let first = (self.newest_base + 1).min(self.next_lsn);
        first + (self.entropy >> 32) % (self.next_lsn - first + 1)
    }

    /// What the shard was after a record.
    pub(super) fn dump_after(&self, lsn: Lsn) -> Option<&str> {
        self.dumps.get(&lsn).map(String::as_str)
    }

    /// A crash after any record leaves what was then.
    pub(crate) fn check_prefixes(&self) -> Result<(), String> {
        let mut shard = self.replayed(0);
        for (lsn, body) in &self.records {
            let crash = |why: String| format!("after a crash behind record {lsn}: {why}");
            replay(&mut shard, *lsn, body);
            shard.check().map_err(crash)?;
            if let Some(dump) = self.dumps.get(lsn) {
                same(dump, &self.dump(&shard)).map_err(crash)?;
            }
        }
        Ok(())
    }

    /// The log alone makes the same shard.
    pub(crate) fn check_replay(&self) -> Result<(), String> {
        let replayed = self.replayed(self.records.len());
        replayed.check().map_err(|why| format!("after replay: {why}"))?;
        same(&self.dump(&self.shard), &self.dump(&replayed))
    }
}

/// Commands in short, for tests that are programs.
impl Rig {
    /// Pushes a job that is ready at once.
    pub(crate) fn push(&mut self, queue: &[u8], group: &[u8], payload: &[u8]) -> JobId {
        self.push_one(queue, NewJob { payload, group, ..plain() })
    }

    /// Pushes a job that is ready after so long.
    pub(crate) fn push_delayed(&mut self, queue: &[u8], delay_ms: u64) -> JobId {
        self.push_one(queue, NewJob { when: When::Delay(delay_ms), ..plain() })
    }

    /// Pushes a job with a root.
    pub(crate) fn push_tagged(&mut self, queue: &[u8], root: RootTag<'_>) -> JobId {
        self.push_one(queue, NewJob { root: Some(root), ..plain() })
    }

    fn push_one(&mut self, queue: &[u8], job: NewJob<'_>) -> JobId {
        let mut out = Vec::new();
        self.hold(|shard, now, log| shard.push(now, queue, &[job], log, &mut out)).unwrap();
        match out[..] {
            [Pushed::Ready(id) | Pushed::Delayed(id)] => id,
            ref other => panic!("a plain push answers {other:?}"),
        }
    }

    /// Claims so many.
    pub(crate) fn claim(&mut self, queue: &[u8], count: u32) -> Vec<Handed> {
        let take = Take { count, ..one() };
        match self.run(&claim(queue, take)) {
            Answer::Jobs(jobs) => jobs,
            other => panic!("a claim answers {other:?}"),
        }
    }

    /// QACK of one.
    pub(crate) fn ack(&mut self, queue: &[u8], receipt: Receipt) -> u64 {
        self.hold(|shard, now, log| shard.ack(now, queue, &[receipt], log))
    }

    /// QNACK without more words.
    pub(crate) fn nack(&mut self, queue: &[u8], receipt: Receipt) -> Nacked {
        let nack = Nack { queue, receipt, retry: Retry::Backoff, error: None };
        self.hold(|shard, now, log| shard.nack(now, &nack, log))
    }

    /// QNACK DEAD.
    pub(crate) fn kill(&mut self, queue: &[u8], receipt: Receipt) {
        let nack = Nack { queue, receipt, retry: Retry::Dead, error: None };
        assert_eq!(self.hold(|shard, now, log| shard.nack(now, &nack, log)), Nacked::Dead);
    }

    /// QREQUEUE DEAD.
    pub(crate) fn requeue_dead(&mut self, queue: &[u8]) -> u64 {
        self.requeue(queue, &Selection::Dead { group: None, count: None })
    }

    /// QCONFIG SET of one.
    pub(crate) fn config_set(&mut self, queue: &[u8], name: &str, value: &str) -> Result<(), Refusal> {
        let pairs = [(name.as_bytes(), value.as_bytes())];
        self.hold(|shard, now, log| shard.config_set(now, queue, &pairs, log))
    }
}

/// A job without options.
pub(crate) fn plain() -> NewJob<'static> {
    NewJob {
        payload: b"x",
        when: When::Now,
        group: b"",
        priority: 0,
        dedupe: None,
        root: None,
        ttl_ms: None,
        attempts_max: None,
    }
}

/// A shard without queues, in its first boot.
pub(crate) fn shard() -> Shard {
    empty_shard(1, &SettingsPatch::default())
}

fn empty_shard(boot: u32, file: &SettingsPatch) -> Shard {
    let file = file.clone();
    Shard::new(ShardConfig { index: 0, count: 1, boot, file: Arc::new(move |_| file.clone()) })
}

/// Feeds all parts of a record to the one shard.
pub(crate) fn replay(shard: &mut Shard, lsn: Lsn, body: &[u8]) {
    for part in Shard::parts(body) {
        let (_, events) = part.expect("the record was written a moment ago");
        shard.replay(lsn, events).expect("the record was written a moment ago");
    }
}

fn handed(shard: &Shard, claimed: &Claimed) -> Vec<Handed> {
    let view = |job| {
        let view = shard.view(job);
        assert_eq!(shard.payload(job), view.payload);
        let (payload, logged) = match view.payload {
            Payload::Here(payload) => (payload.to_vec(), None),
            Payload::Logged(logged) => (Vec::new(), Some(logged)),
        };
        Handed {
            queue: view.queue.to_vec(),
            receipt: view.receipt,
            payload,
            logged,
            attempt: view.attempts,
            group: view.group.to_vec(),
        }
    };
    claimed.jobs().iter().copied().map(view).collect()
}

/// The first line in which two dumps differ.
pub(crate) fn same(live: &str, other: &str) -> Result<(), String> {
    if live == other {
        return Ok(());
    }
    let missing: Vec<&str> = live.lines().filter(|line| !other.lines().any(|o| o == *line)).collect();
    let extra: Vec<&str> = other.lines().filter(|line| !live.lines().any(|l| l == *line)).collect();
    Err(format!("only the live shard has\n{}\nonly the other has\n{}", missing.join("\n"), extra.join("\n")))
}
