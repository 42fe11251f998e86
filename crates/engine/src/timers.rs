//! Decisions that time leads to: due jobs, lapses, expiry, retention, pauses that end, and the sweep of
//! superseded jobs. Each is one event up to a moment, of at most about a thousand jobs.

use crate::event::{Event, Gone, Part};
use crate::heap::{Heap, Moment};
use crate::limits;
use crate::queue::{At, Queue};

impl Queue {
    /// Fires what is due now, of each kind as much as one event may. Whether the queue itself is due to go is
    /// the shard's matter.
    pub(crate) fn decide_due(&mut self, at: At, part: &mut Part<'_>) {
        self.end_pauses(at.now, part);
        if let Some(through) = last_due(&self.delayed, at.now) {
            part.add(&self.name, &Event::Due { through });
            self.due(through);
        }
        if let Some(through) = self.last_due_lease(at.now) {
            let attempts_max = self.settings.attempts;
            part.add(&self.name, &Event::Lapses { through, attempts_max });
            self.lapses(at, through, attempts_max);
            self.decide_burial(at, part);
        }
        if let Some(through) = last_due(&self.expiries, at.now) {
            part.add(&self.name, &Event::Expiries { through });
            self.expire(at, through);
        }
        let buried = at.now.saturating_sub(self.settings.dead_retention_ms);
        if let Some(through) = last_due(&self.dead, buried) {
            part.add(&self.name, &Event::Buried { through });
            self.bury(at, through);
        }
        if let Some(through) = last_due(&self.windows, at.now) {
            part.add(&self.name, &Event::WindowsOver { through });
            self.windows_over(through);
        }
        self.forget_roots(at.now, part);
    }

    fn last_due_lease(&self, now: u64) -> Option<Moment> {
        last_of(now, self.first_lease(), self.leases.len(), || self.leases_in_order())
    }

    fn end_pauses(&mut self, now: u64, part: &mut Part<'_>) {
        let over = |until: u64| until != 0 && until <= now;
        if over(self.push_paused_until) || over(self.claim_paused_until) {
            let left = |until: u64| if over(until) { 0 } else { until };
            let (push_until, claim_until) = (left(self.push_paused_until), left(self.claim_paused_until));
            part.add(&self.name, &Event::Pause { push_until, claim_until });
            self.pause(push_until, claim_until);
        }
    }

    fn forget_roots(&mut self, now: u64, part: &mut Part<'_>) {
        let over = now.saturating_sub(self.settings.root_retention_ms);
        for _ in 0..limits::TIMER_JOBS_MAX {
            let Some((_, ix)) = self.idle_roots.first().filter(|&((at, _), _)| at <= over) else { return };
            let root = &self.roots[ix];
            let group = &self.groups[root.group].name;
            part.add(&self.name, &Event::RootOver { group, signature: &root.signature });
            self.drop_root(ix);
        }
    }

    /// Drops superseded jobs, at most `left` of them, which it counts down; true when there are more.
    pub(crate) fn sweep(&mut self, at: At, part: &mut Part<'_>, left: &mut usize) -> bool {
        let mut run = Vec::with_capacity(limits::DROP_RUN_JOBS);
        while let Some(&root) = self.stale_roots.front() {
            while self.roots[root].first_stale().is_some() {
                if *left == 0 {
                    return true;
                }
                run.clear();
                run.extend(self.roots[root].stale(&self.jobs).take(limits::DROP_RUN_JOBS.min(*left)));
                *left -= run.len();
                self.drop_superseded(at, part, &run);
            }
            self.roots[root].to_sweep = false;
            self.stale_roots.pop_front();
        }
        false
    }

    /// Drops superseded jobs in a row.
    pub(crate) fn drop_superseded(&mut self, at: At, part: &mut Part<'_>, run: &[u32]) {
        self.fetch_places(run);
        run.iter().for_each(|&ix| self.decide_gone(at, part, ix, Gone::Superseded));
    }

    /// Reads where the tables of keys and ids have these jobs, all at once; see [`crate::index::Index::fetch`].
    fn fetch_places(&self, run: &[u32]) {
        let keys = run.iter().filter_map(|&ix| Some((self.jobs[ix].group, self.key(ix)?)));
        let keys: Vec<u64> = keys.map(|(group, key)| self.hash_bytes(group, key)).collect();
        self.keys.fetch(&keys);
        let ids: Vec<u64> = run.iter().map(|&ix| self.hash_id(self.jobs[ix].id)).collect();
        self.ids.fetch(&ids);
    }
}

/// The moment through which to fire, so that about a thousand go at once.
fn last_of<Timers: Iterator<Item = (Moment, u32)>>(
    now: u64,
    first: Option<(Moment, u32)>,
    len: usize,
    in_order: impl FnOnce() -> Timers,
) -> Option<Moment> {
    first.filter(|&((at, _), _)| at <= now)?;
    // Fewer entries than may be fired: no need to look for the last one.
    if len <= limits::TIMER_JOBS_MAX {
        return Some((now, u64::MAX));
    }
    in_order().map(|(moment, _)| moment).take(limits::TIMER_JOBS_MAX).take_while(|&(at, _)| at <= now).last()
}

/// The same of one heap.
fn last_due(heap: &Heap, now: u64) -> Option<Moment> {
    last_of(now, heap.first(), heap.len(), || heap.in_order())
}
