//! `stanchion-runner check`: every mistake in a file is refused with its line and what to write instead, and a server
//! that would not let the runner work is found before the runner is started.

use std::path::Path;
use std::process::Command;

use stanchion_tests::{Server, binary};

/// A file without a mistake; `URL` is a server's.
const GOOD: &str = r#"[server]
url = "URL"
[runner]
name = "job1001"
lease = "30s"
drain = "10s"
http = "127.0.0.1:7381"
[groups.basic]
slots = 19
include = ["*"]
exclude = ["video", "upload*"]
low-priority = ["refreshLinks"]
low-priority-share = 0.2
dispatcher = "php"
[groups.video]
slots = 2
include = ["video"]
dispatcher = "rpc"
[dispatchers.php]
kind = "exec"
command = ["true", "--wiki={group}"]
stdin = "payload"
timeout = "24h"
kill-after = "5s"
[dispatchers.rpc]
kind = "http"
url = "http://127.0.0.1:9005/rpc"
timeout = "5m"
[schedules.nightly]
cron = "30 2 * * *"
timezone = "Europe/Berlin"
queue = "maintenance"
payload = "purge"
missed = "once"
"#;

/// What is written for what, in which line the mistake is then, what is wrong with it, and the remedy.
const FILES: &[(&str, &str, usize, &str, &str)] = &[
    // Misspelt.
    ("[server]", "[servr]", 1, "unknown key \"servr\"", "did you mean \"server\"?"),
    ("[groups.video]", "[group.video]", 15, "unknown key \"group\"", "did you mean \"groups\"?"),
    (
        "[schedules.nightly]",
        "[schedule.nightly]",
        29,
        "unknown key \"schedule\"",
        "did you mean \"schedules\"?",
    ),
    ("url = \"URL\"", "uri = \"URL\"", 2, "unknown key \"uri\" in [server]", "did you mean \"url\"?"),
    ("name = ", "nam = ", 4, "unknown key \"nam\" in [runner]", "did you mean \"name\"?"),
    ("lease", "leas", 5, "unknown key \"leas\"", "did you mean \"lease\"?"),
    ("drain = ", "drian = ", 6, "unknown key \"drian\"", "did you mean \"drain\"?"),
    ("http = ", "htpp = ", 7, "unknown key \"htpp\"", "did you mean \"http\"?"),
    ("slots = 19", "slot = 19", 9, "unknown key \"slot\" in [groups.basic]", "did you mean \"slots\"?"),
    ("exclude", "exlude", 11, "unknown key \"exlude\"", "did you mean \"exclude\"?"),
    (
        "low-priority = ",
        "low_priority = ",
        12,
        "unknown key \"low_priority\"",
        "did you mean \"low-priority\"?",
    ),
    ("low-priority-share", "low-priority-shar", 13, "unknown key \"low-priority-shar\"", "did you mean"),
    ("dispatcher = \"rpc\"", "dispatcher = \"rcp\"", 18, "no dispatcher \"rcp\"", "did you mean \"rpc\"?"),
    ("kind = \"exec\"", "kind = \"exce\"", 20, "unknown kind \"exce\"", "exec"),
    ("{group}", "{grop}", 21, "unknown placeholder {grop}", "{group}"),
    ("stdin", "sdtin", 22, "unknown key \"sdtin\" in [dispatchers.php]", "did you mean \"stdin\"?"),
    ("timeout = \"24h\"", "time-out = \"24h\"", 23, "unknown key \"time-out\"", "did you mean \"timeout\"?"),
    ("kill-after", "kill_after", 24, "unknown key \"kill_after\"", "did you mean \"kill-after\"?"),
    ("cron = ", "corn = ", 30, "unknown key \"corn\" in [schedules.nightly]", "did you mean \"cron\"?"),
    (
        "Europe/Berlin",
        "Europe/Brelin",
        31,
        "no time zone \"Europe/Brelin\"",
        "did you mean \"Europe/Berlin\"?",
    ),
    ("missed = ", "mised = ", 34, "unknown key \"mised\"", "did you mean \"missed\"?"),
    // Missing.
    ("url = \"URL\"\n", "", 1, "\"url\" is missing in [server]", "write url = \"redis://"),
    ("slots = 2\n", "", 15, "\"slots\" is missing in [groups.video]", "write slots = 1 to 10000"),
    (
        "include = [\"video\"]\n",
        "",
        15,
        "\"include\" is missing in [groups.video]",
        "write include = [\"*\"]",
    ),
    ("dispatcher = \"php\"\n", "", 8, "\"dispatcher\" is missing in [groups.basic]", "write dispatcher = "),
    ("kind = \"exec\"\n", "", 19, "\"kind\" is missing in [dispatchers.php]", "write kind = "),
    ("command = [\"true\", \"--wiki={group}\"]\n", "", 19, "\"command\" is missing", "write command = ["),
    (
        "url = \"http://127.0.0.1:9005/rpc\"\n",
        "",
        25,
        "\"url\" is missing in [dispatchers.rpc]",
        "write url = ",
    ),
    ("queue = \"maintenance\"\n", "", 29, "\"queue\" is missing in [schedules.nightly]", "write queue = "),
    ("payload = \"purge\"\n", "", 29, "\"payload\" is missing", "write payload = "),
    // Of the wrong type.
    ("\"URL\"", "7379", 2, "\"url\" is an integer, not a string", "write url = "),
    ("\"job1001\"", "[\"job1001\"]", 4, "\"name\" is an array, not a string", "write name = "),
    ("\"30s\"", "30", 5, "\"lease\" is an integer, not a duration", "write lease = \"30s\""),
    ("\"10s\"", "\"10 seconds\"", 6, "\"10 seconds\" is not a duration", "as in \"30s\""),
    ("\"127.0.0.1:7381\"", "7381", 7, "\"http\" is an integer, not a string", "write http = "),
    ("slots = 19", "slots = \"19\"", 9, "not a number of slots", "write slots = 1 to 10000"),
    ("include = [\"*\"]", "include = \"*\"", 10, "is a string, not a list", "write include = ["),
    ("= 0.2", "= \"a fifth\"", 13, "not a share of the slots", "as in 0.2"),
    (
        "[\"true\", \"--wiki={group}\"]",
        "\"true\"",
        21,
        "\"command\" is a string, not a list",
        "no shell reads it",
    ),
    ("\"purge\"", "{}", 33, "\"payload\" is a table, not a string", "write payload = "),
    // Out of range, or nothing that there is.
    ("\"30s\"", "\"1ms\"", 5, "\"lease\" of 1ms is out of range", "write \"1s\" to "),
    ("slots = 2\n", "slots = 0\n", 16, "not a number of slots", "write slots = 1 to 10000"),
    ("= 0.2", "= 2", 13, "not a share of the slots", "above 0 and up to 1"),
    ("\"127.0.0.1:7381\"", "\"7381\"", 7, "not an address to listen on", "write IP:PORT"),
    ("\"30 2 * * *\"", "\"30 26 * * *\"", 30, "not a cron expression", "as in \"30 2 * * *\""),
    ("\"once\"", "\"twice\"", 34, "\"twice\" is nothing", "write \"once\" or \"skip\""),
    ("\"URL\"", "\"rediss://127.0.0.1:7380/#insecure\"", 2, "#insecure would trust any server", "ca-file"),
    ("\"URL\"", "[\"URL\", \"redis://other\"]", 2, "several servers (a cluster)", "write one"),
    // Contradictory.
    (
        "\"URL\"",
        "\"URL\"\nca-file = \"ca.crt\"",
        3,
        "\"ca-file\" is for TLS, and the url is not",
        "write rediss://",
    ),
    (
        "\"URL\"",
        "\"rediss://h\"\ncert-file = \"own.crt\"",
        3,
        "\"cert-file\" without \"key-file\"",
        "write key-file = ",
    ),
    (
        "\"URL\"",
        "\"rediss://h\"\nkey-file = \"k\"",
        3,
        "\"key-file\" without \"cert-file\"",
        "write cert-file = ",
    ),
    (
        "low-priority-share = 0.2\n",
        "",
        12,
        "\"low-priority\" without \"low-priority-share\"",
        "write low-priority-share",
    ),
    (
        "low-priority = [\"refreshLinks\"]\n",
        "",
        12,
        "\"low-priority-share\" without \"low-priority\"",
        "or remove it",
    ),
    ("[\"video\", \"upload*\"]", "[\"*\"]", 11, "\"exclude\" leaves nothing", "leave out fewer queues"),
    ("[groups.video]", "[groups.basic]", 15, "duplicate key", "toml.io"),
    ("30 2 * * *", "0 0 31 2 *", 30, "is never due", "write a date that some year has"),
    // Right, and yet nothing that can work here.
    (
        "\"URL\"",
        "\"rediss://h\"\nca-file = \"/no/ca.crt\"",
        3,
        "\"ca-file\" /no/ca.crt: it can't be read",
        "name a file",
    ),
    (
        "\"URL\"",
        "\"rediss://h\"\ncert-file = \"/etc/passwd\"\nkey-file = \"/etc/passwd\"",
        3,
        "\"cert-file\" /etc/passwd: nothing of the kind is in it",
        "name a file in PEM format",
    ),
    ("\"true\"", "\"no-such-program\"", 21, "in no directory of PATH", "install it"),
    ("\"true\"", "\"/etc/passwd\"", 21, "can't be executed", "run chmod a+x /etc/passwd"),
];

/// Checks a file; its exit code and what it said.
fn check(file: &Path, text: &str) -> (Option<i32>, String) {
    std::fs::write(file, text).expect("the configuration is written");
    let output = Command::new(binary("stanchion-runner")).arg("check").arg(file).output().expect("it starts");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn every_mistake_is_refused_with_line_and_remedy() {
    assert!(FILES.len() >= 40, "the promise is of at least forty files");
    let server = Server::start();
    let good = GOOD.replace("URL", &format!("redis://{}", server.address()));
    let file = server.directory().join("runner.toml");
    let (code, said) = check(&file, &good);
    assert_eq!((code, said.contains("ok; groups: 2, slots: 21, server: ")), (Some(0), true), "{said}");
    for (from, to, line, what, remedy) in FILES {
        assert!(GOOD.contains(from), "{from} is not in the good file");
        let text = GOOD.replacen(from, to, 1).replace("URL", &format!("redis://{}", server.address()));
        let (code, said) = check(&file, &text);
        assert_eq!(code, Some(2), "{to:?} was accepted: {said}");
        let at = format!("{}:{line}: ", file.display());
        let found = said.lines().find(|said| said.starts_with(&at) && said.contains(what));
        let found = found.unwrap_or_else(|| panic!("{to:?}: no {at}{what} in:\n{said}"));
        let (_, instead) = found.split_once("; ").unwrap_or_else(|| panic!("no remedy in {found}"));
        assert!(instead.contains(remedy), "{to:?}: no {remedy:?} in {instead:?}");
    }
}

#[test]
fn a_user_who_may_not_do_the_work_is_found() {
    let server = Server::start();
    let mut admin = server.connect();
    for rule in [
        &["ACL", "SETUSER", "mail", "on", ">secret", "~mail*", "+@claim", "+qpush", "+@connection"][..],
        &["ACL", "SETUSER", "reader", "on", ">secret", "~*", "+qmclaim", "+@connection"],
        &["ACL", "SETUSER", "unseen", "on", ">secret", "~*", "+@claim", "+qpush", "+@connection", "-qworker"],
    ] {
        assert_eq!(admin.call(rule).text(), "OK");
    }
    let file = server.directory().join("runner.toml");
    let check_as = |login: &str, include: &str, queue: &str| {
        let url = format!("redis://{login}@{}", server.address());
        let text = format!(
            "[server]\nurl = \"{url}\"\n[groups.all]\nslots = 1\ninclude = [{include}]\ndispatcher = \"d\"\n\
             [dispatchers.d]\nkind = \"exec\"\ncommand = [\"true\"]\n\
             [schedules.s]\ncron = \"@daily\"\npayload = \"\"\nqueue = \"{queue}\"\n"
        );
        check(&file, &text)
    };
    let (code, said) = check_as("mail:secret", "\"mail*\"", "mail");
    assert_eq!((code, said.contains("warning")), (Some(0), false), "{said}");
    let (code, said) = check_as("unseen:secret", "\"mail*\"", "mail");
    let warning = ":2: warning: the user may not tell the server that the runner is alive";
    assert!(code == Some(0) && said.contains(warning) && said.contains("+qworker|bye"), "{said}");
    let cases = [
        ("mail:wrong", "\"mail*\"", "mail", ":2: the server at", "write user and password into the url"),
        (
            "mail:secret",
            "\"*\"",
            "mail",
            ":5: the user may not claim what group \"all\" asks for",
            "+@claim ~*",
        ),
        ("mail:secret", "\"mail*\"", "video", ":13: the user may not push to \"video\"", "+qpush ~video"),
        (
            "reader:secret",
            "\"mail*\"",
            "mail",
            ":5: the user may not report jobs of \"mail*\"",
            "+@claim ~mail*",
        ),
    ];
    for (login, include, queue, what, remedy) in cases {
        let (code, said) = check_as(login, include, queue);
        assert_eq!(code, Some(2), "{login} with {include} and {queue}: {said}");
        assert!(
            said.lines().any(|line| line.contains(what) && line.contains(remedy)),
            "no {what} in: {said}"
        );
    }
    assert_eq!(admin.call(&["KEYS", "*"]).array().len(), 0, "asking did nothing");
    assert_eq!(admin.call(&["QWORKER", "LIST"]).array().len(), 0, "nor did it make a worker known");
}

#[test]
fn a_program_that_is_not_there_refuses_the_start() {
    let server = Server::start();
    let file = server.directory().join("runner.toml");
    crate::job_host::write_minimal(&file, &format!("redis://{}", server.address()));
    let text =
        std::fs::read_to_string(&file).expect("it was written").replace("\"true\"", "\"no-such-program\"");
    std::fs::write(&file, text).expect("written");
    let output = Command::new(binary("stanchion-runner")).arg("run").arg(&file).output().expect("it starts");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("runner.toml:9: the program \"no-such-program\" is in no directory of PATH"),
        "{said}"
    );
}
