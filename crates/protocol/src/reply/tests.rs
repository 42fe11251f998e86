//! Replies byte by byte.

use super::*;
use crate::id::Epoch;

fn written(proto: Proto, write: impl FnOnce(&mut Reply<'_>)) -> String {
    let mut out = Vec::new();
    write(&mut Reply::new(&mut out, proto));
    out.escape_ascii().to_string()
}

#[track_caller]
fn check(write: impl Fn(&mut Reply<'_>), resp2: &str, resp3: &str) {
    assert_eq!(written(Proto::Resp2, &write), resp2);
    assert_eq!(written(Proto::Resp3, &write), resp3);
}

#[test]
fn types_that_both_protocols_share() {
    let same = |write: fn(&mut Reply<'_>), want| check(write, want, want);
    same(|reply| reply.ok(), r"+OK\r\n");
    same(|reply| reply.simple("PONG"), r"+PONG\r\n");
    same(|reply| reply.integer(0), r":0\r\n");
    same(|reply| reply.integer(i64::MIN), r":-9223372036854775808\r\n");
    same(|reply| reply.integer(u64::MAX), r":18446744073709551615\r\n");
    same(|reply| reply.bulk(b""), r"$0\r\n\r\n");
    same(|reply| reply.bulk(b"a\r\nb"), r"$4\r\na\r\nb\r\n");
    same(|reply| reply.bulk_integer(20_261_121_214_631u64), r"$14\r\n20261121214631\r\n");
    same(|reply| reply.bulk_id(JobId(0xabc)), r"$16\r\n0000000000000abc\r\n");
    same(|reply| reply.array(10_000), r"*10000\r\n");
}

#[test]
fn types_of_resp3_have_a_form_in_resp2() {
    check(|reply| reply.nil(), r"$-1\r\n", r"_\r\n");
    check(|reply| reply.map(3), r"*6\r\n", r"%3\r\n");
    check(|reply| reply.set(3), r"*3\r\n", r"~3\r\n");
    check(|reply| reply.push(3), r"*3\r\n", r">3\r\n");
    check(|reply| reply.verbatim(b"a:1"), r"$3\r\na:1\r\n", r"=7\r\ntxt:a:1\r\n");
}

#[test]
fn an_error_is_one_line() {
    let error = |reply: &mut Reply<'_>| reply.error(ErrorCode::Full, "max-jobs\r\n+OK\nx");
    check(error, r"-FULL max-jobs  +OK x\r\n", r"-FULL max-jobs  +OK x\r\n");
    let error = |reply: &mut Reply<'_>| reply.command_error(&CommandError::new("no"));
    check(error, r"-ERR no\r\n", r"-ERR no\r\n");
}

#[test]
fn receipts_are_written_as_they_are_read() {
    for epoch in [0, 9, 10, 1_234_567_890, u64::MAX] {
        let receipt = Receipt { id: JobId::new(7, 99), epoch: Epoch(epoch) };
        let text = receipt.to_string();
        let want = format!(r"${}\r\n{text}\r\n", text.len());
        check(|reply| reply.bulk_receipt(receipt), &want, &want);
    }
}

#[test]
fn a_claimed_job_has_four_fields() {
    let receipt = Receipt { id: JobId(1), epoch: Epoch(2) };
    let want = r"*4\r\n$1\r\nq\r\n$18\r\n0000000000000001-2\r\n$3\r\nabc\r\n:3\r\n";
    check(|reply| reply.claimed_job(b"q", receipt, b"abc", 3), want, want);
}
