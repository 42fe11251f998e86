//! Framing in the caller's buffer.

use super::harness::KIND;
use crate::Records;
use crate::limits::{RECORD_BODY_BYTES_MAX, RECORD_SHARED_BYTES};
use crate::record::{self, RECORD_HEADER_BYTES};
use crate::segment::seed;

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
fn small_changes_share_a_record_until_it_is_a_page_long() {
    let mut records = Records::new();
    for _ in 0..3 {
        records.resume(1, KIND).extend_from_slice(&[7; 100]);
        records.pause();
    }
    records.resume(1, KIND);
    records.pause();
    assert!(records.is_empty(), "it has not ended");
    records.resume(1, KIND).extend_from_slice(&[7; RECORD_SHARED_BYTES]);
    records.pause();
    assert_eq!(records.count(), 1);
    assert_eq!(records.len_bytes(), RECORD_HEADER_BYTES + 300 + RECORD_SHARED_BYTES);

    records.resume(1, KIND).push(1);
    records.finish();
    records.finish();
    assert_eq!(records.count(), 2);
    records.resume(1, KIND);
    records.finish();
    assert_eq!(records.count(), 2, "a record without a body is none");
}

#[test]
fn a_record_is_intact_in_its_own_segment_only() {
    let mut records = Records::new();
    records.begin(1, KIND).extend_from_slice(b"body");
    records.end();
    let mut record = records.framed().to_vec();
    record::seal(&mut record, 9, seed(4));
    assert!(record::is_intact(&record, seed(4)));
    for number in (0..100).filter(|&number| number != 4) {
        assert!(!record::is_intact(&record, seed(number)), "{number}");
    }
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
