//! Memory limits of jobs: each job that has one runs in a cgroup (version 2) of its own.
//!
//! Cgroups are directories, and a process may make them where its service manager has handed a part of the tree over
//! to it (`Delegate=yes` in systemd). A cgroup that has children with limits must not have processes itself, so the
//! runner first moves into a leaf of its part.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Access, access};

/// The leaf that the runner itself lives in. systemd makes one of this name with `DelegateSubgroup=runner`.
const RUNNERS_LEAF: &str = "runner";
/// What to do when there is no place for limits.
pub(crate) const REMEDY: &str =
    "write Delegate=yes into the runner's systemd unit and check there, or remove memory-max";

/// The part of the tree that this process may arrange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delegated {
    directory: PathBuf,
}

/// The cgroup of one job; gone when this is dropped, with everything in it.
#[derive(Debug)]
pub(crate) struct JobGroup {
    directory: PathBuf,
    memory_max: u64,
}

impl Delegated {
    /// This process's part, if limits can be set in it. Changes nothing. An error is in words.
    pub(crate) fn find() -> Result<Delegated, String> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|error| error.to_string())?;
        let groups = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
        let mount = mount_of(&mounts).ok_or("this machine has no cgroup v2")?;
        let group = group_of(&groups).ok_or("this process is in no cgroup v2")?;
        Delegated::at(&mount.join(group))
    }

    fn at(own: &Path) -> Result<Delegated, String> {
        let parent = own.parent().filter(|_| own.ends_with(RUNNERS_LEAF));
        let directory = parent.unwrap_or(own);
        let controllers = fs::read_to_string(directory.join("cgroup.controllers")).unwrap_or_default();
        if !has_memory(&controllers) {
            return Err(format!("the cgroup {} has no memory controller", directory.display()));
        }
        let processes = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
        let me = std::process::id().to_string();
        if processes.lines().any(|process| process != me) {
            return Err(format!("the cgroup {} has other processes than this one", directory.display()));
        }
        for file in ["", "cgroup.procs", "cgroup.subtree_control"] {
            if access(directory.join(file), Access::WRITE_OK).is_err() {
                return Err(format!("the cgroup {} is not this process's to arrange", directory.display()));
            }
        }
        Ok(Delegated { directory: directory.to_owned() })
    }

    /// Moves this process into a leaf, has its children count memory, and clears away what a runner that
    /// was killed has left.
    fn arrange(&self) -> io::Result<()> {
        let control = self.directory.join("cgroup.subtree_control");
        if !has_memory(&fs::read_to_string(&control)?) {
            let leaf = self.directory.join(RUNNERS_LEAF);
            match fs::create_dir(&leaf) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            fs::write(leaf.join("cgroup.procs"), std::process::id().to_string())?;
            fs::write(&control, "+memory")?;
        }
        for entry in fs::read_dir(&self.directory)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with("job-") {
                let _ = fs::remove_dir(entry.path()); // one with processes is another runner's, and stays
            }
        }
        Ok(())
    }

    /// A cgroup with this limit, and this process in it: what the process starts from now on is in it too.
    pub(crate) fn job(&self, memory_max: u64, process: u32) -> io::Result<JobGroup> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let directory = self.directory.join(format!("job-{}-{number}", std::process::id()));
        fs::create_dir(&directory)?;
        let group = JobGroup { directory, memory_max };
        fs::write(group.directory.join("memory.max"), memory_max.to_string())?;
        // Not there where the machine has no swap.
        let _ = fs::write(group.directory.join("memory.swap.max"), "0");
        fs::write(group.directory.join("cgroup.procs"), process.to_string())?;
        Ok(group)
    }
}

/// The part of this process, arranged once. An error is in words.
pub(crate) fn delegated() -> Result<&'static Delegated, String> {
    static DELEGATED: OnceLock<Result<Delegated, String>> = OnceLock::new();
    let found = DELEGATED.get_or_init(|| {
        let found = Delegated::find()?;
        found.arrange().map_err(|error| {
            format!("the cgroup {} can't be arranged: {error}", found.directory.display())
        })?;
        Ok(found)
    });
    found.as_ref().map_err(Clone::clone)
}

impl JobGroup {
    /// Whether the kernel has killed something in it for its memory: the limit, in words.
    pub(crate) fn over_limit(&self) -> Option<String> {
        let events = fs::read_to_string(self.directory.join("memory.events")).ok()?;
        let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
        (kills.trim() != "0").then(|| format!("went over memory-max ({} MiB)", self.memory_max >> 20))
    }
}

impl Drop for JobGroup {
    fn drop(&mut self) {
        // Mostly nothing is left in it; processes that can't be found otherwise are.
        let _ = fs::write(self.directory.join("cgroup.kill"), "1");
        if let Err(error) = fs::remove_dir(&self.directory) {
            let directory = self.directory.display();
            tracing::debug!(%directory, %error, "a job's cgroup is removed at the next start");
        }
    }
}

fn has_memory(controllers: &str) -> bool {
    controllers.split_ascii_whitespace().any(|name| name == "memory")
}

/// Where the tree is mounted: the fifth field of the line whose type, behind the dash, is cgroup2.
fn mount_of(mounts: &str) -> Option<PathBuf> {
    let is_cgroup =
        |line: &&str| line.split_once(" - ").is_some_and(|(_, kind)| kind.starts_with("cgroup2 "));
    mounts.lines().find(is_cgroup)?.split(' ').nth(4).map(PathBuf::from)
}

/// The process's path in it, without its slash: the line of hierarchy 0.
fn group_of(groups: &str) -> Option<&str> {
    groups.lines().find_map(|line| line.strip_prefix("0::/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_found_beside_older_ones() {
        let mounts = "30 23 0:26 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory\n\
                      31 23 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";
        assert_eq!(mount_of(mounts), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(mount_of("30 23 0:26 / /sys rw - sysfs sysfs rw"), None);
        let groups = "4:memory:/a\n1:name=systemd:/b\n0::/system.slice/runner.service\n";
        assert_eq!(group_of(groups), Some("system.slice/runner.service"));
        assert_eq!(group_of("4:memory:/a\n"), None);
    }

    /// A directory that looks like a cgroup with one process.
    fn tree(controllers: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let files =
            [("cgroup.controllers", controllers), ("cgroup.procs", ""), ("cgroup.subtree_control", "")];
        for (file, content) in files {
            fs::write(directory.path().join(file), content).unwrap();
        }
        directory
    }

    #[test]
    fn a_part_without_limits_is_refused() {
        let tree = tree("cpu io\n");
        let error = Delegated::at(tree.path()).unwrap_err();
        assert!(error.ends_with("has no memory controller"), "{error}");
        fs::write(tree.path().join("cgroup.controllers"), "memory").unwrap();
        fs::write(tree.path().join("cgroup.procs"), "1\n4711\n").unwrap();
        let error = Delegated::at(tree.path()).unwrap_err();
        assert!(error.ends_with("has other processes than this one"), "{error}");
        let error = Delegated::at(&tree.path().join("nowhere")).unwrap_err();
        assert!(error.ends_with("nowhere has no memory controller"), "{error}");
    }

    #[test]
    fn the_runner_moves_into_a_leaf_and_jobs_beside_it() {
        let tree = tree("cpu memory\n");
        fs::create_dir(tree.path().join("job-1-1")).unwrap();
        let delegated = Delegated::at(tree.path()).unwrap();
        delegated.arrange().unwrap();
        let read = |file: &str| fs::read_to_string(tree.path().join(file)).unwrap();
        assert_eq!(read("runner/cgroup.procs"), std::process::id().to_string());
        assert_eq!(read("cgroup.subtree_control"), "+memory");
        assert!(!tree.path().join("job-1-1").exists(), "what a killed runner has left is gone");
        let again = Delegated::at(&tree.path().join("runner")).unwrap();
        assert_eq!(again, delegated, "from within the leaf the part is the same");

        let group = delegated.job(2 << 30, 4712).unwrap();
        let file = |name: &str| fs::read_to_string(group.directory.join(name)).unwrap();
        assert_eq!((file("memory.max").as_str(), file("cgroup.procs").as_str()), ("2147483648", "4712"));
        assert_eq!(group.over_limit(), None);
        fs::write(group.directory.join("memory.events"), "low 0\nmax 7\noom_kill 0\n").unwrap();
        assert_eq!(group.over_limit(), None);
        fs::write(group.directory.join("memory.events"), "low 0\nmax 7\noom_kill 1\n").unwrap();
        assert_eq!(group.over_limit().as_deref(), Some("went over memory-max (2048 MiB)"));
    }
}
