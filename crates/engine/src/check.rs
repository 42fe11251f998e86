//! The invariants of a shard, checked from scratch; and everything durable of it as text, to compare what ran
//! with what was replayed.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use stanchion_protocol::command::State;

use crate::footprint::Footprint;
use crate::group::Turn;
use crate::heap::Heap;
use crate::hold::Holder;
use crate::job::{InRoot, KeyState, Stand};
use crate::line::Kind;
use crate::queue::Queue;
use crate::slab::NONE;
use crate::{LoggedPayload, Payload, PayloadBytes, Shard};

impl Shard {
    /// Checks every invariant; costs a walk over everything.
    ///
    /// # Errors
    /// Says which invariant does not hold, and where.
    pub fn check(&self) -> Result<(), String> {
        let mut live = Footprint::default();
        for (ix, queue) in self.queues.iter() {
            let fault = |fault: String| format!("queue '{}': {fault}", queue.printable_name());
            queue.check().map_err(fault)?;
            ensure(self.find(&queue.name) == Some(ix), || fault("not found by its name".into()))?;
            let settled = ix != self.unsettled;
            ensure(queue.counts[0] == 0 || queue.places.stands_in(Kind::Turn) || !settled, || {
                fault("ready jobs, but no turn".into())
            })?;
            ensure(queue.stale_roots.is_empty() || queue.places.stands_in(Kind::Stale) || !settled, || {
                fault("not swept".into())
            })?;
            let due = queue.next_deadline(self.last_now(), false).into_iter().chain(queue.end_at()).min();
            let booked = queue.deadline != NONE;
            ensure(due.is_none() || booked || !settled, || fault("its deadline is not booked".into()))?;
            let payloads = PayloadBytes { here: queue.bytes_here, logged: queue.bytes - queue.bytes_here };
            let footprint =
                Footprint { bytes: queue.snapshot_bytes, jobs: queue.jobs.len() as u64, payloads };
            ensure(queue.booked == footprint, || fault("its footprint is not booked".into()))?;
            live.add(footprint);
        }
        ensure(self.live == live, || format!("{:?} is booked, but {live:?} lives", self.live))?;
        Ok(())
    }

    /// Everything durable, in an order that does not depend on how it came about. What a crash may lose is
    /// left out: latencies, counts of dropped pushes and stale receipts, and the turn between groups.
    ///
    /// `read` reads what is only in the log: where a payload is kept is no difference.
    pub fn dump(&self, read: &dyn Fn(LoggedPayload) -> Vec<u8>) -> String {
        let mut queues: Vec<String> = self.queues.iter().map(|(_, queue)| queue.dump(read)).collect();
        queues.sort();
        queues.concat()
    }
}

impl Queue {
    fn check(&self) -> Result<(), String> {
        let mut counts = [0u64; 4];
        let (mut bytes, mut bytes_dead, mut bytes_here) = (0, 0, 0);
        let mut by_group: HashMap<u32, (u32, [u32; 4])> = HashMap::new();
        let mut by_root: HashMap<u32, u32> = HashMap::new();
        let mut superseded: HashMap<u32, u32> = HashMap::new();
        for (ix, job) in self.jobs.iter() {
            ensure(job.stand != Stand::Nowhere, || format!("job {:016x} stands nowhere", job.id))?;
            let column = crate::queue::column(job.state());
            counts[column] += 1;
            bytes += self.payload_bytes(ix);
            bytes_here += self.payload_bytes_here(ix);
            bytes_dead += if job.stand == Stand::Dead { self.payload_bytes(ix) } else { 0 };
            let group = by_group.entry(job.group).or_default();
            group.0 += 1;
            group.1[column] += 1;
            if job.state() == State::Ready && self.superseded(ix) {
                *superseded.entry(job.group).or_default() += 1;
            }
            ensure(self.find(job.id) == Some(ix), || format!("job {:016x} is not found by its id", job.id))?;
            self.check_job(ix, &mut by_root).map_err(|fault| format!("job {:016x}: {fault}", job.id))?;
        }
        let in_order = self.jobs.is_in_order() && self.holds.is_in_order() && self.roots.is_in_order();
        ensure(in_order, || "entries are not in the order of their bases".into())?;
        ensure(counts == self.counts, || format!("counts {:?}, but jobs are {counts:?}", self.counts))?;
        ensure((bytes, bytes_dead) == (self.bytes, self.bytes_dead), || "bytes are wrong".into())?;
        ensure(bytes_here == self.bytes_here, || format!("{bytes_here} bytes are here"))?;
        ensure(self.delayed.len() as u64 == counts[1], || "the delayed heap has other jobs".into())?;
        ensure(self.leases.len() as u64 == counts[2], || "the leases are those of other jobs".into())?;
        ensure(self.dead.len() as u64 == counts[3], || "the heap of the dead has other jobs".into())?;
        let snapshot_bytes = self.measure_snapshot();
        ensure(self.snapshot_bytes == snapshot_bytes, || {
            format!("its snapshot is of {snapshot_bytes} bytes and reckoned as {}", self.snapshot_bytes)
        })?;
        self.ids.check(|ix| self.hash_id(self.jobs[ix].id))?;
        self.group_names.check(|ix| self.hash_bytes(0, &self.groups[ix].name))?;
        self.signatures.check(|ix| self.hash_bytes(self.roots[ix].group, &self.roots[ix].signature))?;
        self.keys.check(|entry| self.hash_of_key(entry))?;
        self.store.check(|owner| self.jobs.get(owner).map(|job| job.place))?;
        self.leases.check(&self.jobs, &self.extras)?;
        self.check_extras()?;
        self.check_workers()?;
        self.check_groups(&by_group, &superseded)?;
        self.check_holds()?;
        self.check_tags()?;
        self.check_roots(&by_root)
    }

    fn check_job(&self, ix: u32, by_root: &mut HashMap<u32, u32>) -> Result<(), String> {
        let job = &self.jobs[ix];
        let heap = |heap: &Heap, place: u32| {
            heap.in_order().any(|(moment, owner)| owner == ix && moment == heap.at(place))
        };
        let placed = match job.stand {
            Stand::Delayed => self.delayed.at(job.link_a) == (job.ready_at.get(), job.id),
            Stand::Dead => heap(&self.dead, job.link_a),
            _ => true,
        };
        ensure(placed, || "its heap has it elsewhere".into())?;
        let holder = self.key(ix).and_then(|key| self.find_holder(job.group, key));
        let key_is_right = match (job.key, holder) {
            (KeyState::None, _) => job.key_bytes == 0,
            (KeyState::Lost, holder) => holder != Some(Holder::Job(ix)),
            (KeyState::Held, holder) => holder == Some(Holder::Job(ix)),
            (KeyState::Window, Some(Holder::Hold(hold))) => self.holds[hold].owner == ix,
            (KeyState::Window, _) => false,
        };
        ensure(key_is_right, || format!("its key is {:?}, and the table has {holder:?}", job.key))?;
        let (extras, expires) = (self.extras(ix), self.expires_at(ix));
        let waits = self.is_waiting(ix);
        ensure((extras.expiry != NONE) == (waits && expires.is_some()), || "its expiry is wrong".into())?;
        if extras.expiry != NONE {
            let at = self.expiries.at(extras.expiry);
            ensure(Some(at) == expires.map(|at| (at, job.id)), || {
                "the heap of expiries has it elsewhere".into()
            })?;
        }
        ensure((job.in_root != InRoot::No) == (waits && job.tag != NONE), || "its root is wrong".into())?;
        if let Some(tag) = self.tag_of(ix) {
            *by_root.entry(tag.root).or_default() += 1;
            let root = &self.roots[tag.root];
            ensure(tag.timestamp <= root.newest, || "it is newer than its root".into())?;
            ensure(root.group == job.group, || "its root is of another group".into())?;
        }
        Ok(())
    }

    fn check_groups(
        &self,
        by_group: &HashMap<u32, (u32, [u32; 4])>,
        superseded: &HashMap<u32, u32>,
    ) -> Result<(), String> {
        let mut pins: HashMap<u32, u32> = HashMap::new();
        self.holds.iter().for_each(|(_, hold)| *pins.entry(hold.group).or_default() += 1);
        self.roots.iter().for_each(|(_, root)| *pins.entry(root.group).or_default() += 1);
        let waiting: HashSet<u32> = self.ring.iter(&self.groups).collect();
        let aside: HashSet<u32> = self.aside.iter(&self.groups).collect();
        for (ix, group) in self.groups.iter() {
            let fault = |fault: &str| format!("group '{}': {fault}", group.name.escape_ascii());
            let (jobs, counts) = by_group.get(&ix).copied().unwrap_or_default();
            ensure((group.jobs, group.counts) == (jobs, counts), || fault("its counts are wrong"))?;
            ensure(group.pins == pins.get(&ix).copied().unwrap_or(0), || fault("its pins are wrong"))?;
            ensure(group.jobs + group.pins > 0, || fault("it should be gone"))?;
            ensure(group.has_ready() == (counts[0] > 0), || fault("its levels are wrong"))?;
            let turn = match (waiting.contains(&ix), aside.contains(&ix)) {
                (true, false) => Turn::Waiting,
                (false, true) => Turn::Aside,
                (false, false) => Turn::Out,
                (true, true) => return Err(fault("it stands in both rings")),
            };
            ensure(group.turn == turn, || fault("its turn is wrong"))?;
            ensure(group.has_ready() == (turn != Turn::Out), || fault("its turn does not fit its jobs"))?;
            let superseded = superseded.get(&ix).copied().unwrap_or(0);
            ensure(group.superseded == superseded, || fault("its superseded jobs are miscounted"))?;
            let claimable = group.current() > 0 && !self.at_cap(ix);
            ensure(turn != Turn::Aside || !claimable, || fault("it was set aside and has a job to claim"))?;
            let order: Vec<u32> = group.in_order(&self.jobs, crate::settings::Order::Fifo).collect();
            ensure(order.len() as u32 == counts[0], || fault("its ready jobs are not all in order"))?;
            let place =
                |ix: u32| (9 - self.jobs[ix].priority, self.jobs[ix].ready_at.get(), self.jobs[ix].id);
            ensure(order.is_sorted_by_key(|&ix| place(ix)), || fault("its ready jobs are out of order"))?;
        }
        ensure(self.groups_with_jobs == by_group.len() as u64, || "groups are miscounted".into())
    }

    fn check_holds(&self) -> Result<(), String> {
        for (ix, hold) in self.holds.iter() {
            let key = self.key_of_hold(hold);
            let fault = |fault: &str| format!("key '{}': {fault}", key.escape_ascii());
            ensure(self.find_holder(hold.group, key) == Some(Holder::Hold(ix)), || fault("not found"))?;
            let window = self.windows.at(hold.window);
            ensure(window == (hold.window_until, hold.holder), || fault("its window is wrong"))?;
            if hold.owner != NONE {
                ensure(self.hold_of(hold.owner) == Some(ix), || fault("its owner has another"))?;
                ensure(self.jobs[hold.owner].id == hold.holder, || fault("its holder is not its owner"))?;
            } else {
                ensure(!hold.held, || fault("it is held by nobody"))?;
            }
        }
        let jobs = self.jobs.iter().filter(|(_, job)| job.key == KeyState::Held).count();
        let in_table = jobs + self.holds.len();
        ensure(self.keys.iter().count() == in_table, || "the table of keys has more than there are".into())?;
        ensure(self.windows.len() == self.holds.len(), || "the heap of windows has others".into())
    }

    /// Those of no job are none, and no two jobs share them.
    fn check_extras(&self) -> Result<(), String> {
        let owned = self.jobs.iter().map(|(_, job)| job.extras).filter(|&extras| extras != NONE);
        let owned: Vec<u32> = owned.collect();
        let distinct: HashSet<u32> = owned.iter().copied().collect();
        ensure(owned.len() == distinct.len(), || "jobs share their extras".into())?;
        ensure(owned.len() == self.extras.len(), || "extras of no job are kept".into())
    }

    /// Each list is whole, and holds claimed jobs only.
    fn check_workers(&self) -> Result<(), String> {
        let mut listed = 0;
        if let Some(workers) = self.workers.as_deref() {
            workers.check(|worker| self.hash_bytes(0, &worker.name))?;
            for (ix, worker) in workers.entries.iter() {
                let jobs: Vec<u32> = self.jobs_of(worker).collect();
                let fault = |fault: &str| format!("worker '{}': {fault}", worker.name.escape_ascii());
                ensure(jobs.len() == worker.jobs as usize && !jobs.is_empty(), || fault("miscounted"))?;
                let its = |&job: &u32| self.extras(job).in_worker.worker == ix && self.jobs[job].is_claimed();
                ensure(jobs.iter().all(its), || fault("it has a job that is not its"))?;
                listed += jobs.len();
            }
        }
        let with_worker = self.jobs.iter().filter(|&(job, _)| self.worker(job).is_some()).count();
        ensure(listed == with_worker, || "a job is missing in its worker's list".into())
    }

    fn check_tags(&self) -> Result<(), String> {
        let mut jobs: HashMap<u32, u32> = HashMap::new();
        let tagged = self.jobs.iter().map(|(_, job)| job.tag).filter(|&tag| tag != NONE);
        tagged.for_each(|tag| *jobs.entry(tag).or_default() += 1);
        ensure(jobs.len() == self.tags.len(), || "tags of no job are kept".into())?;
        for (ix, tag) in self.tags.iter() {
            ensure(jobs.get(&ix) == Some(&tag.jobs), || format!("the jobs of tag {ix} are miscounted"))?;
        }
        let known = self.roots.iter().flat_map(|(ix, root)| root.tags.map(|tag| (ix, tag)));
        for (ix, tag) in known.filter(|&(_, tag)| tag != NONE) {
            ensure(self.tags.get(tag).is_some_and(|tag| tag.root == ix), || {
                "a root's tag is another's".into()
            })?;
        }
        Ok(())
    }

    fn check_roots(&self, by_root: &HashMap<u32, u32>) -> Result<(), String> {
        for (ix, root) in self.roots.iter() {
            let fault = |fault: &str| format!("root '{}': {fault}", root.signature.escape_ascii());
            ensure(self.find_root(root.group, &root.signature) == Some(ix), || fault("not found"))?;
            ensure(root.jobs == by_root.get(&ix).copied().unwrap_or(0), || fault("its jobs are miscounted"))?;
            ensure((root.idle != NONE) == (root.jobs == 0), || fault("its retention is wrong"))?;
            let ready = self.jobs.iter().filter(|(job, ready)| {
                ready.state() == State::Ready
                    && !self.superseded(*job)
                    && self.tag_of(*job).is_some_and(|tag| tag.root == ix)
            });
            ensure(root.ready as usize == ready.count(), || fault("its ready jobs are miscounted"))?;
            let stale: Vec<u32> = root.stale(&self.jobs).collect();
            ensure(stale.iter().all(|&job| self.superseded(job)), || fault("a fresh job among the stale"))?;
            ensure(stale.is_empty() || root.to_sweep, || fault("not to be swept"))?;
            let waiting = self.jobs.iter().filter(|&(job, _)| self.is_waiting(job) && self.superseded(job));
            let of_it = waiting.filter(|&(job, _)| self.tag_of(job).is_some_and(|tag| tag.root == ix));
            ensure(of_it.count() == stale.len(), || fault("a superseded job is not among the stale"))?;
        }
        Ok(())
    }

    pub(crate) fn dump(&self, read: &dyn Fn(LoggedPayload) -> Vec<u8>) -> String {
        let mut lines: Vec<String> = self.jobs.iter().map(|(ix, _)| self.dump_job(ix, read)).collect();
        for (ix, job) in self.jobs.iter().filter(|(_, job)| job.key == KeyState::Held) {
            let (_, key) = self.key_of(Holder::Job(ix));
            lines.push(self.dump_key(job.group, key, job.id, true, 0));
        }
        for (_, hold) in self.holds.iter() {
            let key = self.key_of_hold(hold);
            lines.push(self.dump_key(hold.group, key, hold.holder, hold.held, hold.window_until));
        }
        for (_, root) in self.roots.iter() {
            let group = self.groups[root.group].name.escape_ascii();
            let (signature, at) = (root.signature.escape_ascii(), root.registered_at);
            lines.push(format!("  root {group}/{signature} newest {} at {at}\n", root.newest));
        }
        lines.sort();
        let mut totals = self.totals;
        (totals.duplicates, totals.stale_acks) = (0, 0);
        let mut dump = format!("queue {} {totals:?} settings {:?}", self.printable_name(), self.own);
        let pauses = (self.push_paused_until, self.claim_paused_until);
        writeln!(dump, " pauses {pauses:?} rate {}", self.rate_at).expect("a string can be written to");
        dump + &lines.concat()
    }

    fn dump_key(&self, group: u32, key: &[u8], holder: u64, held: bool, until: u64) -> String {
        let (group, key) = (self.groups[group].name.escape_ascii(), key.escape_ascii());
        format!("  key {group}/{key} by {holder:016x} held {held} until {until}\n")
    }

    fn dump_job(&self, ix: u32, read: &dyn Fn(LoggedPayload) -> Vec<u8>) -> String {
        let (job, mut view) = (&self.jobs[ix], self.view(ix));
        let payload;
        if let Payload::Logged(logged) = view.payload {
            payload = read(logged);
            view.payload = Payload::Here(&payload);
        }
        let claimed_at = if job.is_claimed() { self.extras(ix).claimed_at.get() } else { 0 };
        let died_at = if job.stand == Stand::Dead { self.dead.at(job.link_a).0 } else { 0 };
        let until = view.dedupe.map(|_| job.until);
        format!("  job {view:?} claimed {claimed_at} died {died_at} {until:?}\n")
    }
}

fn ensure(holds: bool, fault: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(fault()) }
}
