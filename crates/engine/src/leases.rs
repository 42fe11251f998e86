//! The leases of claimed jobs, in order of (instant of their end, id).
//!
//! Most claims of a queue are for the same time, so their leases end in the order in which they began, and the one
//! that is over next is mostly the one that is acked next. So they stand in an intrusive list, which a lease joins
//! at the end and leaves anywhere without moving another. One that ends before the last of the list goes to a
//! heap beside it, and the first of both is the first. The order is total, so the same leases end in the same
//! order wherever they stand: replay agrees with what ran.

use crate::extras::Extras;
use crate::heap::{Heap, Moment};
use crate::job::{Job, Stand};
use crate::pool::Pool;
use crate::queue::Queue;
use crate::slab::{NONE, Slab};

#[derive(Debug)]
pub(crate) struct Leases {
    head: u32,
    tail: u32,
    /// How many stand in the list.
    listed: u32,
    /// Those out of order.
    others: Heap,
}

impl Default for Leases {
    fn default() -> Self {
        Leases { head: NONE, tail: NONE, listed: 0, others: Heap::default() }
    }
}

/// Where a lease belongs. Its job has extras, as each claimed one does.
fn moment(jobs: &Slab<Job>, extras: &Pool<Extras>, ix: u32) -> Moment {
    let job = &jobs[ix];
    (extras[job.extras].lease_until.get(), job.id)
}

impl Leases {
    pub(crate) fn len(&self) -> usize {
        self.listed as usize + self.others.len()
    }

    /// What they take in memory beside their jobs.
    pub(crate) fn allocation_bytes(&self) -> usize {
        self.others.allocation_bytes()
    }

    /// The lease that ends first: its moment and job.
    pub(crate) fn first(&self, jobs: &Slab<Job>, extras: &Pool<Extras>) -> Option<(Moment, u32)> {
        let other = self.others.first();
        if self.head == NONE {
            return other;
        }
        let listed = (moment(jobs, extras, self.head), self.head);
        Some(other.map_or(listed, |other| other.min(listed)))
    }

    /// Puts a job's lease at its place; its extras say when it ends.
    pub(crate) fn insert(&mut self, jobs: &mut Slab<Job>, extras: &Pool<Extras>, ix: u32) {
        let own = moment(jobs, extras, ix);
        if self.tail != NONE && own < moment(jobs, extras, self.tail) {
            jobs[ix].stand = Stand::LeaseHeap;
            self.others.insert(own, ix, |ix, place| jobs[ix].link_a = place);
            return;
        }
        let job = &mut jobs[ix];
        (job.link_a, job.link_b, job.stand) = (self.tail, NONE, Stand::LeaseList);
        match self.tail {
            NONE => self.head = ix,
            tail => jobs[tail].link_b = ix,
        }
        self.tail = ix;
        self.listed += 1;
    }

    /// Takes a job's lease out; where the job stands then is the caller's matter.
    pub(crate) fn remove(&mut self, jobs: &mut Slab<Job>, ix: u32) {
        let Job { stand, link_a, link_b, .. } = jobs[ix];
        if stand == Stand::LeaseHeap {
            self.others.remove(link_a, |ix, place| jobs[ix].link_a = place);
        } else {
            self.relink(jobs, link_a, link_b);
            self.listed -= 1;
        }
    }

    /// Makes two neighbours know each other; `NONE` is the list's end.
    fn relink(&mut self, jobs: &mut Slab<Job>, before: u32, after: u32) {
        match before {
            NONE => self.head = after,
            before => jobs[before].link_b = after,
        }
        match after {
            NONE => self.tail = before,
            after => jobs[after].link_a = before,
        }
    }

    /// All of them in order, found without sorting or copying them.
    pub(crate) fn in_order(
        &self,
        jobs: &Slab<Job>,
        extras: &Pool<Extras>,
    ) -> impl Iterator<Item = (Moment, u32)> {
        let mut listed = self.in_list(jobs).map(|ix| (moment(jobs, extras, ix), ix)).peekable();
        let mut others = self.others.in_order().peekable();
        std::iter::from_fn(move || match (listed.peek(), others.peek()) {
            (Some(first), Some(other)) if other < first => others.next(),
            (None, _) => others.next(),
            _ => listed.next(),
        })
    }

    fn in_list(&self, jobs: &Slab<Job>) -> impl Iterator<Item = u32> {
        let some = |ix: u32| (ix != NONE).then_some(ix);
        std::iter::successors(some(self.head), move |&ix| some(jobs[ix].link_b))
    }

    /// Both are in order, know their jobs, and are known by them; as moments are unique, no job is there twice.
    pub(crate) fn check(&self, jobs: &Slab<Job>, extras: &Pool<Extras>) -> Result<(), String> {
        let (mut before, mut last, mut listed) = (NONE, None, 0);
        for ix in self.in_list(jobs) {
            let (job, own) = (&jobs[ix], Some(moment(jobs, extras, ix)));
            if job.stand != Stand::LeaseList || job.link_a != before || own <= last {
                return Err(format!("the lease of job {:016x} is out of place in its list", job.id));
            }
            (before, last, listed) = (ix, own, listed + 1);
        }
        if (self.tail, self.listed) != (before, listed) {
            return Err(format!("{listed} leases are in the list, which counts {}", self.listed));
        }
        let mut last = None;
        for (own, ix) in self.others.in_order() {
            let job = &jobs[ix];
            let its = own == moment(jobs, extras, ix) && own == self.others.at(job.link_a);
            if job.stand != Stand::LeaseHeap || !its || Some(own) <= last {
                return Err(format!("the lease of job {:016x} is out of place in its heap", job.id));
            }
            last = Some(own);
        }
        Ok(())
    }
}

impl Queue {
    /// The lease that ends first: its moment and job.
    pub(crate) fn first_lease(&self) -> Option<(Moment, u32)> {
        self.leases.first(&self.jobs, &self.extras)
    }

    /// All leases in order: their moments and jobs.
    pub(crate) fn leases_in_order(&self) -> impl Iterator<Item = (Moment, u32)> {
        self.leases.in_order(&self.jobs, &self.extras)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::*;
    use crate::extras::PLAIN;
    use crate::terms::Terms;

    const TERMS: Terms<'_> = Terms {
        payload: b"",
        group: b"",
        priority: 0,
        delayed: false,
        ready_at: 0,
        expires_at: 0,
        attempts_max: None,
        key: None,
        root: None,
    };

    /// Leases, and a list in order that does the same.
    #[derive(Default)]
    struct Both {
        leases: Leases,
        jobs: Slab<Job>,
        extras: Pool<Extras>,
        model: BTreeMap<Moment, u32>,
    }

    impl Both {
        fn of(moments: &[Moment]) -> Both {
            let mut both = Both::default();
            moments.iter().for_each(|&(until, id)| both.claim(id, until));
            both
        }

        fn claim(&mut self, id: u64, until: u64) {
            let ix = self.jobs.insert(0, Job::new(id, 0, 0, &TERMS));
            self.jobs[ix].extras =
                self.extras.insert(Extras { lease_until: until.into(), last_error: None, ..PLAIN });
            self.put(ix);
        }

        fn put(&mut self, ix: u32) {
            self.leases.insert(&mut self.jobs, &self.extras, ix);
            self.model.insert(moment(&self.jobs, &self.extras, ix), ix);
        }

        fn take(&mut self, (own, ix): (Moment, u32)) {
            self.leases.remove(&mut self.jobs, ix);
            self.model.remove(&own);
        }

        fn end(&mut self, lease: (Moment, u32)) {
            self.take(lease);
            let job = self.jobs.remove(lease.1);
            self.extras.remove(job.extras);
        }

        fn extend(&mut self, lease: (Moment, u32), until: u64) {
            self.take(lease);
            self.extras[self.jobs[lease.1].extras].lease_until = until.into();
            self.put(lease.1);
        }

        fn listed(&self) -> Vec<u64> {
            self.leases.in_list(&self.jobs).map(|ix| self.jobs[ix].id).collect()
        }

        fn check(&self) -> Result<(), String> {
            self.leases.check(&self.jobs, &self.extras)
        }

        fn compare(&self) {
            let wanted = || self.model.iter().map(|(&own, &ix)| (own, ix));
            assert!(self.leases.in_order(&self.jobs, &self.extras).eq(wanted()));
            assert_eq!(self.leases.first(&self.jobs, &self.extras), wanted().next());
            assert_eq!(self.leases.len(), self.model.len());
            self.check().unwrap();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn leases_end_in_order_wherever_they_stand(
            steps in proptest::collection::vec(
                (0..8u32, any::<Index>(), 0..3u64, select(&[20u64, 20, 20, 20, 0, 5, 100][..])),
                0..300,
            ),
        ) {
            let (mut both, mut now) = (Both::default(), 0);
            for (number, (kind, index, passed, lease_ms)) in steps.into_iter().enumerate() {
                now += passed;
                let leases: Vec<_> = both.model.iter().map(|(&own, &ix)| (own, ix)).collect();
                match kind {
                    0 if !leases.is_empty() => both.end(*index.get(&leases)),
                    1 if !leases.is_empty() => both.end(leases[0]),
                    2 if !leases.is_empty() => both.extend(*index.get(&leases), now + lease_ms),
                    // Claims of one instant are not always in the order of ids.
                    _ => both.claim(number as u64 ^ 3, now + lease_ms),
                }
                both.compare();
            }
        }
    }

    #[test]
    fn leases_of_one_length_stand_in_the_list() {
        let mut both = Both::of(&[(10, 1), (10, 2), (11, 3), (11, 4)]);
        assert_eq!(both.listed(), [1, 2, 3, 4]);
        let first = both.leases.first(&both.jobs, &both.extras).unwrap();
        both.extend(first, 12);
        assert_eq!(both.listed(), [2, 3, 4, 1]);
    }

    #[test]
    fn one_out_of_order_stands_aside_until_it_is_the_last() {
        let mut both = Both::of(&[(10, 1), (90, 2), (50, 3), (90, 4)]);
        assert_eq!((both.listed(), both.leases.others.len()), (vec![1, 2, 4], 1));
        let aside = both.leases.others.first().unwrap();
        both.extend(aside, 60);
        assert_eq!((both.listed(), both.leases.others.len()), (vec![1, 2, 4], 1));
        both.extend(((60, 3), aside.1), 91);
        assert_eq!((both.listed(), both.leases.others.len()), (vec![1, 2, 4, 3], 0));
        both.compare();
    }

    #[test]
    fn what_is_out_of_place_is_noticed() {
        let damages: [fn(&mut Both); 8] = [
            |both| both.extras[both.jobs[0].extras].lease_until = 90.into(),
            |both| both.extras[both.jobs[2].extras].lease_until = 90.into(),
            |both| both.jobs[1].link_a = NONE,
            |both| both.jobs[0].link_b = NONE,
            |both| both.jobs[1].link_b = 0,
            |both| both.jobs[2].stand = Stand::LeaseList,
            |both| both.jobs[2].link_a = 1,
            |both| both.leases.tail = 0,
        ];
        for (number, damage) in damages.into_iter().enumerate() {
            let mut both = Both::of(&[(10, 1), (50, 2), (20, 3), (30, 4)]);
            both.compare();
            damage(&mut both);
            assert!(both.check().is_err(), "damage {number}");
        }
    }
}
