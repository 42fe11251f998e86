//! `stanchion dump`: what lives in a data directory, or every record of its log, as JSON lines. For moving away, and
//! for finding out what happened.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use stanchion_server::offline::{OfflineJobs, PartView, parts};
use stanchion_storage::offline::{Damage, Located, OfflineLog};
use stanchion_storage::{OpenError, RecordView};

use crate::data_directory::{self, DAMAGED, Directory, damage_text};
use crate::exit;
use crate::json_line::JsonLine;

/// The version of the lines; a new field does not raise it.
const VERSION: u32 = 1;

/// Flags of `stanchion dump`.
#[derive(Debug, clap::Args)]
pub struct DumpArgs {
    #[command(flatten)]
    directory: Directory,
    /// Only queues whose names match, as in QLIST MATCH
    #[arg(long, value_name = "GLOB")]
    queue: Option<String>,
    /// The log's records with their events, instead of what lives
    #[arg(long)]
    records: bool,
}

/// Why a dump ended early.
enum Stop {
    Open(OpenError),
    Write(io::Error),
}

impl From<OpenError> for Stop {
    fn from(error: OpenError) -> Stop {
        Stop::Open(error)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Write(error)
    }
}

/// Writes the dump to standard output.
pub fn main(args: &DumpArgs) -> ExitCode {
    let log = match data_directory::open("dump", &args.directory.dir) {
        Ok(log) => log,
        Err(code) => return code,
    };
    let mut dump = Dump { glob: args.queue.as_deref(), out: BufWriter::new(io::stdout().lock()) };
    let dumped = if args.records { dump.records(&log) } else { dump.live(&log) };
    match dumped.and_then(|damages| dump.out.flush().map(|()| damages).map_err(Stop::from)) {
        Ok(damages) if damages.is_empty() => ExitCode::SUCCESS,
        Ok(damages) => {
            let lines: Vec<String> = damages.iter().map(damage_text).collect();
            exit::with_message(
                DAMAGED,
                format_args!(
                    "stanchion dump: only what can be read was written; damaged: {}",
                    lines.join("; ")
                ),
            )
        }
        Err(Stop::Open(error)) => data_directory::refused("dump", &error),
        // Whoever read it has seen enough.
        Err(Stop::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Stop::Write(error)) => {
            exit::with_message(exit::USAGE, format_args!("stanchion dump: cannot write: {error}"))
        }
    }
}

struct Dump<'a, W: Write> {
    glob: Option<&'a str>,
    out: W,
}

impl<W: Write> Dump<'_, W> {
    fn is_wanted(&self, queue: Option<&[u8]>) -> bool {
        self.glob.is_none_or(|glob| {
            queue.is_some_and(|queue| stanchion_server::offline::matches(glob.as_bytes(), queue))
        })
    }

    fn line(&mut self, line: JsonLine) -> io::Result<()> {
        writeln!(self.out, "{}", line.end())
    }

    /// Everything that lives.
    fn live(&mut self, log: &OfflineLog) -> Result<Vec<Damage>, Stop> {
        let mut jobs = OfflineJobs::new();
        let found = log.inspect(&mut |located| jobs.take(located.record)).map_err(Stop::Open)?;
        self.line(JsonLine::of_type("dump").raw("version", VERSION).raw("last_lsn", found.last_lsn))?;
        jobs.show_all(log, &mut |queue, event| {
            if !self.is_wanted(Some(queue)) {
                return Ok(());
            }
            let line = JsonLine::of_type(event.name).bytes("queue", queue).fields(event);
            self.line(line).map_err(Stop::Write)
        })?;
        Ok(found.damages)
    }

    /// Every record.
    fn records(&mut self, log: &OfflineLog) -> Result<Vec<Damage>, Stop> {
        self.line(JsonLine::of_type("dump").raw("version", VERSION))?;
        let mut stopped = None;
        let found = log.inspect(&mut |located| {
            if stopped.is_none() {
                stopped = self.record(located).err();
            }
            Ok(())
        });
        if let Some(error) = stopped {
            return Err(error.into());
        }
        let damages = found.map_err(Stop::Open)?.damages;
        for damage in &damages {
            let line = JsonLine::of_type("damage")
                .text("file", &damage.file.display().to_string())
                .raw("offset", damage.offset)
                .raw("end", damage.end)
                .text("reason", &damage.reason)
                .text("loss", &damage.loss.to_string());
            self.line(line)?;
        }
        Ok(damages)
    }

    fn record(&mut self, Located { record, segment, offset }: Located<'_>) -> io::Result<()> {
        let RecordView { lsn, shard, kind, body } = record;
        let line = JsonLine::of_type("record")
            .raw("lsn", lsn)
            .raw("segment", segment)
            .raw("offset", offset)
            .raw("shard", shard)
            .raw("kind", kind.get());
        match parts(record) {
            Ok(parts) => {
                let wanted: Vec<&PartView<'_>> =
                    parts.iter().filter(|part| self.is_wanted(part.queue)).collect();
                if wanted.is_empty() {
                    return Ok(());
                }
                self.line(line.list("parts", wanted.into_iter().map(part_json)))
            }
            Err(error) if self.glob.is_none() => self.line(line.text("error", &error).bytes("body", body)),
            Err(_) => Ok(()),
        }
    }
}

fn part_json(part: &PartView<'_>) -> String {
    let mut line = JsonLine::new();
    if let Some(queue) = part.queue {
        line = line.bytes("queue", queue);
    }
    if let Some(at) = part.at {
        line = line.raw("at", at);
    }
    let events =
        part.events.iter().map(|event| JsonLine::new().text("event", event.name).fields(event).end());
    line.list("events", events).end()
}
