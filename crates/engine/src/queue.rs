//! A queue: its jobs and everything that finds, orders or limits them.
//!
//! This file holds the structures and keeps them in step: a job enters and leaves a state here and nowhere
//! else, so counts, bytes, timers, keys and roots can't disagree with it. `apply.rs` says what each event
//! does; the `decide` modules say which events a command leads to.
//!
//! INVARIANT Q-1: every job stands in exactly one of: a ready list or tree of its group, the delayed heap,
//! the list or heap of leases, the heap of the dead.
//! INVARIANT Q-2: a group is in the ring (or among those set aside) exactly while it has ready jobs.
//! INVARIANT Q-3: the table of keys names each job that holds its key, or the hold whose owner it is.
//! INVARIANT Q-4: a root's fresh list holds its delayed and ready jobs with the newest timestamp, its stale
//! list those with an older one; its `jobs` counts all jobs that carry it. A ready one counts in its `ready`, or
//! among the `superseded` of its group.
//! INVARIANT Q-5: a worker's list holds the claimed jobs whose claims named it.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher};

use stanchion_protocol::command::State;

use crate::extras::Extras;
use crate::footprint::{self, Footprint};
use crate::group::{Group, Ring, Turn};
use crate::heap::Heap;
use crate::histogram::Histogram;
use crate::hold::Hold;
use crate::index::{Index, hash_in_row};
use crate::job::{Job, KeyState, Stand};
use crate::leases::Leases;
use crate::line::{HavePlaces, Places};
use crate::notes::Notes;
use crate::payload::Keep;
use crate::pool::Pool;
use crate::root::Root;
use crate::slab::{NONE, Slab};
use crate::store::Store;
use crate::tag::Tag;
use crate::terms::Terms;
use crate::workers::Workers;
use crate::{Counts, Lsn, Settings, SettingsPatch, Totals, limits};

/// When and where an event is applied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    /// A lower bound of the record's lsn.
    pub(crate) base: Lsn,
    pub(crate) now: u64,
    /// A queue with so many bytes in memory keeps no more payloads there.
    pub(crate) spill_above: u64,
}

#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) name: Box<[u8]>,
    pub(crate) hasher: foldhash::fast::FixedState,
    pub(crate) jobs: Slab<Job>,
    /// Keys and payloads of the jobs.
    pub(crate) store: Store,
    /// What few jobs have.
    pub(crate) extras: Pool<Extras>,
    pub(crate) ids: Index,
    pub(crate) groups: Pool<Group>,
    pub(crate) groups_with_jobs: u64,
    pub(crate) group_names: Index,
    /// The group without a name, which most jobs are in: found without hashing.
    plain_group: u32,
    pub(crate) holds: Slab<Hold>,
    pub(crate) keys: Index,
    pub(crate) roots: Slab<Root>,
    /// Timestamps of roots that jobs carry.
    pub(crate) tags: Pool<Tag>,
    pub(crate) signatures: Index,

    /// Groups with ready jobs whose turn comes.
    pub(crate) ring: Ring,
    /// Groups with ready jobs of which none may be claimed.
    pub(crate) aside: Ring,

    pub(crate) delayed: Heap,
    pub(crate) leases: Leases,
    pub(crate) dead: Heap,
    pub(crate) expiries: Heap,
    pub(crate) windows: Heap,
    /// Roots without jobs, by when they were registered.
    pub(crate) idle_roots: Heap,
    /// Roots with superseded jobs that wait for the sweep.
    pub(crate) stale_roots: VecDeque<u32>,

    /// Jobs by state: ready, delayed, claimed, dead.
    pub(crate) counts: [u64; 4],
    /// Payload bytes of all jobs, and of the dead ones.
    pub(crate) bytes: u64,
    pub(crate) bytes_dead: u64,
    /// Those in memory; the rest is only in the log.
    pub(crate) bytes_here: u64,
    /// What snapshots of everything here would take in the log.
    pub(crate) snapshot_bytes: u64,
    /// What of it, and of the jobs, is in the shard's sums.
    pub(crate) booked: Footprint,
    pub(crate) totals: Totals,
    /// What of the totals happened before this run.
    pub(crate) totals_before: Totals,
    pub(crate) latencies: Option<Box<Latencies>>,
    /// Once a claim has named one.
    pub(crate) workers: Option<Box<Workers>>,
    /// Pushes dropped by a newer root: like duplicates they change nothing, so no event tells of them.
    pub(crate) superseded_pushes: u64,

    pub(crate) own: SettingsPatch,
    pub(crate) file: SettingsPatch,
    pub(crate) settings: Settings,
    /// 0: not paused; `u64::MAX`: until resumed.
    pub(crate) push_paused_until: u64,
    pub(crate) claim_paused_until: u64,
    /// When the rate's bucket would be full again, in microseconds.
    pub(crate) rate_at: u64,
    /// What happened to jobs in this command; only while the `notify` setting is on.
    pub(crate) notes: Option<Box<Notes>>,
    /// When its last event happened.
    pub(crate) idle_since: u64,
    /// The number of its last change among those of its shard.
    pub(crate) version: u64,
    /// The number of the change that made it.
    pub(crate) made_by: u64,
    /// The oldest base of what its events since its last snapshot are about, themselves included. Once that is
    /// reclaimed replay does not know what they did to the totals, so the queue must be written again.
    pub(crate) touched_base: Lsn,

    /// Blocked claims that wait for this queue by name.
    pub(crate) waiters: u32,
    /// Where it stands in the shard's lines.
    pub(crate) places: Places,
    /// Its place in the shard's heap of deadlines.
    pub(crate) deadline: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Latencies {
    pub(crate) wait: Histogram,
    pub(crate) run: Histogram,
}

impl Queue {
    pub(crate) fn new(name: &[u8], file: SettingsPatch, now: u64) -> Queue {
        let own = SettingsPatch::default();
        let settings = Settings::resolve(&own, &file);
        Queue {
            name: name.into(),
            hasher: foldhash::fast::FixedState::default(),
            jobs: Slab::default(),
            store: Store::default(),
            extras: Pool::default(),
            ids: Index::default(),
            groups: Pool::default(),
            groups_with_jobs: 0,
            group_names: Index::default(),
            plain_group: NONE,
            holds: Slab::default(),
            keys: Index::default(),
            roots: Slab::default(),
            tags: Pool::default(),
            signatures: Index::default(),
            ring: Ring::default(),
            aside: Ring::default(),
            delayed: Heap::default(),
            leases: Leases::default(),
            dead: Heap::default(),
            expiries: Heap::default(),
            windows: Heap::default(),
            idle_roots: Heap::default(),
            stale_roots: VecDeque::new(),
            counts: [0; 4],
            bytes: 0,
            bytes_dead: 0,
            bytes_here: 0,
            snapshot_bytes: footprint::of_queue(name),
            booked: Footprint::default(),
            totals: Totals::default(),
            totals_before: Totals::default(),
            latencies: None,
            workers: None,
            superseded_pushes: 0,
            notes: settings.notify.then(Box::default),
            settings,
            own,
            file,
            push_paused_until: 0,
            claim_paused_until: 0,
            rate_at: 0,
            idle_since: now,
            version: 0,
            made_by: 0,
            touched_base: Lsn::MAX,
            waiters: 0,
            places: Places::default(),
            deadline: NONE,
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        let [ready, delayed, claimed, dead] = self.counts;
        Counts { ready, delayed, claimed, dead }
    }

    // --- finding

    pub(crate) fn find(&self, id: u64) -> Option<u32> {
        self.ids.find(self.hash_id(id), |ix| self.jobs[ix].id == id)
    }

    pub(crate) fn find_group(&self, name: &[u8]) -> Option<u32> {
        if name.is_empty() {
            return (self.plain_group != NONE).then_some(self.plain_group);
        }
        self.group_names.find(self.hash_bytes(0, name), |ix| *self.groups[ix].name == *name)
    }

    pub(crate) fn hash_id(&self, id: u64) -> u64 {
        hash_in_row(&self.hasher, id)
    }

    /// A hash of bytes within an owner: a group for keys and signatures.
    pub(crate) fn hash_bytes(&self, owner: u32, bytes: &[u8]) -> u64 {
        hash_bytes(&self.hasher, owner, bytes)
    }

    /// The group of this name, made if need be. One that gets neither job nor pin must be let go again by
    /// [`Queue::release_group`].
    pub(crate) fn group(&mut self, name: &[u8]) -> u32 {
        if let Some(ix) = self.find_group(name) {
            return ix;
        }
        let ix = self.groups.insert(Group::new(name));
        if name.is_empty() {
            self.plain_group = ix;
            return ix;
        }
        let hash = self.hash_bytes(0, name);
        let (groups, hasher) = (&self.groups, &self.hasher);
        self.group_names.insert(hash, ix, |ix| hash_bytes(hasher, 0, &groups[ix].name));
        ix
    }

    /// Forgets a group that has neither jobs nor pins.
    pub(crate) fn release_group(&mut self, ix: u32) {
        let group = &self.groups[ix];
        if group.pins > 0 || group.jobs > 0 {
            return;
        }
        if ix == self.plain_group {
            self.plain_group = NONE;
        } else {
            let hash = self.hash_bytes(0, &group.name);
            self.group_names.remove(hash, ix);
        }
        self.groups.remove(ix);
    }

    // --- a job's life: admit, then enter and leave states, then dismiss

    /// Takes a new job in; it stands nowhere yet, and does not hold its key.
    pub(crate) fn admit(&mut self, base: Lsn, mut job: Job, terms: &Terms<'_>, keep: Keep) -> u32 {
        let (id, group) = (job.id, &mut self.groups[job.group]);
        self.groups_with_jobs += u64::from(group.jobs == 0);
        group.jobs += 1;
        if let Some(key) = &terms.key {
            (job.key, job.until) = (KeyState::Lost, key.until);
        }
        let ix = self.jobs.insert(base, job);
        let key = terms.key.map_or(b"".as_slice(), |key| key.key);
        let payload_bytes = self.put_contents(ix, key, terms.payload, keep);
        self.snapshot_bytes += self.job_footprint(ix, payload_bytes);
        let (jobs, hasher) = (&self.jobs, &self.hasher);
        self.ids.insert(hash_in_row(hasher, id), ix, |ix| hash_in_row(hasher, jobs[ix].id));
        ix
    }

    /// Forgets a job that stands nowhere and has neither key nor root.
    pub(crate) fn dismiss(&mut self, ix: u32) {
        let payload_bytes = self.drop_contents(ix);
        self.snapshot_bytes -= self.job_footprint(ix, payload_bytes);
        self.drop_extras(ix);
        let job = self.jobs.remove(ix);
        assert_eq!(job.stand, Stand::Nowhere, "a job leaves its state before it leaves");
        self.ids.remove(self.hash_id(job.id), ix);
        self.groups[job.group].jobs -= 1;
        if self.groups[job.group].jobs == 0 {
            self.groups_with_jobs -= 1;
        }
        self.release_group(job.group);
    }

    pub(crate) fn enter_ready(&mut self, ix: u32) {
        let group = self.jobs[ix].group;
        self.groups[group].insert(&mut self.jobs, ix);
        self.take_turn(ix, group);
    }

    /// The same for a job that a snapshot brings back.
    pub(crate) fn reenter_ready(&mut self, ix: u32) {
        let group = self.jobs[ix].group;
        self.groups[group].put_back(&mut self.jobs, ix);
        self.take_turn(ix, group);
    }

    fn take_turn(&mut self, ix: u32, group: u32) {
        if self.groups[group].turn == Turn::Out {
            self.groups[group].turn = Turn::Waiting;
            self.ring.push_back(&mut self.groups, group);
        }
        self.watch_expiry(ix);
        self.enter_root(ix);
        self.count(group, State::Ready, 1);
        self.bring_back_first(group);
    }

    pub(crate) fn enter_delayed(&mut self, ix: u32) {
        let moment = (self.jobs[ix].ready_at.get(), self.jobs[ix].id);
        let jobs = &mut self.jobs;
        jobs[ix].stand = Stand::Delayed;
        self.delayed.insert(moment, ix, |ix, place| jobs[ix].link_a = place);
        self.watch_expiry(ix);
        self.enter_root(ix);
        self.count(self.jobs[ix].group, State::Delayed, 1);
    }

    /// Until the end of the lease that its extras have.
    pub(crate) fn enter_claimed(&mut self, ix: u32) {
        self.leases.insert(&mut self.jobs, &self.extras, ix);
        self.count(self.jobs[ix].group, State::Claimed, 1);
    }

    pub(crate) fn enter_dead(&mut self, ix: u32, died_at: u64) {
        let jobs = &mut self.jobs;
        jobs[ix].stand = Stand::Dead;
        let moment = (died_at, jobs[ix].id);
        self.dead.insert(moment, ix, |ix, place| jobs[ix].link_a = place);
        self.bytes_dead += self.payload_bytes(ix);
        self.count(self.jobs[ix].group, State::Dead, 1);
    }

    /// Takes a job out of whatever state it is in.
    pub(crate) fn leave(&mut self, ix: u32) {
        self.lift(ix);
        self.leave_idle_turn(self.jobs[ix].group);
    }

    /// Like [`Queue::leave`], but the group keeps its turn, for a job that is put back in the same step.
    pub(crate) fn lift(&mut self, ix: u32) {
        self.touched_base = self.touched_base.min(self.jobs.base(ix));
        let Job { group, stand, link_a: place, .. } = self.jobs[ix];
        let jobs = &mut self.jobs;
        let state = match stand {
            Stand::List | Stand::Tree => {
                self.groups[group].remove(jobs, ix);
                State::Ready
            }
            Stand::Delayed => {
                self.delayed.remove(place, |ix, place| jobs[ix].link_a = place);
                State::Delayed
            }
            Stand::LeaseList | Stand::LeaseHeap => {
                self.leases.remove(jobs, ix);
                self.take_from_worker(ix);
                self.bring_back(group);
                State::Claimed
            }
            Stand::Dead => {
                self.dead.remove(place, |ix, place| jobs[ix].link_a = place);
                self.bytes_dead -= self.payload_bytes(ix);
                State::Dead
            }
            Stand::Nowhere => return,
        };
        self.jobs[ix].stand = Stand::Nowhere;
        self.unwatch_expiry(ix);
        self.leave_root(ix, state);
        self.count(group, state, -1);
    }

    fn count(&mut self, group: u32, state: State, change: i32) {
        let column = column(state);
        self.counts[column] = self.counts[column].wrapping_add_signed(i64::from(change));
        let of_group = &mut self.groups[group].counts[column];
        *of_group = of_group.wrapping_add_signed(change);
    }

    // --- turns between groups

    /// A group without ready jobs has no turn.
    pub(crate) fn leave_idle_turn(&mut self, group: u32) {
        if self.groups[group].has_ready() {
            return;
        }
        match self.groups[group].turn {
            Turn::Waiting => self.ring.remove(&mut self.groups, group),
            Turn::Aside => self.aside.remove(&mut self.groups, group),
            Turn::Out => return,
        }
        self.groups[group].turn = Turn::Out;
    }

    /// The group's turn is over; the next one is at the back.
    pub(crate) fn end_turn(&mut self, group: u32) {
        let Group { turn, after, .. } = self.groups[group];
        if turn == Turn::Waiting && self.ring.front == group && after != NONE {
            self.ring.remove(&mut self.groups, group);
            self.ring.push_back(&mut self.groups, group);
        }
    }

    pub(crate) fn set_aside(&mut self, group: u32) {
        self.ring.remove(&mut self.groups, group);
        self.groups[group].turn = Turn::Aside;
        self.aside.push_back(&mut self.groups, group);
    }

    /// A group that was set aside may have a job to claim again: it joins the end of the turn.
    pub(crate) fn bring_back(&mut self, group: u32) {
        if self.groups[group].turn == Turn::Aside {
            self.aside.remove(&mut self.groups, group);
            self.groups[group].turn = Turn::Waiting;
            self.ring.push_back(&mut self.groups, group);
        }
    }

    /// The same for one whose ready jobs were all superseded but for the one that came now.
    pub(crate) fn bring_back_first(&mut self, group: u32) {
        if self.groups[group].current() == 1 {
            self.bring_back(group);
        }
    }

    pub(crate) fn at_cap(&self, group: u32) -> bool {
        let cap = self.settings.group_concurrency;
        cap > 0 && u64::from(self.groups[group].counts[column(State::Claimed)]) >= cap
    }

    // --- expiry: watched while delayed or ready, since a claimed job never expires

    fn watch_expiry(&mut self, ix: u32) {
        let job = &self.jobs[ix];
        if job.extras == NONE {
            return;
        }
        let Some(expires_at) = self.expires_at(ix) else { return };
        let (jobs, extras) = (&self.jobs, &mut self.extras);
        let moved = |ix: u32, place| extras[jobs[ix].extras].expiry = place;
        self.expiries.insert((expires_at, job.id), ix, moved);
    }

    fn unwatch_expiry(&mut self, ix: u32) {
        if self.expiries.len() == 0 {
            return;
        }
        let (jobs, extras) = (&self.jobs, &mut self.extras);
        let Some(own) = extras.get_mut(jobs[ix].extras) else { return };
        let place = std::mem::replace(&mut own.expiry, NONE);
        if place != NONE {
            self.expiries.remove(place, |ix, place| extras[jobs[ix].extras].expiry = place);
        }
    }

    /// When the job expires.
    #[inline]
    pub(crate) fn expires_at(&self, ix: u32) -> Option<u64> {
        Some(self.extras(ix).expires_at.get()).filter(|&at| at > 0)
    }

    /// An event happened.
    pub(crate) fn touch(&mut self, at: At) {
        self.idle_since = at.now;
        self.touched_base = self.touched_base.min(at.base);
    }

    // --- what happens next

    /// The earliest instant at which a timer of this queue fires, the queue's own end aside.
    pub(crate) fn next_deadline(&self, now: u64, awaited: bool) -> Option<u64> {
        const NEVER: u64 = u64::MAX;
        let settings = &self.settings;
        let at =
            |heap: &Heap, after: u64| heap.first().map_or(NEVER, |((at, _), _)| at.saturating_add(after));
        let lease = self.first_lease().map_or(NEVER, |((at, _), _)| at);
        let pause = |until: u64| if until == 0 { NEVER } else { until };
        // A token that is there needs no timer; nobody but a waiter asks for the next one.
        let awaited = awaited && self.counts[column(State::Ready)] > 0;
        let token = self.token_at().filter(|&token| awaited && token > now);
        let first = at(&self.delayed, 0)
            .min(lease)
            .min(at(&self.expiries, 0))
            .min(self.next_burial().unwrap_or(NEVER))
            .min(at(&self.windows, 0))
            .min(at(&self.idle_roots, settings.root_retention_ms))
            .min(pause(self.push_paused_until))
            .min(pause(self.claim_paused_until))
            .min(token.unwrap_or(NEVER));
        (first != NEVER).then_some(first)
    }

    /// When it is forgotten, as things are.
    pub(crate) fn end_at(&self) -> Option<u64> {
        self.is_idle().then(|| self.idle_since.saturating_add(limits::QUEUE_IDLE_MS))
    }

    /// Slots of the kind that has most, which is what [`Queue::dismantle`] has to do.
    pub(crate) fn slots_most(&self) -> u32 {
        self.jobs.slots().max(self.holds.slots()).max(self.roots.slots()).max(self.groups.slots())
    }

    /// Frees up to `count` entries of each kind of a deleted queue; true when nothing is left.
    pub(crate) fn dismantle(&mut self, count: usize) -> bool {
        self.jobs.dismantle(count)
            & self.store.dismantle(count / limits::STORE_CHUNK_FREED_AS_JOBS)
            & self.extras.dismantle(count)
            & self.tags.dismantle(count)
            & self.holds.dismantle(count)
            & self.roots.dismantle(count)
            & self.groups.dismantle(count)
    }

    /// Nothing here is worth keeping: no job, root, window, setting or pause.
    pub(crate) fn is_idle(&self) -> bool {
        self.jobs.len() == 0
            && self.holds.len() == 0
            && self.roots.len() == 0
            && self.own.is_empty()
            && self.push_paused_until == 0
            && self.claim_paused_until == 0
    }

    /// When the rate lets the next claim pass, rounded up to a millisecond.
    pub(crate) fn token_at(&self) -> Option<u64> {
        let rate = self.settings.rate?;
        let (interval_us, window_us) = rate_us(rate);
        Some((self.rate_at + interval_us).saturating_sub(window_us).div_ceil(1_000))
    }
}

impl HavePlaces for Slab<Queue> {
    fn places(&self, ix: u32) -> &Places {
        &self[ix].places
    }

    fn places_mut(&mut self, ix: u32) -> &mut Places {
        &mut self[ix].places
    }
}

/// A hash of bytes within an owner, for a table that grows while its entries are borrowed.
pub(crate) fn hash_bytes(state: &foldhash::fast::FixedState, owner: u32, bytes: &[u8]) -> u64 {
    let mut hasher = state.build_hasher();
    hasher.write_u32(owner);
    hasher.write(bytes);
    hasher.finish()
}

/// Microseconds between two tokens, and those in which an empty bucket fills.
pub(crate) fn rate_us(rate: crate::settings::Rate) -> (u64, u64) {
    let window_us = rate.per_ms * 1_000;
    (window_us / rate.count, window_us)
}

/// A state's place in counts.
pub(crate) fn column(state: State) -> usize {
    match state {
        State::Ready => 0,
        State::Delayed => 1,
        State::Claimed => 2,
        State::Dead => 3,
    }
}
