//! Protected mode, and where the server listens: without a password nobody from outside gets in.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;

use stanchion_tests::{Connection, Options, Server, Value};

/// An address of this machine that is not loopback. One that comes from there counts as another machine.
fn outside() -> IpAddr {
    let output = Command::new("hostname").arg("-I").output().expect("hostname runs");
    let addresses = String::from_utf8_lossy(&output.stdout).into_owned();
    let usable = |ip: &IpAddr| ip.is_ipv4() && !ip.is_loopback();
    if let Some(ip) = addresses.split_whitespace().filter_map(|word| word.parse().ok()).find(usable) {
        return ip;
    }
    // A machine without a network gets an address that is kept for documentation.
    let added = Command::new("ip")
        .args(["address", "replace", "198.51.100.7/32", "dev", "lo"])
        .status()
        .expect("ip runs");
    assert!(added.success(), "this machine has no address but loopback, and none can be added");
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7))
}

fn from_outside(server: &Server) -> Connection {
    Connection::tcp(SocketAddr::new(outside(), server.address().port())).expect("it listens everywhere")
}

fn everywhere() -> Options {
    Options::new().arguments(&["--bind", "0.0.0.0"])
}

#[track_caller]
fn assert_denied(mut connection: Connection) {
    let said = connection.receive_to_end().expect("the end");
    let said = String::from_utf8_lossy(&said);
    assert!(said.starts_with("-DENIED Stanchion is running in protected mode because"), "{said}");
    assert!(said.contains("CONFIG SET protected-mode no") && said.ends_with(".\r\n"), "{said}");
    assert_eq!(said.matches("\r\n").count(), 1, "{said}");
}

#[test]
fn without_a_password_other_machines_are_refused() {
    let server = everywhere().start();
    assert_denied(from_outside(&server));
    server.check(
        r#"
        > CONFIG GET protected-mode => {protected-mode: yes}
        > CONFIG SET protected-mode perhaps => -ERR CONFIG SET failed (possibly related to argument 'protected-mode') - argument must be 'yes' or 'no'
        > CONFIG SET protected-mode no => +OK
        > CONFIG GET protected-mode => {protected-mode: no}
        "#,
    );
    assert_eq!(from_outside(&server).call(&["PING"]).text(), "PONG");
    server.check("> CONFIG SET protected-mode yes => +OK");
    assert_denied(from_outside(&server));
}

#[test]
fn with_a_password_they_may_log_in() {
    let server = everywhere().environment("STANCHION_REQUIREPASS", "secret").start();
    let mut connection = from_outside(&server);
    let refused = connection.call(&["QLIST"]);
    assert!(refused.is_error("NOAUTH"), "{refused}");
    assert_eq!(connection.call(&["AUTH", "secret"]).text(), "OK");
    assert_eq!(connection.call(&["QLIST"]), Value::Array(Vec::new()));
    // Who is in stays in, who comes after the password is gone does not.
    assert_eq!(connection.call(&["CONFIG", "SET", "requirepass", ""]).text(), "OK");
    assert_denied(from_outside(&server));
    assert_eq!(connection.call(&["PING"]).text(), "PONG");
}

#[test]
fn protected_mode_can_be_off_from_the_start() {
    let server = everywhere().environment("STANCHION_PROTECTED_MODE", "no").start();
    assert_eq!(from_outside(&server).call(&["PING"]).text(), "PONG");
}

#[test]
fn it_listens_at_the_addresses_of_the_list_and_at_no_other() {
    let ip = outside();
    let server = Options::new()
        .configuration(&format!("bind = [\"127.0.0.1\", \"{ip}\"]\nprotected-mode = false\n"))
        .start();
    let port = server.address().port();
    for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), ip] {
        let mut connection = Connection::tcp(SocketAddr::new(address, port)).expect("it listens there");
        assert_eq!(connection.call(&["PING"]).text(), "PONG");
    }
    let bind = server.connect().call(&["CONFIG", "GET", "bind"]);
    assert_eq!(bind.array()[1].text(), format!("127.0.0.1 {ip}"));
    let elsewhere = Connection::tcp(SocketAddr::new(Ipv4Addr::new(127, 0, 0, 2).into(), port));
    assert_eq!(elsewhere.err().map(|error| error.kind()), Some(io::ErrorKind::ConnectionRefused));
}

#[test]
fn both_families_can_be_listed() {
    let server = Options::new().configuration("bind = [\"0.0.0.0\", \"::\"]").start();
    for address in ["127.0.0.1", "::1"] {
        let address = SocketAddr::new(address.parse().expect("an address"), server.address().port());
        let mut connection = Connection::tcp(address).expect("it listens there");
        let line = connection.call(&["CLIENT", "INFO"]).text();
        assert!(line.contains(&format!(" laddr={address} ")), "{line}");
    }
}
