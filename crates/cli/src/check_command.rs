//! `stanchion check`: reads all of a data directory, and says what is in it and what is wrong with it.

use std::process::ExitCode;

use stanchion_server::offline::OfflineJobs;
use stanchion_storage::offline::{CheckpointReport, End, Inspection, SegmentReport, SegmentState};

use crate::data_directory::{self, DAMAGED, Directory, damage_text, jobs, queues_table, table};
use crate::exit::{self, say};

/// Flags of `stanchion check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    #[command(flatten)]
    directory: Directory,
}

/// Checks the directory.
pub fn main(args: &CheckArgs) -> ExitCode {
    let log = match data_directory::open("check", &args.directory.dir) {
        Ok(log) => log,
        Err(code) => return code,
    };
    let mut replayed = OfflineJobs::new();
    let found = match log.inspect(&mut |located| replayed.take(located.record)) {
        Ok(found) => found,
        Err(error) => return data_directory::refused("check", &error),
    };
    say(segments_table(&found));
    for checkpoint in &found.checkpoints {
        say(checkpoint_text(checkpoint));
    }
    let queues = replayed.queues();
    if !queues.is_empty() {
        say(queues_table(&queues));
    }
    say(format_args!("{} records make {} jobs in {} queues", found.records, jobs(&queues), queues.len()));
    if found.lost_records > 0 {
        say(format_args!("{} of the records stand for lost ones, by a repair", found.lost_records));
    }
    if let Some(end) = end_text(&found.end) {
        say(end);
    }
    if found.damages.is_empty() {
        say("nothing is damaged");
        return ExitCode::SUCCESS;
    }
    for damage in &found.damages {
        say(format_args!("damaged: {}", damage_text(damage)));
    }
    let dir = log.dir().display();
    exit::with_message(
        DAMAGED,
        format_args!(
            "stanchion check: {dir} is damaged; a server that reads it refuses to start: restore it from a backup, or \
             see what `stanchion repair {dir}` can do"
        ),
    )
}

fn segments_table(found: &Inspection) -> comfy_table::Table {
    let header = ["segment", "boot", "lsns", "records", "lost", "used bytes", "file bytes", "state"];
    let mut table = table(&header, &[7]);
    for segment in &found.segments {
        let unless_none = |count: u64| if count == 0 { String::new() } else { count.to_string() };
        table.add_row([
            segment.number.to_string(),
            segment.boot.map_or_else(|| "?".to_owned(), |boot| boot.to_string()),
            lsns_text(segment),
            segment.records.to_string(),
            unless_none(segment.lost_records),
            segment.used_bytes.to_string(),
            segment.file_bytes.to_string(),
            state_text(segment.state).to_owned(),
        ]);
    }
    table
}

fn checkpoint_text(checkpoint: &CheckpointReport) -> String {
    let CheckpointReport { file, from, frames, bytes, fault } = checkpoint;
    let file = file.display();
    match (fault, from) {
        (None, Some(from)) => {
            format!(
                "{file}: {frames} frames, {bytes} bytes; with it a start reads the log from record {from} on"
            )
        }
        (fault, _) => format!(
            "{file} is of no use, and not needed: a start reads all of the log instead: {}",
            fault.as_deref().unwrap_or("nothing tells from where on")
        ),
    }
}

fn lsns_text(segment: &SegmentReport) -> String {
    match segment.lsns.end - segment.lsns.start {
        0 => String::new(),
        1 => segment.lsns.start.to_string(),
        _ => format!("{} to {}", segment.lsns.start, segment.lsns.end - 1),
    }
}

fn state_text(state: SegmentState) -> &'static str {
    match state {
        SegmentState::Sealed => "sealed",
        SegmentState::Newest => "newest",
        SegmentState::Damaged => "damaged",
        SegmentState::Unreadable => "unreadable",
    }
}

fn end_text(end: &End) -> Option<String> {
    Some(match end {
        End::Closed => "the server was stopped in order".to_owned(),
        End::Killed => "the server was not stopped in order; nothing is lost by that".to_owned(),
        End::Torn(torn) => format!(
            "the last write was not finished: from {}:{} on it is cut at the next start; nobody was promised that it \
             stays",
            torn.file.display(),
            torn.offset
        ),
        End::Unknown => return None,
    })
}
