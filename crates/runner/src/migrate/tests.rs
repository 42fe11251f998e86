//! jobrunner's files, and what becomes of them.

use super::*;
use crate::config::Config;

/// The shape of the sample that came with jobrunner.
const SAMPLE: &str = r#"// Copy this file and adapt it.
{
	"groups": {
		"basic": {
			"runners": 19,
			"include": [ "*" ],
			"exclude": [ "webVideoTranscode", "AssembleUploadChunks" ],
			"low-priority": [ "cirrusSearchLinksUpdate", "htmlCacheUpdate" ]
		},
		"transcode": {
			"runners": 2,
			"include": [ "webVideoTranscode" ]
		},
		"upload": { "runners": 0, "include": [ "AssembleUploadChunks" ] }
	},
	"limits": {
		// How often a job is tried
		"attempts": { "*": 3, "renameUser": 6 },
		"claimTTL": { "*": 3600, "webVideoTranscode": 86400 },
		"real": { "*": 300, "webVideoTranscode": 86400 },
		"memory": { "*": "300M" }
	},
	"redis": {
		"aggregators": [ "127.0.0.1:6379" ],
		"queues": [ "127.0.0.1:6379", "127.0.0.2:6379" ],
		"password": "hunter2"
	},
	"statsd": "statsd.example.org:8125",
	"dispatcher": "nice php /srv/runJobs.php --wiki=%(db)x --type=%(type)x --maxtime=%(maxtime)x --memory-limit=%(maxmem)x"
}
"#;

fn migrate(text: &str) -> Migrated {
    jobrunner(text).unwrap()
}

#[test]
fn the_sample_becomes_a_configuration() {
    let migrated = migrate(SAMPLE);
    let config =
        Config::parse("f", &migrated.toml).unwrap_or_else(|error| panic!("{error}\n{}", migrated.toml));
    let [basic, low, transcode] = config.groups.as_slice() else {
        panic!("three groups in {}", migrated.toml)
    };
    assert_eq!((basic.slots, low.slots, transcode.slots), (15, 4, 2), "a fifth, rounded up");
    assert_eq!(basic.exclude[..2], ["webVideoTranscode", "AssembleUploadChunks"]);
    assert_eq!(basic.exclude[2..], low.include);
    assert_eq!((low.name.as_str(), low.include.len(), low.exclude.len()), ("basic-low", 2, 2));
    for words in [
        "command = [\"nice\", \"php\", \"/srv/runJobs.php\", \"--wiki={group}\", \"--type={queue}\", \"--maxtime=30\", \"--memory-limit=300M\"]",
        "timeout = \"300s\"",
        "timeout = \"86400s\"",
    ] {
        assert!(migrated.toml.contains(words), "no {words} in {}", migrated.toml);
    }
}

#[test]
fn what_is_not_carried_over_is_said() {
    let migrated = migrate(SAMPLE);
    for words in [
        "group \"upload\" had no runners",
        "groups.basic.low-priority: a command that takes its jobs by itself has no share",
        "limits.attempts of \"*\": the server counts attempts; write attempts = 3",
        "write attempts = 6 into [[queues]] with match = \"renameUser\"",
        "write lease = \"86400s\" into [[queues]] with match = \"webVideoTranscode\"",
        "the 3 addresses of Redis",
        "redis.password is not copied",
        "statsd: counters are read, not sent",
        "%(maxtime) was 30 or 60 s",
    ] {
        let note = migrated.notes.iter().find(|note| note.contains(words));
        let note = note.unwrap_or_else(|| panic!("no {words} in {:?}", migrated.notes));
        assert!(migrated.toml.contains(&format!("# - {note}\n")), "{note} is not in the file");
    }
    assert!(!migrated.toml.contains("hunter2"), "a password is no comment");
    let strange = SAMPLE.replacen("\"statsd\"", "\"statzd\"", 1).replacen("\"real\"", "\"reel\"", 1);
    let notes = migrate(&strange).notes;
    for key in ["statzd", "limits.reel"] {
        assert!(notes.contains(&format!("{key} is not known, so it is left out")), "{notes:?}");
    }
}

#[test]
fn limits_decide_about_dispatchers() {
    let one =
        migrate(&SAMPLE.replace("86400 }\n\t\t", "").replace("\"webVideoTranscode\": 86400", "\"other\": 1"));
    assert_eq!(one.toml.matches("[dispatchers.").count(), 1, "{}", one.toml);
    let short = migrate(&SAMPLE.replace("\"*\": 300,", "\"*\": 5,"));
    assert!(short.toml.contains("timeout = \"120s\""), "jobrunner raised it: {}", short.toml);
}

#[test]
fn names_are_quoted() {
    let odd = SAMPLE.replace("\"transcode\"", "\"my transcode \\\"x\\\"\"");
    let config = Config::parse("f", &migrate(&odd).toml).expect("it is a file");
    assert!(config.groups.iter().any(|group| group.name == "my transcode \"x\""));
}

#[test]
fn what_is_no_configuration_is_refused() {
    let cases = [
        ("{\n\n oops", "not JSON: ", "line 3"),
        ("[]", "not a configuration of jobrunner", "JSON file"),
        ("{}", "\"dispatcher\" is missing", "command"),
        (r#"{"dispatcher": "x"}"#, "\"groups\" is missing", "nothing to migrate"),
        (r#"{"dispatcher": 3}"#, "dispatcher is no string", ""),
        (r#"{"dispatcher": "x", "groups": {"a": {"runners": "9"}}}"#, "groups.a.runners is no number", ""),
        (
            r#"{"dispatcher": "x", "groups": {"a": {"runners": 1, "include": "*"}}}"#,
            "groups.a.include is no list",
            "",
        ),
        (r#"{"dispatcher": "x", "groups": {"a": {"runners": 0}}}"#, "no group has runners", ""),
        (
            r#"{"dispatcher": "x", "groups": {"a": {"runners": 1, "include": ["b"]}}, "limits": {"real": {"b": "1h"}}}"#,
            "limits.real.b is no number",
            "",
        ),
    ];
    for (text, what, more) in cases {
        let error = jobrunner(text).unwrap_err();
        assert!(error.contains(what) && error.contains(more), "{text}: {error}");
    }
}
