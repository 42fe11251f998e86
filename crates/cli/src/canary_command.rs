//! `stanchion-runner canary`: whether a new version does its jobs as well as the one before, for deploy scripts.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use stanchion_client::{Client, VersionFigures};
use stanchion_runner::Config;
use stanchion_runner::canary::{self, Comparison};
use stanchion_runner::config::{Server, duration};
use tokio::time::Instant;

use crate::exit;
use crate::tls_args::TlsArgs;

/// How often the server is asked for its figures.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is to be compared, and when.
#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
pub struct CanaryArgs {
    /// The runner's configuration file, which names the server
    #[arg(required_unless_present = "url", conflicts_with = "url")]
    file: Option<PathBuf>,
    /// The server itself, instead of a file
    #[arg(long)]
    url: Option<String>,
    #[command(flatten)]
    tls: TlsArgs,
    /// The version that is tried
    #[arg(long)]
    version: String,
    /// The version that it is compared with
    #[arg(long)]
    against: String,
    /// Compare once so many attempts of the tried version have ended
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u64).range(1..))]
    min_jobs: u64,
    /// It may fail so many times as often as the other one
    #[arg(long, value_name = "R", default_value = "1.5", value_parser = ratio)]
    max_failure_ratio: f64,
    /// Wait no longer, as in 90s or 10m
    #[arg(long, value_name = "T", default_value = "10m", value_parser = patience)]
    timeout: Duration,
}

/// How the waiting ended.
enum Ended {
    /// The tried version has done its jobs.
    Compared(Vec<VersionFigures>),
    /// It has not done them in time; the newest figures, if the server ever told some, and what it said last.
    TimedOut(Option<Vec<VersionFigures>>, Option<stanchion_client::Error>),
    /// The server refuses to tell.
    Refused(stanchion_client::Error),
}

fn ratio(word: &str) -> Result<f64, String> {
    let ratio = word.parse().ok().filter(|ratio: &f64| ratio.is_finite() && *ratio > 0.0);
    ratio.ok_or_else(|| "it is a number above 0, as in 1.5".to_owned())
}

fn patience(word: &str) -> Result<Duration, String> {
    duration(word).ok_or_else(|| "it is a whole number and one of ms, s, m, h, d, as in 10m".to_owned())
}

/// Waits, compares, prints the table, and ends with 0 or 1; with 2 when there is nothing to compare.
pub fn main(args: &CanaryArgs, runtime: &tokio::runtime::Runtime) -> ExitCode {
    let client = match client(args) {
        Ok(client) => client,
        Err(code) => return code,
    };
    if args.version == args.against {
        return usage("--version and --against name the same version; name two");
    }
    match runtime.block_on(wait(&client, args)) {
        Ended::Compared(figures) => judge(&figures, args),
        Ended::TimedOut(figures, error) => timed_out(figures.as_deref(), error, args),
        Ended::Refused(error) => {
            usage(format_args!("the server at {} tells no figures: {error}", client.address()))
        }
    }
}

fn client(args: &CanaryArgs) -> Result<Client, ExitCode> {
    match (&args.url, &args.file) {
        (Some(url), _) => args.tls.client(url),
        (None, Some(file)) => read(file)?.client(),
        (None, None) => return Err(usage("name a configuration file, or a server with --url")),
    }
    .map_err(usage)
}

fn read(file: &Path) -> Result<Server, ExitCode> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| {
        exit::with_message(exit::USAGE, format_args!("{name}: can't be read: {error}; name a file in TOML"))
    })?;
    let config = Config::parse(&name, &text).map_err(|error| exit::with_message(exit::USAGE, error))?;
    Ok(config.server)
}

/// Looks until the tried version has done its jobs, or the time is over. A server that is away may come back.
async fn wait(client: &Client, args: &CanaryArgs) -> Ended {
    let deadline = Instant::now() + args.timeout;
    let (mut newest, mut failure) = (None, None);
    loop {
        let answer = tokio::time::timeout_at(deadline, client.versions()).await;
        match answer {
            Ok(Ok(figures)) if canary::ended(&figures, &args.version) >= args.min_jobs => {
                return Ended::Compared(figures);
            }
            Ok(Ok(figures)) => (newest, failure) = (Some(figures), None),
            Ok(Err(error)) if error.is_transient() => failure = Some(error),
            Ok(Err(error)) => return Ended::Refused(error),
            Err(_) => return Ended::TimedOut(newest, failure),
        }
        if Instant::now() + LOOK_EVERY > deadline {
            tokio::time::sleep_until(deadline).await;
            return Ended::TimedOut(newest, failure);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn judge(figures: &[VersionFigures], args: &CanaryArgs) -> ExitCode {
    let Some(comparison) = canary::compare(figures, &args.version, &args.against, args.max_failure_ratio)
    else {
        return usage(format_args!(
            "no attempt of version {} has ended since the server's start, so there is nothing to compare with; name a \
             version that QWORKER VERSIONS shows",
            args.against
        ));
    };
    show(&comparison, args);
    let (tried, against, ratio) = (&args.version, &args.against, args.max_failure_ratio);
    if comparison.is_ok() {
        exit::say(format_args!("{tried} is ok: it fails at most {ratio} times as often as {against}"));
        return ExitCode::SUCCESS;
    }
    exit::with_message(
        exit::FAILURE,
        format_args!(
            "stanchion-runner: {tried} fails more than {ratio} times as often as {against}; take it back"
        ),
    )
}

fn timed_out(
    figures: Option<&[VersionFigures]>,
    error: Option<stanchion_client::Error>,
    args: &CanaryArgs,
) -> ExitCode {
    let (version, wanted, timeout) = (&args.version, args.min_jobs, args.timeout);
    if let Some(error) = error {
        return usage(format_args!("timeout: within {timeout:?} the server did not answer: {error}"));
    }
    let figures = figures.unwrap_or_default();
    if let Some(comparison) = canary::compare(figures, version, &args.against, args.max_failure_ratio) {
        show(&comparison, args);
    }
    let ended = canary::ended(figures, version);
    usage(format_args!(
        "timeout: {ended} attempts of version {version} have ended within {timeout:?}, {wanted} are wanted; wait longer with \
         --timeout, or see with QWORKER LIST whether its runners are there"
    ))
}

fn show(comparison: &Comparison, args: &CanaryArgs) {
    exit::say(format_args!("failures of {} (tried) and {} (against)", args.version, args.against));
    exit::say(comparison);
}

fn usage(message: impl std::fmt::Display) -> ExitCode {
    exit::with_message(exit::USAGE, format_args!("stanchion-runner: {message}"))
}
