//! What the system says about this process: memory and time.

use std::time::Duration;

/// The process's memory, in bytes.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Memory {
    /// What it has asked for and touched: heap and stacks, without the program's file.
    pub(crate) used: u64,
    /// All of it that is in memory.
    pub(crate) resident: u64,
    /// The most that was ever in memory.
    pub(crate) resident_peak: u64,
}

/// The process's time on the processors.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Cpu {
    /// In the kernel.
    pub(crate) system: Duration,
    /// Outside of it.
    pub(crate) user: Duration,
    /// In the kernel, by children that have ended.
    pub(crate) system_children: Duration,
    /// Outside of it, by children that have ended.
    pub(crate) user_children: Duration,
}

/// Has the system give memory in small pages only.
///
/// The allocator asks for pages of 2 MiB, of which the smallest part that is touched counts as a whole: a job
/// would take a sixth more than its bytes, where nobody could say what for, and most of what is freed would stay.
pub(crate) fn refuse_huge_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::info!(%error, "transparent huge pages stay on, so more memory is taken than the queues' figures say");
    }
}

/// What the process takes of the memory.
///
/// An allocator's own figure would need a counter at each allocation or a word with the allocator that this crate
/// does not know; what the system has given out for good is the truth that matters to an operator.
pub(crate) fn memory() -> Memory {
    memory_of(&std::fs::read_to_string("/proc/self/status").unwrap_or_default())
}

fn memory_of(status: &str) -> Memory {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
    };
    let resident = field("VmRSS:").unwrap_or(0);
    Memory {
        used: field("RssAnon:").unwrap_or(resident),
        resident,
        resident_peak: field("VmHWM:").unwrap_or(resident),
    }
}

/// How much memory the machine has.
pub(crate) fn system_memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram * u64::from(info.mem_unit)
}

/// The system's name and release, as Redis shows it.
pub(crate) fn system_name() -> String {
    let name = rustix::system::uname();
    let text = |word: &std::ffi::CStr| word.to_string_lossy().into_owned();
    format!("{} {} {}", text(name.sysname()), text(name.release()), text(name.machine()))
}

/// The process's time so far.
pub(crate) fn cpu() -> Cpu {
    let per_second = rustix::param::clock_ticks_per_second();
    cpu_of(&std::fs::read_to_string("/proc/self/stat").unwrap_or_default(), per_second)
}

fn cpu_of(stat: &str, ticks_per_second: u64) -> Cpu {
    // The second field is the program's name in parentheses, which may hold spaces.
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = |nth: usize| {
        let ticks = after_name.split(' ').nth(nth).and_then(|field| field.parse::<u64>().ok());
        Duration::from_millis(ticks.unwrap_or(0) * 1_000 / ticks_per_second.max(1))
    };
    Cpu { user: ticks(11), system: ticks(12), user_children: ticks(13), system_children: ticks(14) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_files_are_read() {
        let memory = memory_of("Name:\tx\nVmHWM:\t  30 kB\nVmRSS:\t   20 kB\nRssAnon:\t   12 kB\n");
        assert_eq!((memory.used, memory.resident, memory.resident_peak), (12 << 10, 20 << 10, 30 << 10));
        let cpu = cpu_of("1 (a b) c) S 1 2 3 4 5 6 7 8 9 10 150 25 3 4 20", 100);
        assert_eq!((cpu.user, cpu.system), (Duration::from_millis(1_500), Duration::from_millis(250)));
        assert_eq!(cpu.system_children, Duration::from_millis(40));
    }

    #[test]
    fn this_process_has_memory() {
        let memory = super::memory();
        assert!(0 < memory.used && memory.used <= memory.resident);
        assert!(memory.resident <= memory.resident_peak && memory.resident < system_memory());
        assert!(system_name().starts_with("Linux "));
    }
}
