//! What staging records takes: the one lock that all shards of a lane share.
//!
//! The log is a real one without its thread, on a disk in memory: nobody contends for the lock, so a tight loop measures
//! how long it is held, with the lock and unlock themselves. It is a crate of its own because whoever measures the
//! engine must not know the log.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use stanchion_storage::simulation::{Driver, SimulatedDisk};
use stanchion_storage::{Durability, Log, LogConfig, RecordKind, RecordView, Records};

/// So much is staged before it is written: what the log's writer lets gather on a busy server.
const GATHERED_BYTES: usize = 256 * 1024;

/// The disk keeps all that is written, so a new one is taken after so much.
const WRITTEN_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What one hold of a shard's lock stages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hold {
    /// Its records: one for each command that changes something.
    pub records: usize,
    /// Bytes of each.
    pub record_bytes: usize,
}

/// Stages holds for so long, and gives the mean time of one.
///
/// # Errors
/// The simulated log fails, or records are lost.
pub fn mean_time(hold: Hold, slice: Duration) -> Result<Duration> {
    let (mut spent, mut holds) = (Duration::ZERO, 0);
    while spent < slice {
        let mut lap = Lap::start(hold)?;
        lap.run()?;
        spent += lap.spent;
        holds += lap.holds;
    }
    Ok(spent / holds.max(1))
}

/// One log's life.
struct Lap {
    log: Log,
    driver: Driver,
    /// What is staged before each turn of the writer.
    prepared: Vec<Records>,
    hold: Hold,
    spent: Duration,
    holds: u32,
}

impl Lap {
    fn start(hold: Hold) -> Result<Lap> {
        let config = LogConfig { durability: Durability::Never, ..LogConfig::new("simulated") };
        let nothing = &mut |_: RecordView<'_>| Ok(());
        let (log, _, driver) = Log::open_simulated(
            SimulatedDisk::new(),
            config,
            nothing,
            Arc::new(|_| {}),
            // The wake-up is no part of what the lock protects.
            Box::new(|| {}),
        )?;
        let holds = (GATHERED_BYTES / (hold.records * hold.record_bytes)).max(1);
        let prepared = (0..holds).map(|_| Records::new()).collect();
        Ok(Lap { log, driver, prepared, hold, spent: Duration::ZERO, holds: 0 })
    }

    fn run(&mut self) -> Result<()> {
        let bytes = self.hold.records * self.hold.record_bytes * self.prepared.len();
        // The first times, its buffers grow.
        for _ in 0..2 {
            self.fill();
            self.turn()?;
        }
        for _ in 0..WRITTEN_BYTES_MAX / bytes.max(1) {
            self.fill();
            let begun = Instant::now();
            for records in &mut self.prepared {
                black_box(self.log.stage(records));
            }
            self.spent += begun.elapsed();
            self.holds += self.prepared.len() as u32;
            self.turn()?;
        }
        Ok(())
    }

    /// What a shard does under its own lock: frames its records.
    fn fill(&mut self) {
        for records in &mut self.prepared {
            for _ in 0..self.hold.records {
                let body = records.begin(0, RecordKind::new(1));
                body.resize(body.len() + self.hold.record_bytes, 7);
                records.end();
            }
        }
    }

    /// What the writer's thread does.
    fn turn(&mut self) -> Result<()> {
        self.driver.take_turn(Instant::now());
        ensure!(
            self.log.written() + 1 == self.log.next_lsn(),
            "{} records were staged, and {} written",
            self.log.next_lsn() - 1,
            self.log.written()
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_takes_some_time() {
        let time = mean_time(Hold { records: 32, record_bytes: 300 }, Duration::from_micros(1)).unwrap();
        assert!(time > Duration::ZERO);
    }
}
