//! What the system says about this process, under the names that every Prometheus client uses.

use std::fs;

/// Each is absent when the system does not say.
pub struct Process {
    /// Processor time.
    pub cpu_seconds: Option<f64>,
    /// What of its memory is in the machine's.
    pub resident_bytes: Option<f64>,
    /// Open descriptors.
    pub descriptors: Option<f64>,
    /// When it began, in Unix seconds.
    pub started: Option<f64>,
}

impl Process {
    /// What it says now.
    pub fn now() -> Process {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // The name in parentheses may hold anything; what follows it are the fields from the third on.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).and_then(|field| field.parse::<f64>().ok());
        let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
        let cpu_ticks = field(14).zip(field(15)).map(|(user, system)| user + system);
        Process {
            cpu_seconds: cpu_ticks.map(|ticks| ticks / ticks_per_second),
            resident_bytes: field(24).map(|pages| pages * rustix::param::page_size() as f64),
            descriptors: fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as f64),
            started: field(22).zip(booted()).map(|(ticks, booted)| booted + ticks / ticks_per_second),
        }
    }
}

/// When the machine started, in Unix seconds.
fn booted() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn the_system_says_it_all() {
        let process = Process::now();
        assert!(process.cpu_seconds.is_some());
        assert!(process.resident_bytes.is_some_and(|bytes| bytes > 100_000.0));
        assert!(process.descriptors.is_some_and(|count| count >= 3.0));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        // It began before now, and after the year 2001.
        assert!(process.started.is_some_and(|started| started > 1e9 && started <= now + 1.0));
    }
}
