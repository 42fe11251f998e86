//! Requests as lines: what each becomes, and what each wrong one answers.

use proptest::prelude::*;

use super::*;
use crate::command::*;
use crate::id::{Epoch, JobId, Receipt};
use crate::limits::DURATION_MS_MAX;
use crate::{OwnedArgs, table};

/// Limits small enough to reach.
fn small() -> Limits {
    Limits {
        name_bytes_max: 10,
        payload_bytes_max: 20,
        command_jobs_max: 3,
        claim_jobs_max: 100,
        ..Limits::default()
    }
}

/// A line as words: separated by spaces; `""` is the empty word, `~` the receipt 1-7, `^` the id 1.
fn words(line: &str) -> OwnedArgs {
    let word = |word: &str| match word {
        "\"\"" => String::new(),
        "~" => "0000000000000001-7".to_owned(),
        "^" => "0000000000000001".to_owned(),
        other => other.to_owned(),
    };
    line.split(' ').map(word).collect()
}

/// What the line becomes, as text, or its error.
fn outcome(args: Args<'_>, limits: &Limits) -> String {
    let parsed = table::resolve(args).and_then(|spec| {
        assert!(is_queue_command(spec), "{} is not for the parser", spec.name);
        parse(spec, args, limits)
    });
    parsed.map_or_else(|error| error.to_string(), |command| format!("{command:?}"))
}

#[track_caller]
fn check(line: &str, want: &str) {
    assert_eq!(outcome(words(line).as_args(), &small()), want, "{line}");
}

#[track_caller]
fn parses(line: &str, want: QueueCommand<'_>) {
    check(line, &format!("{want:?}"));
}

const RECEIPT: Receipt = Receipt { id: JobId(1), epoch: Epoch(7) };

fn plain(payload: &[u8]) -> NewJob<'_> {
    NewJob {
        payload,
        when: When::Now,
        group: b"",
        priority: 0,
        dedupe: None,
        root: None,
        ttl_ms: None,
        attempts_max: None,
    }
}

fn push_of<'a>(jobs: &[NewJob<'a>]) -> Push<'a> {
    Push { queue: b"q", jobs: jobs.into(), sync: SyncWish::Policy, status: false, many: false }
}

#[track_caller]
fn pushes(options: &str, job: NewJob<'_>) {
    parses(&format!("QPUSH q p {options}"), QueueCommand::Push(push_of(&[job])));
}

fn dedupe(until: Until, window_ms: u64, replace: bool) -> NewJob<'static> {
    NewJob { dedupe: Some(Dedupe { key: b"k", until, window_ms, replace }), ..plain(b"p") }
}

fn take() -> Take<'static> {
    Take { count: 1, lease_ms: None, block_ms: None, group: None, worker: None, bound: false, meta: false }
}

#[track_caller]
fn claims(options: &str, take: Take<'_>) {
    let acks = Receipts::new();
    parses(&format!("QCLAIM q {options}"), QueueCommand::Claim(Claim { queue: b"q", take, acks }));
}

#[test]
fn pushes_take_every_option() {
    parses("qpush q p", QueueCommand::Push(push_of(&[plain(b"p")])));
    parses("QPUSH q \"\"", QueueCommand::Push(push_of(&[plain(b"")])));
    pushes("DELAY 0", NewJob { when: When::Delay(0), ..plain(b"p") });
    pushes("delay 315360000000", NewJob { when: When::Delay(DURATION_MS_MAX), ..plain(b"p") });
    pushes("AT 0", NewJob { when: When::At(0), ..plain(b"p") });
    pushes("AT 253402300799999", NewJob { when: When::At(253_402_300_799_999), ..plain(b"p") });
    pushes("GROUP g", NewJob { group: b"g", ..plain(b"p") });
    pushes("GROUP \"\"", plain(b"p"));
    pushes("PRIORITY 9", NewJob { priority: 9, ..plain(b"p") });
    pushes("TTL 1", NewJob { ttl_ms: Some(1), ..plain(b"p") });
    pushes("ATTEMPTS 0", NewJob { attempts_max: Some(0), ..plain(b"p") });
    pushes("ATTEMPTS 4294967295", NewJob { attempts_max: Some(u32::MAX), ..plain(b"p") });
    pushes("DEDUPE k", dedupe(Until::Claim, 0, false));
    pushes("DEDUPE k UNTIL claim", dedupe(Until::Claim, 0, false));
    pushes("UNTIL DONE DEDUPE k", dedupe(Until::Done, 0, false));
    pushes("WINDOW 5 REPLACE DEDUPE k", dedupe(Until::Claim, 5, true));
    let root = Some(RootTag { signature: b"s", timestamp: 9_999_999_999_999_999_999 });
    pushes("ROOT s 9999999999999999999", NewJob { root, ..plain(b"p") });
    let root = Some(RootTag { signature: b"s", timestamp: 7 });
    pushes("ROOT s 007", NewJob { root, ..plain(b"p") });
    for (options, sync, status) in [
        ("SYNC", SyncWish::Sync, false),
        ("NOSYNC STATUS", SyncWish::NoSync, true),
        ("STATUS", SyncWish::Policy, true),
    ] {
        let push = Push { sync, status, ..push_of(&[plain(b"p")]) };
        parses(&format!("QPUSH q p {options}"), QueueCommand::Push(push));
    }
}

#[test]
fn the_words_of_an_option_are_taken_whatever_they_say() {
    pushes("GROUP GROUP", NewJob { group: b"GROUP", ..plain(b"p") });
    parses("QPUSH q DELAY", QueueCommand::Push(push_of(&[plain(b"DELAY")])));
    let root = Some(RootTag { signature: b"SYNC", timestamp: 1 });
    pushes("ROOT SYNC 1", NewJob { root, ..plain(b"p") });
    let jobs = [NewJob { group: b"NEXT", ..plain(b"p") }, plain(b"NEXT")];
    let push = Push { many: true, ..push_of(&jobs) };
    parses("QMPUSH q p GROUP NEXT NEXT NEXT", QueueCommand::Push(push));
    let nack = Nack { queue: b"q", receipt: RECEIPT, retry: Retry::Backoff, error: Some(b"DEAD") };
    parses("QNACK q ~ ERROR DEAD", QueueCommand::Nack(nack));
    claims("GROUP COUNT WORKER META", Take { group: Some(b"COUNT"), worker: Some(b"META"), ..take() });
}

#[test]
fn many_jobs_have_options_of_their_own() {
    let jobs = [
        NewJob { when: When::Delay(5), ..plain(b"a") },
        NewJob { when: When::Delay(6), ..plain(b"b") },
        dedupe(Until::Claim, 0, false),
    ];
    let push = Push { sync: SyncWish::Sync, status: true, many: true, ..push_of(&jobs) };
    parses("QMPUSH q a SYNC DELAY 5 STATUS NEXT b DELAY 6 NEXT p DEDUPE k", QueueCommand::Push(push));
}

#[test]
fn wrong_pushes_name_the_word() {
    let cases = [
        ("", "ERR syntax error, '' is not an option of QPUSH"),
        ("FOO", "ERR syntax error, 'FOO' is not an option of QPUSH"),
        ("NEXT p", "ERR syntax error, 'NEXT' is not an option of QPUSH"),
        ("DELAY 1 DELAY 1", "ERR syntax error, 'DELAY' stands twice"),
        ("SYNC sync", "ERR syntax error, 'SYNC' stands twice"),
        ("DELAY 1 AT 1", "ERR syntax error, 'AT' contradicts 'DELAY'"),
        ("AT 1 DELAY 1", "ERR syntax error, 'DELAY' contradicts 'AT'"),
        ("SYNC NOSYNC", "ERR syntax error, 'NOSYNC' contradicts 'SYNC'"),
        ("UNTIL DONE", "ERR syntax error, 'UNTIL' needs 'DEDUPE'"),
        ("WINDOW 1", "ERR syntax error, 'WINDOW' needs 'DEDUPE'"),
        ("REPLACE", "ERR syntax error, 'REPLACE' needs 'DEDUPE'"),
        ("DELAY", "ERR syntax error, 'DELAY' needs a value"),
        ("ROOT s", "ERR syntax error, 'ROOT' needs a signature and a timestamp"),
        ("DEDUPE k UNTIL FOO", "ERR syntax error, 'FOO' is no value of 'UNTIL', which takes CLAIM, DONE"),
        ("GROUP 12345678901", "ERR the group name of 11 bytes is above the limit of 10 (name-bytes-max)"),
        ("DEDUPE 12345678901", "ERR the dedupe key of 11 bytes is above the limit of 10 (name-bytes-max)"),
        ("DEDUPE \"\"", "ERR the dedupe key is empty, it has at least one byte"),
        (
            "ROOT 12345678901 1",
            "ERR the root signature of 11 bytes is above the limit of 10 (name-bytes-max)",
        ),
        ("ROOT \"\" 1", "ERR the root signature is empty, it has at least one byte"),
        (
            "ROOT s 12345678901234567890",
            "ERR the root timestamp '12345678901234567890' is not 1 to 19 digits",
        ),
        ("ROOT s -1", "ERR the root timestamp '-1' is not 1 to 19 digits"),
        ("ROOT s \"\"", "ERR the root timestamp '' is not 1 to 19 digits"),
    ];
    for (options, want) in cases {
        check(&format!("QPUSH q p {options}"), want);
    }
    check("QPUSH \"\" p", "ERR the queue name is empty, it has at least one byte");
    check("QPUSH 12345678901 p", "ERR the queue name of 11 bytes is above the limit of 10 (name-bytes-max)");
    let long = "x".repeat(21);
    let too_long = "ERR the payload of 21 bytes is above the limit of 20 (payload-bytes-max)";
    check(&format!("QPUSH q {long}"), too_long);
    check(&format!("QMPUSH q p NEXT {long}"), too_long);
}

#[test]
fn wrong_batches_name_the_word() {
    for (options, want) in [
        ("NEXT", "ERR syntax error, 'NEXT' needs a value"),
        ("NEXT a SYNC", "ERR syntax error, 'SYNC' stands with the first job only"),
        ("NEXT a NOSYNC", "ERR syntax error, 'NOSYNC' stands with the first job only"),
        ("NEXT a STATUS", "ERR syntax error, 'STATUS' stands with the first job only"),
        ("DEDUPE k NEXT a UNTIL DONE", "ERR syntax error, 'UNTIL' needs 'DEDUPE'"),
        ("UNTIL DONE NEXT a DEDUPE k", "ERR syntax error, 'UNTIL' needs 'DEDUPE'"),
        ("DELAY 1 AT 1 NEXT a", "ERR syntax error, 'AT' contradicts 'DELAY'"),
        ("NEXT a NEXT a NEXT a", "ERR a command of 4 jobs is above the limit of 3 (command-jobs-max)"),
    ] {
        check(&format!("QMPUSH q p {options}"), want);
    }
}

/// Each number with what is just outside of its range, and what is no number.
#[test]
fn numbers_have_ranges() {
    let ten_years = "to 315360000000 ms (10 years)";
    for (head, what, outside, takes) in [
        ("QPUSH q p DELAY", "DELAY", ["-1", "315360000001"], format!("0 {ten_years}")),
        ("QPUSH q p AT", "AT", ["-1", "253402300800000"], "0 to 253402300799999, in Unix ms".to_owned()),
        ("QPUSH q p TTL", "TTL", ["0", "315360000001"], format!("1 {ten_years}")),
        ("QPUSH q p PRIORITY", "PRIORITY", ["-1", "10"], "0 to 9".to_owned()),
        ("QPUSH q p ATTEMPTS", "ATTEMPTS", ["-1", "4294967296"], "0 to 4294967295".to_owned()),
        ("QPUSH q p DEDUPE k WINDOW", "WINDOW", ["-1", "315360000001"], format!("0 {ten_years}")),
        ("QCLAIM q COUNT", "COUNT", ["0", "101"], "1 to 100 (claim-jobs-max)".to_owned()),
        ("QCLAIM q LEASE", "LEASE", ["0", "315360000001"], format!("1 {ten_years}")),
        ("QCLAIM q BLOCK", "BLOCK", ["-1", "315360000001"], format!("0 {ten_years}")),
        ("QCLAIM q ACK", "ACK", ["-1", "4"], "0 to 3".to_owned()),
        ("QMCLAIM QUEUES", "QUEUES", ["0", "1001"], "1 to 1000".to_owned()),
        ("QMCLAIM MATCH", "MATCH", ["0", "1001"], "1 to 1000".to_owned()),
        ("QMCLAIM MATCH 1 * EXCEPT", "EXCEPT", ["0", "1001"], "1 to 1000".to_owned()),
        ("QNACK q ~ DELAY", "DELAY", ["-1", "315360000001"], format!("0 {ten_years}")),
        ("QRELEASE q DELAY", "DELAY", ["-1", "315360000001"], format!("0 {ten_years}")),
        ("QEXTEND q", "ms", ["0", "315360000001"], format!("1 {ten_years}")),
        ("QPEEK q COUNT", "COUNT", ["0", "1001"], "1 to 1000".to_owned()),
        ("QSCAN q 0 COUNT", "COUNT", ["0", "10001"], "1 to 10000".to_owned()),
        ("QREADY 0 COUNT", "COUNT", ["0", "10001"], "1 to 10000".to_owned()),
        ("QREQUEUE q DEAD COUNT", "COUNT", ["0", "9223372036854775808"], format!("1 to {}", i64::MAX)),
        ("QPAUSE q FOR", "FOR", ["0", "315360000001"], format!("1 {ten_years}")),
    ] {
        for number in outside.into_iter().chain(["x", "+1", "01", "1.0", "\"\"", "18446744073709551616"]) {
            let number_text = number.trim_matches('"');
            let want = format!(
                "ERR value is not an integer or out of range: {what} '{number_text}', it takes {takes}"
            );
            check(&format!("{head} {number} ~"), &want);
        }
    }
}

#[test]
fn roots() {
    let root = RootTag { signature: b"s", timestamp: 5 };
    parses("QROOT q s 5", QueueCommand::Root { queue: b"q", root, group: b"" });
    parses("QROOT q s 5 GROUP g", QueueCommand::Root { queue: b"q", root, group: b"g" });
    check("QROOT q s x", "ERR the root timestamp 'x' is not 1 to 19 digits");
    check("QROOT q s 5 FOO", "ERR syntax error, 'FOO' is not an option of QROOT");
}

#[test]
fn claims_take_every_option() {
    parses("QCLAIM q", QueueCommand::Claim(Claim { queue: b"q", take: take(), acks: Receipts::new() }));
    claims("COUNT 100", Take { count: 100, ..take() });
    claims("LEASE 1", Take { lease_ms: Some(1), ..take() });
    claims("BLOCK 0", Take { block_ms: Some(0), ..take() });
    claims("GROUP \"\"", Take { group: Some(b""), ..take() });
    claims("WORKER w BOUND META", Take { worker: Some(b"w"), bound: true, meta: true, ..take() });
    claims("ACK 0", take());
    let acks: Receipts = [RECEIPT, RECEIPT].into_iter().collect();
    let take = Take { count: 2, ..take() };
    parses("QCLAIM q ACK 2 ~ ~ COUNT 2", QueueCommand::Claim(Claim { queue: b"q", take, acks }));
}

#[test]
fn wrong_claims_name_the_word() {
    for (options, want) in [
        ("FOO", "ERR syntax error, 'FOO' is not an option of QCLAIM"),
        ("COUNT 1 COUNT 1", "ERR syntax error, 'COUNT' stands twice"),
        ("ACK 1 ~ ~", "ERR syntax error, '0000000000000001-7' is not an option of QCLAIM"),
        ("ACK 2 ~", "ERR syntax error, 'ACK' announces 2 words, 1 are there"),
        ("ACK 1 x", "ERR invalid receipt 'x', it reads <16 hex digits>-<number>"),
        ("WORKER \"\"", "ERR the worker name is empty, it has at least one byte"),
        ("WORKER 12345678901", "ERR the worker name of 11 bytes is above the limit of 10 (name-bytes-max)"),
    ] {
        check(&format!("QCLAIM q {options}"), want);
    }
}

#[test]
fn claims_over_several_queues() {
    let from = Sources::Queues(vec![b"a", b"MATCH"]);
    let many = ClaimMany { from, take: Take { count: 5, ..take() } };
    parses("QMCLAIM queues 2 a MATCH COUNT 5", QueueCommand::ClaimMany(many));
    let from = Sources::Match { globs: vec![b"a*", b"b*"], except: vec![b"*x"] };
    let many = ClaimMany { from, take: Take { block_ms: Some(9), ..take() } };
    parses("QMCLAIM MATCH 2 a* b* BLOCK 9 EXCEPT 1 *x", QueueCommand::ClaimMany(many));
    for (line, want) in [
        (
            "QMCLAIM COUNT 1 QUEUES 1 a",
            "ERR syntax error, 'COUNT' stands where 'QUEUES' or 'MATCH' comes first",
        ),
        ("QMCLAIM QUEUES 2 a", "ERR syntax error, 'QUEUES' announces 2 words, 1 are there"),
        ("QMCLAIM QUEUES 1 a MATCH 1 b", "ERR syntax error, 'MATCH' contradicts 'QUEUES'"),
        ("QMCLAIM MATCH 1 a QUEUES 1 b", "ERR syntax error, 'QUEUES' contradicts 'MATCH'"),
        ("QMCLAIM QUEUES 1 a EXCEPT 1 b", "ERR syntax error, 'EXCEPT' needs 'MATCH'"),
        ("QMCLAIM QUEUES 1 a ACK 0", "ERR syntax error, 'ACK' is not an option of QMCLAIM"),
        ("QMCLAIM QUEUES 1 \"\"", "ERR the queue name is empty, it has at least one byte"),
        ("QMCLAIM QUEUES 1", "ERR wrong number of arguments for 'qmclaim' command"),
    ] {
        check(line, want);
    }
}

#[test]
fn ends_of_claims() {
    let receipts: Receipts = [RECEIPT, RECEIPT].into_iter().collect();
    parses("QACK q ~ ~", QueueCommand::Ack { queue: b"q", receipts: receipts.clone() });
    let release = |delay_ms| QueueCommand::Release { queue: b"q", delay_ms, receipts: receipts.clone() };
    parses("QRELEASE q ~ ~", release(None));
    parses("QRELEASE q DELAY 0 ~ ~", release(Some(0)));
    let extend = QueueCommand::Extend { queue: b"q", lease_ms: 9, receipts: receipts.clone() };
    parses("QEXTEND q 9 ~ ~", extend);
    let nack = |retry, error| QueueCommand::Nack(Nack { queue: b"q", receipt: RECEIPT, retry, error });
    parses("QNACK q ~", nack(Retry::Backoff, None));
    parses("QNACK q ~ DELAY 5 ERROR oops", nack(Retry::Delay(5), Some(b"oops")));
    parses("QNACK q ~ ERROR \"\" DEAD", nack(Retry::Dead, Some(b"")));
    let bad = "ERR invalid receipt 'x', it reads <16 hex digits>-<number>";
    for line in ["QACK q ~ x", "QNACK q x", "QRELEASE q x", "QRELEASE q DELAY 1 x", "QEXTEND q 1 x"] {
        check(line, bad);
    }
    let too_many = "ERR a command of 4 jobs is above the limit of 3 (command-jobs-max)";
    for line in ["QACK q ~ ~ ~ ~", "QRELEASE q ~ ~ ~ ~", "QEXTEND q 1 ~ ~ ~ ~"] {
        check(line, too_many);
    }
    for (line, want) in [
        ("QACK q", "ERR wrong number of arguments for 'qack' command"),
        ("QNACK q ~ DEAD DELAY 1", "ERR syntax error, 'DELAY' contradicts 'DEAD'"),
        ("QNACK q ~ DELAY 1 DEAD", "ERR syntax error, 'DEAD' contradicts 'DELAY'"),
        ("QNACK q ~ ~", "ERR syntax error, '0000000000000001-7' is not an option of QNACK"),
        ("QNACK q ~ ERROR", "ERR syntax error, 'ERROR' needs a value"),
        ("QRELEASE q DELAY 1", "ERR syntax error, a receipt is missing"),
        ("QRELEASE q DELAY 1 DELAY 1 ~", "ERR syntax error, 'DELAY' stands twice"),
        ("QRELEASE q ~ DELAY 1", "ERR invalid receipt 'DELAY', it reads <16 hex digits>-<number>"),
    ] {
        check(line, want);
    }
}

#[test]
fn a_message_is_cut_at_a_character() {
    let kept = |message: &str| {
        let mut args = words("QNACK q ~ ERROR");
        args.push(message.as_bytes());
        let spec = table::resolve(args.as_args()).unwrap();
        match parse(spec, args.as_args(), &Limits::default()) {
            Ok(QueueCommand::Nack(nack)) => nack.error.unwrap().to_vec(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(kept(&"x".repeat(4_096)).len(), 4_096);
    assert_eq!(kept(&"x".repeat(4_097)).len(), 4_096);
    assert_eq!(kept(&"ö".repeat(3_000)).len(), 4_096);
    assert_eq!(kept(&format!("x{}", "ö".repeat(3_000))).len(), 4_095);
    assert_eq!(kept(&"€".repeat(3_000)).len(), 4_095);
}

#[test]
fn looks() {
    let len = |count, group| QueueCommand::Len { queue: b"q", count, group };
    parses("QLEN q", len(Count::State(State::Ready), None));
    parses("QLEN q GROUP READY all", len(Count::All, Some(b"READY")));
    for (word, state) in [
        ("READY", State::Ready),
        ("DELAYED", State::Delayed),
        ("CLAIMED", State::Claimed),
        ("dead", State::Dead),
    ] {
        parses(&format!("QLEN q {word}"), len(Count::State(state), None));
        let peek = QueueCommand::Peek { queue: b"q", state, count: 7, group: None };
        parses(&format!("QPEEK q COUNT 7 {word}"), peek);
        let scan = QueueCommand::Scan { queue: b"q", cursor: 5, state: Some(state), group: None, count: 10 };
        parses(&format!("QSCAN q 5 STATE {word}"), scan);
        parses(
            &format!("QPURGE q GROUP g STATE {word}"),
            QueueCommand::Purge { queue: b"q", state: Some(state), group: Some(b"g") },
        );
    }
    parses("QSTATS q", QueueCommand::Stats { queue: b"q" });
    parses("QLIST", QueueCommand::List { glob: None });
    parses("QLIST MATCH a*", QueueCommand::List { glob: Some(b"a*") });
    parses("QREADY 0", QueueCommand::Ready { cursor: 0, glob: None, count: 10 });
    let ready = QueueCommand::Ready { cursor: u64::MAX, glob: Some(b"*"), count: 10_000 };
    parses("QREADY 18446744073709551615 COUNT 10000 MATCH *", ready);
    parses("QPEEK q", QueueCommand::Peek { queue: b"q", state: State::Ready, count: 1, group: None });
    let scan = QueueCommand::Scan { queue: b"q", cursor: 0, state: None, group: Some(b""), count: 99 };
    parses("QSCAN q 0 GROUP \"\" COUNT 99", scan);
    parses("QJOB q ^", QueueCommand::Job { queue: b"q", which: Which::Id(JobId(1)) });
    let which = Which::Key { key: b"k", group: b"" };
    parses("QJOB q key k", QueueCommand::Job { queue: b"q", which });
    let which = Which::Key { key: b"KEY", group: b"g" };
    parses("QJOB q KEY KEY GROUP g", QueueCommand::Job { queue: b"q", which });
    for (line, want) in [
        ("QLEN q READY DEAD", "ERR syntax error, 'DEAD' contradicts 'READY'"),
        ("QLEN q FOO", "ERR syntax error, 'FOO' is not an option of QLEN"),
        ("QLIST a*", "ERR syntax error, 'a*' is not an option of QLIST"),
        ("QPEEK q ALL", "ERR syntax error, 'ALL' is not an option of QPEEK"),
        ("QSCAN q x", "ERR invalid cursor 'x'"),
        ("QSCAN q -1", "ERR invalid cursor '-1'"),
        ("QSCAN q \"\"", "ERR invalid cursor ''"),
        ("QREADY 18446744073709551616", "ERR invalid cursor '18446744073709551616'"),
        (
            "QSCAN q 0 STATE ALL",
            "ERR syntax error, 'ALL' is no value of 'STATE', which takes DELAYED, READY, CLAIMED, DEAD",
        ),
        ("QJOB q x", "ERR invalid id 'x', it reads <16 hex digits>"),
        ("QJOB q ^ GROUP g", "ERR wrong number of arguments for 'qjob' command"),
        ("QJOB q KEY", "ERR syntax error, 'KEY' needs a value"),
    ] {
        check(line, want);
    }
}

#[test]
fn changes() {
    let ids = || Selection::Ids([JobId(1), JobId(1)].into_iter().collect());
    parses("QREQUEUE q ^ ^", QueueCommand::Requeue { queue: b"q", jobs: ids() });
    let jobs = Selection::Dead { group: None, count: None };
    parses("QREQUEUE q dead", QueueCommand::Requeue { queue: b"q", jobs });
    let jobs = Selection::Dead { group: Some(b"g"), count: Some(5) };
    parses("QREQUEUE q DEAD COUNT 5 GROUP g", QueueCommand::Requeue { queue: b"q", jobs });
    parses("QDEL q ^ ^", QueueCommand::Del { queue: b"q", jobs: ids() });
    let jobs = Selection::Key { key: b"k", group: b"g" };
    parses("QDEL q KEY k GROUP g", QueueCommand::Del { queue: b"q", jobs });
    parses("QPURGE q", QueueCommand::Purge { queue: b"q", state: None, group: None });
    let pause = |what, for_ms| QueueCommand::Pause { queue: b"q", what, for_ms };
    parses("QPAUSE q", pause(Pause::Claim, None));
    parses("QPAUSE q CLAIM", pause(Pause::Claim, None));
    parses("QPAUSE q FOR 5 PUSH", pause(Pause::Push, Some(5)));
    parses("QPAUSE q all", pause(Pause::All, None));
    parses("QRESUME q", QueueCommand::Resume { queue: b"q" });
    let pairs = vec![(&b"lease"[..], &b"1h"[..]), (b"rate", b"0")];
    parses("QCONFIG SET q lease 1h rate 0", QueueCommand::ConfigSet { queue: b"q", pairs });
    parses("QCONFIG GET q", QueueCommand::ConfigGet { queue: b"q", key: None });
    parses("qconfig get q lease", QueueCommand::ConfigGet { queue: b"q", key: Some(b"lease") });
    let keys = vec![&b"lease"[..], b"rate"];
    parses("QCONFIG UNSET q lease rate", QueueCommand::ConfigUnset { queue: b"q", keys });
    for (line, want) in [
        ("QREQUEUE q ^ DEAD", "ERR invalid id 'DEAD', it reads <16 hex digits>"),
        ("QREQUEUE q GROUP g", "ERR invalid id 'GROUP', it reads <16 hex digits>"),
        ("QREQUEUE q DEAD DEAD", "ERR syntax error, 'DEAD' stands twice"),
        ("QREQUEUE q ^ ^ ^ ^", "ERR a command of 4 jobs is above the limit of 3 (command-jobs-max)"),
        ("QDEL q ^ ^ ^ ^", "ERR a command of 4 jobs is above the limit of 3 (command-jobs-max)"),
        ("QDEL q DEAD", "ERR invalid id 'DEAD', it reads <16 hex digits>"),
        ("QDEL q KEY k ^", "ERR syntax error, '0000000000000001' is not an option of QDEL"),
        ("QPURGE q DEAD", "ERR syntax error, 'DEAD' is not an option of QPURGE"),
        ("QPAUSE q PUSH CLAIM", "ERR syntax error, 'CLAIM' contradicts 'PUSH'"),
        ("QCONFIG SET q lease 1h rate", "ERR wrong number of arguments for 'qconfig|set' command"),
        ("QCONFIG GET q lease rate", "ERR wrong number of arguments for 'qconfig|get' command"),
        ("QCONFIG GET \"\"", "ERR the queue name is empty, it has at least one byte"),
    ] {
        check(line, want);
    }
}

#[test]
fn a_hostile_word_does_not_fill_the_error() {
    let mut args = words("QPUSH q p");
    args.push(&[b"a\r\n\x1b\xff".as_slice(), &[b'x'; 500]].concat());
    let error = outcome(args.as_args(), &Limits::default());
    assert!(error.starts_with(r"ERR syntax error, 'a\r\n\u{1b}\xffxxx"), "{error}");
    assert!(error.ends_with("xxx...' is not an option of QPUSH"), "{error}");
    assert!(error.len() < 250, "{error}");
}

#[test]
fn settings_are_short_and_few() {
    let long = "x".repeat(65);
    let many = |times| ["lease"].repeat(times).join(" ");
    for (line, want) in [
        (
            format!("QCONFIG SET q {long} 1h"),
            format!("ERR the setting '{long}' of 65 bytes is above the limit of 64"),
        ),
        (
            format!("QCONFIG SET q lease {long}"),
            format!("ERR the value '{long}' of 65 bytes is above the limit of 64"),
        ),
        (
            format!("QCONFIG GET q {long}"),
            format!("ERR the setting '{long}' of 65 bytes is above the limit of 64"),
        ),
        (
            format!("QCONFIG UNSET q a {long}"),
            format!("ERR the setting '{long}' of 65 bytes is above the limit of 64"),
        ),
        (
            format!("QCONFIG SET q {}", many(202)),
            "ERR a command of 101 settings is above the limit of 100".into(),
        ),
        (
            format!("QCONFIG UNSET q {}", many(101)),
            "ERR a command of 101 settings is above the limit of 100".into(),
        ),
    ] {
        check(&line, &want);
    }
    let keys = vec![&b"lease"[..]; 100];
    parses(&format!("QCONFIG UNSET q {}", many(100)), QueueCommand::ConfigUnset { queue: b"q", keys });
}

/// Every row's least words are enough for its parser to say something other than "wrong number".
#[test]
fn the_parser_agrees_with_the_arity() {
    let rows = table::COMMANDS.iter().flat_map(|spec| std::iter::once(*spec).chain(spec.subcommands));
    for spec in rows.filter(|spec| is_queue_command(spec)) {
        let mut args = OwnedArgs::default();
        let parent = table::COMMANDS.iter().find(|parent| parent.subcommands.iter().any(|s| s.id == spec.id));
        parent.iter().for_each(|parent| args.push(parent.name.as_bytes()));
        args.push(spec.name.as_bytes());
        while args.as_args().len() < spec.arity.unsigned_abs() as usize {
            args.push(b"0");
        }
        let said = outcome(args.as_args(), &Limits::default());
        assert!(!said.contains("wrong number"), "{}: {said}", spec.name);
    }
}

proptest! {
    /// No words make the parser panic, and the parser refuses rather than ignores.
    #[test]
    fn no_words_make_the_parser_panic(
        row in any::<prop::sample::Index>(),
        rest in prop::collection::vec(
            prop_oneof![
                4 => prop::sample::select(vec![
                    "DELAY", "AT", "GROUP", "PRIORITY", "DEDUPE", "UNTIL", "WINDOW", "REPLACE", "ROOT", "TTL",
                    "ATTEMPTS", "SYNC", "NOSYNC", "STATUS", "NEXT", "COUNT", "LEASE", "BLOCK", "WORKER", "BOUND",
                    "ACK", "META", "QUEUES", "MATCH", "EXCEPT", "DEAD", "ERROR", "READY", "ALL", "KEY", "STATE",
                    "PUSH", "CLAIM", "FOR", "SET", "GET", "UNSET", "BEAT", "BYE", "VERSIONS", "PID", "HOST", "0", "1", "2", "DONE", "0000000000000001",
                    "0000000000000001-7",
                ]).prop_map(|word| word.as_bytes().to_vec()),
                1 => prop::collection::vec(any::<u8>(), 0..12),
            ], 0..12),
    ) {
        let spec = table::COMMANDS[row.index(table::COMMANDS.len())];
        let mut args = OwnedArgs::default();
        args.push(spec.name.as_bytes());
        rest.iter().for_each(|word| args.push(word));
        let args = args.as_args();
        // What it becomes is checked elsewhere; here it must only come back.
        match table::resolve(args) {
            Ok(spec) if is_queue_command(spec) => drop(parse(spec, args, &small())),
            Ok(spec) if is_worker_command(spec) => drop(worker(spec, args, &small())),
            _ => {}
        }
    }
}
