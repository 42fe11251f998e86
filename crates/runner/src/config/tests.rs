//! The configuration file: what is accepted, and for every mistake the line and what to write instead.

use stanchion_client::Tls;

use super::*;

const GOOD: &str = r#"
[server]
url = "redis://127.0.0.1:7379"
[runner]
name = "job1001"
lease = "30s"
drain = "10s"

[groups.basic]
slots = 19
include = ["*"]
exclude = ["webVideoTranscode", "upload*"]
low-priority = ["refreshLinks", "htmlCacheUpdate"]
low-priority-share = 0.2
dispatcher = "php"

[groups.transcode]
slots = 2
include = ["webVideoTranscode"]
dispatcher = "php"

[dispatchers.php]
kind = "exec"
command = ["nice", "transcode", "--wiki={group}", "--id={id}"]
stdin = "payload"
timeout = "24h"
kill-after = "250ms"
"#;

#[test]
fn a_whole_file_is_read() {
    let config = Config::parse("runner.toml", GOOD).unwrap();
    assert_eq!(config.server.url, "redis://127.0.0.1:7379");
    let settings = &config.settings;
    assert_eq!((settings.name.as_str(), settings.lease, settings.drain), ("job1001", secs(30), secs(10)));
    let [basic, transcode] = config.groups.as_slice() else { panic!("two groups") };
    assert_eq!((basic.slots, basic.include.as_slice()), (19, ["*".to_owned()].as_slice()));
    assert_eq!(basic.exclude, ["webVideoTranscode", "upload*"]);
    assert_eq!(basic.low_priority.as_ref().unwrap().share, 0.2);
    assert_eq!((transcode.name.as_str(), &transcode.low_priority), ("transcode", &None));
    let Dispatcher::Exec(exec) = &transcode.dispatcher else { panic!("exec") };
    assert_eq!((exec.program.as_str(), exec.arguments.len(), exec.stdin), ("nice", 3, Stdin::Payload));
    assert_eq!((exec.limits.timeout, exec.limits.kill_after), (secs(86_400), Duration::from_millis(250)));
    assert_eq!(config.warnings, []);
}

#[test]
fn a_server_with_tls_is_read() {
    let server = |lines: &str| {
        let text = GOOD.replace("redis://127.0.0.1:7379\"", &format!("rediss://127.0.0.1:7380\"\n{lines}"));
        Config::parse("runner.toml", &text).unwrap().server
    };
    assert_eq!(server("").tls, None);
    let tls = Tls::new().ca_file("ca.crt");
    assert_eq!(server("ca-file = 'ca.crt'").tls, Some(tls.clone()));
    let lines = "ca-file = 'ca.crt'\ncert-file = 'own.crt'\nkey-file = 'own.key'";
    assert_eq!(server(lines).tls, Some(tls.identity_files("own.crt", "own.key")));
}

#[test]
fn what_may_be_left_out_has_a_default() {
    let text = "[server]\nurl='redis://h:1'\n[groups.a]\nslots=1\ninclude=['*']\ndispatcher='d'\n\
                [dispatchers.d]\nkind='exec'\ncommand=['true']";
    let config = Config::parse("f", text).unwrap();
    assert_eq!(config.settings.name, host_name());
    assert_eq!(config.settings.version, None);
    let named = text.replace("[groups.a]", "[runner]\nversion='1.34.0-wmf1'\n[groups.a]");
    assert_eq!(Config::parse("f", &named).unwrap().settings.version.as_deref(), Some("1.34.0-wmf1"));
    assert_eq!((config.settings.lease, config.settings.drain), (secs(30), secs(30)));
    let Dispatcher::Exec(exec) = &config.groups[0].dispatcher else { panic!("exec") };
    let defaults = ProcessLimits { timeout: secs(3_600), kill_after: secs(5), memory_max: None };
    assert_eq!((exec.stdin, exec.limits), (Stdin::Payload, defaults));
}

/// A change to one line of the good file, the line that is named, and words of the message.
struct Bad {
    from: &'static str,
    to: &'static str,
    line: usize,
    words: &'static [&'static str],
}

const fn bad(from: &'static str, to: &'static str, line: usize, words: &'static [&'static str]) -> Bad {
    Bad { from, to, line, words }
}

const BAD: &[Bad] = &[
    bad(
        "slots = 19",
        "slot = 19",
        10,
        &["unknown key \"slot\" in [groups.basic]", "did you mean \"slots\"?"],
    ),
    bad("slots = 19", "", 9, &["\"slots\" is missing in [groups.basic]", "write slots = 1"]),
    bad("slots = 19", "slots = 0", 10, &["\"slots\" is not a number of slots", "write slots = 1 to 10000"]),
    bad("slots = 19", "slots = -3", 10, &["not a number of slots"]),
    bad("slots = 19", "slots = \"19\"", 10, &["not a number of slots"]),
    bad("slots = 19", "slots = 10001", 10, &["not a number of slots"]),
    bad("[server]", "[serve]", 2, &["unknown key \"serve\"", "did you mean \"server\"?"]),
    bad("url = \"redis", "uri = \"redis", 3, &["unknown key \"uri\" in [server]", "did you mean \"url\"?"]),
    bad(
        "url = \"redis://127.0.0.1:7379\"",
        "url = \"localhost\"",
        3,
        &["not a usable server URL", "redis://127.0.0.1:7379"],
    ),
    bad(
        "url = \"redis://127.0.0.1:7379\"",
        "url = [\"redis://a\", \"redis://b\"]",
        3,
        &["a cluster", "not in this version", "write one"],
    ),
    bad(
        "url = \"redis://127.0.0.1:7379\"",
        "url = \"rediss://127.0.0.1:7380/#insecure\"",
        3,
        &["#insecure would trust any server", "ca-file"],
    ),
    bad("[runner]", "ca-file = \"ca.crt\"\n[runner]", 4, &["\"ca-file\" is for TLS", "write rediss://"]),
    bad("[runner]", "cert-file = \"a\"\n[runner]", 4, &["without \"key-file\"", "write key-file"]),
    bad("[runner]", "key-file = \"a\"\n[runner]", 4, &["without \"cert-file\"", "write cert-file"]),
    bad("[runner]", "ca-file = \"\"\n[runner]", 4, &["\"ca-file\" names no file"]),
    bad("[runner]", "ca-file = 3\n[runner]", 4, &["\"ca-file\" is an integer, not a string"]),
    bad(
        "exclude = [\"webVideoTranscode\", \"upload*\"]",
        "exclude = [\"*\"]",
        12,
        &["\"exclude\" leaves nothing", "leave out fewer queues"],
    ),
    bad("url = \"redis://127.0.0.1:7379\"", "url = 7379", 3, &["is an integer, not a string"]),
    bad("name = \"job1001\"", "name = \"\"", 5, &["this name can't be used", "1 to 255 bytes"]),
    bad("name = \"job1001\"", "version = \"\"", 5, &["this version can't be used", "1 to 255 bytes"]),
    bad(
        "name = \"job1001\"",
        "http = \"localhost:7381\"",
        5,
        &["\"localhost:7381\" is not an address", "http = \"127.0.0.1:7381\""],
    ),
    bad("name = \"job1001\"", "version = 1.34", 5, &["\"version\" is a float, not a string"]),
    bad("lease = \"30s\"", "lease = 30", 6, &["not a duration", "write lease = \"30s\""]),
    bad("lease = \"30s\"", "lease = \"30\"", 6, &["\"30\" is not a duration", "ms, s, m, h, d"]),
    bad("lease = \"30s\"", "lease = \"1w\"", 6, &["\"1w\" is not a duration"]),
    bad("lease = \"30s\"", "lease = \"10ms\"", 6, &["out of range", "write \"1s\" to \"3650d\""]),
    bad("lease = \"30s\"", "lease = \"99999999999999999999s\"", 6, &["not a duration"]),
    bad("drain = \"10s\"", "drian = \"10s\"", 7, &["unknown key \"drian\"", "did you mean \"drain\"?"]),
    bad("include = [\"*\"]", "", 9, &["\"include\" is missing in [groups.basic]", "write include = [\"*\"]"]),
    bad("include = [\"*\"]", "include = \"*\"", 11, &["is a string, not a list", "write include = ["]),
    bad("include = [\"*\"]", "include = []", 11, &["\"include\" is empty"]),
    bad("include = [\"*\"]", "include = [\"*\", 3]", 11, &["no queue name or glob"]),
    bad(
        "low-priority-share = 0.2",
        "",
        13,
        &["without \"low-priority-share\"", "write low-priority-share = 0.2"],
    ),
    bad("low-priority = [\"refreshLinks\", \"htmlCacheUpdate\"]", "", 14, &["without \"low-priority\""]),
    bad("low-priority-share = 0.2", "low-priority-share = 1.5", 14, &["not a share", "above 0 and up to 1"]),
    bad("low-priority-share = 0.2", "low-priority-share = 0", 14, &["not a share"]),
    bad(
        "dispatcher = \"php\"",
        "dispatcher = \"pph\"",
        15,
        &["no dispatcher \"pph\"", "did you mean \"php\"?"],
    ),
    bad("dispatcher = \"php\"", "", 9, &["\"dispatcher\" is missing in [groups.basic]"]),
    bad("kind = \"exec\"", "kind = \"exce\"", 23, &["unknown kind \"exce\"", "did you mean \"exec\"?"]),
    bad("kind = \"exec\"", "", 22, &["\"kind\" is missing in [dispatchers.php]"]),
    bad("\"--id={id}\"", "\"--id={uuid}\"", 24, &["unknown placeholder {uuid}", "{queue} {group} {id}"]),
    bad("\"--id={id}\"", "\"--id={id\"", 24, &["a single \"{\"", "write \"{{\""]),
    bad("\"nice\"", "\"{queue}\"", 24, &["depends on the job", "name one program"]),
    bad("\"nice\", ", "\"\", ", 24, &["names no program"]),
    bad(
        "stdin = \"payload\"",
        "stdin = \"file\"",
        25,
        &["nothing that a job can read", "\"payload\" or \"none\""],
    ),
    bad(
        "timeout = \"24h\"",
        "time-out = \"24h\"",
        26,
        &["unknown key \"time-out\"", "did you mean \"timeout\"?"],
    ),
    bad("timeout = \"24h\"", "timeout = \"0s\"", 26, &["out of range"]),
    bad("kill-after = \"250ms\"", "kill-after = ", 27, &["not TOML"]),
    bad("[groups.transcode]", "[groups.basic]", 17, &["not TOML", "duplicate key"]),
    bad(
        "\n[server]\nurl = \"redis://127.0.0.1:7379\"",
        "server = 3",
        1,
        &["\"server\" is an integer, not a section", "write [server]"],
    ),
    bad("\n[server]", "[cron]\n[server]", 1, &["unknown key \"cron\" at the top of the file", "schedules"]),
];

#[test]
fn every_mistake_is_named_with_its_line_and_a_remedy() {
    for case in BAD {
        assert!(GOOD.contains(case.from), "{} is not in the good file", case.from);
        let text = GOOD.replacen(case.from, case.to, 1);
        let error = Config::parse("runner.toml", &text).expect_err(case.to);
        let at = format!("runner.toml:{}: ", case.line);
        let message = error.to_string();
        let line = message.lines().find(|line| line.starts_with(&at) && line.contains(case.words[0]));
        let line = line.unwrap_or_else(|| panic!("{} → no {at}{} in:\n{message}", case.to, case.words[0]));
        for words in case.words {
            assert!(line.contains(words), "{} → no {words:?} in: {line}", case.to);
        }
    }
}

#[test]
fn all_mistakes_are_found_at_once() {
    let text = GOOD.replace("slots = 19", "slots = 0").replace("kind = \"exec\"", "kind = \"soap\"");
    let error = Config::parse("f", &text).unwrap_err();
    assert_eq!(error.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [10, 23]);
}

#[test]
fn an_empty_file_says_what_a_file_needs() {
    let message = Config::parse("f", "").unwrap_err().to_string();
    for section in ["[server]", "[groups.NAME]", "[dispatchers.NAME]"] {
        assert!(
            message.contains(&format!("the section {section} is missing")) || message.contains(section),
            "{message}"
        );
    }
}

#[test]
fn what_looks_like_a_mistake_is_a_warning() {
    let text = GOOD.replace("\"--wiki={group}\"", "\"{group}\"");
    let config = Config::parse("f", &text).unwrap();
    assert_eq!(config.warnings.len(), 1);
    assert_eq!(config.warnings[0].line, 24);
    assert!(config.warnings[0].to_string().contains("can be \"-x\""), "{}", config.warnings[0]);

    let unused = format!("{GOOD}\n[dispatchers.other]\nkind = \"exec\"\ncommand = [\"true\"]\n");
    let config = Config::parse("f", &unused).unwrap();
    assert!(config.warnings[0].what.contains("no group uses the dispatcher \"other\""));
}

#[test]
fn durations_are_shown_as_one_writes_them() {
    for text in ["250ms", "30s", "5m", "1h", "7d", "90s", "0ms"] {
        assert_eq!(values::show(values::duration(text).unwrap()), text);
    }
    for text in ["", "s", "1", "-1s", "1 s", "1.5s", "1S"] {
        assert_eq!(values::duration(text), None, "{text:?}");
    }
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const SCHEDULE: &str = "\n[schedules.nightly]\ncron = \"30 2 * * *\"\ntimezone = \"Europe/Berlin\"\nqueue = \"mail\"\npayload = \"hello\"\nmissed = \"once\"\n";

#[test]
fn a_schedule_is_read() {
    let config = Config::parse("f", &format!("{GOOD}{SCHEDULE}")).unwrap();
    let [nightly] = config.schedules.as_slice() else { panic!("one schedule") };
    assert_eq!(
        (nightly.name.as_str(), nightly.queue.as_str(), nightly.payload.as_str()),
        ("nightly", "mail", "hello")
    );
    assert_eq!(
        (nightly.missed, nightly.ticks.next_after(0)),
        (Missed::Once, Some(5_400)),
        "half past one in UTC"
    );
}

#[test]
fn mistakes_in_a_schedule_are_named() {
    let cases: &[(&str, &str, usize, &[&str])] = &[
        ("cron = ", "crom = ", 2, &["unknown key \"crom\" in [schedules.nightly]", "did you mean \"cron\"?"]),
        ("cron = \"30 2 * * *\"\n", "", 1, &["\"cron\" is missing in [schedules.nightly]", "write cron = "]),
        (
            "30 2 * * *",
            "30 25 * * *",
            2,
            &["\"30 25 * * *\" is not a cron expression", "as in \"30 2 * * *\""],
        ),
        ("30 2 * * *", "every day", 2, &["\"every day\" is not a cron expression"]),
        ("30 2 * * *", "0 0 30 2 *", 2, &["\"0 0 30 2 *\" is never due"]),
        (
            "Europe/Berlin",
            "Europe/Berln",
            3,
            &["no time zone \"Europe/Berln\"", "did you mean \"Europe/Berlin\"?"],
        ),
        ("queue = \"mail\"\n", "", 1, &["\"queue\" is missing in [schedules.nightly]", "write queue = "]),
        ("\"mail\"", "\"\"", 4, &["no name of a queue", "write 1 to 255 bytes"]),
        ("\"hello\"", "7", 5, &["\"payload\" is an integer, not a string"]),
        ("\"once\"", "\"twice\"", 6, &["\"twice\" is nothing that can become", "write \"once\" or \"skip\""]),
        ("missed", "mised", 6, &["unknown key \"mised\"", "did you mean \"missed\"?"]),
    ];
    let before = GOOD.lines().count() + 1;
    for (from, to, line, words) in cases {
        assert!(SCHEDULE.contains(from), "{from}");
        let text = format!("{GOOD}{}", SCHEDULE.replacen(from, to, 1));
        let message = Config::parse("f", &text).expect_err(to).to_string();
        let at = format!("f:{}: ", before + line);
        let found = message
            .lines()
            .find(|said| said.starts_with(&at))
            .unwrap_or_else(|| panic!("no {at} in {message}"));
        for word in *words {
            assert!(found.contains(word), "{to} → no {word:?} in: {found}");
        }
    }
}
