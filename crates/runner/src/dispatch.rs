//! How a group's jobs are done: the one place that knows all dispatchers.

use std::time::Duration;

use stanchion_client::Job;
use tokio::sync::watch;

use crate::config::Dispatcher;
use crate::exec::ExecDispatcher;
use crate::handler::Handler;
use crate::http::HttpDispatcher;
use crate::outcome::{Cancel, Outcome};

/// A dispatcher, ready to run jobs.
#[derive(Debug, Clone)]
pub(crate) enum Dispatch {
    Exec(ExecDispatcher),
    Http(HttpDispatcher),
    Handler(Handler),
}

impl Dispatch {
    pub(crate) fn from_config(dispatcher: Dispatcher) -> Dispatch {
        match dispatcher {
            Dispatcher::Exec(exec) => Dispatch::Exec(ExecDispatcher::new(exec)),
            Dispatcher::Http(http) => Dispatch::Http(HttpDispatcher::new(http)),
        }
    }

    /// A job has ended after this long, whatever it does; none for functions of a program, which nobody can end.
    pub(crate) fn time_max(&self) -> Option<Duration> {
        match self {
            Dispatch::Exec(exec) => Some(exec.time_max()),
            Dispatch::Http(http) => Some(http.time_max()),
            Dispatch::Handler(_) => None,
        }
    }

    pub(crate) async fn run(&self, job: &Job, cancel: watch::Receiver<Cancel>) -> Outcome {
        match self {
            Dispatch::Exec(exec) => exec.run(job, cancel).await,
            Dispatch::Http(http) => http.run(job, cancel).await,
            Dispatch::Handler(handler) => handler.run(job, cancel).await,
        }
    }
}
