//! `stanchion repair`: writes off what is damaged, or cuts the log before it. Only what was asked for, and nothing at
//! all without `--apply`.

use std::path::PathBuf;
use std::process::ExitCode;

use stanchion_server::offline::OfflineJobs;
use stanchion_storage::OpenError;
use stanchion_storage::offline::{Inspection, OfflineLog, Place, Plan, RepairError};

use crate::data_directory::{self, DAMAGED, Directory, damage_text, jobs, queue_text};
use crate::exit::{self, say};

/// Flags of `stanchion repair`.
#[derive(Debug, clap::Args)]
pub struct RepairArgs {
    #[command(flatten)]
    directory: Directory,
    /// Write off the damage that begins there, as `check` prints it, or `all`; may be given several times
    #[arg(long, value_name = "FILE:OFFSET", conflicts_with = "cut")]
    skip: Vec<String>,
    /// End the log there: everything from this byte of this segment on goes
    #[arg(long, value_name = "FILE:OFFSET")]
    cut: Option<String>,
    /// Do it; without this nothing is changed
    #[arg(long)]
    apply: bool,
    /// Where the originals are kept, a new directory [default: DIR.before-repair-1, or the next free number]
    #[arg(long, value_name = "DIR")]
    backup: Option<PathBuf>,
}

/// What is to be done.
enum Wish {
    Look,
    SkipAll,
    Skip(Vec<Place>),
    Cut(Place),
}

/// Repairs the directory, or says what it would do.
pub fn main(args: &RepairArgs) -> ExitCode {
    let wish = match wish(args) {
        Ok(wish) => wish,
        Err(message) => return exit::with_message(exit::USAGE, format_args!("stanchion repair: {message}")),
    };
    match repair(args, &wish) {
        Ok(code) => code,
        Err(RepairError::Open(error)) => data_directory::refused("repair", &error),
        Err(error @ RepairError::Impossible(_)) => {
            exit::with_message(exit::USAGE, format_args!("stanchion repair: {error}"))
        }
    }
}

fn wish(args: &RepairArgs) -> Result<Wish, String> {
    let place = |text: &String| {
        Place::parse(text).ok_or_else(|| {
            format!("{text} is no place in a log; write FILE:OFFSET as `stanchion check` prints it, such as 00000000000000000001.seg:64")
        })
    };
    if let Some(cut) = &args.cut {
        return place(cut).map(Wish::Cut);
    }
    if args.skip.iter().any(|skip| skip == "all") {
        return Ok(Wish::SkipAll);
    }
    if args.skip.is_empty() {
        if args.apply {
            return Err("--apply needs something to do: --skip all, --skip FILE:OFFSET or --cut FILE:OFFSET"
                .to_owned());
        }
        return Ok(Wish::Look);
    }
    args.skip.iter().map(place).collect::<Result<_, _>>().map(Wish::Skip)
}

fn repair(args: &RepairArgs, wish: &Wish) -> Result<ExitCode, RepairError> {
    let dir = &args.directory.dir;
    let log = if args.apply { OfflineLog::open_for_repair(dir)? } else { OfflineLog::open(dir)? };
    let (found, before) = read(&log, u64::MAX)?;
    for damage in &found.damages {
        say(format_args!("damaged: {}", damage_text(damage)));
    }
    let plan = match wish {
        Wish::Look if found.damages.is_empty() => {
            say("nothing is damaged");
            return Ok(ExitCode::SUCCESS);
        }
        Wish::Look => {
            say(
                "write off what is damaged with --skip all or --skip FILE:OFFSET, or end the log before it with --cut FILE:OFFSET",
            );
            return Ok(ExitCode::from(DAMAGED));
        }
        Wish::SkipAll => log.plan_skip(&found, None)?,
        Wish::Skip(places) => log.plan_skip(&found, Some(places))?,
        Wish::Cut(place) => {
            let mut replayed = OfflineJobs::new();
            log.plan_cut(*place, &mut |located| replayed.take(located.record))?.0
        }
    };
    for line in &plan.lines {
        say(line);
    }
    if let Some(cut) = plan.cut {
        let (_, after) = read(&log, cut.lsn)?;
        tell_jobs(&before, &after);
    }
    if !args.apply {
        say("nothing was changed; add --apply to do it");
        return Ok(ExitCode::SUCCESS);
    }
    let backup = args.backup.clone().unwrap_or_else(|| log.default_backup());
    say(format_args!("the originals go to {}", backup.display()));
    apply(log, &plan, &backup)?;
    let (found, after) = read(&OfflineLog::open(dir)?, u64::MAX)?;
    say(format_args!("done; {} jobs in {} queues", jobs(&after.queues()), after.queues().len()));
    if found.damages.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    for damage in &found.damages {
        say(format_args!("still damaged: {}", damage_text(damage)));
    }
    Ok(ExitCode::from(DAMAGED))
}

fn apply(log: OfflineLog, plan: &Plan, backup: &std::path::Path) -> Result<(), RepairError> {
    log.apply(plan, backup)
}

/// Reads the log and replays it up to an lsn.
fn read(log: &OfflineLog, before: u64) -> Result<(Inspection, OfflineJobs), OpenError> {
    let mut replayed = OfflineJobs::new();
    let found = log.inspect(&mut |located| {
        if located.record.lsn < before { replayed.take(located.record) } else { Ok(()) }
    })?;
    Ok((found, replayed))
}

/// How the jobs of each queue change: those that were pushed later go, those that were acked later come back.
fn tell_jobs(before: &OfflineJobs, after: &OfflineJobs) {
    let (before, after) = (before.queues(), after.queues());
    say(format_args!("{} jobs before it, {} after it", jobs(&before), jobs(&after)));
    let mut names: Vec<&[u8]> = before.iter().chain(&after).map(|queue| &*queue.queue).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let of = |queues: &[stanchion_server::offline::OfflineQueue]| {
            queues
                .iter()
                .find(|queue| queue.queue == name)
                .map_or(0, |queue| jobs(std::slice::from_ref(queue)))
        };
        let (before, after) = (of(&before), of(&after));
        if before != after {
            say(format_args!("  {}: {before} jobs before it, {after} after it", queue_text(name)));
        }
    }
}
