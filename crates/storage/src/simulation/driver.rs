//! Takes the turns of a log's writer in place of its thread.

use std::sync::Arc;
use std::time::Instant;

use super::SimulatedDisk;
use crate::log::recover;
use crate::writer::{After, Next, Turn, Writer};
use crate::{Log, LogConfig, LogEvent, OpenError, Recovered, Replay};

/// The writer of a log that was opened with [`Log::open_simulated`]. It does nothing by itself.
pub struct Driver {
    writer: Writer,
    turn: Turn,
    has_ended: bool,
}

/// When the writer's thread would take its next turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// At once.
    Now,
    /// At this instant, or sooner when it is rung for.
    At(Instant),
    /// When it is rung for.
    WhenRung,
    /// Never: the log is closed or poisoned.
    Never,
}

impl Driver {
    /// When the next turn is due. What is staged or asked from now on rings, if it is work for the writer.
    pub fn due(&mut self, now: Instant) -> Due {
        if self.has_ended {
            return Due::Never;
        }
        match self.writer.next(&mut self.turn, now) {
            Next::Turn => Due::Now,
            Next::Sleep { threshold_bytes, until } => {
                self.writer.shared.doorbell.arm(threshold_bytes);
                until.map_or(Due::WhenRung, Due::At)
            }
        }
    }

    /// Takes a turn, due or not. What it does is told as by the thread: through the log's callback, in here.
    pub fn take_turn(&mut self, now: Instant) {
        if self.has_ended {
            return;
        }
        self.writer.shared.doorbell.disarm();
        match self.writer.take_turn(&mut self.turn, now) {
            Ok(After::GoOn) => {}
            Ok(After::Closed) => self.has_ended = true,
            Err(poison) => {
                self.has_ended = true;
                self.writer.shared.set_poison(poison);
            }
        }
    }
}

impl Log {
    /// Opens a log on a simulated disk, without a thread: the driver takes the turns of its writer, and `wake` is
    /// called when the thread would be woken. [`Log::close`] only asks for the close; the driver's turns do it.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_simulated(
        disk: SimulatedDisk,
        config: LogConfig,
        replay: &mut dyn Replay,
        on_event: Arc<dyn Fn(LogEvent) + Send + Sync>,
        wake: Box<dyn Fn() + Send + Sync>,
    ) -> Result<(Self, Recovered, Driver), OpenError> {
        let (writer, recovered) = recover(Arc::new(disk), config, None, replay, on_event, wake)?;
        let log = Self::new(Arc::clone(&writer.shared), None);
        let turn = writer.first_turn();
        Ok((log, recovered, Driver { writer, turn, has_ended: false }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use parking_lot::Mutex;

    use super::*;
    use crate::limits::{DISK_FULL_RETRY, GATHER_TIME};
    use crate::{Durability, RecordKind, RecordView, Records};

    struct Opened {
        log: Log,
        driver: Driver,
        rings: Arc<Mutex<u32>>,
    }

    fn open(disk: &SimulatedDisk, durability: Durability) -> Opened {
        let config = LogConfig {
            durability,
            segment_bytes: crate::limits::SEGMENT_BYTES_MIN,
            ..LogConfig::new("simulated")
        };
        let rings = Arc::new(Mutex::new(0));
        let rung = Arc::clone(&rings);
        let (log, _, driver) = Log::open_simulated(
            disk.clone(),
            config,
            &mut |_: RecordView<'_>| Ok(()),
            Arc::new(|_| ()),
            Box::new(move || *rung.lock() += 1),
        )
        .unwrap();
        Opened { log, driver, rings }
    }

    fn stage(log: &Log, bytes: usize) -> crate::Lsn {
        let mut records = Records::new();
        records.begin(0, RecordKind::new(1)).extend_from_slice(&vec![7; bytes]);
        records.end();
        log.stage(&mut records).last
    }

    #[test]
    fn nothing_happens_between_two_turns() {
        let Opened { log, mut driver, rings } = open(&SimulatedDisk::new(), Durability::Always);
        let now = Instant::now();
        assert_eq!(driver.due(now), Due::WhenRung);
        let lsn = stage(&log, 10);
        assert_eq!((driver.due(now), log.durable(), *rings.lock()), (Due::Now, lsn - 1, 1));
        driver.take_turn(now);
        assert_eq!((driver.due(now), log.durable()), (Due::WhenRung, lsn));
        log.close().unwrap();
        assert_eq!(driver.due(now), Due::Now);
        driver.take_turn(now);
        assert_eq!(driver.due(now), Due::Never);
    }

    #[test]
    fn time_is_what_the_driver_says() {
        let interval = Duration::from_secs(9);
        let Opened { log, mut driver, .. } = open(&SimulatedDisk::new(), Durability::Interval(interval));
        let now = Instant::now();
        let lsn = stage(&log, 10);
        let gathered = now + GATHER_TIME;
        assert_eq!(driver.due(now), Due::At(gathered));
        driver.take_turn(gathered);
        assert_eq!((log.written(), log.durable()), (lsn, lsn - 1));
        assert_eq!(driver.due(gathered), Due::At(gathered + interval));
        driver.take_turn(gathered + interval);
        assert_eq!(log.durable(), lsn);
    }

    #[test]
    fn a_full_disk_is_asked_again_and_a_stopped_machine_is_not() {
        let disk = SimulatedDisk::new();
        let Opened { log, mut driver, .. } = open(&disk, Durability::Always);
        disk.set_bytes_max(Some(disk.bytes()));
        let now = Instant::now();
        stage(&log, 3_000);
        driver.take_turn(now);
        let waiting = stage(&log, 3_000);
        let later = now + DISK_FULL_RETRY;
        assert_eq!(driver.due(now), Due::Now, "it was asked for the spare, and may be asked for the segment");
        driver.take_turn(now);
        assert_eq!((driver.due(now), log.is_disk_full()), (Due::At(later), true));
        disk.set_bytes_max(None);
        driver.take_turn(later);
        assert_eq!((log.durable(), log.is_disk_full()), (waiting, false));

        disk.stop_after(0);
        stage(&log, 10);
        driver.take_turn(later);
        assert!(disk.has_stopped() && log.poisoned().is_some());
        assert_eq!(driver.due(later), Due::Never);
    }
}
