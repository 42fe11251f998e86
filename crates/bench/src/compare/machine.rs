//! What the figures were measured on.

use std::fs;
use std::process::Command;

use jiff::Timestamp;

use crate::peer::{Peer, Programs};

/// The machine and what ran on it.
pub(super) struct Machine {
    /// As in 2026-11-22.
    pub(super) day: String,
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) kernel: String,
    /// Each peer with what its program says of its version.
    pub(super) versions: Vec<(&'static str, String)>,
}

impl Machine {
    pub(super) fn read(peers: &[&'static Peer], programs: &Programs) -> Machine {
        let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = information.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Machine {
            day: Timestamp::now().strftime("%Y-%m-%d").to_string(),
            processor: model.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            versions: peers.iter().map(|peer| (peer.name, version(peer, programs))).collect(),
        }
    }
}

/// The first line that the program says of itself.
fn version(peer: &Peer, programs: &Programs) -> String {
    let (program, argument) = peer.version_command(programs);
    let output = Command::new(program).arg(argument).output();
    let said = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    let text = String::from_utf8_lossy(&said);
    let server = text.lines().next().unwrap_or("unknown").trim();
    match peer.client_version(programs) {
        Some(client) => format!("{client}; {server}"),
        None => server.to_owned(),
    }
}
