//! The pool dispatcher with real workers. Every wait is for an event: an outcome, a line in a fifo, the end of a
//! fifo that a process holds.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::{failed, job, read_to_end, witness};
use stanchion_client::{Job, Receipt};
use stanchion_runner::config::{Config, Dispatcher, Pool};
use stanchion_runner::outcome::{Cancel, Outcome};
use stanchion_runner::pool::PoolDispatcher;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::watch;

const SHIM: &str = env!("CARGO_BIN_EXE_stanchion-shim");

/// The pool of a configuration file with this command and these other keys.
fn pool(command: &[&str], rest: &str) -> Pool {
    let text = format!(
        "[server]\nurl='redis://h'\n[groups.g]\nslots=1\ninclude=['*']\ndispatcher='d'\n\
         [dispatchers.d]\nkind='pool'\ncommand={command:?}\n{rest}\n"
    );
    match Config::parse("f", &text).unwrap().groups.remove(0).dispatcher {
        Dispatcher::Pool(pool) => pool,
        other => panic!("not a pool: {other:?}"),
    }
}

fn start(pool: Pool, slots: u32) -> Arc<PoolDispatcher> {
    Arc::new(PoolDispatcher::with_shim(pool, slots, PathBuf::from(SHIM)))
}

/// A pool whose worker is a Python program. It may call `job()` for the next job's line and payload, and
/// `answer(id, status, text)`; `argv[1:]` are the arguments.
fn python(slots: u32, program: &str, arguments: &[&str], rest: &str) -> Arc<PoolDispatcher> {
    let prelude = r#"
import json, os, signal, sys
stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
def job():
    line = stdin.readline()
    if not line:
        sys.exit(0)
    job = json.loads(line)
    return job, stdin.read(job["bytes"])
def answer(job, status, text=b"", **more):
    head = {"id": job["id"], "status": status, "bytes": len(text), **more}
    stdout.write(json.dumps(head).encode() + b"\n" + text)
    stdout.flush()
"#;
    // Braces in a command are placeholders, unless they are doubled.
    let program = format!("{prelude}{program}").replace('{', "{{").replace('}', "}}");
    let command: Vec<&str> =
        ["python3", "-c", &program].into_iter().chain(arguments.iter().copied()).collect();
    start(pool(&command, rest), slots)
}

async fn run(pool: &PoolDispatcher, job: &Job) -> Outcome {
    let (_keep, cancel) = watch::channel(Cancel::No);
    pool.run(job, cancel).await
}

/// A job with this number and payload.
fn numbered(number: u32, payload: &[u8]) -> Job {
    Job { receipt: Receipt::from(format!("{number:016x}-1")), payload: payload.to_vec(), ..job() }
}

/// The example worker in this language, as docs/runner.md has it.
fn example(language: &str) -> String {
    let document = include_str!("../../../docs/runner.md");
    let (_, rest) = document.split_once(&format!("```{language}\n")).expect("the document has an example");
    let (program, _) = rest.split_once("\n```").expect("the example ends");
    program.to_owned()
}

#[tokio::test]
async fn the_documented_workers_work() {
    let directory = tempfile::tempdir().unwrap();
    for (language, interpreter, file) in [("python", "python3", "worker.py"), ("php", "php", "worker.php")] {
        let path = directory.path().join(file);
        std::fs::write(&path, example(language)).unwrap();
        let pool = start(pool(&[interpreter, path.to_str().unwrap()], "batch = 8"), 32);
        let big = vec![b'x'; 300_000];
        let runs = (0..200).map(|n| {
            let pool = Arc::clone(&pool);
            let payload = match n {
                7 => b"fail".to_vec(),
                8 => big.clone(),
                9 => Vec::new(),
                _ => format!("{{\"n\":{n}}}").into_bytes(),
            };
            tokio::spawn(async move { (n, run(&pool, &numbered(n, &payload)).await) })
        });
        for running in runs.collect::<Vec<_>>() {
            let (n, outcome) = running.await.unwrap();
            if n == 7 {
                let error = failed(outcome);
                assert!(error.contains("this job asked to fail"), "{language}: {error}");
            } else {
                assert_eq!(outcome, Outcome::Done, "{language}: job {n}");
            }
        }
        pool.close().await;
    }
}

#[tokio::test]
async fn a_worker_learns_who_the_job_is() {
    let program = r#"
j, payload = job()
ok = j == {"id": "0000100000000001", "queue": "transcode", "group": "enwiki", "attempt": 2, "priority": 3,
           "bytes": 11} and payload == b"the payload"
answer(j, "done" if ok else "failed", repr(j).encode())
"#;
    assert_eq!(run(&python(1, program, &[], ""), &job()).await, Outcome::Done);
}

#[tokio::test]
async fn answers_decide() {
    let program = r#"
while True:
    j, payload = job()
    status, _, text = payload.decode().partition(" ")
    if status == "stderr":
        sys.stderr.write(text + "\n"); sys.stderr.flush()
        answer(j, "failed")
    elif status == "later":
        answer(j, "released", after_ms=int(text))
    else:
        answer(j, status, text.encode())
"#;
    let pool = python(1, program, &[], "");
    let long = format!("failed {}the end", "x".repeat(9_000));
    let cases = [
        ("done", Outcome::Done),
        ("failed boom", Outcome::Failed("boom".into())),
        ("dead hopeless", Outcome::Hopeless("hopeless".into())),
        ("released", Outcome::Release { after: None }),
        ("later 1500", Outcome::Release { after: Some(Duration::from_millis(1_500)) }),
        ("stderr on stderr", Outcome::Failed("on stderr".into())),
        ("failed", Outcome::Failed("the worker did not say why".into())),
    ];
    for (n, (payload, expected)) in cases.into_iter().enumerate() {
        let n = u32::try_from(n).unwrap();
        assert_eq!(run(&pool, &numbered(n, payload.as_bytes())).await, expected, "{payload}");
    }
    let error = failed(run(&pool, &numbered(99, long.as_bytes())).await);
    assert!(error.len() == 4096 && error.ends_with("xthe end"), "{} bytes", error.len());
}

#[tokio::test]
async fn a_worker_that_breaks_the_framing_is_killed_and_its_job_failed() {
    let directory = tempfile::tempdir().unwrap();
    for (said, words) in [
        ("print('PHP Warning: oh', flush=True)", "at \"PHP Warning: oh\""),
        ("answer({'id': 'ffff'}, 'done')", "an answer to ffff, whose turn it is not"),
        ("answer(j, 'ok')", "unknown variant `ok`"),
        ("stdout.write(b'x' * 100000); stdout.flush()", "a line of more than 4096 bytes"),
    ] {
        let (path, fifo) = witness(directory.path());
        let program = format!(
            "fifo = open(sys.argv[1], 'w')\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n\
             j, payload = job()\n{said}\nsignal.pause()"
        );
        let pool = python(1, &program, &[&path], "");
        let error = failed(run(&pool, &job()).await);
        assert!(error.starts_with("the worker broke the framing: ") && error.contains(words), "{error}");
        read_to_end(fifo).await;
        std::fs::remove_file(path).unwrap();
    }
}

/// Runs four jobs in one worker that has all of them before it comes to the second, `poison`; what each became.
async fn poisoned(poison: &str, rest: &str) -> Vec<Outcome> {
    let program = format!(
        "j, payload = job()\nothers = [job() for _ in range(3)]\nanswer(j, 'done')\nj, payload = others[0]\n{poison}"
    );
    let pool = python(4, &program, &[], &format!("batch = 4\n{rest}"));
    let runs = (0..4).map(|n| {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move { run(&pool, &numbered(n, b"x")).await })
    });
    let mut outcomes = Vec::new();
    for running in runs.collect::<Vec<_>>() {
        outcomes.push(running.await.unwrap());
    }
    outcomes
}

#[tokio::test]
async fn only_the_job_that_was_begun_goes_with_its_worker() {
    let cases = [
        ("sys.stderr.write('last words'); sys.stderr.flush(); os._exit(3)", "", "last words"),
        ("os._exit(3)", "", "the worker ended with the job: exit code 3"),
        ("os._exit(0)", "", "the worker ended with the job: exit code 0"),
        ("os.kill(os.getpid(), 9)", "", "the worker ended with the job: killed by signal 9"),
        ("signal.pause()", "timeout = '4s'", "timed out after 4s"),
        (
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: signal.pause()",
            "timeout = '4s'\nkill-after = '100ms'",
            "timed out after 4s",
        ),
    ];
    // All at once, because a timeout must leave Python the time to start.
    let runs = cases
        .map(|(poison, rest, reason)| tokio::spawn(async move { (poisoned(poison, rest).await, reason) }));
    for running in runs {
        let again = Outcome::Release { after: Some(Duration::ZERO) };
        let (mut outcomes, reason) = running.await.unwrap();
        // Which job the worker had second is up to the order in which they came.
        outcomes.sort_by_key(|outcome| format!("{outcome:?}"));
        let expected = [Outcome::Done, Outcome::Failed(reason.into()), again.clone(), again];
        assert_eq!(outcomes, expected, "{reason}");
    }
}

#[tokio::test]
async fn a_worker_is_recycled_after_its_jobs() {
    let program = r#"
while True:
    j, payload = job()
    answer(j, "failed", str(os.getpid()).encode())
"#;
    let pool = python(1, program, &[], "jobs-max = 3");
    let mut workers = Vec::new();
    for n in 0..9 {
        workers.push(failed(run(&pool, &numbered(n, b"")).await));
    }
    let different: HashSet<&String> = workers.iter().collect();
    assert_eq!(different.len(), 3, "{workers:?}");
    assert!(workers.chunks(3).all(|three| three.iter().all(|pid| *pid == three[0])), "{workers:?}");
    pool.close().await;
}

#[tokio::test]
async fn jobs_go_to_different_workers_while_there_are_slots() {
    let directory = tempfile::tempdir().unwrap();
    let (path, fifo) = witness(directory.path());
    let program = "fifo = open(sys.argv[1], 'w')\nj, payload = job()\nfifo.write('up\\n'); fifo.flush()\nsignal.pause()";
    let pool = python(3, program, &[&path], "batch = 1");
    let (tell, cancel) = watch::channel(Cancel::No);
    let runs: Vec<_> = (0..3)
        .map(|n| {
            let (pool, cancel) = (Arc::clone(&pool), cancel.clone());
            tokio::spawn(async move { pool.run(&numbered(n, b""), cancel).await })
        })
        .collect();
    let mut lines = lines(fifo);
    for _ in 0..3 {
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("up"));
    }
    tell.send(Cancel::Stopping).unwrap();
    for running in runs {
        assert_eq!(running.await.unwrap(), Outcome::Cancelled);
    }
    assert_eq!(lines.next_line().await.unwrap(), None, "all three are gone");
}

fn lines(fifo: pipe::Receiver) -> tokio::io::Lines<BufReader<pipe::Receiver>> {
    BufReader::new(fifo).lines()
}

/// A worker that says "up" when it has a job, and is then told these things.
async fn cancelled(program: &str, cancels: &[Cancel]) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    let (path, fifo) = witness(directory.path());
    let program = format!("fifo = open(sys.argv[1], 'w')\nj, payload = job()\n{program}");
    let pool = python(1, &program, &[&path], "kill-after = '10m'");
    let (tell, cancel) = watch::channel(Cancel::No);
    let running = tokio::spawn(async move { pool.run(&job(), cancel).await });
    let mut lines = lines(fifo);
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("up"));
    for cancel in cancels {
        tell.send(*cancel).unwrap();
    }
    let outcome = running.await.unwrap();
    assert_eq!(lines.next_line().await.unwrap(), None, "the worker is gone");
    outcome
}

#[tokio::test]
async fn a_cancelled_job_takes_its_worker_along() {
    let up = "fifo.write('up\\n'); fifo.flush()";
    let mortal = format!("{up}\nsignal.pause()");
    for why in [Cancel::Lost, Cancel::Stopping, Cancel::Now] {
        assert_eq!(cancelled(&mortal, &[why]).await, Outcome::Cancelled);
    }
    let deaf = format!("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{up}\nwhile True: signal.pause()");
    assert_eq!(cancelled(&deaf, &[Cancel::Stopping, Cancel::Now]).await, Outcome::Cancelled);
    let careful = format!(
        "def finish(*_):\n    answer(j, 'done')\n    sys.exit(0)\nsignal.signal(signal.SIGTERM, finish)\n{up}\nsignal.pause()"
    );
    assert_eq!(cancelled(&careful, &[Cancel::Stopping]).await, Outcome::Done, "its last answer counts");
}

#[tokio::test]
async fn a_megabyte_of_stderr_holds_nothing_up() {
    let program = r#"
while True:
    j, payload = job()
    for _ in range(1024):
        sys.stderr.write("0123456789abcdef" * 64)
    sys.stderr.write("the end\n"); sys.stderr.flush()
    answer(j, payload.decode())
"#;
    let pool = python(1, program, &[], "");
    assert_eq!(run(&pool, &numbered(1, b"done")).await, Outcome::Done);
    let error = failed(run(&pool, &numbered(2, b"failed")).await);
    assert!(error.ends_with("the end") && error.len() <= 4096, "{} bytes", error.len());
}

#[tokio::test]
async fn workers_end_with_their_pool() {
    let directory = tempfile::tempdir().unwrap();
    let (path, fifo) = witness(directory.path());
    let program = "fifo = open(sys.argv[1], 'w')\nwhile True:\n    j, payload = job()\n    answer(j, 'done')";
    let pool = python(2, program, &[&path], "kill-after = '10m'");
    assert_eq!(run(&pool, &job()).await, Outcome::Done);
    pool.close().await;
    assert_eq!(read_to_end(fifo).await, "", "it has seen the end of its input");
    let deaf = format!("{program}\n").replace("while True:", "while True:\n  try:").replace(
        "    j, payload = job()\n    answer(j, 'done')",
        "    j, payload = job()\n    answer(j, 'done')\n  except SystemExit:\n    signal.pause()",
    );
    let (path, fifo) = {
        std::fs::remove_file(&path).unwrap();
        witness(directory.path())
    };
    let pool = python(2, &deaf, &[&path], "kill-after = '100ms'");
    assert_eq!(run(&pool, &job()).await, Outcome::Done);
    drop(pool);
    read_to_end(fifo).await;
}

#[tokio::test]
async fn a_program_that_is_not_there_uses_no_attempt() {
    let pool = start(pool(&["/no/such/program"], ""), 1);
    assert_eq!(run(&pool, &job()).await, Outcome::Release { after: None });
}

#[tokio::test]
async fn what_json_can_not_say_is_hopeless() {
    let mut job = job();
    job.group = vec![b'a', 0xff];
    let pool = start(pool(&["/no/such/program"], ""), 1);
    assert_eq!(
        run(&pool, &job).await,
        Outcome::Hopeless("the job's group is not UTF-8: no line of JSON can have it".into())
    );
}
