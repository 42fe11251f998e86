//! All rows of recovery's table.

use crate::verdict::{Claim, Finding, Place, Verdict, verdict};

#[test]
fn every_row_of_the_table() {
    use Claim::{Durable, Unclaimed};
    use Finding::{Blank, Broken, Intact};
    use Place::{Newest, Older};
    let table = [
        (Older, Durable, Intact, Verdict::Replay),
        (Older, Durable, Broken, Verdict::Damaged),
        (Older, Durable, Blank, Verdict::Damaged),
        (Older, Unclaimed, Intact, Verdict::Superseded),
        (Older, Unclaimed, Broken, Verdict::Superseded),
        (Older, Unclaimed, Blank, Verdict::Superseded),
        (Newest, Durable, Intact, Verdict::Replay),
        (Newest, Durable, Broken, Verdict::Damaged),
        (Newest, Durable, Blank, Verdict::Damaged),
        (Newest, Unclaimed, Intact, Verdict::Replay),
        (Newest, Unclaimed, Broken, Verdict::Torn),
        (Newest, Unclaimed, Blank, Verdict::End),
    ];
    let mut rows = table.iter();
    for place in [Older, Newest] {
        for claim in [Durable, Unclaimed] {
            for finding in [Intact, Broken, Blank] {
                let &(row_place, row_claim, row_finding, expected) =
                    rows.next().expect("a row for each case");
                assert_eq!((row_place, row_claim, row_finding), (place, claim, finding));
                assert_eq!(verdict(place, finding, claim), expected, "{place:?} {claim:?} {finding:?}");
            }
        }
    }
    assert!(rows.next().is_none());
}

#[test]
fn a_claim_includes_the_durable_lsn_itself() {
    assert_eq!(Claim::of(7, 7), Claim::Durable);
    assert_eq!(Claim::of(8, 7), Claim::Unclaimed);
}
