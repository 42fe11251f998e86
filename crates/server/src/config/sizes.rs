//! Sizes as Redis writes them, and how much memory there is to share.

use std::path::Path;

use crate::process;

/// A number of bytes with Redis's units: k, m and g are thousands, kb, mb and gb are 1024s.
pub(crate) fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "" | "b" => 1,
        "k" => 1_000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    // `parse` would also take a sign.
    digits.bytes().all(|digit| digit.is_ascii_digit()).then_some(())?;
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// Half of the memory that this process may have: the rest is for the file system's cache, buffers and others.
pub(crate) fn memory_default() -> u64 {
    let cgroup = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = cgroup_limit(&cgroup, |path| std::fs::read_to_string(path).ok());
    process::system_memory().min(limit.unwrap_or(u64::MAX)) / 2
}

/// The lowest limit of the control groups that a process is in, given its `/proc/self/cgroup`.
fn cgroup_limit(cgroup: &str, read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let mut limits = Vec::new();
    for line in cgroup.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            controllers if controllers.split(',').any(|controller| controller == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // Within a container the path may be the host's, so the root itself is asked, too.
        for group in Path::new(path.trim_start_matches('/')).ancestors() {
            let limit = read(&Path::new(root).join(group).join(file));
            limits.extend(limit.and_then(|limit| limit.trim().parse::<u64>().ok()));
        }
    }
    limits.into_iter().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_redis_reads_them() {
        let sizes = [("0", 0), ("100", 100), ("1b", 1), ("2k", 2_000), ("2KB", 2_048), ("3m", 3_000_000)];
        for (text, bytes) in
            sizes.into_iter().chain([("3mb", 3 << 20), ("1g", 1_000_000_000), ("1Gb", 1 << 30)])
        {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        for text in ["", "mb", "-1", "+1", "1 mb", "1tb", "1.5gb", "99999999999gb"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn the_lowest_limit_of_all_groups_counts() {
        let read = |path: &Path| match path.to_str()? {
            "/sys/fs/cgroup/a/b/memory.max" => Some("max\n".into()),
            "/sys/fs/cgroup/a/memory.max" => Some("2000\n".into()),
            "/sys/fs/cgroup/memory.max" => Some("3000\n".into()),
            "/sys/fs/cgroup/memory/c/memory.limit_in_bytes" => Some("1000\n".into()),
            _ => None,
        };
        assert_eq!(cgroup_limit("0::/a/b\n", read), Some(2_000));
        assert_eq!(cgroup_limit("0::/elsewhere\n", read), Some(3_000));
        assert_eq!(cgroup_limit("4:cpu,memory:/c\n1:name=x:/\n", read), Some(1_000));
        assert_eq!(cgroup_limit("3:cpu:/c\n", read), None);
        assert_eq!(cgroup_limit("", read), None);
        assert!(memory_default() > 0);
    }
}
