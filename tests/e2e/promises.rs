//! What `kill -9` leaves of what did not wait for the disk. `docs/durability.md` has the table.

use std::ops::Range;

use stanchion_tests::{Connection, Options};

#[test]
fn what_was_not_waited_for_goes_from_the_end_on() {
    for policy in ["never", "1s"] {
        let options = Options::new().arguments(&["--durability", policy]);
        let mut server = options.start();
        let mut connection = server.connect();
        push(&mut connection, 0..100);
        connection.call(&["WAITAOF", "1", "0", "0"]);
        push(&mut connection, 100..2_000);
        server.kill();
        let server = options.start();
        let claimed = server.connect().call(&["QCLAIM", "q", "COUNT", "2000"]);
        let payloads: Vec<String> = claimed.array().iter().map(|job| job.array()[2].text()).collect();
        let expected: Vec<String> = (0..payloads.len()).map(|number| number.to_string()).collect();
        assert_eq!(payloads, expected, "{policy}: something in the middle is missing");
        assert!(payloads.len() >= 100, "{policy}: {} jobs, 100 were waited for", payloads.len());
    }
}

/// Pushes these numbers in one pipeline, and waits for the replies.
fn push(connection: &mut Connection, numbers: Range<usize>) {
    for number in numbers.clone() {
        connection.send(&["QPUSH", "q", &number.to_string()]).expect("sent");
    }
    for _ in numbers {
        connection.receive().expect("a reply").text();
    }
}
