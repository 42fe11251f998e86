//! `stanchion backup`: copies the log of a running server, over a connection to it.
//!
//! What comes is verified before it is written, record by record: a backup that ends well can be started from.

mod directory;
mod source;
mod tar;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use stanchion_client::Client;
use stanchion_storage::{CopyVerifier, Segment, closing_segment};
use tokio::signal::unix::{SignalKind, signal};

use crate::exit;
use crate::tls_args::TlsArgs;
use directory::Directory;
use source::Source;
use tar::Tar;

/// Where the server is unless `--url` or `STANCHION_URL` says otherwise.
const URL_DEFAULT: &str = "redis://127.0.0.1:7379";

/// What to copy, and where to.
#[derive(Debug, Parser)]
pub struct BackupArgs {
    /// The server: `redis://[user:password@]host:port`, `rediss://` likewise, or `unix:///path`; without this, what
    /// STANCHION_URL says, which nobody else sees, or port 7379 of this machine
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    tls: TlsArgs,
    /// A directory that is empty or does not exist yet; or `-` for a tar archive on standard output
    #[arg(value_name = "DIRECTORY|-")]
    destination: PathBuf,
}

/// Where the files of a backup go. The first one comes last in the log: without those between it is no log.
trait Destination {
    /// Begins a file of so many bytes.
    fn begin(&mut self, name: &str, bytes: u64) -> io::Result<()>;
    /// More of the file.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// The file is complete.
    fn end(&mut self) -> io::Result<()>;
    /// All files are complete.
    fn finish(&mut self) -> io::Result<()>;
}

/// What was copied.
struct Copied {
    records: u64,
    lsn: u64,
    bytes: u64,
}

/// Does what the arguments say.
pub fn main(args: &BackupArgs) -> ExitCode {
    let url = args.url.clone().or_else(|| std::env::var("STANCHION_URL").ok());
    let client = match args.tls.client(url.as_deref().unwrap_or(URL_DEFAULT)) {
        Ok(client) => client,
        Err(error) => return usage(&error.into()),
    };
    if args.destination == Path::new("-") {
        return report(run(&client, &mut Tar::new(io::stdout().lock())), "standard output");
    }
    let mut directory = match Directory::create(&args.destination) {
        Ok(directory) => directory,
        Err(error) => return usage(&error),
    };
    let copied = run(&client, &mut directory);
    if copied.is_err() {
        directory.remove();
    }
    report(copied, &args.destination.display().to_string())
}

fn usage(error: &anyhow::Error) -> ExitCode {
    exit::with_message(exit::USAGE, format_args!("stanchion backup: {error:#}"))
}

/// Says how it went, on standard error: standard output may be the backup.
fn report(copied: Result<(Copied, Instant)>, place: &str) -> ExitCode {
    match copied {
        Ok((Copied { records, lsn, bytes }, begun)) => {
            let _ = writeln!(
                io::stderr(),
                "backed up {records} records up to {lsn}, {bytes} bytes, in {:.1} s to {place}",
                begun.elapsed().as_secs_f64()
            );
            ExitCode::SUCCESS
        }
        Err(error) => exit::with_message(exit::FAILURE, format_args!("stanchion backup: {error:#}")),
    }
}

fn run(client: &Client, destination: &mut dyn Destination) -> Result<(Copied, Instant)> {
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let copied = runtime.block_on(async {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            copied = copy(client, destination) => copied,
            _ = interrupt.recv() => anyhow::bail!("interrupted; what was copied so far is of no use"),
            _ = terminate.recv() => anyhow::bail!("told to stop; what was copied so far is of no use"),
        }
    })?;
    Ok((copied, begun))
}

async fn copy(client: &Client, destination: &mut dyn Destination) -> Result<Copied> {
    let mut source = Source::open(client).await?;
    let segments = source.begin().await?;
    let Some(newest) = segments.last() else { anyhow::bail!("the server's log has no segments") };
    let (lsn, bytes) = (newest.last_lsn, segments.iter().map(|segment| segment.bytes).sum());
    // First, so that a copy which ends early misses the segments between and is refused.
    let (number, closing) = closing_segment(newest, &source.read(newest.number, 0).await?)?;
    file(destination, number, &closing)?;
    let mut verifier = CopyVerifier::new();
    for &segment in &segments {
        copy_segment(&mut source, &mut verifier, segment, destination).await?;
    }
    source.end().await?;
    destination.finish().context("cannot complete the backup")?;
    Ok(Copied { records: verifier.records(), lsn, bytes })
}

/// Writes a small file.
fn file(destination: &mut dyn Destination, number: u64, bytes: &[u8]) -> Result<()> {
    let name = CopyVerifier::file_name(number);
    let mut write = || {
        destination.begin(&name, bytes.len() as u64)?;
        destination.write(bytes)?;
        destination.end()
    };
    write().with_context(|| format!("cannot write {name}"))
}

async fn copy_segment(
    source: &mut Source,
    verifier: &mut CopyVerifier,
    segment: Segment,
    destination: &mut dyn Destination,
) -> Result<()> {
    let name = CopyVerifier::file_name(segment.number);
    let cannot = || format!("cannot write {name}");
    destination.begin(&name, segment.bytes).with_context(cannot)?;
    verifier.begin(segment);
    let mut offset = 0;
    let mut next = Some(source.ask(segment.number, 0));
    while let Some(piece) = next.take() {
        let bytes = piece.await?;
        offset += bytes.len() as u64;
        anyhow::ensure!(!bytes.is_empty(), "segment {} ends at {offset}, before its end", segment.number);
        if offset < segment.bytes {
            // While this piece is written, the next one comes.
            next = Some(source.ask(segment.number, offset));
        }
        verifier.take(&bytes)?;
        destination.write(&bytes).with_context(cannot)?;
    }
    verifier.end()?;
    destination.end().with_context(cannot)
}
