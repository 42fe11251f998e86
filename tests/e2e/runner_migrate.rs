//! `stanchion-runner migrate`: a configuration of MediaWiki's jobrunner becomes one that passes its check and runs.

use std::process::Command;

use stanchion_tests::{Process, Server, binary};

use crate::job_host::{push, stopped, wait_for};

/// The shape of jobrunner's sample; `PROGRAM` is what takes jobs by itself.
const SAMPLE: &str = r#"// Copied from the sample.
{
	"groups": {
		"basic": {
			"runners": 3,
			"include": [ "*" ],
			"exclude": [ "webVideoTranscode" ],
			"low-priority": [ "refreshLinks" ]
		},
		"transcode": { "runners": 1, "include": [ "webVideoTranscode" ] }
	},
	"limits": {
		"attempts": { "*": 3 },
		"claimTTL": { "*": 3600 }, // an hour
		"real": { "*": 300, "webVideoTranscode": 86400 },
		"memory": { "*": "300M" }
	},
	"redis": { "aggregators": [ "127.0.0.1:6379" ], "queues": [ "127.0.0.1:6379" ], "password": "hunter2" },
	"statsd": "127.0.0.1:8125",
	"dispatcher": "/bin/sh PROGRAM --wiki=%(db)x --type=%(type)x --maxtime=%(maxtime)x"
}
"#;

/// Takes one job of its type and does it, as runJobs.php would.
const PROGRAM: &str = r#"for word in "$@"; do case $word in --wiki=*) wiki=${word#*=};; --type=*) type=${word#*=};; esac; done
exec python3 - "$wiki" "$type" PORT <<'END'
import socket, sys
wiki, queue, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
server = socket.create_connection(("127.0.0.1", port)).makefile("rwb")
def call(*words):
    server.write(b"*%d\r\n" % len(words))
    for word in words:
        server.write(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()))
    server.flush()
    return read()
def read():
    line = server.readline().rstrip()
    kind, rest = line[:1], line[1:]
    if kind == b"*":
        return [read() for _ in range(int(rest))]
    if kind == b"$":
        return server.read(int(rest) + 2)[:-2].decode()
    return rest.decode()
for job in call("QCLAIM", queue, "GROUP", wiki):
    call("QACK", queue, job[1])
END
"#;

fn migrate(file: &std::path::Path) -> (Option<i32>, String, String) {
    let output =
        Command::new(binary("stanchion-runner")).arg("migrate").arg(file).output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_sample_passes_its_check_and_runs() {
    let server = Server::start();
    let port = server.address().port().to_string();
    let place = |name: &str| server.directory().join(name);
    std::fs::write(place("runJobs.sh"), PROGRAM.replace("PORT", &port)).expect("written");
    let program = place("runJobs.sh").display().to_string();
    std::fs::write(place("jobrunner.json"), SAMPLE.replace("PROGRAM", &program)).expect("written");

    let (code, toml, notes) = migrate(&place("jobrunner.json"));
    assert_eq!(code, Some(0), "{notes}");
    for words in ["redis.password is not copied", "the server counts attempts", "statsd: "] {
        assert!(notes.contains(words) && toml.contains(words), "no {words} in {notes}");
    }
    assert!(!toml.contains("hunter2"), "{toml}");

    let file = place("runner.toml");
    let toml = toml.replace("redis://127.0.0.1:7379", &format!("redis://127.0.0.1:{port}"));
    std::fs::write(&file, toml.replace("127.0.0.1:7381", "127.0.0.1:0")).expect("written");
    let checked =
        Command::new(binary("stanchion-runner")).arg("check").arg(&file).output().expect("it starts");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

    let queues = ["emails", "refreshLinks", "webVideoTranscode"];
    for queue in queues {
        push(&server, &[queue, "x", "GROUP", "enwiki"]);
    }
    let mut runner = Process::start(Command::new(binary("stanchion-runner")).arg("run").arg(&file));
    let mut connection = server.connect();
    for queue in queues {
        // Waits for the end of the queue's one job on the server, a twentieth of a second at a time.
        while connection.call(&["QSTATS", queue]).field("acked").expect("a count").integer() == 0 {
            let none = connection.call(&["QCLAIM", "nothing", "BLOCK", "50"]);
            assert_eq!(none.array().len(), 0);
            assert!(!runner.output().contains("ERROR"), "{}", runner.output());
        }
    }
    runner.terminate();
    stopped(&mut runner);
    wait_for(&runner, &["runner stopped"]);
}

#[test]
fn what_is_no_configuration_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("jobrunner.json");
    std::fs::write(&file, "{ \"groups\": {} }").expect("written");
    let (code, toml, said) = migrate(&file);
    assert_eq!((code, toml.as_str()), (Some(2), ""));
    assert!(said.contains("jobrunner.json: \"dispatcher\" is missing"), "{said}");
    let (code, _, said) = migrate(&directory.path().join("nothing"));
    assert_eq!(code, Some(2));
    assert!(said.contains("can't be read"), "{said}");
}
