//! Planted bugs that the checkers must catch; a checker that lets one through proves nothing.

use stanchion_protocol::command::{Nack, QueueCommand, Retry};

use crate::{Nacked, Pushed};

use super::model::Model;
use super::pair::{claim, one};
use super::rig::{Answer, Rig, same};
use super::script::{START_MS, Script};

/// A run in which each record changes something.
const RUN: [&str; 16] = [
    "0 QCONFIG SET q attempts 2",
    "0 QPUSH q a DEDUPE k ROOT s 1 TTL 5000",
    "0 QPUSH q b GROUP g DELAY 10",
    "0 QPUSH q c DEDUPE l UNTIL DONE WINDOW 900",
    "0 QROOT q t 3",
    "0 QCLAIM q WORKER w -> #1.1=a",
    "1 QEXTEND q 700 #1.1",
    "2 QNACK q #1.1 DELAY 30 ERROR boom",
    "10 QCLAIM q COUNT 2 -> #3.1=c #2.1=b",
    "11 QRELEASE q #2.1",
    "12 QACK q #3.1",
    "13 QPAUSE q FOR 9000",
    "14 QRESUME q",
    "15 QDEL q #2",
    "16 QCONFIG UNSET q attempts",
    "32 tick",
];

#[test]
fn a_record_that_replay_loses_is_noticed() {
    let mut script = Script::new();
    for line in RUN {
        let before = script.pair.rig.records.len();
        script.line(line).unwrap();
        let rig = &script.pair.rig;
        assert!(rig.records.len() > before, "{line} leaves a record");
        let short = rig.replayed(rig.records.len() - 1);
        assert!(
            same(&rig.dump(&rig.shard), &rig.dump(&short)).is_err(),
            "the last record of {line} may be lost"
        );
    }
}

#[test]
fn a_job_that_reclaiming_forgets_is_noticed() {
    let mut script = Script::new();
    RUN.iter().for_each(|line| script.line(line).unwrap());
    let rig = &mut script.pair.rig;
    rig.reclaim();
    rig.records.pop_front();
    assert!(rig.check_replay().is_err());
}

#[test]
fn wrong_answers_are_refused() {
    let mut rig = Rig::new(START_MS, Default::default());
    let mut model = Model::new(1);
    let refuses = |model: &Model, rig: &Rig, command: &QueueCommand<'_>, answer: Answer| {
        let verdict = model.clone().explain(START_MS, command, &answer, &rig.shard);
        assert!(verdict.is_err(), "{command:?} may answer {answer:?}");
    };
    let push = script_push(b"a");
    let answer = rig.run(&push);
    refuses(&model, &rig, &push, Answer::Pushed(Ok(vec![])));
    refuses(&model, &rig, &push, Answer::Pushed(Ok(vec![Pushed::Superseded])));
    model.explain(START_MS, &push, &answer, &rig.shard).unwrap();
    // The same id again.
    refuses(&model, &rig, &push, answer);
    let second = script_push(b"b");
    let answer = rig.run(&second);
    model.explain(START_MS, &second, &answer, &rig.shard).unwrap();

    let claim = claim(b"q", one());
    let answer = rig.run(&claim);
    let Answer::Jobs(jobs) = &answer else { panic!("a claim answers jobs") };
    refuses(&model, &rig, &claim, Answer::Jobs(vec![]));
    let mut tampered = jobs.clone();
    tampered[0].receipt.epoch.0 -= 1;
    refuses(&model, &rig, &claim, Answer::Jobs(tampered));
    let mut tampered = jobs.clone();
    tampered[0].receipt.id.0 += 1;
    refuses(&model, &rig, &claim, Answer::Jobs(tampered));
    let receipt = jobs[0].receipt;
    model.explain(START_MS, &claim, &answer, &rig.shard).unwrap();

    let ack = QueueCommand::Ack { queue: b"q", receipts: vec![receipt].into() };
    refuses(&model, &rig, &ack, Answer::Count(0));
    refuses(&model, &rig, &ack, Answer::Count(2));
    let nack = QueueCommand::Nack(Nack { queue: b"q", receipt, retry: Retry::Backoff, error: None });
    for answer in [Nacked::Dead, Nacked::Stale, Nacked::Superseded] {
        refuses(&model, &rig, &nack, Answer::Nacked(answer));
    }
    // Not yet done, so its due time is not 8 to 12 s from now.
    refuses(&model, &rig, &nack, Answer::Nacked(Nacked::Retry));
}

fn script_push(payload: &'static [u8]) -> QueueCommand<'static> {
    use stanchion_protocol::command::{NewJob, Push, SyncWish};
    let job = NewJob { payload, ..super::rig::plain() };
    let jobs = std::iter::once(job).collect();
    QueueCommand::Push(Push { queue: b"q", jobs, sync: SyncWish::Policy, status: false, many: false })
}
