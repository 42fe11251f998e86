//! `kind = "drain"`: the old way. A command that takes jobs by itself, as MediaWiki's runJobs.php does, is started
//! while a queue has ready jobs.
//!
//! Nothing is claimed here, so there is nothing to wait for at the server: it is asked (QREADY) when a slot is free.
//! A free slot goes to the place with the fewest processes, among those to the one whose jobs have waited longest,
//! and a place never gets more processes than it has ready jobs. One whose process failed, or during which the
//! queue saw no claim at all, is left alone for a while.

mod choice;

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stanchion_client::{Client, Error, Ready, Sources};
use stanchion_protocol::glob;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::Drain;
use crate::exec::EX_TEMPFAIL;
use crate::outcome::Cancel;
use crate::process::shims::Shims;
use crate::process::{Ended, How, Launch};
use crate::release::Releases;
use crate::runner::Shared;
use crate::shim::{self, Input};
use crate::slots::{Slot, Slots, Tier};
use crate::template::Field;
use choice::Waiting;

/// Starts commands where jobs are ready.
#[derive(Debug, Clone)]
pub(crate) struct DrainDispatcher {
    drain: Arc<Drain>,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    shims: Shims,
    /// How many processes each place has.
    running: Mutex<HashMap<Place, u32>>,
    /// Places that are left alone, by [`Place::key`].
    pauses: Releases,
    /// A process has ended.
    ended: Notify,
}

/// What a process is started for: a queue, or one group of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Place {
    queue: Vec<u8>,
    /// None when the command is the same for all of them.
    group: Option<Vec<u8>>,
}

/// One of a place's processes; dropping it says that it is gone.
#[derive(Debug)]
struct Running {
    state: Arc<State>,
    place: Place,
}

impl DrainDispatcher {
    pub(crate) fn new(drain: Drain) -> DrainDispatcher {
        let state = State {
            shims: Shims::new(PathBuf::from(shim::THIS_EXECUTABLE)),
            running: Mutex::default(),
            pauses: Releases::default(),
            ended: Notify::new(),
        };
        DrainDispatcher { drain: Arc::new(drain), state: Arc::new(state) }
    }

    /// Fills free slots with processes for what is ready; how many were started.
    pub(crate) async fn start(
        &self,
        shared: &Arc<Shared>,
        slots: &Arc<Slots>,
        from: &Sources,
        client: &Client,
    ) -> Result<usize, Error> {
        let ready = client.ready(glob_of(from)).await?;
        let now = Instant::now();
        self.state.pauses.forget_old(now);
        let waiting = self.waiting(&ready, from, now);
        let mut started = 0;
        for place in choice::choose(waiting, slots.free().count) {
            let Some(slot) = slots.take(Tier::Normal).filter(|_| !shared.stop.is_stopping()) else { break };
            let running = Running::enter(&self.state, place);
            tokio::spawn(run(Arc::clone(shared), Arc::clone(&self.drain), running, slot));
            started += 1;
        }
        Ok(started)
    }

    /// Waits until it is worth asking again.
    pub(crate) async fn pause(&self) {
        tokio::select! {
            () = tokio::time::sleep(self.drain.poll) => {}
            () = self.state.ended.notified() => {}
        }
    }

    /// Places that may have one more process, each once.
    fn waiting(&self, ready: &[Ready], from: &Sources, now: Instant) -> Vec<Waiting<Place>> {
        let by_group = self.drain.is_by_group();
        let mut places: HashMap<Place, Waiting<Place>> = HashMap::new();
        for line in ready.iter().filter(|line| is_from(from, &line.queue)) {
            let place = Place { queue: line.queue.clone(), group: by_group.then(|| line.group.clone()) };
            let waiting = places.entry(place.clone()).or_insert_with(|| Waiting::new(place));
            waiting.ready += line.ready;
            waiting.oldest_ms = waiting.oldest_ms.max(line.oldest_ms);
        }
        let running = self.state.running();
        let mut waiting: Vec<Waiting<Place>> = places.into_values().collect();
        waiting.retain_mut(|waiting| {
            waiting.running = running.get(&waiting.place).copied().unwrap_or(0);
            !self.state.pauses.is_pausing(&waiting.place.key(), now)
        });
        waiting
    }
}

impl Place {
    /// As one string: a length keeps a queue and its group apart.
    fn key(&self) -> Vec<u8> {
        let mut key = self.queue.len().to_le_bytes().to_vec();
        key.extend_from_slice(&self.queue);
        key.extend_from_slice(self.group.as_deref().unwrap_or_default());
        key
    }
}

impl State {
    fn running(&self) -> MutexGuard<'_, HashMap<Place, u32>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn enter(state: &Arc<State>, place: Place) -> Running {
        *state.running().entry(place.clone()).or_default() += 1;
        Running { state: Arc::clone(state), place }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = self.state.running();
        if let Some(count) = running.get_mut(&self.place) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.place);
            }
        }
        drop(running);
        self.state.ended.notify_one();
    }
}

/// What became of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// Jobs of its queue were claimed while it ran.
    Worked,
    /// None was.
    DidNothing,
    Failed(String),
    Cancelled,
}

/// Runs one process to its end, with a line in the log at both ends.
async fn run(shared: Arc<Shared>, drain: Arc<Drain>, running: Running, slot: Slot) {
    let entered = shared.running.start_process();
    let place = &running.place;
    let queue = String::from_utf8_lossy(&place.queue);
    let group = place.group.as_deref().map(String::from_utf8_lossy);
    let (queue, group) = (queue.as_ref(), group.as_deref());
    let began = Instant::now();
    tracing::info!(queue, group, slot = slot.number(), "drain started");
    let claims_before = claims(&shared.client, &place.queue).await;
    let outcome = match launch(&drain, place) {
        Err(reason) => Outcome::Failed(reason),
        Ok(launch) => {
            let ended = launch.run(&running.state.shims, entered.clone()).await;
            let claims_after = claims(&shared.client, &place.queue).await;
            let did_nothing = claims_before.is_some() && claims_before == claims_after;
            judge(&drain, ended, *entered.borrow(), did_nothing)
        }
    };
    let (status, error) = outcome.in_words();
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(queue, group, slot = slot.number(), status, ms, error, "drain ended");
    match outcome {
        Outcome::Worked | Outcome::Cancelled => running.state.pauses.tried(&place.key()),
        Outcome::DidNothing | Outcome::Failed(_) => {
            running.state.pauses.pause(&place.key(), Instant::now());
        }
    }
    // The slot last, because who sees it free also sees that the place has one process less.
    drop(entered);
    drop(running);
    drop(slot);
}

/// How many claims the queue has seen; none when the server can't say now.
async fn claims(client: &Client, queue: &[u8]) -> Option<u64> {
    client.stats(queue).await.ok().map(|stats| stats.map_or(0, |stats| stats.claims))
}

fn launch<'a>(drain: &'a Drain, place: &Place) -> Result<Launch<'a>, String> {
    let (queue, group) = (&place.queue, place.group.as_deref().unwrap_or_default());
    if queue.contains(&0) || group.contains(&0) {
        return Err("NUL in the name of the queue or the group: no process can be told it".to_owned());
    }
    let field = |field| match field {
        Field::Queue => queue.clone(),
        Field::Group => group.to_vec(),
        Field::Id | Field::Attempt | Field::Priority => Vec::new(), // refused when the file was read
    };
    let mut environment = vec![("JOB_QUEUE", OsString::from_vec(queue.clone()))];
    environment.extend(place.group.clone().map(|group| ("JOB_GROUP", OsString::from_vec(group))));
    Ok(Launch {
        program: &drain.program,
        arguments: drain.arguments.iter().map(|argument| argument.fill_with(field)).collect(),
        environment,
        input: Input::Nothing,
        limits: drain.limits,
    })
}

fn judge(drain: &Drain, ended: io::Result<Ended>, told: Cancel, did_nothing: bool) -> Outcome {
    let ended = match ended {
        Ok(ended) => ended,
        Err(error) => {
            let reason =
                format!("no process can be started: {error}; out of processes, memory or descriptors?");
            return Outcome::Failed(reason);
        }
    };
    match ended.how {
        How::Exited(0) if did_nothing => Outcome::DidNothing,
        How::Exited(0) => Outcome::Worked,
        _ if told != Cancel::No => Outcome::Cancelled,
        How::Exited(EX_TEMPFAIL) if !ended.timed_out => Outcome::DidNothing,
        How::NotStarted(_) => Outcome::Failed(format!("{} can't be started: {}", drain.program, ended.how)),
        _ => Outcome::Failed(ended.reason(drain.limits.timeout)),
    }
}

impl Outcome {
    fn in_words(&self) -> (&'static str, Option<&str>) {
        match self {
            Outcome::Worked => ("done", None),
            Outcome::DidNothing => ("idle", None),
            Outcome::Failed(error) => ("failed", Some(error)),
            Outcome::Cancelled => ("cancelled", None),
        }
    }
}

/// The only glob that there is; with more of them the server is asked for all queues.
fn glob_of(from: &Sources) -> Option<&str> {
    match from {
        Sources::Match { globs, .. } if globs.len() == 1 => globs.first().map(String::as_str),
        Sources::Match { .. } | Sources::Queues(_) => None,
    }
}

fn is_from(from: &Sources, queue: &[u8]) -> bool {
    let matches = |globs: &[String]| globs.iter().any(|glob| glob::matches(glob.as_bytes(), queue));
    match from {
        Sources::Match { globs, except } => matches(globs) && !matches(except),
        Sources::Queues(queues) => queues.iter().any(|name| name == queue),
    }
}
