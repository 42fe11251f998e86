//! Framing in the caller's buffer.

use super::harness::KIND;
use crate::Records;
use crate::limits::RECORD_BODY_BYTES_MAX;

#[test]
fn an_empty_record_leaves_nothing() {
    let mut records = Records::new();
    records.begin(1, KIND);
    assert!(!records.end());
    assert!(records.is_empty());
    assert_eq!(records.len_bytes(), 0);

    records.begin(1, KIND).push(1);
    records.body().push(2);
    assert!(records.end());
    let one = records.len_bytes();
    records.begin(1, KIND);
    assert!(!records.end());
    assert_eq!((records.count(), records.len_bytes()), (1, one));

    records.clear();
    assert!(records.is_empty());
    assert_eq!(records.len_bytes(), 0);
}

#[test]
#[should_panic(expected = "more than")]
fn a_record_that_is_too_large_is_refused_before_it_is_staged() {
    let mut records = Records::new();
    records.begin(0, KIND).resize(RECORD_BODY_BYTES_MAX + 100, 7);
    records.end();
}

#[test]
#[should_panic(expected = "begins before the last one ended")]
fn records_do_not_nest() {
    let mut records = Records::new();
    records.begin(0, KIND).push(1);
    records.begin(0, KIND);
}
