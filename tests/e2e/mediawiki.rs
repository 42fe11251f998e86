//! MediaWiki's two ways of having jobs done, against small programs that behave as its own do: RunSingleJob.php,
//! which change-propagation POSTs job events to, and runJobs.php, which takes jobs by itself.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use stanchion_tests::{Process, Server, binary};

use crate::job_host::{field, push, stat, stopped, wait_for};

/// What `rpc/RunSingleJob.php` answers: 405, 422, 200, 500, and while the database is read-only a 500 that says so.
/// It writes down what it did.
const RUN_SINGLE_JOB: &str = r#"<?php
if ( $_SERVER['REQUEST_METHOD'] !== 'POST' ) {
    http_response_code( 405 );
    exit( 'Request must be POST' );
}
$body = file_get_contents( 'php://input' );
if ( $body === '' ) {
    http_response_code( 422 );
    exit( 'Body is empty' );
}
$event = json_decode( $body, true, 32, JSON_THROW_ON_ERROR );
if ( !isset( $event['database'] ) ) {
    throw new RuntimeException( 'Missing database' );
}
$done = implode( ' ', [
    $event['database'], $event['type'], $event['params']['title'], $event['meta']['id'],
    $_SERVER['HTTP_X_JOB_QUEUE'], $_SERVER['HTTP_X_JOB_GROUP'], $_SERVER['HTTP_X_JOB_ATTEMPT'],
] );
if ( isset( $event['params']['readOnly'] ) ) {
    header( 'X-Readonly: true' );
    http_response_code( 500 );
    exit( json_encode( [ 'status' => false, 'error' => 'The database is read-only' ] ) );
}
if ( isset( $event['params']['fail'] ) ) {
    http_response_code( 500 );
    exit( json_encode( [ 'status' => false, 'error' => 'DBQueryError' ] ) );
}
file_put_contents( __DIR__ . '/done', "$done\n", FILE_APPEND | LOCK_EX );
echo json_encode( [ 'status' => true, 'timeMs' => 1 ] );
"#;

/// A job event as EventBus makes it, by the schema `mediawiki/job/1.0.0`.
fn event(wiki: &str, kind: &str, title: &str, more: &str) -> String {
    format!(
        r#"{{"$schema":"/mediawiki/job/1.0.0","meta":{{"uri":"https://placeholder.invalid/wiki/Special:Badtitle","request_id":"aaa16fef28b33b965f9db6bc","id":"{title}-id","dt":"2026-11-21T21:46:07Z","domain":"{wiki}.example.org","stream":"mediawiki.job.{kind}"}},"database":"{wiki}","type":"{kind}","params":{{"namespace":0,"title":"{title}","requestId":"aaa16fef28b33b965f9db6bc"{more}}},"mediawiki_signature":"f00d"}}"#
    )
}

/// PHP's own web server with this program behind every path.
fn php_server(server: &Server, program: &str) -> (Process, u16) {
    let path = server.directory().join("RunSingleJob.php");
    std::fs::write(&path, program).expect("the program is written");
    let unused = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = unused.local_addr().expect("its number").port();
    drop(unused);
    let address = format!("127.0.0.1:{port}");
    let php = Process::start(Command::new("php").args(["-S", &address]).arg(path));
    wait_for(&php, &["Development Server", "started"]);
    (php, port)
}

fn runner(server: &Server, group: &str, dispatcher: &str) -> Process {
    let toml = format!(
        "[server]\nurl = \"redis://{}\"\n[runner]\nname = \"job1001\"\n[groups.basic]\n{group}\ndispatcher = \"php\"\n\
         [dispatchers.php]\n{dispatcher}\n",
        server.address(),
    );
    let file = server.directory().join("runner.toml");
    std::fs::write(&file, toml).expect("the configuration is written");
    Process::start(Command::new(binary("stanchion-runner")).arg("run").arg(file))
}

#[test]
fn run_single_job_php_does_what_change_propagation_posts() {
    let server = Server::start();
    let (_php, port) = php_server(&server, RUN_SINGLE_JOB);
    let mut ids = Vec::new();
    let mut expected = Vec::new();
    for wiki in ["enwiki", "dewiki"] {
        for kind in ["refreshLinks", "htmlCacheUpdate", "cdnPurge"] {
            for n in 0..5 {
                let title = format!("{wiki}-{kind}-{n}");
                ids.push(push(&server, &[kind, &event(wiki, kind, &title, ""), "GROUP", wiki]));
                expected.push(format!("{wiki} {kind} {title} {title}-id {kind} {wiki} 1"));
            }
        }
    }
    let failing =
        push(&server, &["refreshLinks", &event("enwiki", "refreshLinks", "Bad", r#","fail":true"#)]);
    let readonly = push(&server, &["cdnPurge", &event("enwiki", "cdnPurge", "Later", r#","readOnly":true"#)]);
    let malformed = push(&server, &["htmlCacheUpdate", r#"{"type":"htmlCacheUpdate"}"#]);
    let empty = push(&server, &["htmlCacheUpdate", ""]);
    let group = "slots = 4\ninclude = [\"*\"]\nlow-priority = [\"refreshLinks\"]\nlow-priority-share = 0.5";
    let dispatcher = format!(
        "kind = \"http\"\nurl = \"http://127.0.0.1:{port}/rpc/RunSingleJob.php\"\ntimeout = \"300s\""
    );
    let mut runner = runner(&server, group, &dispatcher);
    for id in &ids {
        wait_for(&runner, &["job ended", id, "status=\"done\""]);
    }
    wait_for(&runner, &["job ended", &failing, "status=\"failed\"", "HTTP 500", "DBQueryError"]);
    wait_for(&runner, &["job ended", &readonly, "status=\"released\""]);
    wait_for(&runner, &["job ended", &malformed, "status=\"failed\"", "HTTP 500"]);
    wait_for(&runner, &["job ended", &empty, "status=\"failed\"", "HTTP 422: Body is empty"]);
    runner.terminate();
    stopped(&mut runner);

    let done = std::fs::read_to_string(server.directory().join("done")).expect("jobs were done");
    let mut done: Vec<&str> = done.lines().collect();
    done.sort_unstable();
    expected.sort_unstable();
    assert_eq!(done, expected, "each once");
    let mut connection = server.connect();
    let job = connection.call(&["QJOB", "refreshLinks", &failing]);
    assert_eq!((field(&job, "state").text().as_str(), field(&job, "attempts").integer()), ("delayed", 1));
    assert_eq!(field(&job, "last-error").text(), r#"HTTP 500: {"status":false,"error":"DBQueryError"}"#);
    let job = connection.call(&["QJOB", "cdnPurge", &readonly]);
    assert_eq!((field(&job, "state").text().as_str(), field(&job, "attempts").integer()), ("delayed", 0));
}

/// What `maintenance/runJobs.php` does: takes jobs of one wiki and one type until there are none or its time is
/// over.
const RUN_JOBS: &str = r#"<?php
$options = getopt( '', [ 'wiki:', 'type:', 'maxtime:', 'server:' ] );
$redis = stream_socket_client( 'tcp://' . $options['server'] );

function reply( $redis ) {
    $line = rtrim( fgets( $redis ), "\r\n" );
    $rest = substr( $line, 1 );
    switch ( $line[0] ) {
        case '-':
            throw new RuntimeException( $rest );
        case '$':
            return $rest < 0 ? null : substr( stream_get_contents( $redis, $rest + 2 ), 0, -2 );
        case '*':
            return $rest < 0 ? null : array_map( fn () => reply( $redis ), range( 1, max( 1, (int)$rest ), 1 ) );
        default:
            return $rest;
    }
}

function call( $redis, ...$words ) {
    $request = '*' . count( $words ) . "\r\n";
    foreach ( $words as $word ) {
        $request .= '$' . strlen( $word ) . "\r\n$word\r\n";
    }
    fwrite( $redis, $request );
    // An empty array has no elements to read.
    $line = stream_get_line( $redis, 4, "\r\n" );
    if ( $line === '*0' ) {
        return [];
    }
    if ( $line !== '*1' ) {
        return $line;
    }
    return [ reply( $redis ) ];
}

$until = microtime( true ) + (float)$options['maxtime'];
while ( microtime( true ) < $until ) {
    $jobs = call( $redis, 'QCLAIM', $options['type'], 'GROUP', $options['wiki'] );
    if ( !$jobs ) {
        break;
    }
    [ $queue, $receipt, $payload ] = $jobs[0];
    $event = json_decode( $payload, true, 32, JSON_THROW_ON_ERROR );
    if ( $event['database'] !== $options['wiki'] || $event['type'] !== $options['type'] ) {
        throw new RuntimeException( "a job of {$event['database']} and {$event['type']}" );
    }
    file_put_contents( __DIR__ . '/done', $event['meta']['id'] . "\n", FILE_APPEND | LOCK_EX );
    call( $redis, 'QACK', $queue, $receipt );
}
"#;

#[test]
fn run_jobs_php_is_started_for_each_wiki_and_type_that_has_jobs() {
    let server = Server::start();
    let program: PathBuf = server.directory().join("runJobs.php");
    std::fs::write(&program, RUN_JOBS).expect("the program is written");
    let mut expected = Vec::new();
    let mut places = Vec::new();
    for wiki in ["enwiki", "dewiki", "frwiki"] {
        for kind in ["refreshLinks", "sendMail"] {
            places.push((wiki, kind));
            for n in 0..20 {
                let title = format!("{wiki}-{kind}-{n}");
                push(&server, &[kind, &event(wiki, kind, &title, ""), "GROUP", wiki]);
                expected.push(format!("{title}-id"));
            }
        }
    }
    push(
        &server,
        &["webVideoTranscode", &event("enwiki", "webVideoTranscode", "Film", ""), "GROUP", "enwiki"],
    );
    let mut dispatcher = String::from("kind = \"drain\"\npoll = \"100ms\"\n");
    let command = ["--wiki={group}", "--type={queue}", "--maxtime=30"];
    let _ = write!(
        dispatcher,
        "command = [\"php\", {program:?}, \"--server={}\", {:?}, {:?}, {:?}]",
        server.address(),
        command[0],
        command[1],
        command[2],
    );
    let group = "slots = 3\ninclude = [\"*\"]\nexclude = [\"webVideoTranscode\"]";
    let mut runner = runner(&server, group, &dispatcher);
    for (wiki, kind) in &places {
        wait_for(&runner, &["drain ended", kind, wiki, "status=\"done\""]);
    }
    runner.terminate();
    stopped(&mut runner);
    let done = std::fs::read_to_string(server.directory().join("done")).expect("jobs were done");
    let mut done: Vec<&str> = done.lines().collect();
    done.sort_unstable();
    expected.sort_unstable();
    assert_eq!(done, expected, "each once");
    assert_eq!((stat(&server, "refreshLinks", "acked"), stat(&server, "sendMail", "acked")), (60, 60));
    assert_eq!(stat(&server, "webVideoTranscode", "claims"), 0);
}
