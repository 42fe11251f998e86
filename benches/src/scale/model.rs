//! From what one thread takes to what many would do: the arithmetic, and nothing that is measured.
//!
//! Threads are the customers of a closed queueing network, shards its stations: a thread works outside of the locks,
//! then within one of them, and waits for it when another is there. Mean value analysis gives the throughput of that
//! without a free parameter. What is one for the whole server (the staging lock, the log's writer, a cache line that
//! every hold changes, the thread that accepts) bounds it from above, and the least of all is the first wall.

/// What one job takes on a server with one thread, where nobody waits for anybody.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Job {
    /// CPU of the thread of its connection while it holds the lock of a shard, in microseconds.
    pub(crate) locked_us: f64,
    /// The rest of that thread's: system calls, most of it.
    pub(crate) outside_us: f64,
    /// CPU of the log's writer.
    pub(crate) writer_us: f64,
    /// CPU of all other threads of the server.
    pub(crate) others_us: f64,
    /// How often the lock of a shard is taken.
    pub(crate) holds: f64,
    /// What goes to the log.
    pub(crate) log_kib: f64,
}

impl Job {
    /// What the thread of its connection takes.
    pub(crate) fn thread_us(&self) -> f64 {
        self.locked_us + self.outside_us
    }

    /// What the server takes.
    pub(crate) fn server_us(&self) -> f64 {
        self.thread_us() + self.writer_us + self.others_us
    }
}

/// What a machine adds as soon as there are two threads.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Machine {
    /// A cache line comes from another core.
    pub(crate) line_ns: f64,
    /// A job's and its queue's part of the engine's memory comes from another core, all of it.
    pub(crate) moved_us: f64,
    /// CPU of both sides when one has to sleep for a lock and is woken.
    pub(crate) handover_us: f64,
    /// The staging lock of one hold that stages nothing much.
    pub(crate) staging_ns: f64,
    /// What it takes more for each KiB.
    pub(crate) staging_kib_ns: f64,
}

/// Cache lines that every hold changes though its shard is nobody else's: the clock's lock, the log's staging (below), what
/// the lane has of payloads, and how far the log's writer has come, which it changes itself.
const LINES_LOCKED: f64 = 3.0 + LINES_STAGING;

/// Those that change hands within the staging lock: itself, the end of its buffer, the next lsn, the staged bytes.
const LINES_STAGING: f64 = 4.0;

/// Those of a connection's turn beside its hold: the count of references to the server, at its begin and at its end; the
/// stripes of statistics and of traffic; the lane's count of appended bytes.
const LINES_OUTSIDE: f64 = 5.0;

/// How often a turn takes the line that is taken most often.
const TOUCHES_MAX: f64 = 2.0;

/// Rounds until the cost of sleeping and the chance of having to agree; they do after a few.
const SETTLING_ROUNDS: usize = 50;

/// Less than that is lost to waiting: the processors are the wall, not the locks.
const WAITING_SHARE_MAX: f64 = 0.1;

/// How a server is set up for a load.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Setup {
    /// Threads that serve connections.
    pub(crate) threads: usize,
    /// Shards that the load's queues are in.
    pub(crate) shards: usize,
}

impl Setup {
    /// What the server does on so many cores unless it is told otherwise: one of them is the writer's and the system's.
    pub(crate) fn by_default(cores: usize) -> Setup {
        Setup { threads: cores.saturating_sub(1).clamp(1, 256), shards: (2 * cores).min(256) }
    }
}

/// What bounds the jobs a second, each taken alone.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Forecast {
    /// All threads busy, none waiting.
    pub(crate) processors: f64,
    /// With their waits for the locks of the shards.
    pub(crate) shards: f64,
    /// The staging lock always held.
    pub(crate) staging: f64,
    /// The log's writer always busy.
    pub(crate) writer: f64,
    /// The busiest of the cache lines that all share always on its way.
    pub(crate) line: f64,
    /// CPU of the server for a job, with what sleeping and cache lines take.
    pub(crate) server_us: f64,
}

impl Forecast {
    /// Of a load whose jobs take so much, on a machine with a core for each thread.
    pub(crate) fn of(job: &Job, machine: &Machine, setup: Setup) -> Forecast {
        Forecast::of_running(job, machine, setup, 1.0)
    }

    /// Of two threads that share so many cores with the load, and what they do there: while the load or the log's writer
    /// has a core, one of the threads has nobody to meet at a lock.
    pub(crate) fn of_two(
        job: &Job,
        machine: &Machine,
        shards: usize,
        cores: usize,
        load_us: f64,
    ) -> (Forecast, f64) {
        let all_us = job.server_us() + load_us;
        let running = (cores as f64 * job.thread_us() / all_us).clamp(1.0, 2.0);
        let met = 2.0 * (running - 1.0) / running;
        let forecast = Forecast::of_running(job, machine, Setup { threads: 2, shards }, met);
        let jobs = forecast.jobs_per_second().min(cores as f64 * 1e6 / (forecast.server_us + load_us));
        (forecast, jobs)
    }

    /// The same when another thread runs, while one does, with this chance.
    fn of_running(job: &Job, machine: &Machine, setup: Setup, met: f64) -> Forecast {
        let others = (setup.threads - 1) as f64 / setup.threads as f64;
        // Whoever had a line last was another one that often.
        let line_us = others * machine.line_ns / 1e3;
        let locked_us = job.locked_us + job.holds * LINES_LOCKED * line_us + others * machine.moved_us;
        let outside_us = job.outside_us + job.holds * LINES_OUTSIDE * line_us;
        let mut sleeping_us = 0.0;
        let mut network = Network { outside_us, locked_us, shards: setup.shards };
        for _ in 0..SETTLING_ROUNDS {
            network.outside_us = outside_us + sleeping_us;
            sleeping_us = job.holds * met * network.collision(setup.threads) * machine.handover_us;
        }
        let staging_us = job.holds * (machine.staging_ns / 1e3 + LINES_STAGING * line_us)
            + job.log_kib * machine.staging_kib_ns / 1e3;
        Forecast {
            processors: setup.threads as f64 * 1e6 / (locked_us + outside_us),
            shards: network.throughput(setup.threads),
            staging: 1e6 / staging_us,
            writer: 1e6 / job.writer_us,
            line: 1e6 / (job.holds * TOUCHES_MAX * line_us),
            server_us: locked_us + network.outside_us + job.writer_us + job.others_us,
        }
    }

    /// What the server would do.
    pub(crate) fn jobs_per_second(&self) -> f64 {
        self.shards.min(self.staging).min(self.writer).min(self.line)
    }

    /// What keeps it from doing more.
    pub(crate) fn wall(&self) -> &'static str {
        let least = self.jobs_per_second();
        if least == self.writer {
            "writer"
        } else if least == self.staging {
            "staging lock"
        } else if least == self.line {
            "shared line"
        } else if self.shards < (1.0 - WAITING_SHARE_MAX) * self.processors {
            "shard locks"
        } else {
            "cores"
        }
    }
}

/// Threads that work outside of locks and within one of some equal ones.
#[derive(Clone, Copy, Debug)]
struct Network {
    outside_us: f64,
    locked_us: f64,
    shards: usize,
}

impl Network {
    /// Jobs a second of so many threads.
    fn throughput(&self, threads: usize) -> f64 {
        self.solve(threads).0 * 1e6
    }

    /// How likely a thread finds the lock taken: by the arrival theorem, as likely as it is taken with one thread less.
    fn collision(&self, threads: usize) -> f64 {
        let (throughput, _) = self.solve(threads.saturating_sub(1));
        (throughput * self.locked_us / self.shards as f64).min(1.0)
    }

    /// Mean value analysis: jobs a microsecond, and threads at each lock.
    fn solve(&self, threads: usize) -> (f64, f64) {
        let demand = self.locked_us / self.shards as f64;
        let (mut throughput, mut there) = (0.0, 0.0);
        for population in 1..=threads {
            let response = demand * (1.0 + there);
            throughput = population as f64 / (self.outside_us + response * self.shards as f64);
            there = throughput * response;
        }
        (throughput, there)
    }
}

/// What a job takes at depth 1 when each reply waits for the disk.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct DurableJob {
    /// CPU of the thread of its connection.
    pub(crate) thread_us: f64,
    /// CPU of the log's writer beside syncs: it seals, writes, and wakes who waits.
    pub(crate) writer_us: f64,
    /// How long a sync takes, in which nothing else is written.
    pub(crate) sync_us: f64,
}

/// The straight line through some points, by least squares: where it begins, and how steep it is; level if all points are
/// above one another. Costs are never negative, so neither is what it gives.
pub(crate) fn line_through(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.len() as f64;
    let (mean_x, mean_y) =
        points.iter().fold((0.0, 0.0), |(sum_x, sum_y), (x, y)| (sum_x + x / count, sum_y + y / count));
    let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let shared: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let slope = if spread > 0.0 { (shared / spread).clamp(0.0, mean_y / mean_x) } else { 0.0 };
    (mean_y - slope * mean_x, slope)
}

/// Syncs that a worker waits for at depth 1: its push's and its ack's; the claim's is over by then.
const SYNCS_WAITED: f64 = 2.0;

/// What bounds the jobs a second when each reply waits for the disk.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct DurableForecast {
    /// All threads busy.
    pub(crate) processors: f64,
    /// Every connection waits for the next sync, and all share it; nothing else takes time.
    pub(crate) disk: f64,
    /// The writer always sealing, writing and waking; syncs take no time.
    pub(crate) writer: f64,
    /// One writer that does both in turn.
    pub(crate) cycle: f64,
}

impl DurableForecast {
    /// Of so many connections.
    pub(crate) fn of(job: &DurableJob, threads: usize, connections: usize) -> DurableForecast {
        let jobs = connections as f64 / SYNCS_WAITED;
        DurableForecast {
            processors: threads as f64 * 1e6 / job.thread_us,
            disk: jobs * 1e6 / job.sync_us,
            writer: 1e6 / job.writer_us,
            cycle: jobs * 1e6 / (job.sync_us + jobs * job.writer_us),
        }
    }

    pub(crate) fn jobs_per_second(&self) -> f64 {
        self.processors.min(self.cycle)
    }

    pub(crate) fn wall(&self) -> &'static str {
        if self.processors <= self.cycle {
            "cores"
        } else if self.disk <= self.writer {
            "disk"
        } else {
            "writer"
        }
    }
}

/// What a connection takes that comes, asks once and goes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Visit {
    /// Where one thread accepts and serves.
    pub(crate) alone_us: f64,
    /// CPU of a thread that accepts for others: it hands the connection over and wakes whom it is for.
    pub(crate) accept_us: f64,
    /// CPU of the thread that such a connection lives on.
    pub(crate) serve_us: f64,
}

impl Visit {
    /// From what one thread takes alone, and of so many that share the visits, the first, which accepts, and the further
    /// ones.
    pub(crate) fn of(alone_us: f64, threads: usize, first_us: f64, further_us: f64) -> Visit {
        let share = 1.0 / threads as f64;
        let serve_us = further_us / (1.0 - share);
        Visit { alone_us, accept_us: (first_us - share * serve_us).max(0.0), serve_us }
    }

    /// Visits a second that so many threads can take, the first of which accepts all of them.
    pub(crate) fn per_second(&self, threads: usize) -> f64 {
        match threads {
            1 => 1e6 / self.alone_us,
            threads => 1e6 / (self.accept_us + self.serve_us / threads as f64),
        }
    }

    /// The same if each accepted its own.
    pub(crate) fn per_second_with_doors(&self, threads: usize) -> f64 {
        threads as f64 * 1e6 / self.alone_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: Job =
        Job { locked_us: 2.0, outside_us: 1.0, writer_us: 0.25, others_us: 0.0, holds: 0.1, log_kib: 0.5 };

    /// Everything on it is free.
    const IDEAL: Machine =
        Machine { line_ns: 0.0, moved_us: 0.0, handover_us: 0.0, staging_ns: 0.0, staging_kib_ns: 0.0 };

    fn close(one: f64, other: f64) -> bool {
        (one - other).abs() <= 1e-6 * other.abs()
    }

    #[test]
    fn one_thread_waits_for_nobody() {
        for shards in [1, 4, 256] {
            let forecast = Forecast::of(&JOB, &IDEAL, Setup { threads: 1, shards });
            assert!(close(forecast.jobs_per_second(), 1e6 / 3.0), "{forecast:?}");
            assert_eq!((forecast.wall(), forecast.server_us), ("cores", 3.25));
        }
    }

    #[test]
    fn two_threads_at_one_lock_are_as_in_the_textbook() {
        // Population 1: 3 us a cycle, 2 of them at the lock. Population 2: a lock of 2 us where 2/3 of a thread is already.
        let network = Network { outside_us: 1.0, locked_us: 2.0, shards: 1 };
        assert!(close(network.throughput(2), 1e6 * 2.0 / (1.0 + 2.0 * (1.0 + 2.0 / 3.0))));
        assert!(close(network.collision(2), 2.0 / 3.0));
        assert_eq!(network.collision(1), 0.0);
    }

    #[test]
    fn one_queue_never_does_more_than_its_lock_lets_through() {
        let mut before = 0.0;
        for threads in [1, 2, 15, 63] {
            let forecast = Forecast::of(&JOB, &IDEAL, Setup { threads, shards: 1 });
            let jobs = forecast.jobs_per_second();
            assert!(jobs >= before && jobs <= 1e6 / JOB.locked_us + 1.0, "{threads} threads: {jobs}");
            before = jobs;
        }
        assert!(close(before, 1e6 / JOB.locked_us));
        assert_eq!(Forecast::of(&JOB, &IDEAL, Setup { threads: 63, shards: 1 }).wall(), "shard locks");
    }

    #[test]
    fn more_shards_mean_less_waiting() {
        let jobs = |shards| Forecast::of(&JOB, &IDEAL, Setup { threads: 15, shards }).shards;
        assert!(jobs(1) < jobs(32) && jobs(32) < jobs(256) && jobs(256) < jobs(100_000));
        assert!(jobs(100_000) > 0.999 * 15e6 / 3.0);
    }

    #[test]
    fn the_least_limit_is_the_wall() {
        let many = Setup { threads: 63, shards: 100_000 };
        let forecast = Forecast::of(&JOB, &IDEAL, many);
        assert!(close(forecast.jobs_per_second(), 4e6), "{forecast:?}");
        assert_eq!(forecast.wall(), "writer");
        let slow = Machine { staging_ns: 3_000.0, staging_kib_ns: 400.0, ..IDEAL };
        let forecast = Forecast::of(&JOB, &slow, many);
        assert!(
            close(forecast.jobs_per_second(), 2e6),
            "0.3 us of the lock and 0.2 of the copy: {forecast:?}"
        );
        assert_eq!(forecast.wall(), "staging lock");
        let far = Machine { line_ns: 10_000.0, ..IDEAL };
        let forecast =
            Forecast::of(&Job { writer_us: 0.01, ..JOB }, &far, Setup { threads: 2, shards: 100_000 });
        assert!(forecast.server_us > JOB.server_us() + 5.0, "lines cost time: {forecast:?}");
    }

    #[test]
    fn a_second_thread_costs_what_moves_and_who_sleeps() {
        let machine = Machine { moved_us: 0.4, ..IDEAL };
        let apart = Setup { threads: 2, shards: 1_000_000 };
        let forecast = Forecast::of(&JOB, &machine, apart);
        assert!(close(forecast.server_us, JOB.server_us() + 0.2), "every second time it is another's");
        let machine = Machine { handover_us: 10.0, ..IDEAL };
        assert!((Forecast::of(&JOB, &machine, apart).server_us - JOB.server_us()).abs() < 1e-3);
        let together = Forecast::of(&JOB, &machine, Setup { threads: 2, shards: 1 });
        let slept_us = together.server_us - JOB.server_us();
        assert!((0.1 * 10.0 * 0.4..0.1 * 10.0 * 0.67).contains(&slept_us), "{slept_us}");
    }

    #[test]
    fn beside_the_load_the_cores_are_shared() {
        let (_, jobs) = Forecast::of_two(&JOB, &IDEAL, 1_000_000, 2, 1.75);
        assert!(close(jobs, 2e6 / 5.0));
        let (_, jobs) = Forecast::of_two(&JOB, &IDEAL, 1_000_000, 64, 1.75);
        assert!(close(jobs, 2e6 / 3.0));
    }

    #[test]
    fn threads_that_take_turns_on_a_core_do_not_meet() {
        let machine = Machine { handover_us: 10.0, ..IDEAL };
        let slept_us =
            |load_us| Forecast::of_two(&JOB, &machine, 1, 2, load_us).0.server_us - JOB.server_us();
        assert!(slept_us(2.75).abs() < 1e-9, "the load has a core for itself");
        assert!(slept_us(0.5) > 0.1 && slept_us(0.5) < slept_us(0.1));
    }

    #[test]
    fn the_defaults_are_the_servers() {
        assert_eq!(Setup::by_default(1), Setup { threads: 1, shards: 2 });
        assert_eq!(Setup::by_default(16), Setup { threads: 15, shards: 32 });
        assert_eq!(Setup::by_default(400), Setup { threads: 256, shards: 256 });
    }

    #[test]
    fn durable_jobs_meet_the_disk_then_the_writer() {
        let job = DurableJob { thread_us: 20.0, writer_us: 5.0, sync_us: 250.0 };
        let forecast = |threads, connections| DurableForecast::of(&job, threads, connections);
        // Four jobs a cycle of 250 us, and 20 of the writer.
        assert!(close(forecast(1, 8).jobs_per_second(), 4e6 / 270.0));
        assert_eq!((forecast(1, 8).disk, forecast(1, 8).wall()), (16_000.0, "disk"));
        assert_eq!((forecast(1, 64).jobs_per_second(), forecast(1, 64).wall()), (50_000.0, "cores"));
        assert_eq!(forecast(15, 1_000).wall(), "writer");
        assert!((0.9 * 200_000.0..200_000.0).contains(&forecast(15, 1_000).jobs_per_second()));
    }

    #[test]
    fn a_line_tells_what_a_sync_costs_from_what_a_job_costs() {
        let points = [0.05, 0.1, 0.2].map(|syncs| (syncs, 3.0 + 40.0 * syncs));
        let (job_us, sync_us) = line_through(&points);
        assert!(close(job_us, 3.0) && close(sync_us, 40.0));
        assert_eq!(line_through(&[(0.1, 5.0), (0.1, 7.0)]), (6.0, 0.0), "nothing tells them apart");
        assert_eq!(line_through(&[(0.1, 7.0), (0.2, 5.0)]), (6.0, 0.0), "no sync gives time back");
        let (job_us, sync_us) = line_through(&[(0.1, 1.0), (0.2, 9.0)]);
        assert!(job_us.abs() < 1e-9 && close(sync_us, 5.0 / 0.15), "nor does a job");
    }

    #[test]
    fn one_door_is_the_limit_of_many_threads() {
        let visit = Visit::of(20.0, 4, 11.0, 9.0);
        assert_eq!(visit, Visit { alone_us: 20.0, accept_us: 8.0, serve_us: 12.0 });
        assert!(close(visit.per_second(1), 50_000.0));
        assert!(close(visit.per_second(3), 1e6 / 12.0));
        assert!(visit.per_second(1_000) < 125_000.0);
        assert!(close(visit.per_second_with_doors(10), 500_000.0));
        assert_eq!(Visit::of(20.0, 2, 5.0, 6.0).accept_us, 0.0, "noise gives no negative cost");
    }
}
