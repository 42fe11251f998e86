//! What a process takes, read from `/proc`: CPU, memory, and what it has had written to disks.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// CPU time, as the kernel splits it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cpu {
    /// In the program itself.
    pub user: Duration,
    /// In the kernel, for it.
    pub system: Duration,
}

impl Cpu {
    /// Both.
    #[must_use]
    pub fn total(self) -> Duration {
        self.user + self.system
    }

    /// What came after.
    #[must_use]
    pub fn since(self, earlier: Cpu) -> Cpu {
        Cpu {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }
}

/// One process, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usage {
    pid: u32,
}

impl Usage {
    /// Of the process with this number.
    #[must_use]
    pub fn of(pid: u32) -> Usage {
        Usage { pid }
    }

    /// CPU of all threads since the start, in ticks of 10 ms.
    ///
    /// # Errors
    /// There is no such process.
    pub fn cpu(self) -> Result<Cpu> {
        let path = format!("/proc/{}/stat", self.pid);
        let stat =
            fs::read_to_string(&path).with_context(|| format!("reading {path}: has the server died?"))?;
        // The name, the second field, may hold spaces; utime and stime are fields 14 and 15.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let tick = Duration::from_secs(1) / u32::try_from(rustix::param::clock_ticks_per_second())?;
        let mut ticks = fields.split_ascii_whitespace().skip(11).map(str::parse::<u32>);
        let (Some(Ok(user)), Some(Ok(system))) = (ticks.next(), ticks.next()) else {
            bail!("{path} is not as proc(5) describes it: {stat}")
        };
        Ok(Cpu { user: tick * user, system: tick * system })
    }

    /// Its memory that is in RAM.
    ///
    /// # Errors
    /// There is no such process.
    pub fn resident_bytes(self) -> Result<u64> {
        Ok(self.figure("status", "VmRSS:")? << 10)
    }

    /// The most memory that was ever in RAM, and what is swapped out.
    ///
    /// # Errors
    /// There is no such process.
    pub fn memory_peak_and_swap(self) -> Result<(u64, u64)> {
        let kib = |name| self.figure("status", name);
        Ok((kib("VmHWM:")? << 10, kib("VmSwap:")? << 10))
    }

    /// Bytes that it had the system write to disks, those of its children that have ended included.
    ///
    /// # Errors
    /// There is no such process, or it is somebody else's.
    pub fn written_bytes(self) -> Result<u64> {
        self.figure("io", "write_bytes:")
    }

    /// A number from a file of `/proc/PID`.
    fn figure(self, file: &str, name: &str) -> Result<u64> {
        let path = format!("/proc/{}/{file}", self.pid);
        let text =
            fs::read_to_string(&path).with_context(|| format!("reading {path}: has the server died?"))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_ascii_whitespace().next());
        Ok(number.with_context(|| format!("{path} has no {name}"))?.parse()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_something() {
        let own = Usage::of(std::process::id());
        assert!(own.resident_bytes().unwrap() > 100_000);
        assert!(own.cpu().is_ok());
        assert!(Usage::of(u32::MAX).cpu().is_err());
    }
}
