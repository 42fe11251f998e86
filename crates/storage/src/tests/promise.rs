//! What a kill and a crash may take under the policies that do not wait for the disk, in a time of the test's own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::harness::{KIND, open_on, small, with};
use crate::limits::GATHER_TIME;
use crate::simulation::{Driver, Due, Random, SimulatedDisk};
use crate::{Durability, Log, RecordView, Records};

/// A run of a log, up to the moment that it is stopped.
struct Run {
    disk: SimulatedDisk,
    log: Log,
    driver: Driver,
    now: Instant,
    /// When each record was staged.
    staged_at: Vec<Instant>,
}

impl Run {
    /// Stages records at random moments, and lets the writer do at each moment what is due.
    fn new(durability: Durability, random: &mut Random) -> Run {
        let disk = SimulatedDisk::new();
        let config = with(durability, small(std::path::Path::new("simulated")));
        let nobody = Arc::new(|_| ());
        let (log, _, driver) = Log::open_simulated(
            disk.clone(),
            config,
            &mut |_: RecordView<'_>| Ok(()),
            nobody,
            Box::new(|| ()),
        )
        .unwrap();
        let mut run = Run { disk, log, driver, now: Instant::now(), staged_at: Vec::new() };
        for _ in 0..5 + random.below(30) {
            for _ in 0..random.below(3) {
                let mut records = Records::new();
                records.begin(0, KIND).extend_from_slice(&run.staged_at.len().to_le_bytes());
                records.end();
                run.log.stage(&mut records);
                run.staged_at.push(run.now);
            }
            run.pass(Duration::from_millis(random.below(200)));
        }
        run
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            match self.driver.due(self.now) {
                Due::Now => self.driver.take_turn(self.now),
                Due::At(at) if at <= end => self.now = at,
                Due::At(_) | Due::WhenRung | Due::Never => break,
            }
        }
        self.now = end;
    }

    /// How many records were staged at least so long ago.
    fn older_than(&self, age: Duration) -> usize {
        self.staged_at.iter().filter(|&&at| at + age <= self.now).count()
    }
}

/// Opens what is left of a log: the first records of it, how many there are.
fn survived(disk: &SimulatedDisk) -> usize {
    let log = open_on(disk).unwrap();
    for (index, record) in log.replayed.iter().enumerate() {
        assert_eq!(record.body, index.to_le_bytes(), "what is left is what came first");
    }
    log.replayed.len()
}

#[test]
fn under_an_interval_a_machine_crash_takes_no_more_than_it() {
    let interval = Duration::from_secs(1);
    let mut taken = 0;
    for seed in 0..200 {
        let mut random = Random(seed);
        let run = Run::new(Durability::Interval(interval), &mut random);
        let survived = survived(&run.disk.after_crash(&mut random));
        let promised = run.older_than(interval + GATHER_TIME);
        assert!(survived >= promised, "seed {seed}: {survived} of {promised} that were promised");
        taken += run.staged_at.len() - survived;
    }
    assert!(taken > 0, "a crash that takes nothing proves nothing");
}

#[test]
fn without_syncs_a_machine_crash_takes_from_the_end_on() {
    let mut taken_old = 0;
    for seed in 0..200 {
        let mut random = Random(seed);
        let run = Run::new(Durability::Never, &mut random);
        let survived = survived(&run.disk.after_crash(&mut random));
        // What this policy does not promise, by which the other test could fail.
        taken_old += run.older_than(Duration::from_secs(2)).saturating_sub(survived);
    }
    assert!(taken_old > 0, "a crash that takes nothing old proves nothing");
}

#[test]
fn a_kill_takes_no_more_than_what_was_not_written_yet() {
    for durability in [Durability::Never, Durability::Interval(Duration::from_secs(1))] {
        for seed in 0..100 {
            let run = Run::new(durability, &mut Random(seed));
            let (survived, promised) = (survived(&run.disk.after_kill()), run.older_than(GATHER_TIME));
            assert!(survived >= promised, "seed {seed}: {survived} of {promised} that were promised");
        }
    }
}
