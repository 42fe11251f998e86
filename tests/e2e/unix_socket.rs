//! The Unix socket: who may connect, what CLIENT LIST shows, and what becomes of its file.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use stanchion_tests::{Connection, Options, Process, Value};

fn with_socket(options: &Options) -> (Options, PathBuf) {
    let socket = options.data().with_file_name("stanchion.sock");
    let options = options.clone().environment("STANCHION_UNIX_SOCKET", text(&socket));
    (options, socket)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn wait_until_listening(process: &Process, socket: &Path) {
    let line = format!("listening on {}", socket.display());
    process.wait_line("where it listens", |said| said.contains(&line).then_some(()));
}

#[test]
fn clients_talk_over_it_and_are_shown_by_its_path() {
    let (options, socket) = with_socket(&Options::new());
    let server = options.start();
    wait_until_listening(&server, &socket);
    let mut local = Connection::unix(&socket).expect("a connection");
    local.call(&["QPUSH", "q", "over a socket"]);
    server.check("> QCLAIM q => [[q, *, `over a socket`, 1]]");

    let line = local.call(&["CLIENT", "INFO"]).text();
    let both = format!(" addr={0}:0 laddr={0}:0 ", socket.display());
    assert!(line.contains(&both) && line.contains(" flags=U "), "{line}");
    assert_eq!(
        local.call(&["CONFIG", "GET", "unixsocket*"]).array().iter().map(Value::text).collect::<Vec<_>>(),
        ["unixsocket", text(&socket), "unixsocketperm", "700"]
    );
    // Large words travel in pieces, here too.
    let payload = vec![b'x'; 3 << 20];
    assert_eq!(local.call(&[&b"ECHO"[..], &payload]), Value::Bulk(payload));
    let ping = Command::new("redis-cli").args(["-s", text(&socket), "PING"]).output().expect("redis-cli");
    assert_eq!(String::from_utf8_lossy(&ping.stdout), "PONG\n");
}

#[test]
fn its_file_has_the_permissions_that_were_asked_for_and_goes_with_the_server() {
    for (mode, want) in [(None, 0o700), (Some("770"), 0o770), (Some("0666"), 0o666)] {
        let (mut options, socket) = with_socket(&Options::new());
        if let Some(mode) = mode {
            options = options.environment("STANCHION_UNIX_SOCKET_MODE", mode);
        }
        let server = options.start();
        let metadata = std::fs::metadata(&socket).expect("the socket is there");
        assert!(metadata.file_type().is_socket());
        assert_eq!(metadata.permissions().mode() & 0o777, want, "{mode:?}");
        server.terminate();
        assert!(server.into_process().wait().success());
        assert!(!socket.exists(), "the socket's file is left behind");
    }
}

#[test]
fn the_network_can_be_off() {
    let (options, socket) = with_socket(&Options::new());
    let options = options.arguments(&["--port", "off"]);
    let mut process = options.spawn();
    wait_until_listening(&process, &socket);
    assert_eq!(process.output().matches("listening on").count(), 1, "{}", process.output());
    let mut local = Connection::unix(&socket).expect("a connection");
    assert_eq!(local.call(&["CONFIG", "GET", "port"]).array()[1].text(), "0");
    local.send(&["SHUTDOWN"]).expect("sent");
    assert!(process.wait().success());
}

#[test]
fn the_file_of_a_killed_server_is_replaced() {
    let (options, socket) = with_socket(&Options::new());
    let mut killed = options.start();
    killed.kill();
    assert!(socket.exists(), "a killed server removes nothing");
    let _server = options.start();
    let mut local = Connection::unix(&socket).expect("a connection");
    assert_eq!(local.call(&["PING"]).text(), "PONG");
}

#[test]
fn a_socket_in_use_is_left_alone() {
    let (options, socket) = with_socket(&Options::new());
    let first = options.start();
    let mut second = Options::new().environment("STANCHION_UNIX_SOCKET", text(&socket)).spawn();
    assert!(!second.wait().success());
    let said = second.output();
    let want =
        format!("cannot listen on {}: another process listens there; choose another", socket.display());
    assert!(said.contains(&want), "{said}");
    let mut local = Connection::unix(&socket).expect("the first still listens");
    assert_eq!(local.call(&["PING"]).text(), "PONG");
    drop(first);
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let options = Options::new();
    let precious = options.file("stanchion.sock", "precious");
    let mut process = with_socket(&options).0.spawn();
    assert!(!process.wait().success());
    assert!(process.output().contains("a file that is no socket is there"), "{}", process.output());
    assert_eq!(std::fs::read_to_string(&precious).expect("it is there"), "precious");
}

#[test]
fn a_socket_that_somebody_put_in_its_place_is_not_removed() {
    let (options, socket) = with_socket(&Options::new());
    let server = options.start();
    std::fs::remove_file(&socket).expect("the socket can be removed");
    let _other = UnixListener::bind(&socket).expect("the path is free");
    server.terminate();
    assert!(server.into_process().wait().success());
    assert!(socket.exists(), "the other's socket was removed");
}
