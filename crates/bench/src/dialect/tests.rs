//! What each RESP dialect says, and how it reads recorded answers.

use super::*;
use crate::job::{Job, Sizes};
use crate::load::{Crew, Load};
use crate::peer::Peer;

const PLACE: Place = Place { connection: 3, queue: 0 };

/// A load of payloads that are small enough to be read.
fn load() -> Load {
    Load { payload: Sizes::new(vec![32]).expect("a size"), crew: Crew::Workers(1), ..Load::default() }
}

/// A dialect that needs no server to be prepared.
fn dialect(peer: &str, load: &Load) -> Box<dyn Dialect> {
    match peer {
        "stanchion" => Box::new(native::Native::dialect(load)),
        "lists" => Box::new(lists::Lists::dialect(load)),
        _ => unreachable!("{peer} asks a server first"),
    }
}

fn payload(number: u64) -> String {
    let mut job = Job::new(&load().payload);
    job.set(number);
    String::from_utf8(job.payload().to_vec()).expect("digits")
}

/// The words of requests, one line each.
fn words(out: &[u8]) -> String {
    let text = String::from_utf8_lossy(out);
    let lines: Vec<&str> = text.split("\r\n").filter(|line| !line.is_empty()).collect();
    let words = lines.iter().filter(|line| !line.starts_with('$'));
    words.map(|word| if word.starts_with('*') { "\n".to_owned() } else { format!("{word} ") }).collect()
}

/// What a dialect makes of recorded answers to one kind of command: added, acked, receipts.
fn hear(peer: &str, what: What, jobs: u64, answers: &str) -> Result<(u64, u64, Vec<String>)> {
    let mut dialect = dialect(peer, &load());
    let (mut ledger, mut receipts) = (Ledger::default(), Receipts::default());
    let _ = ledger.send(100);
    let (mut at, mut nth) = (0, 0);
    while at < answers.len() {
        let mut books = Books { ledger: &mut ledger, receipts: &mut receipts };
        let asked = Asked { what, jobs, nth };
        match dialect.hear(asked, &answers.as_bytes()[at..], &mut books)? {
            Heard::Answer { length } => (at, nth) = (at + length, nth + 1),
            other => panic!("{other:?} at {at}"),
        }
    }
    let receipts = (0..receipts.len()).map(|at| String::from_utf8_lossy(receipts.get(at)).into_owned());
    Ok((ledger.count_added(), ledger.done(), receipts.collect()))
}

#[test]
fn stanchion_is_asked_for_all_that_the_load_wants() {
    let load = Load {
        dedupe: true,
        groups: 2,
        delay_ms: 250,
        crew: Crew::Apart { producers: 1, consumers: 1 },
        ..load()
    };
    let mut dialect = dialect("stanchion", &load);
    let mut out = Vec::new();
    assert_eq!(dialect.push(&mut out, PLACE, 2..4), 1);
    let mut job = Job::new(&load.payload);
    let mut job_words = |number| {
        job.set(number);
        let key = String::from_utf8_lossy(job.key()).into_owned();
        format!("{} DEDUPE {key} GROUP {} DELAY 250 ", payload(number), number % 2)
    };
    let wanted = format!("\nQMPUSH bench:jobqueue:refreshLinks0 {}NEXT {}", job_words(2), job_words(3));
    assert_eq!(words(&out), wanted);
    assert!(out.starts_with(b"*17\r\n"), "{}", out.escape_ascii());
    out.clear();
    assert_eq!(dialect.claim(&mut out, PLACE, 2), 1);
    assert_eq!(words(&out), "\nQCLAIM bench:jobqueue:refreshLinks0 COUNT 2 BLOCK 1000 ");
    assert!(out.starts_with(b"*6\r\n"));
}

#[test]
fn stanchions_answers_are_booked() {
    let ids = "$16\r\n0000000000000001\r\n*2\r\n$16\r\n0000000000000002\r\n$-1\r\n";
    assert_eq!(hear("stanchion", What::Push, 1, ids).unwrap().0, 2, "two ids and one duplicate");
    let claim = format!(
        "*2\r\n*4\r\n$1\r\nq\r\n$3\r\nr-1\r\n$32\r\n{}\r\n:1\r\n*4\r\n$1\r\nq\r\n$3\r\nr-2\r\n$32\r\n{}\r\n:1\r\n",
        payload(0),
        payload(1)
    );
    assert_eq!(hear("stanchion", What::Claim, 2, &claim).unwrap().2, ["r-1", "r-2"]);
    assert_eq!(hear("stanchion", What::Ack, 2, ":2\r\n").unwrap().1, 2);
    let again = claim.replace(&payload(1), &payload(0));
    let twice = hear("stanchion", What::Claim, 2, &again).unwrap_err();
    assert_eq!(twice.to_string(), "job 0 was claimed twice");
    let second_attempt = claim.replace(":1\r\n", ":2\r\n");
    assert!(hear("stanchion", What::Claim, 2, &second_attempt).is_err());
}

#[test]
fn lists_move_and_remove_the_payload() {
    let mut dialect = dialect("lists", &load());
    let mut out = Vec::new();
    assert_eq!(dialect.push(&mut out, PLACE, 0..2), 1);
    assert_eq!(words(&out), format!("\nLPUSH bench:jobqueue:refreshLinks0 {} {} ", payload(0), payload(1)));
    out.clear();
    assert_eq!(dialect.claim(&mut out, PLACE, 2), 2);
    let queue = "bench:jobqueue:refreshLinks0";
    let one = format!("\nLMOVE {queue} {queue}:claimed RIGHT LEFT ");
    assert_eq!(words(&out), one.repeat(2));
    out.clear();
    let mut receipts = Receipts::default();
    receipts.add(payload(0).as_bytes());
    assert_eq!(dialect.ack(&mut out, PLACE, &receipts, 0..1), 1);
    assert_eq!(words(&out), format!("\nLREM {queue}:claimed -1 {} ", payload(0)));
    assert_eq!(hear("lists", What::Push, 2, ":5\r\n").unwrap().0, 2);
    assert!(hear("lists", What::Push, 2, ":1\r\n").is_err(), "the list is shorter than what was pushed");
    let claims = format!("$32\r\n{}\r\n$32\r\n{}\r\n", payload(0), payload(1));
    assert_eq!(hear("lists", What::Claim, 2, &claims).unwrap().2, [payload(0), payload(1)]);
    assert!(hear("lists", What::Claim, 1, "$-1\r\n").is_err(), "nothing was there");
}

/// A server that answers what it was taught, and the dialect that is prepared on it.
fn prepared(peer: &str, answers: &'static [u8]) -> Box<dyn Dialect> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            std::io::Write::write_all(&mut stream, answers).expect("the answers go");
            // Until the dialect is prepared.
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        });
        let mut client = Client::connect(address).expect("a connection");
        Peer::named(peer).expect("a peer").dialect(&mut client, &load()).expect("a dialect")
    })
}

fn hear_by(dialect: &mut dyn Dialect, what: What, nth: usize, answer: &str) -> (Ledger, Receipts) {
    let (mut ledger, mut receipts) = (Ledger::default(), Receipts::default());
    let _ = ledger.send(100);
    let mut books = Books { ledger: &mut ledger, receipts: &mut receipts };
    let heard = dialect.hear(Asked { what, jobs: 1, nth }, answer.as_bytes(), &mut books).expect("an answer");
    assert_eq!(heard, Heard::Answer { length: answer.len() });
    (ledger, receipts)
}

#[test]
fn streams_read_entries_and_count_acks_once() {
    let mut dialect = prepared("streams", b"+OK\r\n");
    let mut out = Vec::new();
    assert_eq!(dialect.claim(&mut out, PLACE, 2), 1);
    let wanted = "\nXREADGROUP GROUP workers 3 COUNT 2 STREAMS bench:jobqueue:refreshLinks0 > ";
    assert_eq!(words(&out), wanted);
    let entries = format!(
        "*1\r\n*2\r\n$1\r\ns\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$3\r\njob\r\n$32\r\n{}\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$3\r\njob\r\n$32\r\n{}\r\n",
        payload(0),
        payload(1)
    );
    let (_, receipts) = hear_by(&mut *dialect, What::Claim, 0, &entries);
    assert_eq!((receipts.len(), receipts.get(0), receipts.get(1)), (2, &b"1-0"[..], &b"2-0"[..]));
    out.clear();
    assert_eq!(dialect.ack(&mut out, PLACE, &receipts, 0..2), 2);
    let stream = "bench:jobqueue:refreshLinks0";
    assert_eq!(words(&out), format!("\nXACK {stream} workers 1-0 2-0 \nXDEL {stream} 1-0 2-0 "));
    assert_eq!(hear_by(&mut *dialect, What::Ack, 0, ":2\r\n").0.done(), 2);
    assert_eq!(
        hear_by(&mut *dialect, What::Ack, 1, ":2\r\n").0.done(),
        0,
        "XDEL's reply counts no second time"
    );
}

#[test]
fn the_lua_queue_calls_its_scripts() {
    let mut dialect = prepared("lua", b"$2\r\nh1\r\n$2\r\nh2\r\n$2\r\nh3\r\n");
    let mut out = Vec::new();
    assert_eq!(dialect.push(&mut out, PLACE, 0..1), 1);
    let text = words(&out);
    assert!(text.starts_with("\nEVALSHA h1 6 bench:jobqueue:refreshLinks0:l-unclaimed "), "{text}");
    // No dedupe key is asked for, so it is empty.
    assert!(out.ends_with(format!("$0\r\n\r\n$1\r\n0\r\n$32\r\n{}\r\n", payload(0)).as_bytes()));
    out.clear();
    assert_eq!(dialect.claim(&mut out, PLACE, 16), 16);
    assert_eq!(hear_by(&mut *dialect, What::Push, 0, ":1\r\n").0.count_added(), 1);
    let (_, receipts) = hear_by(&mut *dialect, What::Claim, 0, &format!("$32\r\n{}\r\n", payload(5)));
    assert_eq!(receipts.get(0), payload(5).as_bytes());
}

#[test]
fn an_ack_travels_with_a_claim_where_there_is_a_command_for_it() {
    let mut receipts = Receipts::default();
    receipts.add(b"r-1");
    let mut out = Vec::new();
    assert!(dialect("stanchion", &load()).ack_and_claim(&mut out, PLACE, 2, &receipts, 0..1));
    assert_eq!(words(&out), "\nQCLAIM bench:jobqueue:refreshLinks0 COUNT 2 ACK 1 r-1 ");
    out.clear();
    assert!(!dialect("lists", &load()).ack_and_claim(&mut out, PLACE, 2, &receipts, 0..1));
    assert!(out.is_empty());
}
