//! What the commands for a data directory have in common: how they open it, and how they end.
//!
//! `0`: nothing is wrong. `1`: something is damaged. `2`: there is nothing to look at, or the wrong thing was asked.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use comfy_table::{CellAlignment, Table, presets};
use stanchion_server::offline::OfflineQueue;
use stanchion_storage::OpenError;
use stanchion_storage::offline::{Damage, OfflineLog};

use crate::exit;

/// Something in the log is damaged.
pub(crate) const DAMAGED: u8 = 1;

/// The argument of all of them.
#[derive(Debug, clap::Args)]
pub(crate) struct Directory {
    /// The data directory of a server that does not run
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

/// Opens the log for looking.
pub(crate) fn open(command: &str, dir: &Path) -> Result<OfflineLog, ExitCode> {
    OfflineLog::open(dir).map_err(|error| refused(command, &error))
}

/// Ends because the log can't be opened or read.
pub(crate) fn refused(command: &str, error: &OpenError) -> ExitCode {
    match error {
        OpenError::Locked { dir, pid } => exit::with_message(
            exit::USAGE,
            format_args!(
                "stanchion {command}: {} is in use by process {pid}; stop that server, or look at a backup of it",
                dir.display()
            ),
        ),
        error => exit::with_message(exit::USAGE, format_args!("stanchion {command}: {error}")),
    }
}

/// A damage as it is printed: what `--skip` and `--cut` take comes first.
pub(crate) fn damage_text(damage: &Damage) -> String {
    format!(
        "{}:{} to {}: {}; {}",
        damage.file.display(),
        damage.offset,
        damage.end,
        damage.reason,
        damage.loss
    )
}

/// A queue's name, which may be any bytes.
pub(crate) fn queue_text(queue: &[u8]) -> String {
    match std::str::from_utf8(queue) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => format!("\"{}\"", queue.escape_ascii()),
    }
}

/// A table whose columns are numbers, but for those that are named.
pub(crate) fn table(header: &[&str], words: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(header.iter().copied());
    for (index, column) in table.column_iter_mut().enumerate() {
        if !words.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// The jobs of each queue by state.
pub(crate) fn queues_table(queues: &[OfflineQueue]) -> Table {
    let mut table = table(&["queue", "ready", "delayed", "claimed", "dead"], &[0]);
    for OfflineQueue { queue, counts } in queues {
        let counts = [counts.ready, counts.delayed, counts.claimed, counts.dead];
        table.add_row([queue_text(queue)].into_iter().chain(counts.map(|count| count.to_string())));
    }
    table
}

/// How many jobs there are.
pub(crate) fn jobs(queues: &[OfflineQueue]) -> u64 {
    let of = |queue: &OfflineQueue| {
        let counts = queue.counts;
        counts.ready + counts.delayed + counts.claimed + counts.dead
    };
    queues.iter().map(of).sum()
}
