//! QCONFIG: the settings of one queue, live and durable.

use stanchion_tests::{Options, Server};

#[test]
fn settings_have_their_defaults() {
    Server::start().check(
        r#"
        > QCONFIG GET q => {lease: ["1h", default], attempts: ["3", default], backoff: ["10s", default],
            backoff-factor: ["4", default], backoff-max: ["1h", default], backoff-jitter: ["0.2", default],
            dead-retention: ["7d", default], dead-max: ["100000", default], root-retention: ["28d", default],
            run-max: ["0", default], max-jobs: ["0", default], max-bytes: ["0", default], concurrency: ["0", default],
            group-concurrency: ["0", default], rate: ["0", default], order: [fifo, default], durability: *, notify: [off, default]}
        > EXISTS q => 0
        "#,
    );
}

#[test]
fn settings_are_set_shown_and_unset() {
    Server::start().check(
        r#"
        > QCONFIG SET q lease 90s attempts 7 order lifo => +OK
        > TYPE q => +queue
        > QCONFIG GET q lease => {lease: [`*`, queue]}
        > QCONFIG GET q attempts => {attempts: ["7", queue]}
        > QCONFIG GET q order => {order: [lifo, queue]}
        > QCONFIG UNSET q attempts order => +OK
        > QCONFIG GET q attempts => {attempts: ["3", default]}
        > QCONFIG GET q => {lease: [*, queue], attempts: ["3", default], ...}
        > HELLO 3
        > QCONFIG GET q backoff => {backoff: ["10s", default]}
        "#,
    );
}

#[test]
fn settings_of_the_file_are_told_apart() {
    let options = Options::new().configuration(
        "[[queues]]\nmatch = \"mail*\"\nattempts = 9\nlease = \"5m\"\n\n[[queues]]\nmatch = \"mail:slow\"\nlease = \"6h\"\n",
    );
    options.start().check(
        r#"
        > QCONFIG GET mail:a attempts => {attempts: ["9", file]}
        > QCONFIG GET mail:a lease => {lease: ["5m", file]}
        > QCONFIG GET mail:slow lease => {lease: ["6h", file]}
        > QCONFIG GET other attempts => {attempts: ["3", default]}
        > QCONFIG SET mail:a attempts 2 => +OK
        > QCONFIG GET mail:a attempts => {attempts: ["2", queue]}
        > QCONFIG UNSET mail:a attempts => +OK
        > QCONFIG GET mail:a attempts => {attempts: ["9", file]}
        > QPUSH mail:a x => $id
        > QJOB mail:a $id => {attempts-max: 9, ...}
        "#,
    );
}

#[test]
fn bad_settings_are_refused_whole() {
    let server = Server::start();
    for (words, error) in [
        ("SET q atempts 3", "*atempts*attempts*"),
        ("SET q attempts", "*"),
        ("SET q attempts many", "*many*"),
        ("SET q attempts 5 lease never", "*never*"),
        ("SET q order random", "*random*"),
        ("SET q rate 5", "*5*"),
        ("SET q rate 5/0s", "*5/0s*"),
        ("SET q backoff-jitter 2", "*2*"),
        ("SET q backoff-factor x", "*x*"),
        ("SET q durability sometimes", "*sometimes*"),
        ("SET q notify maybe", "*maybe*"),
        ("SET q lease 11000000d", "*11000000d*"),
        ("SET q lease 0", "*"),
        ("GET q atempts", "*atempts*"),
        ("GET q attempts lease", "*"),
        ("UNSET q atempts", "*atempts*"),
        ("UNSET q", "*"),
        ("SET q", "*"),
        ("BOGUS q", "*BOGUS*"),
    ] {
        server.check(&format!("> QCONFIG {words} => -ERR {error}"));
    }
    server.check(
        r#"
        > QCONFIG => -ERR wrong number of arguments for 'qconfig' command
        > EXISTS q => 0
        "#,
    );
}

#[test]
fn a_lease_setting_holds_for_the_next_claim() {
    let server = Server::start();
    let mut session = server.session();
    session.check(
        r#"
        > QCONFIG SET q lease 90s => +OK
        > QPUSH q a
        > QCLAIM q META => [[q, $r, a, 1, {ready-at: $ready, lease-until: $until, ...}]]
        "#,
    );
    let instant = |name| session.captured(name).parse::<i64>().expect("an instant");
    let lease = instant("until") - instant("ready");
    assert!((90_000..95_000).contains(&lease), "{lease} ms");
}

#[test]
fn lifo_claims_the_newest_first() {
    Server::start().check(
        r#"
        > QCONFIG SET q order lifo => +OK
        > QPUSH q a AT 1000
        > QPUSH q b AT 2000
        > QPUSH q first PRIORITY 1
        > QPEEK q COUNT 3 => [{payload: first, ...}, *, *]
        > QCLAIM q COUNT 9 => [[q, *, first, 1], [q, *, b, 1], [q, *, a, 1]]
        "#,
    );
}

#[test]
fn concurrency_caps_the_claims_of_a_queue() {
    Server::start().check(
        r#"
        > QCONFIG SET q concurrency 2 => +OK
        > QMPUSH q a NEXT b NEXT c NEXT d
        > QCLAIM q COUNT 9 => [[q, $a, a, 1], [q, $b, b, 1]]
        > QCLAIM q => []
        # lowering a cap revokes nothing
        > QCONFIG SET q concurrency 1 => +OK
        > QLEN q CLAIMED => 2
        > QACK q $a => 1
        > QCLAIM q => []
        > QNACK q $b DELAY 600000 => retry
        > QCLAIM q COUNT 9 => [[q, *, c, 1]]
        "#,
    );
}

#[test]
fn group_concurrency_caps_each_group() {
    Server::start().check(
        r#"
        > QCONFIG SET q group-concurrency 1 => +OK
        > QMPUSH q a1 GROUP a NEXT a2 GROUP a NEXT b1 GROUP b NEXT b2 GROUP b NEXT n1 NEXT n2
        > QCLAIM q COUNT 9 => [[q, $a, a1, 1], [q, *, b1, 1], [q, *, n1, 1]]
        > QCLAIM q COUNT 9 => []
        > QACK q $a => 1
        > QCLAIM q COUNT 9 => [[q, *, a2, 1]]
        "#,
    );
}

#[test]
fn a_rate_is_a_bucket_of_so_many() {
    Server::start().check(
        r#"
        > QCONFIG SET q rate 3/1h => +OK
        > QMPUSH q a NEXT b NEXT c NEXT d
        > QCLAIM q COUNT 2 => [[q, *, a, 1], [q, *, b, 1]]
        > QCLAIM q COUNT 9 => [[q, *, c, 1]]
        > QCLAIM q => []
        > QCONFIG SET q rate 1000/1s => +OK
        > QCLAIM q BLOCK 0 => [[q, *, d, 1]]
        "#,
    );
}

#[test]
fn full_queues_say_which_limit_it_was() {
    Server::start().check(
        r#"
        > QCONFIG SET q max-jobs 2 max-bytes 10 => +OK
        > QPUSH q 12345678901 => -FULL*max-bytes*
        > QPUSH q 123456 => $a
        > QPUSH q 12345 => -FULL*max-bytes*
        > QPUSH q 1234
        > QPUSH q "" => -FULL*max-jobs*
        # all but dead count, and dead ones make room
        > QCLAIM q => [[q, $r, "123456", 1]]
        > QPUSH q "" => -FULL*max-jobs*
        > QNACK q $r DEAD => dead
        > QPUSH q "" STATUS => [ready, *]
        "#,
    );
}

#[test]
fn settings_survive_a_crash() {
    let options = Options::new();
    let mut server = options.start();
    server.check("> QCONFIG SET q attempts 7 rate 50/1s => +OK\n> QCONFIG SET q order lifo => +OK\n> QCONFIG UNSET q order => +OK");
    server.kill();
    options.start().check(
        r#"
        > QCONFIG GET q attempts => {attempts: ["7", queue]}
        > QCONFIG GET q rate => {rate: ["50/1s", queue]}
        > QCONFIG GET q order => {order: [fifo, default]}
        "#,
    );
}

#[test]
fn a_queues_durability_overrides_the_lanes() {
    let options = Options::new().arguments(&["--durability", "never"]);
    let mut server = options.start();
    server.check("> QCONFIG SET q durability always => +OK\n> QPUSH q kept");
    server.kill();
    options.start().check("> QCLAIM q => [[q, *, kept, 1]]");
}
