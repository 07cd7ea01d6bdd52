//! Moments at the far ends of time.

use super::Timestamp;

#[test]
fn a_moment_stays_at_the_far_end_instead_of_overflowing() {
    let (first, last) = (
        Timestamp::from_unix_seconds(i64::MIN),
        Timestamp::from_unix_seconds(i64::MAX),
    );
    assert_eq!(last.plus_seconds(1), last);
    assert_eq!(first.minus_seconds(1), first);
    assert_eq!(last.seconds_since(first), i64::MAX);
    assert_eq!(first.seconds_since(last), i64::MIN);
    let early = Timestamp::from_unix_seconds(1_800_000_000);
    assert_eq!(early.plus_seconds(900).seconds_since(early), 900);
}
