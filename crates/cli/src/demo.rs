//! `stanchion demo`: real jobs through a real server and a real runner, in half a minute.
//!
//! 40 wikis push what MediaWiki pushed while its pages and templates were edited. A server on a fresh directory
//! keeps the jobs, a runner has each of them done by a process, some fail at first, one kind never succeeds. At
//! the end every push must be accounted for: a demo that can't fail shows nothing.

mod account;
mod children;
mod feed;
mod place;
mod progress;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use stanchion_client::{Backoff, Client};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::{self, say};
use account::Account;
use children::Children;
use place::Place;
use progress::Progress;

/// How long the server may take to start.
const START_MAX: Duration = Duration::from_secs(10);
/// How often the counts are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Without a job done for this long the demo gives up.
const STALL_MAX: Duration = Duration::from_secs(20);

/// Flags of `stanchion demo`.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Keep serving when the jobs are done, until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Keep everything in this new or empty directory, instead of a temporary one
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The server's port [default: a free one]
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
}

/// Runs the demo.
pub fn main(args: &DemoArgs) -> ExitCode {
    let place = match Place::new(args.dir.as_deref()) {
        Ok(place) => place,
        Err(error) => return exit::with_message(exit::USAGE, format_args!("stanchion demo: {error:#}")),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::with_message(exit::FAILURE, format_args!("stanchion demo: {error}")),
    };
    match runtime.block_on(demo(args, &place)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => {
            exit::with_message(exit::FAILURE, format_args!("stanchion demo: {error}"))
        }
        Err(error) => {
            let directory = place.keep();
            let message = format!("stanchion demo: {error:#}\nlogs and data are in {}", directory.display());
            exit::with_message(exit::FAILURE, message)
        }
    }
}

/// The demo, and the end of its processes however it went.
async fn demo(args: &DemoArgs, place: &Place) -> Result<()> {
    let mut interrupts = Interrupts::new()?;
    let port = match args.port {
        Some(port) => port,
        None => children::free_port()?,
    };
    place.write(port)?;
    let mut children = Children::default();
    let result = tokio::select! {
        result = show(args, place, port, &mut children) => result,
        () = interrupts.next() => Err(Interrupted.into()),
    };
    let kept = match result {
        Ok(()) if args.keep => {
            say("The server and the runner go on; Ctrl-C ends them.");
            interrupts.next().await;
            Ok(())
        }
        result => result,
    };
    let stopped = children.stop().await;
    kept.and(stopped)
}

async fn show(args: &DemoArgs, place: &Place, port: u16, children: &mut Children) -> Result<()> {
    let began = Instant::now();
    children.start_server(place, port)?;
    let client = Client::new(&format!("redis://127.0.0.1:{port}"))?;
    wait_until_serving(&client, children).await?;
    for (queue, settings) in feed::SETTINGS {
        client.config_set(queue, settings).await.with_context(|| format!("the settings of {queue}"))?;
    }
    children.start_runner(place)?;
    say(format_args!(
        "A server on port {port} and a runner with {} slots; everything is in {}.",
        place::SLOTS,
        place.path().display()
    ));

    let mut accounts: Vec<Account> = feed::SETTINGS.iter().map(|(queue, _)| Account::new(queue)).collect();
    let pushes = feed::recorded()?;
    say(format_args!("{} wikis push {} jobs, durably:", feed::WIKIS.len(), pushes.len()));
    push_all(&client, pushes, &mut accounts).await?;
    let pushes = feed::edited_again()?;
    say(format_args!("The same pages are edited again, so {} more jobs supersede what waits:", pushes.len()));
    push_all(&client, pushes, &mut accounts).await?;
    let pushed_in = began.elapsed();

    let added = accounts.iter().map(|account| account.added).sum();
    say(format_args!(
        "{added} of all pushes were new jobs; each that is not superseded is done by a process of its own:"
    ));
    run_all(&client, children, added, &mut accounts).await?;
    let runs = place.runs()?;

    say(account::table(&accounts));
    say(format_args!(
        "{runs} processes ran; pushed in {:.1} s, all done after {:.1} s.",
        pushed_in.as_secs_f64(),
        began.elapsed().as_secs_f64()
    ));
    let wrong = account::mismatches(&accounts, runs);
    if !wrong.is_empty() {
        bail!("the counts don't add up: {}", wrong.join("; "));
    }
    let place_of_server = if args.keep { "" } else { " (after `stanchion demo --keep`)" };
    say(format_args!("Every push is accounted for. Look around{place_of_server}:"));
    for command in ["QLIST", "QSTATS refreshLinks", "QPEEK ThumbnailRender DEAD COUNT 1"] {
        say(format_args!("  redis-cli -p {port} {command}"));
    }
    Ok(())
}

async fn wait_until_serving(client: &Client, children: &mut Children) -> Result<()> {
    let deadline = Instant::now() + START_MAX;
    let mut backoff = Backoff::default();
    while let Err(error) = client.ping().await {
        children.check()?;
        if !error.is_transient() || Instant::now() > deadline {
            bail!("the server does not start: {error}");
        }
        tokio::time::sleep(backoff.next_pause()).await;
    }
    // With --port somebody else may have answered.
    children.check()
}

/// Pushes in pipelines, and counts the answers.
async fn push_all(client: &Client, pushes: Vec<feed::QueuedPush>, accounts: &mut [Account]) -> Result<()> {
    let mut progress = Progress::new("pushes", pushes.len() as u64);
    for batch in pushes.chunks(feed::BATCH) {
        let answers = client.push_each(batch).await.context("pushing")?;
        for ((queue, _), answer) in batch.iter().zip(answers) {
            let answer = answer.with_context(|| format!("pushing to {queue}"))?;
            let account = accounts.iter_mut().find(|account| account.queue == *queue);
            account.context("a queue without an account")?.count(answer.status);
        }
        progress.add(batch.len() as u64);
    }
    progress.finish();
    Ok(())
}

/// Watches until no job is left.
async fn run_all(
    client: &Client,
    children: &mut Children,
    added: u64,
    accounts: &mut [Account],
) -> Result<()> {
    let mut progress = Progress::new("jobs", added);
    let mut last_step = Instant::now();
    loop {
        children.check()?;
        for account in accounts.iter_mut() {
            account.look(client).await?;
        }
        let finished = accounts.iter().map(Account::finished).sum();
        if progress.set(finished) {
            last_step = Instant::now();
        }
        if accounts.iter().all(Account::is_empty) {
            break;
        }
        if last_step.elapsed() > STALL_MAX {
            bail!("no job was done for {STALL_MAX:?}, {finished} of {added} before that");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    progress.finish();
    Ok(())
}

/// Somebody did not want to see the end: nothing went wrong, and nothing is kept.
#[derive(Debug)]
struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Ctrl-C and SIGTERM.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    fn new() -> Result<Interrupts> {
        Ok(Interrupts {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
