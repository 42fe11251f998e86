//! The sections of dispatchers: what is accepted, and for every mistake the line and what to write instead.

use super::*;
use crate::config::{Config, ConfigError};

/// A file whose dispatcher has these lines, the first of which is line 9.
fn file(kind: &str, lines: &str) -> Result<Config, ConfigError> {
    let text = format!(
        "[server]\nurl = 'redis://h'\n[groups.g]\nslots = 1\ninclude = ['*']\ndispatcher = 'php'\n\
         [dispatchers.php]\nkind = \"{kind}\"\n{lines}"
    );
    Config::parse("f", &text)
}

fn memory_max(config: &Config) -> Option<u64> {
    config.groups[0].dispatcher.limits().and_then(|limits| limits.memory_max)
}

fn refused(kind: &str, cases: &[(&str, usize, &str)]) {
    for (lines, line, words) in cases {
        let error = file(kind, lines).expect_err(lines).to_string();
        assert!(error.starts_with(&format!("f:{line}: ")) && error.contains(words), "{lines}\n{error}");
    }
}

#[test]
fn an_http_dispatcher_is_read() {
    let text = "url = \"http://127.0.0.1:9005/rpc/{queue}.php?id={id}\"\ntimeout = \"300s\"\n\
                [dispatchers.php.headers]\nContent-Type = \"application/json\"";
    let config = file("http", text).unwrap();
    let Dispatcher::Http(http) = &config.groups[0].dispatcher else { panic!("http") };
    assert_eq!(http.timeout, Duration::from_secs(300));
    assert_eq!(http.headers["content-type"], "application/json");
    assert_eq!(
        http.url.fill_url(&crate::testing::job("q")),
        "http://127.0.0.1:9005/rpc/q.php?id=0000100000000001"
    );
}

#[test]
fn mistakes_in_an_http_dispatcher_are_named() {
    let cases = [
        ("", 7, "the key \"url\" is missing in [dispatchers.php]; write url = \"http://"),
        ("url = 3", 9, "\"url\" is an integer, not a string"),
        ("url = \"https://h/\"", 9, "does not speak https; write the http:// url of a proxy"),
        ("url = \"ftp://h/\"", 9, "is no url that can be posted to; write url = \"http://"),
        ("url = \"http:///path\"", 9, "is no url that can be posted to"),
        ("url = \"http://user:secret@h/\"", 9, "is no url that can be posted to"),
        ("url = \"http://h:99999/\"", 9, "is no url that can be posted to"),
        ("url = \"http://h/a b\"", 9, "is no url that can be posted to"),
        ("url = \"http://{group}/\"", 9, "the host depends on the job"),
        ("url = \"http://h/{wiki}\"", 9, "unknown placeholder {wiki}; there are: {queue}"),
        ("url = \"http://h\"\ncommand = [\"true\"]", 10, "unknown key \"command\" in [dispatchers.php]"),
        ("url = \"http://h\"\ntimeout = 3", 10, "\"timeout\" is an integer, not a duration"),
        ("url = \"http://h\"\nheaders = 3", 10, "\"dispatchers.php.headers\" is an integer, not a section"),
        ("url = \"http://h\"\nheaders = { a = 3 }", 10, "\"a\" is an integer, not a string"),
        ("url = \"http://h\"\nheaders = { \"a b\" = \"c\" }", 10, "the header \"a b\" can't be set"),
        ("url = \"http://h\"\nheaders = { X-Job-Id = \"c\" }", 10, "the header \"X-Job-Id\" can't be set"),
        ("url = \"http://h\"\nheaders = { Content-Length = \"3\" }", 10, "\"Content-Length\" can't be set"),
        (
            "url = \"http://h\"\nheaders = { a = \"b\\r\\nc\" }",
            10,
            "none that a header can have; write one line",
        ),
    ];
    refused("http", &cases);
}

#[test]
fn a_pool_is_read() {
    let text = "command = ['php', 'worker.php', '{{x}}']\njobs-max = 1000\nbatch = 32\nkill-after = '1s'";
    let config = file("pool", text).unwrap();
    let Dispatcher::Pool(pool) = &config.groups[0].dispatcher else { panic!("pool") };
    assert_eq!(
        (pool.program.as_str(), pool.arguments.as_slice()),
        ("php", ["worker.php", "{x}"].map(String::from).as_slice())
    );
    assert_eq!(
        (pool.jobs_max, pool.batch, pool.limits.kill_after),
        (Some(1_000), 32, Duration::from_secs(1))
    );
    let config = file("pool", "command = ['w']").unwrap();
    let Dispatcher::Pool(pool) = &config.groups[0].dispatcher else { panic!("pool") };
    assert_eq!((pool.jobs_max, pool.batch), (None, 1));
}

#[test]
fn mistakes_in_a_pool_are_named() {
    let cases = [
        ("", 7, "the key \"command\" is missing"),
        ("command = ['w', '{id}']", 9, "{id} stands for nothing here; write it without"),
        ("command = ['w']\nstdin = 'none'", 10, "unknown key \"stdin\""),
        (
            "command = ['w']\njobs-max = 0",
            10,
            "\"jobs-max\" is not a number that can be used; write jobs-max = 1 to",
        ),
        ("command = ['w']\njobs-max = '3'", 10, "\"jobs-max\" is not a number"),
        ("command = ['w']\njob-max = 3", 10, "did you mean \"jobs-max\"?"),
        ("command = ['w']\nbatch = 1001", 10, "write batch = 1 to 1000"),
        ("command = ['w']\nbatch = -1", 10, "write batch = 1 to 1000"),
        ("command = ['w']\ntimeout = '0s'", 10, "\"timeout\" of 0s is out of range"),
    ];
    refused("pool", &cases);
}

#[test]
fn a_drain_is_read() {
    let config = file("drain", "command = ['php', 'runJobs.php', '--wiki={group}']\npoll = '250ms'").unwrap();
    let Dispatcher::Drain(drain) = &config.groups[0].dispatcher else { panic!("drain") };
    assert_eq!((drain.poll, drain.is_by_group()), (Duration::from_millis(250), true));
    let config = file("drain", "command = ['php', 'runJobs.php', '--type={queue}']").unwrap();
    let Dispatcher::Drain(drain) = &config.groups[0].dispatcher else { panic!("drain") };
    assert_eq!((drain.poll, drain.is_by_group()), (Duration::from_secs(1), false));
}

#[test]
fn mistakes_in_a_drain_are_named() {
    let cases = [
        ("", 7, "the key \"command\" is missing"),
        ("command = ['w', '--job={id}']", 9, "{id} stands for nothing here; there are {queue} and {group}"),
        ("command = ['w', '--try={attempt}']", 9, "{attempt} stands for nothing here"),
        ("command = ['w']\nstdin = 'none'", 10, "unknown key \"stdin\""),
        ("command = ['w']\npoll = '0s'", 10, "\"poll\" of 0s is out of range; write \"100ms\" to \"1m\""),
    ];
    refused("drain", &cases);
    let text = "[server]\nurl = 'redis://h'\n[groups.g]\nslots = 2\ninclude = ['*']\nlow-priority = ['b']\n\
                low-priority-share = 0.5\ndispatcher = 'd'\n[dispatchers.d]\nkind = 'drain'\ncommand = ['w']";
    let error = Config::parse("f", text).unwrap_err().to_string();
    assert!(
        error.starts_with("f:6: a drain command takes jobs by itself: it has no share; remove it"),
        "{error}"
    );
}

#[test]
fn memory_is_an_amount_with_its_unit() {
    let config = file("exec", "command = ['w']\nmemory-max = '2GiB'").unwrap();
    assert_eq!((memory_max(&config), config.memory_max_line), (Some(2 << 30), Some(10)));
    let config = file("pool", "command = ['w']\nmemory-max = '512MiB'").unwrap();
    assert_eq!(memory_max(&config), Some(512 << 20));
    let config = file("drain", "command = ['w']").unwrap();
    assert_eq!((memory_max(&config), config.memory_max_line), (None, None));
    let cases = [
        (
            "command = ['w']\nmemory-max = '2GB'",
            10,
            "\"2GB\" is no amount of memory that a job can have; write 1MiB or more",
        ),
        ("command = ['w']\nmemory-max = '1023KiB'", 10, "is no amount of memory"),
        ("command = ['w']\nmemory-max = '-1GiB'", 10, "is no amount of memory"),
        ("command = ['w']\nmemory-max = '99999999999999999GiB'", 10, "is no amount of memory"),
        ("command = ['w']\nmemory-max = 2", 10, "\"memory-max\" is an integer, not a string"),
    ];
    refused("exec", &cases);
    refused("http", &[("url = 'http://h/'\nmemory-max = '1GiB'", 10, "unknown key \"memory-max\"")]);
}
