//! The client and the runner as libraries, over TLS.

use stanchion_client::{Claim, Client, Error, Push, Tls};
use stanchion_runner::Runner;
use stanchion_tests::{Authority, Certificate, PATIENCE, Secured};
use tokio::sync::mpsc;

fn url(secured: &Secured) -> String {
    format!("rediss://{}", secured.address())
}

fn tls(trusts: &Authority, shows: Option<&Certificate>) -> Tls {
    let tls = Tls::new().ca_file(trusts.certificate());
    match shows {
        Some(Certificate { cert, key, .. }) => tls.identity_files(cert, key),
        None => tls,
    }
}

#[tokio::test]
async fn jobs_come_and_go_in_secret() {
    let secured = Secured::start("yes");
    let own = secured.authority().sign("worker");
    let client = Client::with_tls(&url(&secured), &tls(secured.authority(), Some(&own))).expect("a client");
    client.push("q", &Push::new("x")).await.expect("a push");
    let worker = client.for_claims();
    let jobs = worker.claim("q", &Claim::new()).await.expect("a claim");
    let [job] = jobs.as_slice() else { panic!("one job: {jobs:?}") };
    client.ack("q", std::slice::from_ref(&job.receipt)).await.expect("an ack");
    assert_eq!(client.stats("q").await.expect("stats").expect("a queue").acked, 1);
}

#[tokio::test]
async fn who_is_not_trusted_or_not_let_in_is_told_why() {
    let secured = Secured::start("yes");
    let (trusted, stranger) = (secured.authority(), Authority::new());
    let refused =
        async |tls: Tls| match Client::with_tls(&url(&secured), &tls).expect("a client").ping().await {
            Err(Error::Tls { what, .. }) => what,
            other => panic!("no error of TLS: {other:?}"),
        };
    assert!(refused(tls(&stranger, None)).await.contains("UnknownIssuer"));
    assert!(refused(Tls::new()).await.contains("UnknownIssuer"), "the system knows nothing of it");
    assert!(refused(tls(trusted, None)).await.contains("CertificateRequired"));
    assert!(refused(tls(trusted, Some(&stranger.sign("worker")))).await.contains("UnknownCA"));
}

#[test]
fn files_without_tls_are_refused() {
    let files = Tls::new();
    let error = Client::with_tls("redis://127.0.0.1", &files).expect_err("no TLS");
    assert!(matches!(&error, Error::Url(why) if why.contains("rediss://")), "{error}");
    let error = Client::new("rediss://127.0.0.1/#insecure").expect_err("insecure");
    assert!(matches!(&error, Error::Url(why) if why.contains("trust any server")), "{error}");
}

#[tokio::test]
async fn a_runner_of_handlers_works_over_tls() {
    let secured = Secured::start("yes");
    let own = secured.authority().sign("worker");
    let files = tls(secured.authority(), Some(&own));
    let client = Client::with_tls(&url(&secured), &files).expect("a client");
    client.push("q", &Push::new("x")).await.expect("a push");
    let (tell, mut told) = mpsc::unbounded_channel();
    let runner = Runner::builder()
        .url(url(&secured))
        .tls(files)
        .handle("q", move |job| {
            tell.send(job.payload).expect("the test listens");
            async {}
        })
        .build()
        .expect("a runner");
    let stop = runner.stop_handle();
    let running = tokio::spawn(runner.run());
    assert_eq!(told.recv().await.expect("a job"), b"x");
    stop.stop();
    tokio::time::timeout(PATIENCE, running).await.expect("it stops").expect("no panic").expect("no error");
    assert_eq!(client.stats("q").await.expect("stats").expect("a queue").acked, 1);
}
