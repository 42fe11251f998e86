//! Peers that are slow, silent or gone: each is ended in time, for a reason that the log tells, and none holds up
//! another.

use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use stanchion_tests::{Connection, Options, PATIENCE, Process, Value, resident_bytes};

fn wait_said(process: &Process, words: &str) {
    process.wait_line(words, |line| line.contains(words).then_some(()));
}

#[test]
fn a_command_that_does_not_end_is_cut_off() {
    let server = Options::new().environment("STANCHION_REQUEST_TIMEOUT", "300ms").start();
    let mut whole = server.connect();
    for half in [&b"*2\r\n$4\r\nECHO\r\n$5\r\nhel"[..], b"PING", b"*1\r\n$99999999\r\nx"] {
        let mut connection = server.connect();
        connection.send_bytes(half).expect("sent");
        assert_eq!(connection.receive_to_end().expect("the end"), b"", "{}", half.escape_ascii());
    }
    // Nor does it help to send another byte now and then.
    let mut trickle = server.connect();
    trickle.send_bytes(b"*2\r\n$4\r\nECHO\r\n$16000000\r\n").expect("sent");
    let started = Instant::now();
    while trickle.send_bytes(b"x").is_ok() {
        assert!(started.elapsed() < PATIENCE, "the server takes bytes for ever");
    }
    wait_said(&server, "a command did not arrive within request-timeout");
    // Between two commands there is all the time in the world, and so there is behind one that waits.
    assert_eq!(whole.call(&["PING"]).text(), "PONG");
    whole
        .send_bytes(b"*4\r\n$6\r\nQCLAIM\r\n$1\r\nq\r\n$5\r\nBLOCK\r\n$4\r\n1000\r\n*1\r\n$4")
        .expect("sent");
    assert_eq!(whole.receive().expect("no job"), Value::Array(Vec::new()));
}

#[test]
fn who_must_log_in_has_to_do_it_in_time() {
    let server = Options::new()
        .environment("STANCHION_REQUIREPASS", "secret")
        .environment("STANCHION_LOGIN_TIMEOUT", "2s")
        .start();
    let mut welcome = server.connect();
    assert_eq!(welcome.call(&["AUTH", "secret"]).text(), "OK");
    let mut busy = server.connect();
    for said in [&b""[..], b"*1\r\n$4\r\nPI", b"AUTH "] {
        let mut stranger = server.connect();
        stranger.send_bytes(said).expect("sent");
        assert_eq!(stranger.receive_to_end().expect("the end"), b"");
    }
    // To talk all the time is no log-in.
    let started = Instant::now();
    while busy.try_call(&["QLIST"]).is_ok_and(|reply| reply.is_error("NOAUTH")) {
        assert!(started.elapsed() < PATIENCE, "a stranger may stay");
    }
    wait_said(&server, "it did not log in within login-timeout");
    assert_eq!(welcome.call(&["PING"]).text(), "PONG");
}

#[test]
fn idle_clients_go_but_not_those_who_wait_for_something() {
    let server = Options::new().environment("STANCHION_IDLE_TIMEOUT", "2s").start();
    let (mut subscriber, mut worker) = (server.connect(), server.connect());
    assert_eq!(subscriber.call(&["SUBSCRIBE", "news"]).array().len(), 3);
    worker.send(&["QCLAIM", "q", "BLOCK", "0"]).expect("sent");
    assert_eq!(server.connect().receive_to_end().expect("the end"), b"");
    wait_said(&server, "it said nothing for idle-timeout");
    server.check("> PUBLISH news hello => 1\n> QPUSH q x");
    assert_eq!(subscriber.receive().expect("a message").array()[2].text(), "hello");
    assert_eq!(worker.receive().expect("a job").array().len(), 1);
}

#[test]
fn clients_that_never_read_take_little_memory_and_hold_nobody_up() {
    const CLIENTS: usize = 20;
    let server = Options::new().start();
    let mut other = server.connect();
    let payload = vec![b'x'; 1 << 20];
    let id = other.call(&[b"QPUSH", &b"big"[..], &payload]).text();
    let before = resident_bytes(server.id());
    let greedy: Vec<Connection> = (0..CLIENTS)
        .map(|_| {
            let mut greedy = server.connect();
            // Replies of 200 MiB, which is less than a client may leave unread, but far more than it needs to.
            for _ in 0..200 {
                greedy.send(&["QJOB", "big", &id]).expect("sent");
            }
            greedy
        })
        .collect();
    for i in 0..100 {
        other.call(&["QPUSH", "small", &i.to_string()]);
        assert_eq!(other.call(&["QCLAIM", "small"]).array().len(), 1);
    }
    let grown = resident_bytes(server.id()).saturating_sub(before) / greedy.len();
    assert!(grown < 4 << 20, "a client that does not read takes {grown} bytes");
}

#[test]
fn a_client_that_leaves_too_much_unread_is_disconnected() {
    let server = Options::new().start();
    server.check(
        r#"
        > CONFIG GET client-*-limit => {client-output-buffer-limit: `normal 268435456 0 0 slave 0 0 0 pubsub 33554432 8388608 60`, client-query-buffer-limit: *}
        > CONFIG SET client-output-buffer-limit "normal 1mb 2" => -ERR CONFIG SET failed (possibly related to argument 'client-output-buffer-limit') - Wrong number of arguments in buffer limit configuration.
        > CONFIG SET client-output-buffer-limit "normal 3mb 0 0 pubsub 2mb 0 0" => +OK
        > CONFIG GET client-output-buffer-limit => {client-output-buffer-limit: `normal 3145728 0 0 slave 0 0 0 pubsub 2097152 0 0`}
        "#,
    );
    let mut greedy = server.connect();
    let payload = vec![b'x'; 16 << 20];
    greedy.call(&[b"QPUSH", &b"q"[..], &payload]);
    greedy.send(&["QCLAIM", "q"]).expect("sent");
    wait_said(&server, "it leaves more replies unread than client-output-buffer-limit allows");
    server.check("? QLEN q CLAIMED => 0");
    let mut deaf = server.connect();
    deaf.call(&["SUBSCRIBE", "news"]);
    // What the sockets between them take, and a little more.
    for _ in 0..16 {
        server.connect().call(&[&b"PUBLISH"[..], b"news", &vec![b'x'; 1 << 20]]);
    }
    wait_said(&server, "it leaves more messages unread than client-output-buffer-limit allows");
    server.check("? INFO stats => `*client_output_buffer_limit_disconnections:2\r*`");
}

#[test]
fn the_log_tells_of_a_flood_without_being_one() {
    let server = Options::new().start();
    let mut admin = server.connect();
    assert_eq!(admin.call(&["CONFIG", "SET", "maxclients", "1"]).text(), "OK");
    for _ in 0..200 {
        let told = server.connect().receive_to_end().expect("the end");
        assert_eq!(told, b"-ERR max number of clients reached\r\n");
    }
    assert_eq!(admin.call(&["CONFIG", "SET", "maxclients", "100"]).text(), "OK");
    for i in 0..200 {
        let mut rude = server.connect();
        rude.send_bytes(format!("*{i}\n\rINFO forged line\r\n").as_bytes()).expect("sent");
        let told = rude.receive_to_end().expect("the end");
        assert!(told.starts_with(b"-ERR Protocol error: "), "{}", told.escape_ascii());
    }
    let output = server.output();
    for (words, most) in [("clients-max is reached", 20), ("it does not speak the protocol", 20)] {
        let lines = output.lines().filter(|line| line.contains(words)).count();
        assert!((1..=most).contains(&lines), "{lines} lines with {words}");
    }
    assert!(!output.lines().any(|line| line.contains("forged line")), "{output}");
    assert_eq!(admin.call(&["PING"]).text(), "PONG");
}

#[test]
fn the_system_asks_silent_peers_whether_they_are_there() {
    for (keepalive, timer) in [("5m", "02"), ("0", "00")] {
        let server = Options::new().environment("STANCHION_TCP_KEEPALIVE", keepalive).start();
        let stream = TcpStream::connect(server.address()).expect("a connection");
        let peer = stream.local_addr().expect("an address");
        let started = Instant::now();
        while kernel_timer(server.address(), peer).as_deref() != Some(timer) {
            assert!(started.elapsed() < PATIENCE, "tcp-keepalive {keepalive} has no effect");
            std::thread::yield_now();
        }
    }
}

/// The timer that runs for a connection, as Linux numbers them: 02 is keepalive.
fn kernel_timer(local: SocketAddr, peer: SocketAddr) -> Option<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux");
    let port = |address: SocketAddr| format!(":{:04X}", address.port());
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let ours = fields[1].ends_with(&port(local)) && fields[2].ends_with(&port(peer));
        ours.then(|| fields[5].split(':').next().unwrap_or_default().to_owned())
    })
}
