//! What systemd is told, as `sd_notify(3)` says: when the runner is ready, reads its file again or stops, and that
//! it still works.
//!
//! The watchdog is fed by the runner's own check, not by a timer: a runner whose claims are stuck, or whose jobs
//! outlive their time, is not fed, and systemd starts it anew. A server that is away is no reason: a new runner
//! would wait for it as well.

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::health;
use crate::phase::Phase;
use crate::runner::Shared;

/// What systemd sets for the runner. Jobs must not get them: what they said would count as the runner's word.
pub(crate) const VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// The service manager that started this process.
#[derive(Debug)]
pub struct Systemd {
    socket: UnixDatagram,
    /// It wants to hear from the runner this often at least.
    watchdog: Option<Duration>,
}

/// What there is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    /// The runner claims jobs; also after a reload, whatever became of it.
    Ready,
    /// It reads its file again.
    Reloading,
    /// It stops, which takes up to this long.
    Stopping(Duration),
    /// It still works.
    Alive,
}

impl Systemd {
    /// The manager that the environment names, if one started this process.
    pub fn from_environment() -> io::Result<Option<Systemd>> {
        let Some(address) = env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty()) else {
            return Ok(None);
        };
        let is_ours = env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
        let watchdog = env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok());
        let watchdog = watchdog.filter(|us| is_ours && *us > 0).map(Duration::from_micros);
        Systemd::connect(address.as_encoded_bytes(), watchdog).map(Some)
    }

    /// `address` is a path, or behind an @ a name that is in no directory.
    fn connect(address: &[u8], watchdog: Option<Duration>) -> io::Result<Systemd> {
        use std::os::unix::ffi::OsStrExt;
        let socket = UnixDatagram::unbound()?;
        match address {
            [b'@', name @ ..] => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
            path => socket.connect(Path::new(std::ffi::OsStr::from_bytes(path)))?,
        }
        // A manager that does not read must not stop the runner.
        socket.set_nonblocking(true)?;
        Ok(Systemd { socket, watchdog })
    }

    /// Tells it; what it can't be told is only logged, for it will notice by itself.
    pub(crate) fn tell(&self, notice: Notice) {
        if let Err(error) = self.socket.send(notice.text().as_bytes()) {
            tracing::warn!(%error, ?notice, "systemd can't be told");
        }
    }
}

impl Notice {
    fn text(self) -> String {
        match self {
            Notice::Ready => "READY=1\nSTATUS=claiming jobs".to_owned(),
            Notice::Reloading => {
                let now = clock_gettime(ClockId::Monotonic);
                let us = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
                format!("RELOADING=1\nMONOTONIC_USEC={us}\nSTATUS=reading the configuration again")
            }
            Notice::Stopping(time) => {
                let us = time.as_micros();
                format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={us}\nSTATUS=letting running jobs end")
            }
            Notice::Alive => "WATCHDOG=1".to_owned(),
        }
    }
}

/// Tells that the runner stops, and until then and afterwards that it still works, for as long as it is polled.
pub(crate) async fn keep_informed(shared: &Shared) {
    let Some(systemd) = shared.systemd.get() else { return };
    let feeding = async {
        let Some(watchdog) = systemd.watchdog else { return };
        let mut ticks = tokio::time::interval((watchdog / 2).max(FEED_MIN));
        loop {
            ticks.tick().await;
            match health::stuck(shared).as_slice() {
                [] => systemd.tell(Notice::Alive),
                problems => {
                    tracing::error!(
                        problem = problems.join("; "),
                        "systemd's watchdog is not fed, because the runner is stuck"
                    );
                }
            }
        }
    };
    let stopping = async {
        shared.stop.reached(Phase::Draining).await;
        systemd.tell(Notice::Stopping(shared.settings().drain + STOP_GRACE));
    };
    tokio::join!(feeding, stopping);
}

/// However often systemd asks to be told.
const FEED_MIN: Duration = Duration::from_millis(10);

/// From the end of the drain time to the runner's end: jobs are killed, and the last reports sent.
const STOP_GRACE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_addresses_are_reached() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("stanchion-notify-{}", std::process::id());
        let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let name = format!("@{name}");
        for (address, manager) in [(path.to_str().unwrap(), by_path), (name.as_str(), by_name)] {
            Systemd::connect(address.as_bytes(), None).unwrap().tell(Notice::Ready);
            let mut buffer = [0; 100];
            let length = manager.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"READY=1\nSTATUS=claiming jobs", "{address}");
        }
        assert!(Systemd::connect(b"/nowhere/at/all", None).is_err());
    }

    #[test]
    fn a_notice_has_what_its_kind_needs() {
        let reloading = Notice::Reloading.text();
        let us = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap();
        assert!(reloading.starts_with("RELOADING=1\n") && us.parse::<u64>().unwrap() > 0, "{reloading}");
        let stopping = Notice::Stopping(Duration::from_secs(2)).text();
        assert!(stopping.starts_with("STOPPING=1\nEXTEND_TIMEOUT_USEC=2000000\n"), "{stopping}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_is_fed_unless_the_runner_is_stuck() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = tokio::net::UnixDatagram::bind(&path).unwrap();
        let systemd =
            Systemd::connect(path.to_str().unwrap().as_bytes(), Some(Duration::from_secs(20))).unwrap();
        let runner = crate::Runner::builder().handle("q", |_| async {}).build().unwrap();
        let shared = runner.systemd(systemd).shared_for_tests();
        let informing = tokio::spawn({
            let shared = std::sync::Arc::clone(&shared);
            async move { keep_informed(&shared).await }
        });
        let mut buffer = [0; 100];
        for _ in 0..3 {
            let length = manager.recv(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..length], b"WATCHDOG=1");
        }
        let entered = shared.running.start(&crate::testing::job("q"), Some(Duration::ZERO));
        tokio::time::sleep(crate::limits::PULSE_GRACE + Duration::from_secs(1)).await;
        while manager.try_recv(&mut buffer).is_ok() {}
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert!(manager.try_recv(&mut buffer).is_err(), "it is stuck, and was fed");
        drop(entered);
        let length = manager.recv(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], b"WATCHDOG=1");
        informing.abort();
    }
}
