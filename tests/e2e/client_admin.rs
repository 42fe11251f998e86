//! Clients about each other: CLIENT KILL, PAUSE, UNPAUSE, REPLY and LIST.

use std::time::{Duration, Instant};

use stanchion_tests::{Server, Value};

#[test]
fn a_killed_client_is_gone_at_once() {
    let server = Server::start();
    let mut victim = server.connect();
    let id = victim.call(&["CLIENT", "ID"]).integer();
    server.check(&format!(
        r#"
        > CLIENT KILL ID {id} => 1
        > CLIENT LIST ID {id} => ""
        > CLIENT KILL ID {id} => 0
        "#
    ));
    assert_eq!(victim.receive_to_end().expect("an end"), b"");
}

#[test]
fn a_client_is_killed_by_its_address() {
    let server = Server::start();
    let mut victim = server.connect();
    let info = victim.call(&["CLIENT", "INFO"]).text();
    let field = |name: &str| {
        let words = info.split_whitespace();
        words.filter_map(|word| word.strip_prefix(name)).next().expect("a field").to_owned()
    };
    let (peer, local) = (field("addr="), field("laddr="));
    server.check(&format!(
        r#"
        > CLIENT KILL ADDR {peer} LADDR {peer} => 0
        > CLIENT KILL {peer} => +OK
        > CLIENT KILL {peer} => -ERR No such client
        > CLIENT KILL LADDR {local} TYPE normal SKIPME yes => 0
        "#
    ));
    assert_eq!(victim.receive_to_end().expect("an end"), b"");
}

#[test]
fn whoever_kills_itself_is_answered_first() {
    let server = Server::start();
    let mut own = server.connect();
    let id = own.call(&["CLIENT", "ID"]).integer();
    assert_eq!(own.call(&["CLIENT", "KILL", "ID", &id.to_string()]), Value::Integer(0));
    own.send(&["CLIENT", "KILL", "ID", &id.to_string(), "SKIPME", "no"]).expect("sent");
    own.send(&["PING"]).expect("sent");
    assert_eq!(own.receive_to_end().expect("an end"), b":1\r\n");
}

#[test]
fn kill_takes_filters_as_redis_does() {
    Server::start().check(
        r#"
        > CLIENT KILL => -ERR wrong number of arguments for 'client|kill' command
        > CLIENT KILL 1 => -ERR No such client
        > CLIENT KILL foo bar => -ERR syntax error
        > CLIENT KILL ID => -ERR No such client
        > CLIENT KILL ID 1 SKIPME => -ERR syntax error
        > CLIENT KILL SKIPME perhaps => -ERR syntax error
        > CLIENT KILL ID 0 => -ERR client-id should be greater than 0
        > CLIENT KILL ID x => -ERR client-id should be greater than 0
        > CLIENT KILL TYPE foo => -ERR Unknown client type 'foo'
        > CLIENT KILL USER nobody => -ERR No such user 'nobody'
        > CLIENT KILL MAXAGE 0 => -ERR*
        > CLIENT KILL TYPE master => 0
        > CLIENT KILL MAXAGE 3600 => 0
        s> SUBSCRIBE x
        > CLIENT KILL TYPE normal => 0
        > CLIENT KILL TYPE pubsub USER default => 1
        > PUBSUB NUMSUB x => [x, 0..1]
        ? PUBSUB NUMSUB x => [x, 0]
        "#,
    );
}

#[test]
fn a_killed_claim_takes_no_job_along() {
    Server::start().check(
        r#"
        w> CLIENT ID => $w
        w! QCLAIM q BLOCK 0
        ~ 1 blocked
        > CLIENT KILL ID $w => 1
        ~ 0 blocked
        > QPUSH q x
        > QCLAIM q BLOCK 0 => [[q, *, x, 1]]
        "#,
    );
}

#[test]
fn a_client_that_does_not_read_is_killed_all_the_same() {
    let server = Server::start();
    let mut victim = server.connect();
    let id = victim.call(&["CLIENT", "ID"]).integer();
    let word = "x".repeat(1 << 20);
    // More than sockets hold: the connection waits for its reader.
    for _ in 0..32 {
        victim.send(&["ECHO", &word]).expect("sent");
        if server.connect().call(&["CLIENT", "LIST", "ID", &id.to_string()]).text().contains("omem=0 ") {
            continue;
        }
        break;
    }
    server.check(&format!("> CLIENT KILL ID {id} => 1\n> CLIENT LIST ID {id} => \"\""));
    let read = victim.receive_to_end().expect("an end").len();
    assert!(read < 32 << 20, "{read} bytes came");
}

#[test]
fn writes_wait_while_they_are_paused() {
    Server::start().check(
        r#"
        > QPUSH q x
        m> MULTI
        m> QPUSH q z STATUS => +QUEUED
        > CLIENT PAUSE 600000 WRITE => +OK
        > QLEN q => 1
        > SUBSCRIBE c
        > UNSUBSCRIBE c
        w! QPUSH q y STATUS
        w! QLEN q
        c! QCLAIM q
        p! PUBLISH c x
        ~ 3 blocked
        # a transaction waits when it would write
        r> MULTI
        r> QLEN q => +QUEUED
        r> EXEC => [1]
        m! EXEC
        ~ 4 blocked
        # a write waits before it is queued, too
        r> MULTI
        r! QPUSH q z STATUS
        ~ 5 blocked
        > CLIENT UNBLOCK 1 => 0
        > QLEN q => 1
        > CLIENT UNPAUSE => +OK
        w< => [ready, *]
        w< => 1..3
        c< => [[q, *, *, 1]]
        p< => 0
        m< => [[ready, *]]
        r< => +QUEUED
        ~ 0 blocked
        "#,
    );
}

#[test]
fn a_claim_that_was_paused_waits_for_its_job() {
    Server::start().check(
        r#"
        > CLIENT PAUSE 600000 WRITE => +OK
        w! QCLAIM q BLOCK 0
        ~ 1 blocked
        > CLIENT UNPAUSE => +OK
        > QPUSH q x
        w< => [[q, *, x, 1]]
        "#,
    );
}

#[test]
fn a_pause_ends_by_itself() {
    let server = Server::start();
    let mut connection = server.connect();
    let begun = Instant::now();
    for words in [&["CLIENT", "PAUSE", "100"][..], &["PING"], &["QPUSH", "q", "x"]] {
        connection.send(words).expect("sent");
    }
    assert_eq!(connection.receive().expect("OK").text(), "OK");
    assert_eq!(connection.receive().expect("PONG").text(), "PONG");
    assert!(begun.elapsed() >= Duration::from_millis(100), "PING did not wait");
    assert_eq!(connection.receive().expect("an id").text().len(), 16);
}

#[test]
fn all_commands_wait_in_a_full_pause_but_the_one_that_ends_it() {
    let server = Server::start();
    server.check(
        r#"
        > CLIENT PAUSE 600000 WRITE => +OK
        # the wider of the two holds
        > CLIENT PAUSE 1 ALL => +OK
        > CLIENT UNPAUSE => +OK
        > CLIENT PAUSE 600000 ALL => +OK
        r! PING
        r! MULTI
        r! QPUSH q x
        r! EXEC
        > CLIENT UNPAUSE => +OK
        r< => +PONG
        r< => +OK
        r< => +QUEUED
        r< => [*]
        "#,
    );
}

#[test]
fn what_is_paused_has_not_begun() {
    Server::start().check(
        r#"
        w> CLIENT ID => $w
        > CLIENT PAUSE 600000 WRITE
        w! QPUSH q lost
        ~ 1 blocked
        > CLIENT LIST ID $w => `*flags=b*`
        > CLIENT KILL ID $w => 1
        ~ 0 blocked
        > CLIENT UNPAUSE
        > QLEN q ALL => 0
        > CLIENT PAUSE => -ERR wrong number of arguments for 'client|pause' command
        > CLIENT PAUSE x => -ERR timeout is not an integer or out of range
        > CLIENT PAUSE -1 => -ERR timeout is negative
        > CLIENT PAUSE 9223372036854775807 => -ERR timeout is out of range*
        > CLIENT PAUSE 1 foo => -ERR CLIENT PAUSE mode must be WRITE or ALL
        > CLIENT PAUSE 1 ALL x => -ERR unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP.
        "#,
    );
}

#[test]
fn replies_are_turned_off_and_on() {
    Server::start().check(
        r#"
        a! CLIENT REPLY OFF
        a! PING
        a! QPUSH q x
        a! BOGUS
        a! QLEN
        a! CLIENT REPLY SKIP
        a! PING
        a! MULTI
        a! PING
        a! EXEC
        a! CLIENT REPLY ON
        a< => +OK
        a> QLEN q => 1
        a! CLIENT REPLY SKIP
        a! PING
        a> ECHO heard => heard
        a! CLIENT REPLY SKIP
        a! CLIENT REPLY ON
        a< => +OK
        a> CLIENT REPLY foo => -ERR syntax error
        a! CLIENT REPLY OFF
        a! RESET
        a< => +RESET
        a> PING => +PONG
        "#,
    );
}

#[test]
fn jobs_that_nobody_sees_are_given_back() {
    Server::start().check(
        r#"
        > QPUSH q x
        a! CLIENT REPLY OFF
        a! QCLAIM q BOUND
        a! CLIENT REPLY ON
        a< => +OK
        > QCLAIM q => [[q, $r, x, 1]]
        > QACK q $r => 1
        # one that waits, and those behind it
        a! CLIENT REPLY SKIP
        a! QCLAIM q BLOCK 0
        a! PING
        ~ 1 blocked
        > QPUSH q y
        a< => +PONG
        ~ 0 blocked
        > QCLAIM q BLOCK 0 => [[q, *, y, 1]]
        > QSTATS q => {claims: 4, released: 2, ...}
        "#,
    );
}

#[test]
fn messages_come_although_replies_do_not() {
    Server::start().check(
        r#"
        a! CLIENT REPLY OFF
        a! PING
        a! SUBSCRIBE n m
        a< => [subscribe, n, 1]
        a< => [subscribe, m, 2]
        > PUBLISH n hello => 1
        a< => [message, n, hello]
        a! UNSUBSCRIBE
        a< => [unsubscribe, m, 1]
        a< => [unsubscribe, n, 0]
        a! PING
        a! CLIENT REPLY ON
        a< => +OK
        "#,
    );
}

#[test]
fn the_list_of_clients_says_what_they_do() {
    Server::start().check(
        r#"
        s> CLIENT ID => $s
        s> SUBSCRIBE a b
        s< => [subscribe, b, 2]
        s> PSUBSCRIBE c*
        m> CLIENT ID => $m
        m> MULTI
        m> PING => +QUEUED
        ? CLIENT LIST ID $s => `*flags=P db=0 sub=2 psub=1 ssub=0 multi=-1 *cmd=psubscribe user=default*`
        ? CLIENT LIST ID $m => `*flags=x db=0 sub=0 psub=0 ssub=0 multi=1 *cmd=multi user=default*`
        > CLIENT INFO => `*flags=N*cmd=client|info*`
        > CLIENT LIST TYPE pubsub => `id=*sub=2*`
        > CLIENT LIST TYPE replica => ""
        > CLIENT LIST TYPE foo => -ERR Unknown client type 'foo'
        > CLIENT LIST ID $m 9999 $s => `*multi=1*sub=2*`
        > CLIENT NO-EVICT on => +OK
        > CLIENT NO-EVICT perhaps => -ERR syntax error
        > CLIENT NO-TOUCH off => +OK
        "#,
    );
}
