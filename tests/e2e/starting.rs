//! What a server says while it starts: to clients, and to whoever reads its log.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Instant;

use stanchion_tests::{Connection, Options, PATIENCE, Session};

#[test]
fn a_recovering_server_says_so() {
    let options = Options::new();
    let mut server = options.start();
    server.check("> QPUSH q kept");
    server.kill();

    // Recovery is made to last: its first read takes three seconds.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("its address");
    drop(listener);
    let delay = "inject=pread64:delay_enter=3000000:when=1";
    let mut process = options
        .arguments(&["--port", &address.port().to_string()])
        .wrapper(&["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=pread64", "-e", delay])
        .spawn();
    let mut connection = connect(address);
    for command in [&["PING"][..], &["QPUSH", "q", "x"], &["QLEN", "q"]] {
        let reply = connection.call(command);
        assert!(reply.is_error("LOADING"), "{command:?} was answered {reply}");
    }
    let info = connection.call(&["INFO", "persistence"]).text();
    assert!(info.contains("loading:1"), "{info}");
    for field in [
        "loading_start_time:",
        "loading_total_bytes:",
        "loading_loaded_bytes:",
        "loading_loaded_perc:",
        "loading_eta_seconds:",
    ] {
        assert!(info.contains(field), "{field} is missing: {info}");
    }

    let mut session = Session::new(address);
    session.check("? PING => +PONG\n> QCLAIM q => [[q, *, kept, 1]]\n> INFO persistence => `*loading:0*`");
    session.connection("main").send(&["SHUTDOWN"]).expect("sent");
    assert!(process.wait().success(), "{}", process.output());
}

#[test]
fn log_lines_are_text_or_json_and_never_coloured() {
    for format in ["text", "json"] {
        let server = Options::new().arguments(&["--log-format", format]).start();
        server.check("> QPUSH q x");
        server.terminate();
        let mut process = server.into_process();
        assert!(process.wait().success());
        let output = process.output();
        assert!(output.lines().count() >= 3 && !output.contains('\u{1b}'), "{output}");
        for line in output.lines() {
            let object: Result<serde_json::Value, _> = serde_json::from_str(line);
            assert_eq!(object.is_ok_and(|object| object.is_object()), format == "json", "{line}");
        }
    }
}

#[test]
fn no_more_clients_are_allowed_than_the_system_has_files_for() {
    let server = Options::new().wrapper(&["prlimit", "--nofile=300:1000"]).start();
    let line = server.wait_line("how many may connect", |line| {
        line.contains("clients-max 10000 needs ").then(|| line.to_owned())
    });
    assert!(line.contains("the system allows 1000") && line.contains("ulimit -Hn"), "{line}");
    let maxclients = server.connect().call(&["CONFIG", "GET", "maxclients"]).array()[1].text();
    let possible: u32 = maxclients.parse().expect("a number");
    assert!((500..1_000).contains(&possible), "{possible}");
    server.check(&format!(
        r#"
        > CONFIG SET maxclients 2000 => -ERR CONFIG SET failed (possibly related to argument 'maxclients') - The operating system is not able to handle the specified number of clients, try with {possible}
        > CONFIG GET maxclients => {{maxclients: `{possible}`}}
        > CONFIG SET maxclients {possible} => +OK
        "#
    ));
}

/// Connects as soon as the server listens.
fn connect(address: SocketAddr) -> Connection {
    let started = Instant::now();
    loop {
        match Connection::tcp(address) {
            Ok(connection) => return connection,
            Err(error) => assert!(started.elapsed() < PATIENCE, "the server never listened: {error}"),
        }
        std::thread::yield_now();
    }
}
