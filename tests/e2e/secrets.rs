//! Passwords are told to the server and by nobody else: they are looked for wherever something is written down.

use std::path::Path;

use stanchion_tests::{Options, Value};

/// In every password of this test, and in nothing else.
const PLANTED: &str = "pl4nted";

/// Words that say a password, right ones and wrong ones.
const SAID: &[&str] = &[
    "AUTH pl4nted-wrong",
    "AUTH default pl4nted-wrong",
    "AUTH default pl4nted too-many",
    "HELLO 3 AUTH default pl4nted-wrong",
    "HELLO AUTH default pl4nted-wrong",
    "HELLO 3 AUTH default pl4nted-wrong AUTH default pl4nted-default",
    "ACL SETUSER ann on >pl4nted-ann ~* +@all",
    "ACL SETUSER ann >pl4nted-new <pl4nted-unknown",
    "ACL SETUSER ann (>pl4nted",
    "ACL SETUSER ann (+ping >pl4nted)",
    "ACL SETUSER ann #pl4nted",
    "ACL SETUSER ann !pl4nted",
    "ACL DRYRUN ann AUTH pl4nted-ann",
    "ACL DRYRUN ann ACL SETUSER ann >pl4nted",
    "CONFIG SET requirepass pl4nted-new timeout nonsense",
    "CONFIG SET requirepass pl4nted-new requirepass pl4nted-new",
    "CONFIG SET requirepass pl4nted-new timeout",
    "CONFIG SET timeout requirepass pl4nted-new",
    "CONFIG SET requirepass pl4nted-new",
    "AUTH pl4nted-new",
    "MULTI",
    "ACL SETUSER ann >pl4nted-later",
    "CONFIG SET requirepass pl4nted-default",
    "EXEC",
    "AUTH ann pl4nted-ann",
    "HELLO 2 AUTH default pl4nted-default SETNAME ann",
];

/// What the server tells about itself.
const ASKED: &[&str] = &[
    "ACL LIST",
    "ACL GETUSER ann",
    "ACL LOG 100",
    "CONFIG GET *",
    "SLOWLOG GET 1000",
    "INFO everything",
    "CLIENT LIST",
    "ACL SAVE",
    "CONFIG GET requirepass",
];

#[test]
fn passwords_are_found_nowhere() {
    let options = Options::new();
    let file = options.file("users.acl", "user default on >pl4nted-default ~* &* +@all\n");
    let options = options
        .environment("STANCHION_ACLFILE", file.to_str().expect("UTF-8"))
        .environment("RUST_LOG", "trace");
    let server = options.start();
    let cmdline = std::fs::read(format!("/proc/{}/cmdline", server.id())).expect("the process is there");
    assert_clean("its command line", &String::from_utf8_lossy(&cmdline));

    let (mut main, mut monitor) = (server.connect(), server.connect());
    for connection in [&mut main, &mut monitor] {
        assert_eq!(connection.call(&["AUTH", "pl4nted-default"]).to_string(), "+OK");
    }
    main.call(&["CONFIG", "SET", "slowlog-log-slower-than", "0", "slowlog-max-len", "1000"]);
    assert_eq!(monitor.call(&["MONITOR"]).to_string(), "+OK");
    for command in SAID {
        let words: Vec<&str> = command.split(' ').collect();
        assert_clean(command, &main.call(&words).to_string());
    }
    for command in ASKED {
        let words: Vec<&str> = command.split(' ').collect();
        let reply = main.call(&words);
        assert!(!matches!(reply, Value::Error(_)), "{command}: {reply}");
        assert_clean(command, &reply.to_string());
    }
    let slow = main.call(&["SLOWLOG", "GET", "1000"]).to_string();
    assert!(slow.contains("(redacted)"), "the slow log has seen the commands: {slow}");
    main.call(&["ECHO", "the-end"]);
    let mut lines = String::new();
    while !lines.contains("the-end") {
        lines.push_str(&monitor.receive().expect("a line").text());
        lines.push('\n');
    }
    assert_clean("MONITOR", &lines);

    server.terminate();
    let data = options.data();
    let mut process = server.into_process();
    process.wait();
    assert_clean("its log", &process.output());
    assert_clean("the ACL file", &std::fs::read_to_string(&file).expect("the file is there"));
    for_each_file(&data, &mut |path, content| assert_clean(&path.display().to_string(), content));
}

#[test]
fn passwords_of_a_wrong_configuration_are_not_shown() {
    for toml in [
        "requirepass = pl4nted\n",
        "requirepass = \"pl4nted\n",
        "requirepass = [\"pl4nted\"]\n",
        "[users]\nann = \"on >pl4nted +nonsense\"\n",
        "[users]\nann = [\"on\", \">pl4nted\"]\n",
        "[users]\nann = on >pl4nted\n",
        "requirepass = \"pl4nted\"\nnonsense = 1\n",
    ] {
        let options = Options::new().configuration(toml);
        let mut process = options.spawn();
        assert!(!process.wait().success(), "{toml}");
        let output = process.output();
        assert!(output.contains("stanchion.toml:"), "{output}");
        assert_clean("the refusal", &output);
    }
}

#[track_caller]
fn assert_clean(place: &str, text: &str) {
    assert!(!text.contains(PLANTED), "{place} shows a password: {text}");
}

fn for_each_file(directory: &Path, visit: &mut impl FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(directory).expect("the directory can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            for_each_file(&path, visit);
        } else {
            visit(&path, &String::from_utf8_lossy(&std::fs::read(&path).expect("the file can be read")));
        }
    }
}
