//! Jobs done by functions of this program.
//!
//! A handler's panic is its own failure: the job is nacked with the panic's message and the runner goes on.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use stanchion_client::Job;
use tokio::sync::watch;

use crate::outcome::{Cancel, Outcome, more_urgent};

type Boxed = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A function that does jobs.
#[derive(Clone)]
pub struct Handler {
    function: Arc<dyn Fn(Job) -> Boxed + Send + Sync>,
}

impl std::fmt::Debug for Handler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handler")
    }
}

impl Handler {
    /// Any function from a job to a future of an [`Outcome`], of nothing (done), or of a `Result`.
    pub fn new<F, Fut, O>(function: F) -> Handler
    where
        F: Fn(Job) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = O> + Send + 'static,
        O: Into<Outcome>,
    {
        let function = Arc::new(function);
        Handler {
            function: Arc::new(move |job| {
                let function = Arc::clone(&function);
                // The call itself may panic too, so it is made inside the future.
                Box::pin(async move { function(job).await.into() })
            }),
        }
    }

    /// Runs the job to its end, or until it is cancelled.
    pub(crate) async fn run(&self, job: &Job, mut cancel: watch::Receiver<Cancel>) -> Outcome {
        let mut task = tokio::spawn((self.function)(job.clone()));
        tokio::select! {
            ended = &mut task => match ended {
                Ok(outcome) => outcome,
                Err(error) if error.is_panic() => Outcome::Failed(panic_message(error.into_panic().as_ref())),
                Err(_) => Outcome::Cancelled,
            },
            _ = more_urgent(&mut cancel, Cancel::No) => {
                // It ends at its next await.
                task.abort();
                Outcome::Cancelled
            }
        }
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let said =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the handler panicked: {}", said.unwrap_or("(no message)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::job;

    async fn run(handler: Handler) -> Outcome {
        let (_keep, cancel) = watch::channel(Cancel::No);
        handler.run(&job("q"), cancel).await
    }

    #[tokio::test]
    async fn what_a_handler_returns_is_the_outcome() {
        assert_eq!(run(Handler::new(|_| async {})).await, Outcome::Done);
        assert_eq!(run(Handler::new(|_| async { Ok::<(), String>(()) })).await, Outcome::Done);
        let failing = Handler::new(|job| async move { Err::<(), _>(format!("no {}", job.attempt)) });
        assert_eq!(run(failing).await, Outcome::Failed("no 2".into()));
        let release = Outcome::Release { after: None };
        let releasing = release.clone();
        assert_eq!(run(Handler::new(move |_| std::future::ready(releasing.clone()))).await, release);
    }

    #[tokio::test]
    async fn a_panic_is_a_failure() {
        let in_the_future = Handler::new(|job| async move {
            assert!(job.attempt > 99, "attempt {}", job.attempt);
        });
        let message = "the handler panicked: attempt 2";
        assert_eq!(run(in_the_future).await, Outcome::Failed(message.into()));
        let in_the_call = Handler::new(|job| {
            assert!(job.attempt > 99, "early");
            async {}
        });
        assert_eq!(run(in_the_call).await, Outcome::Failed("the handler panicked: early".into()));
    }

    #[tokio::test]
    async fn a_cancelled_handler_is_dropped() {
        let (tell, cancel) = watch::channel(Cancel::No);
        let (witness, mut dropped) = tokio::sync::mpsc::channel::<()>(1);
        let handler = Handler::new(move |_| {
            let witness = witness.clone();
            async move {
                let _held = witness;
                std::future::pending::<()>().await;
            }
        });
        tell.send(Cancel::Lost).unwrap();
        assert_eq!(handler.run(&job("q"), cancel).await, Outcome::Cancelled);
        drop(handler);
        assert_eq!(dropped.recv().await, None, "its future is gone");
    }
}
