//! The system's limit on open files: raised for the clients that are allowed, or fewer are allowed.

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::limits::{FILES_OF_A_THREAD, FILES_RESERVED};

/// Sees to it at the start that so many clients can be connected at once; gives how many really can.
pub(crate) fn provide_at_start(clients_max: u32, threads: u16) -> u32 {
    let possible = provide(clients_max, threads);
    if possible < clients_max {
        let wanted = u64::from(clients_max) + reserved(threads);
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        tracing::warn!(
            "clients-max {clients_max} needs {wanted} open files and the system allows {files}, so {possible} \
             clients may connect; raise the hard limit of open files (ulimit -Hn, or LimitNOFILE of systemd)"
        );
    }
    possible
}

/// Raises the limit for so many clients; gives how many it is enough for.
pub(crate) fn provide(clients_max: u32, threads: u16) -> u32 {
    let files = raise(u64::from(clients_max) + reserved(threads));
    // One at least, so that somebody can ask why.
    let possible = u32::try_from(files.saturating_sub(reserved(threads))).unwrap_or(u32::MAX).max(1);
    possible.min(clients_max)
}

/// Open files that are not for clients.
fn reserved(threads: u16) -> u64 {
    FILES_RESERVED + FILES_OF_A_THREAD * u64::from(threads)
}

/// Raises the soft limit to `wanted`, or as near as the hard limit lets it; gives what it is then.
fn raise(wanted: u64) -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    let current = limit.current.unwrap_or(u64::MAX);
    if current >= wanted {
        return current;
    }
    limit.current = Some(limit.maximum.map_or(wanted, |maximum| maximum.min(wanted)));
    match setrlimit(Resource::Nofile, limit) {
        Ok(()) => limit.current.unwrap_or(u64::MAX),
        Err(_) => current,
    }
}
