//! In-process handlers against a real server: what a program with the runner as a library can rely on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stanchion_client::{Client, Dedupe, Push};
use stanchion_runner::{Outcome, Runner};
use stanchion_tests::{PATIENCE, Server};
use tokio::sync::mpsc;

fn url(server: &Server) -> String {
    format!("redis://{}", server.address())
}

#[tokio::test]
async fn jobs_are_handled_and_what_handlers_return_is_reported() {
    let server = Server::start();
    let client = Client::new(&url(&server)).expect("a URL");
    for queue in ["good", "failing", "panicking", "hopeless", "busy"] {
        client.config_set(queue, &[("attempts", "1")]).await.expect("settings");
        client.push(queue, &Push::new(queue).group("g")).await.expect("a push");
    }
    let (tell, mut told) = mpsc::unbounded_channel();
    let seen = move |queue: &'static str| {
        let tell = tell.clone();
        move |job: &stanchion_runner::Job| {
            assert_eq!(job.payload, queue.as_bytes());
            tell.send(queue).expect("the test listens");
        }
    };
    let (good, failing, panicking, hopeless, busy) =
        (seen("good"), seen("failing"), seen("panicking"), seen("hopeless"), seen("busy"));
    let runner = Runner::builder()
        .url(url(&server))
        .name("library")
        .slots(2)
        .handle("good", move |job| {
            good(&job);
            async {}
        })
        .handle("failing", move |job| {
            failing(&job);
            async { Err::<(), _>("no luck") }
        })
        .handle("panicking", move |job| {
            panicking(&job);
            async move { assert!(job.attempt > 9, "attempt {}", job.attempt) }
        })
        .handle("hopeless", move |job| {
            hopeless(&job);
            async { Outcome::Hopeless("never".into()) }
        })
        .handle("busy", move |job| {
            busy(&job);
            async { Outcome::Release { after: Some(Duration::from_secs(600)) } }
        })
        .build()
        .expect("a runner");
    let stop = runner.stop_handle();
    let running = tokio::spawn(runner.run());
    for _ in 0..5 {
        told.recv().await.expect("every handler is called");
    }
    stop.stop();
    tokio::time::timeout(PATIENCE, running).await.expect("it stops").expect("no panic").expect("no error");

    let mut connection = server.connect();
    let mut dead = |queue: &str| {
        let jobs = connection.call(&["QPEEK", queue, "DEAD"]);
        jobs.array().first().and_then(|job| job.field("last-error")).map(|error| error.text())
    };
    assert_eq!(dead("good"), None);
    assert_eq!(dead("failing").as_deref(), Some("no luck"));
    assert_eq!(dead("panicking").as_deref(), Some("the handler panicked: attempt 1"));
    assert_eq!(dead("hopeless").as_deref(), Some("never"));
    assert_eq!(client.stats("good").await.expect("stats").expect("a queue").acked, 1);
    let busy = client.stats("busy").await.expect("stats").expect("a queue");
    assert_eq!((busy.released, busy.delayed), (1, 1));
}

#[tokio::test]
async fn never_more_at_once_than_slots() {
    let server = Server::start();
    let client = Client::new(&url(&server)).expect("a URL");
    let jobs: Vec<Push> = (0..40).map(|n| Push::new("x").dedupe(Dedupe::until_done(n.to_string()))).collect();
    client.push_many("q", &jobs).await.expect("pushes");
    let (tell, mut told) = mpsc::unbounded_channel();
    let running_now = Arc::new(AtomicUsize::new(0));
    let runner = Runner::builder()
        .url(url(&server))
        .slots(3)
        .handle("q", move |_| {
            let (tell, running_now) = (tell.clone(), Arc::clone(&running_now));
            async move {
                let at_once = running_now.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::task::yield_now().await;
                running_now.fetch_sub(1, Ordering::SeqCst);
                tell.send(at_once).expect("the test listens");
            }
        })
        .build()
        .expect("a runner");
    let stop = runner.stop_handle();
    let running = tokio::spawn(runner.run());
    for _ in 0..jobs.len() {
        let at_once = told.recv().await.expect("every job is handled");
        assert!(at_once <= 3, "{at_once} at once");
    }
    stop.stop();
    tokio::time::timeout(PATIENCE, running).await.expect("it stops").expect("no panic").expect("no error");
    let stats = client.stats("q").await.expect("stats").expect("a queue");
    assert_eq!((stats.acked, stats.claims, stats.stale_acks), (40, 40, 0));
}

#[tokio::test]
async fn a_runner_without_handlers_is_refused() {
    let error = Runner::builder().build().expect_err("nothing to do");
    assert!(error.to_string().contains("give it a handler"), "{error}");
}
