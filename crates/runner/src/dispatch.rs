//! How a group's jobs are done: the one place that knows all dispatchers.

use std::time::Duration;

use stanchion_client::Job;
use tokio::sync::watch;

use crate::config::Dispatcher;
use crate::drain::DrainDispatcher;
use crate::exec::ExecDispatcher;
use crate::handler::Handler;
use crate::http::HttpDispatcher;
use crate::outcome::{Cancel, Outcome};
use crate::pool::PoolDispatcher;

/// A dispatcher, ready to run jobs.
#[derive(Debug, Clone)]
pub(crate) enum Dispatch {
    Exec(ExecDispatcher),
    Http(HttpDispatcher),
    Pool(PoolDispatcher),
    Handler(Handler),
    Drain(DrainDispatcher),
}

impl Dispatch {
    /// A dispatcher for this many jobs at once.
    pub(crate) fn from_config(dispatcher: Dispatcher, slots: u32) -> Dispatch {
        match dispatcher {
            Dispatcher::Exec(exec) => Dispatch::Exec(ExecDispatcher::new(exec)),
            Dispatcher::Http(http) => Dispatch::Http(HttpDispatcher::new(http)),
            Dispatcher::Drain(drain) => Dispatch::Drain(DrainDispatcher::new(drain)),
            Dispatcher::Pool(pool) => Dispatch::Pool(PoolDispatcher::new(pool, slots)),
        }
    }

    /// A job has ended after this long, whatever it does; none for functions of a program, which nobody can end.
    pub(crate) fn time_max(&self) -> Option<Duration> {
        match self {
            Dispatch::Exec(exec) => Some(exec.time_max()),
            Dispatch::Http(http) => Some(http.time_max()),
            Dispatch::Pool(pool) => Some(pool.time_max()),
            Dispatch::Drain(_) => Some(Duration::ZERO),
            Dispatch::Handler(_) => None,
        }
    }

    pub(crate) async fn run(&self, job: &Job, cancel: watch::Receiver<Cancel>) -> Outcome {
        match self {
            Dispatch::Exec(exec) => exec.run(job, cancel).await,
            Dispatch::Http(http) => http.run(job, cancel).await,
            Dispatch::Pool(pool) => pool.run(job, cancel).await,
            // Its group claims nothing. A job that was claimed before a reload goes back.
            Dispatch::Drain(_) => Outcome::Release { after: Some(Duration::ZERO) },
            Dispatch::Handler(handler) => handler.run(job, cancel).await,
        }
    }

    /// The group has another number of slots.
    pub(crate) fn resize(&self, slots: u32) {
        match self {
            Dispatch::Pool(pool) => pool.resize(slots),
            Dispatch::Exec(_) | Dispatch::Http(_) | Dispatch::Handler(_) | Dispatch::Drain(_) => {}
        }
    }

    /// Lets what outlives single jobs end, and waits for that. No job runs any more.
    pub(crate) async fn close(&self) {
        match self {
            Dispatch::Pool(pool) => pool.close().await,
            Dispatch::Exec(_) | Dispatch::Http(_) | Dispatch::Handler(_) | Dispatch::Drain(_) => {}
        }
    }
}
