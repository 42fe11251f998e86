//! The exec dispatcher and its shim against real processes. Every wait is for an event: a line of output, the
//! end of a pipe that a process holds, an outcome.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{failed, job, read_to_end, witness};
use stanchion_client::{Job, Receipt};
use stanchion_runner::config::{Exec, ProcessLimits, Stdin};
use stanchion_runner::exec::ExecDispatcher;
use stanchion_runner::outcome::{Cancel, Outcome};
use stanchion_runner::shim;
use stanchion_runner::template::Template;
use tokio::sync::watch;

/// Limits that no test waits for.
const PATIENT: ProcessLimits = ProcessLimits {
    timeout: Duration::from_secs(600),
    kill_after: Duration::from_secs(600),
    memory_max: None,
};

const SHIM: &str = env!("CARGO_BIN_EXE_stanchion-shim");

/// A dispatcher that runs this shell script with these arguments.
fn script(script: &str, arguments: &[&str]) -> Exec {
    let words = ["-c", script, "sh"].into_iter().chain(arguments.iter().copied());
    Exec {
        program: "/bin/sh".into(),
        arguments: words.map(|word| Template::parse(word).unwrap()).collect(),
        stdin: Stdin::Payload,
        limits: PATIENT,
    }
}

async fn run(exec: Exec, job: &Job) -> Outcome {
    let (_keep, cancel) = watch::channel(Cancel::No);
    ExecDispatcher::new(exec).with_shim(PathBuf::from(SHIM)).run(job, cancel).await
}

#[tokio::test]
async fn exit_codes_and_signals_decide() {
    let cases = [
        ("exit 0", Outcome::Done),
        ("exit 75", Outcome::Release { after: None }),
        ("exit 3", Outcome::Failed("exit code 3".into())),
        ("echo boom >&2; exit 1", Outcome::Failed("boom".into())),
        ("echo noise; echo boom >&2; exit 255", Outcome::Failed("boom".into())),
        ("echo said on stdout; exit 1", Outcome::Failed("said on stdout".into())),
        ("echo fine >&2; exit 0", Outcome::Done),
        ("kill -9 $$", Outcome::Failed("killed by signal 9".into())),
        ("echo last words >&2; kill -SEGV $$", Outcome::Failed("last words".into())),
    ];
    for (text, expected) in cases {
        assert_eq!(run(script(text, &[]), &job()).await, expected, "{text}");
    }
}

#[tokio::test]
async fn the_job_is_told_who_it_is() {
    let text = r#"
        test "$1" = "--wiki=enwiki" && test "$2" = "0000100000000001" && test "$#" = 2 &&
        test "$JOB_QUEUE $JOB_GROUP $JOB_ID" = "transcode enwiki 0000100000000001" &&
        test "$JOB_ATTEMPT $JOB_PRIORITY" = "2 3" && test "$(cat)" = "the payload"
    "#;
    assert_eq!(run(script(text, &["--wiki={group}", "{id}"]), &job()).await, Outcome::Done);
}

#[tokio::test]
async fn an_argument_never_splits_and_no_shell_reads_it() {
    let mut job = job();
    job.group = b"a b\n; exit 9 $(exit 9) * -x".to_vec();
    let text = r#"test "$#" = 1 && test "$1" = "$JOB_GROUP""#;
    assert_eq!(run(script(text, &["{group}"]), &job).await, Outcome::Done);
}

#[tokio::test]
async fn a_large_payload_needs_no_reader() {
    let mut job = job();
    job.payload = vec![b'x'; 16 << 20];
    assert_eq!(run(script("exit 0", &[]), &job).await, Outcome::Done, "not read at all");
    assert_eq!(run(script("test $(wc -c) = 16777216", &[]), &job).await, Outcome::Done, "read whole");
}

#[tokio::test]
async fn stdin_none_is_empty() {
    let exec = Exec { stdin: Stdin::None, ..script("test -z \"$(cat)\"", &[]) };
    assert_eq!(run(exec, &job()).await, Outcome::Done);
}

#[tokio::test]
async fn nul_in_a_field_is_hopeless() {
    let mut job = job();
    job.group = b"en\0wiki".to_vec();
    let outcome = run(script("exit 0", &[]), &job).await;
    assert_eq!(outcome, Outcome::Hopeless("NUL in the job's group: no process can be told it".into()));
}

#[tokio::test]
async fn a_program_that_is_not_there_uses_no_attempt() {
    let exec = Exec { program: "/no/such/program".into(), ..script("", &[]) };
    assert_eq!(run(exec, &job()).await, Outcome::Release { after: None });
}

#[tokio::test]
async fn ten_megabytes_of_stderr_hold_nothing_up_and_the_end_is_kept() {
    let text = "yes 0123456789abcde | head -c 10485760 >&2; echo the end >&2; exit 1";
    let error = failed(run(script(text, &[]), &job()).await);
    assert!(error.ends_with("\nthe end"), "{}", &error[error.len() - 40..]);
    assert!(error.len() <= 4096 && error.len() > 4000, "{} bytes", error.len());
}

#[tokio::test]
async fn a_timeout_ends_children_too() {
    let directory = tempfile::tempdir().unwrap();
    let (path, fifo) = witness(directory.path());
    let text = r#"exec >"$1"; sh -c 'sleep 1000 & sleep 1000' & echo started; sleep 1000"#;
    let exec = Exec {
        limits: ProcessLimits { timeout: Duration::from_millis(300), ..PATIENT },
        ..script(text, &[&path])
    };
    let began = Instant::now();
    let (outcome, said) = tokio::join!(run_owned(exec), read_to_end(fifo));
    assert_eq!(failed(outcome), "timed out after 300ms");
    assert_eq!(said, "started\n");
    assert!(began.elapsed() < Duration::from_secs(60), "SIGTERM was enough");
}

async fn run_owned(exec: Exec) -> Outcome {
    run(exec, &job()).await
}

#[tokio::test]
async fn who_ignores_sigterm_gets_sigkill() {
    let directory = tempfile::tempdir().unwrap();
    let (path, fifo) = witness(directory.path());
    let text = r#"exec >"$1"; trap '' TERM; sh -c 'trap "" TERM; sleep 1000' & echo deaf >&2; sleep 1000; sleep 1000"#;
    let exec = Exec {
        limits: ProcessLimits {
            timeout: Duration::from_millis(300),
            kill_after: Duration::from_millis(100),
            ..PATIENT
        },
        ..script(text, &[&path])
    };
    let (outcome, _) = tokio::join!(run_owned(exec), read_to_end(fifo));
    assert_eq!(failed(outcome), "timed out after 300ms: deaf");
}

#[tokio::test]
async fn what_a_job_leaves_running_goes_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let (path, fifo) = witness(directory.path());
    let text = r#"exec >"$1" 2>&1; sleep 1000 & exit 0"#;
    let (outcome, _) = tokio::join!(run_owned(script(text, &[&path])), read_to_end(fifo));
    assert_eq!(outcome, Outcome::Done);
}

#[tokio::test]
async fn what_left_the_group_goes_too() {
    // A session of its own with a child of its own, as a daemon has; the job ends when both are there.
    let text = r#"exec >"$1" 2>&1
        setsid sh -c 'sh -c "echo there >\"$0.child\"; sleep 1000" "$0" & sleep 1000' "$1" &
        until test -s "$1.child"; do :; done; exit 4"#;
    let directory = tempfile::tempdir().unwrap();
    let (path, fifo) = witness(directory.path());
    let (outcome, _) = tokio::join!(run_owned(script(text, &[&path])), read_to_end(fifo));
    assert_eq!(failed(outcome), "exit code 4");
}

/// Runs a script that says "up" through the fifo, and cancels it then.
async fn cancelled(text: &str, kill_after: Duration, cancels: &[Cancel]) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    let (path, fifo) = witness(directory.path());
    let exec = Exec { limits: ProcessLimits { kill_after, ..PATIENT }, ..script(text, &[&path]) };
    let (tell, cancel) = watch::channel(Cancel::No);
    let dispatcher = ExecDispatcher::new(exec).with_shim(PathBuf::from(SHIM));
    let running = tokio::spawn(async move { dispatcher.run(&job(), cancel).await });
    assert_eq!(read_to_end(fifo).await, "up\n");
    for cancel in cancels {
        tell.send(*cancel).unwrap();
    }
    tokio::time::timeout(Duration::from_secs(60), running).await.expect("it goes on").unwrap()
}

#[tokio::test]
async fn a_cancelled_job_may_clean_up_and_its_exit_code_counts() {
    let long = Duration::from_secs(600);
    let waits = |on_term: &str| {
        format!("trap '{on_term}' TERM; echo up >\"$1\"; while :; do sleep 1000 & wait $!; done")
    };
    assert_eq!(cancelled(&waits("exit 0"), long, &[Cancel::Stopping]).await, Outcome::Done);
    assert_eq!(cancelled(&waits("exit 75"), long, &[Cancel::Lost]).await, Outcome::Release { after: None });
    assert_eq!(cancelled(&waits("exit 1"), long, &[Cancel::Stopping]).await, Outcome::Cancelled);
    let untrapped = "echo up >\"$1\"; sleep 1000";
    assert_eq!(cancelled(untrapped, long, &[Cancel::Lost]).await, Outcome::Cancelled);
}

#[tokio::test]
async fn a_hurried_job_is_killed_at_once() {
    let deaf = "trap '' TERM; echo up >\"$1\"; sleep 1000; sleep 1000";
    let outcome = cancelled(deaf, Duration::from_secs(600), &[Cancel::Stopping, Cancel::Now]).await;
    assert_eq!(outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn a_killed_shim_is_a_failure_and_its_job_goes() {
    // The script's parent is the shim. It is killed at once, often before it could say that it has started the
    // script, and in a group of their own there are more processes.
    let text = r#"exec >"$1"; sh -c 'sleep 1000 & sleep 1000' & kill -9 $PPID; sleep 1000"#;
    for _ in 0..20 {
        let directory = tempfile::tempdir().unwrap();
        let (path, fifo) = witness(directory.path());
        let (outcome, _) = tokio::join!(run_owned(script(text, &[&path])), read_to_end(fifo));
        assert_eq!(failed(outcome), "its shim was killed");
    }
}

#[tokio::test]
async fn one_shim_runs_one_job_after_the_other() {
    // Each says who its parent is, the shim, and has an environment and an input of its own.
    let text = r#"echo "$JOB_ID $(cat) $PPID" >&2; exit 1"#;
    let dispatcher = ExecDispatcher::new(script(text, &[])).with_shim(PathBuf::from(SHIM));
    let mut shims = Vec::new();
    for n in 1..=20 {
        let (_keep, cancel) = watch::channel(Cancel::No);
        let mut job = job();
        job.receipt = Receipt::from(format!("{n:016x}-1"));
        job.payload = format!("payload{n}").into_bytes();
        let words = failed(dispatcher.run(&job, cancel).await);
        let (said, shim) = words.rsplit_once(' ').unwrap();
        assert_eq!(said, format!("{n:016x} payload{n}"), "and nothing of the job before");
        shims.push(shim.to_owned());
    }
    assert!(shims.iter().all(|shim| *shim == shims[0]), "{shims:?}");

    let killed = Command::new("kill").args(["-9", &shims[0]]).status().unwrap();
    assert!(killed.success());
    // Its end may not have been noticed yet; then that is what the job is told.
    let (_keep, cancel) = watch::channel(Cancel::No);
    let first = failed(dispatcher.run(&job(), cancel.clone()).await);
    assert!(first == "its shim was killed" || !first.ends_with(&shims[0]), "{first}");
    let next = failed(dispatcher.run(&job(), cancel).await);
    assert!(next.starts_with("0000100000000001 the payload ") && !next.ends_with(&shims[0]), "{next}");
}

/// The header of a job that reads nothing, as the runner sends it.
const NO_PAYLOAD: [u8; 9] = [b'n', 0, 0, 0, 0, 0, 0, 0, 0];

/// The runner's death as its shim sees it: the socket ends, and nobody says anything.
#[test]
fn when_the_runner_dies_the_whole_group_dies() {
    let (mut ours, shims) = UnixStream::pair().unwrap();
    let mut shim = Command::new(SHIM)
        .arg0(shim::ARG0)
        .args([
            "/bin/sh",
            "-c",
            "trap '' TERM; sh -c 'trap \"\" TERM; sleep 1000' & echo up; sleep 1000; sleep 1000",
        ])
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(shims)))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    ours.write_all(&NO_PAYLOAD).unwrap();
    let mut output = BufReader::new(shim.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "up\n");
    drop(ours);
    // The pipe ends when the shim, the job and the grandchild are all gone.
    assert_eq!(output.read_to_string(&mut line).unwrap(), 0);
    assert!(shim.wait().unwrap().success());
}

#[test]
fn a_runner_that_dies_before_the_payload_is_whole_starts_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("started");
    let (mut ours, shims) = UnixStream::pair().unwrap();
    let mut shim = Command::new(SHIM)
        .arg0(shim::ARG0)
        .arg("touch")
        .arg(&trace)
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(shims)))
        .spawn()
        .unwrap();
    ours.write_all(&[b'p', 10, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    ours.write_all(b"half").unwrap();
    drop(ours);
    assert!(!shim.wait().unwrap().success());
    assert!(!trace.exists());
}
