//! TLS: who gets in, what a renewed certificate does, and what becomes of those who take the wrong door.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};

use rustix::process::Signal;
use stanchion_tests::{Authority, Connection, Process, Secured, Server, Value, client, resident_bytes};

fn redis_cli(secured: &Secured, more: &[&str]) -> Output {
    Command::new("redis-cli")
        .args(["--tls", "-h", "localhost", "-p", &secured.address().port().to_string(), "--cacert"])
        .arg(secured.authority().certificate())
        .args(more)
        .output()
        .expect("redis-cli")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn wait_said(process: &Process, words: &str) {
    process.wait_line(words, |line| line.contains(words).then_some(()));
}

#[test]
fn redis_cli_talks_over_tls() {
    let secured = Secured::start("yes");
    let own = secured.authority().sign("worker");
    let with_own = ["--cert", text(&own.cert), "--key", text(&own.key)];
    let said = |output: Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let pushed = said(redis_cli(&secured, &[&with_own[..], &["QPUSH", "q", "in secret"]].concat()));
    assert_eq!(pushed.trim().len(), 16, "{pushed}");
    let claimed = said(redis_cli(&secured, &[&with_own[..], &["-3", "QCLAIM", "q"]].concat()));
    assert!(claimed.contains("in secret"), "{claimed}");

    let without = redis_cli(&secured, &["PING"]);
    let told = String::from_utf8_lossy(&without.stderr).into_owned();
    assert!(!said(without).contains("PONG"), "{told}");
    let port = secured.address().port().to_string();
    secured.server().check(&format!("> CONFIG GET tls-port => {{tls-port: `{port}`}}"));
}

#[test]
fn clients_must_show_a_good_certificate() {
    let secured = Secured::start("yes");
    let good = secured.authority().sign("worker");
    let mut connection = secured.connect(Some(&good)).expect("a connection");
    assert_eq!(connection.call(&["PING"]).text(), "PONG");

    assert!(secured.assert_refused(None).contains("CertificateRequired"));
    let expired = secured.authority().sign_expired("old-worker");
    assert!(secured.assert_refused(Some(&expired)).contains("CertificateExpired"));
    let stranger = Authority::new().sign("stranger");
    secured.assert_refused(Some(&stranger));
    assert_eq!(connection.call(&["PING"]).text(), "PONG");
}

#[test]
fn clients_may_be_asked_or_not_for_a_certificate() {
    let optional = Secured::start("optional");
    let good = optional.authority().sign("worker");
    for shows in [None, Some(&good)] {
        let mut connection = optional.connect(shows).expect("a connection");
        assert_eq!(connection.call(&["PING"]).text(), "PONG");
    }
    optional.assert_refused(Some(&Authority::new().sign("stranger")));

    let unasked = Secured::start("no");
    for shows in [None, Some(&Authority::new().sign("stranger"))] {
        let mut connection = unasked.connect(shows).expect("a connection");
        assert_eq!(connection.call(&["PING"]).text(), "PONG");
    }
}

#[test]
fn a_server_of_another_authority_is_not_trusted() {
    let secured = Secured::start("no");
    let refused = Connection::tls(secured.address(), client(&Authority::new(), None));
    assert!(refused.is_err_and(|error| error.to_string().contains("UnknownIssuer")));
    wait_said(secured.server(), "the TLS handshake failed");
}

#[test]
fn words_of_any_size_travel_in_order() {
    let secured = Secured::start("no");
    let mut connection = secured.connect(None).expect("a connection");
    for bytes in [0, 1, 16_384, 16_385, 1 << 20, 12 << 20] {
        let word: Vec<u8> = (0..bytes).map(|i| (i % 251) as u8).collect();
        assert_eq!(connection.call(&[&b"ECHO"[..], &word]), Value::Bulk(word));
    }
    for i in 0..10_000 {
        connection.send(&["ECHO", &i.to_string()]).expect("sent");
    }
    for i in 0..10_000 {
        assert_eq!(connection.receive().expect("an echo").text(), i.to_string());
    }
    connection.send(&["QCLAIM", "q", "BLOCK", "0"]).expect("sent");
    secured.server().check("~ 1 blocked\n> QPUSH q woken");
    assert_eq!(connection.receive().expect("a job").array().len(), 1);
}

#[test]
fn jobs_that_lie_in_the_cipher_are_given_back() {
    let secured = Secured::start("no");
    let mut session = secured.server().session();
    let payload = vec![b'x'; 1 << 20];
    for _ in 0..40 {
        session.connection("main").call(&[b"QPUSH", &b"q"[..], &payload, b"NOSYNC"]);
    }
    let mut greedy = secured.connect(None).expect("a connection");
    for _ in 0..40 {
        greedy.send(&["QCLAIM", "q"]).expect("sent");
    }
    // It never reads. What it claimed and did not get is claimable again as soon as it is gone.
    session.check("? QLEN q CLAIMED => 1..40");
    drop(greedy);
    session.check("? QLEN q CLAIMED => 0..12");
    let mut rest = secured.connect(None).expect("a connection");
    let again = rest.call(&["QCLAIM", "q", "COUNT", "40", "META"]);
    assert!(again.array().iter().all(|job| job.array()[3] == Value::Integer(1)), "no attempt was used");
    assert!(again.array().len() >= 28, "{} jobs came back", again.array().len());
}

#[test]
fn who_does_not_shake_hands_is_gone_in_time_and_holds_nobody_up() {
    let secured = Secured::start("no");
    let silent: Vec<Connection> =
        (0..50).map(|_| Connection::tcp(secured.address()).expect("it listens")).collect();
    let mut connection = secured.connect(None).expect("a connection");
    assert_eq!(connection.call(&["PING"]).text(), "PONG");
    for mut silent in silent {
        assert_eq!(silent.receive_to_end().expect("the end"), b"");
    }
    wait_said(secured.server(), "the handshake took too long");
    assert_eq!(connection.call(&["PING"]).text(), "PONG");
}

#[test]
fn plain_words_at_the_tls_port_are_no_handshake() {
    let secured = Secured::start("no");
    let mut plain = Connection::tcp(secured.address()).expect("it listens");
    plain.send(&["QPUSH", "q", "x"]).expect("sent");
    let told = plain.receive_to_end().expect("the end");
    assert!(!told.starts_with(b"$") && !told.starts_with(b"+"), "{}", told.escape_ascii());
    secured.server().check("> EXISTS q => 0");
}

#[test]
fn tls_at_the_plain_port_is_told_so() {
    let server = Server::start();
    let authority = Authority::new();
    let refused = Connection::tls(server.address(), client(&authority, None));
    assert!(refused.is_err(), "there was a handshake");
    let mut raw = Connection::tcp(server.address()).expect("a connection");
    // A handshake record that arrives byte by byte.
    for byte in [0x16, 0x03, 0x01] {
        _ = raw.send_bytes(&[byte]);
    }
    let told = raw.receive_to_end().expect("the end");
    assert_eq!(
        told.escape_ascii().to_string(),
        "-ERR Protocol error: this is TLS, and this port is not; use tls-port\\r\\n"
    );
}

#[test]
fn a_renewed_certificate_serves_after_sighup() {
    let secured = Secured::start("no");
    let mut before = secured.connect(None).expect("a connection");
    let shown = |connection: &Connection| connection.certificate().expect("a certificate");
    let next = secured.authority().sign("next");
    std::fs::copy(&next.cert, &secured.certificate().cert).expect("a new certificate");
    std::fs::copy(&next.key, &secured.certificate().key).expect("a new key");
    secured.server().signal(Signal::HUP);
    wait_said(secured.server(), "SIGHUP: the certificates were read again");
    let mut after = secured.connect(None).expect("a connection");
    assert_ne!(shown(&before), shown(&after));
    for connection in [&mut before, &mut after] {
        assert_eq!(connection.call(&["PING"]).text(), "PONG");
    }

    std::fs::write(&secured.certificate().cert, "no certificate").expect("a bad certificate");
    secured.server().signal(Signal::HUP);
    wait_said(secured.server(), "SIGHUP: the certificates stay as they were");
    let still = secured.connect(None).expect("a connection");
    assert_eq!(shown(&after), shown(&still));
}

#[test]
fn config_set_changes_certificate_and_key_together() {
    let secured = Secured::start("no");
    let shown = |connection: &Connection| connection.certificate().expect("a certificate");
    let first = shown(&secured.connect(None).expect("a connection"));
    let next = secured.authority().sign("next");
    let (cert, key) = (text(&next.cert), text(&next.key));
    let mut admin = secured.server().connect();
    let alone = admin.call(&["CONFIG", "SET", "tls-cert-file", cert]);
    let told = alone.text();
    assert!(
        alone.is_error("ERR") && told.contains("'tls-cert-file'") && told.contains("not the key"),
        "{told}"
    );
    let missing = admin.call(&["CONFIG", "SET", "tls-key-file", "/nonexistent"]);
    assert!(missing.is_error("ERR") && missing.text().contains("tls-key-file /nonexistent"), "{missing}");
    let named = admin.call(&["CONFIG", "GET", "tls-cert-file"]);
    assert_eq!(named.array()[1].text(), text(&secured.certificate().cert), "what failed is undone");
    assert_eq!(shown(&secured.connect(None).expect("a connection")), first);

    let both = admin.call(&["CONFIG", "SET", "tls-cert-file", cert, "tls-key-file", key]);
    assert_eq!(both.text(), "OK");
    assert_ne!(shown(&secured.connect(None).expect("a connection")), first);
    assert_eq!(admin.call(&["CONFIG", "SET", "tls-auth-clients", "yes"]).text(), "OK");
    secured.assert_refused(None);
    Server::start().check("> CONFIG SET tls-cert-file /x => -ERR*TLS is off*");
}

#[test]
fn wrong_files_are_refused_at_the_start() {
    let authority = Authority::new();
    let (good, other) = (authority.sign("server"), authority.sign("other"));
    let garbage = authority.certificate().with_file_name("garbage");
    std::fs::write(&garbage, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n").expect("a file");
    let base = || Secured::options(&authority, &good, "yes");
    let (cert, key, ca) = ("STANCHION_TLS_CERT_FILE", "STANCHION_TLS_KEY_FILE", "STANCHION_TLS_CA_CERT_FILE");
    for (options, want) in [
        (base().environment(cert, ""), "cannot listen with TLS: tls-cert-file is not set"),
        (base().environment(ca, ""), "tls-ca-cert-file is not set"),
        (base().environment(key, "/nonexistent"), "tls-key-file /nonexistent: it cannot be read"),
        (base().environment(key, text(&other.key)), "it is not the key of the certificate in tls-cert-file"),
        (base().environment(key, text(&good.cert)), "nothing of the kind is in it"),
        (base().environment(cert, text(&garbage)), "it is not PEM"),
        (base().environment("STANCHION_TLS_PORT", "off"), "tls-port: off, so the other tls-"),
    ] {
        let mut process = options.spawn();
        assert!(!process.wait().success(), "{want}");
        assert!(process.output().contains(want), "{want} is not in\n{}", process.output());
    }
}

#[test]
fn a_server_that_stops_says_goodbye() {
    let secured = Secured::start("no");
    let mut connection = secured.connect(None).expect("a connection");
    connection.call(&["QPUSH", "q", "x"]);
    let mut silent = TcpStream::connect(secured.address()).expect("it listens");
    silent.write_all(&[0x16]).expect("sent");
    secured.server().terminate();
    // Without its goodbye the end would be called unexpected.
    let end = connection.receive().expect_err("nothing more comes");
    assert_eq!(end.to_string(), "the server closed the connection");
    assert!(secured.into_server().into_process().wait().success());
}

#[test]
fn an_idle_client_with_tls_takes_little_memory() {
    const CLIENTS: usize = 500;
    const IDLE_BYTES_MAX: usize = 20 << 10;
    let secured = Secured::start("no");
    let served = |_| {
        let mut connection = secured.connect(None).expect("a connection");
        assert_eq!(connection.call(&["PING"]).text(), "PONG");
        connection
    };
    drop((0..50).map(served).collect::<Vec<_>>());
    let before = resident_bytes(secured.server().id());
    let clients: Vec<Connection> = (0..CLIENTS).map(served).collect();
    let each = (resident_bytes(secured.server().id()) - before) / clients.len();
    assert!(each < IDLE_BYTES_MAX, "an idle client takes {each} bytes");
}
