//! Every state of what is held, with every reason to download.

use super::*;

const NOW: i64 = 1_800_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(NOW + seconds)
}

fn held(age: i64, valid_for: Option<i64>, current_key: bool) -> Held {
    Held {
        downloaded_at: at(-age),
        valid_until: valid_for.map(at),
        current_key,
    }
}

// What WeChat Pay asks for and docs/operations.md tells, written out: a test that computed with the code's own
// constants would agree with any of them.
const FLOOR: i64 = 5 * 60;
const HOUR: i64 = 60 * 60;
const WEEK: i64 = 7 * 86_400;
const YEAR: i64 = 365 * 86_400;

#[test]
fn without_a_valid_certificate_each_run_downloads_and_the_first_is_trusted() {
    for nothing in [
        None,
        Some(held(10, None, true)),
        Some(held(10, None, false)),
    ] {
        for tried_at in [None, Some(at(-1)), Some(at(-YEAR))] {
            for unknown_serial in [false, true] {
                assert!(download_due(
                    nothing.as_ref(),
                    tried_at,
                    unknown_serial,
                    at(0)
                ));
            }
        }
        assert_eq!(trust(nothing.as_ref()), Trust::FirstUse);
        assert!(needs_attention(nothing.as_ref(), at(0)));
    }
}

#[test]
fn a_valid_certificate_is_the_only_one_whose_word_is_believed() {
    for age in [0, HOUR, YEAR] {
        for valid_for in [0, 1, YEAR] {
            for current_key in [false, true] {
                let held = held(age, Some(valid_for), current_key);
                assert_eq!(trust(Some(&held)), Trust::HeldKeys);
            }
        }
    }
}

#[test]
fn a_download_is_made_anew_for_a_reason_and_not_below_the_floor() {
    let due = |age, current_key, tried: Option<i64>, unknown_serial| {
        let held = held(age, Some(YEAR), current_key);
        download_due(
            Some(&held),
            tried.map(|ago| at(-ago)),
            unknown_serial,
            at(0),
        )
    };
    for (age, current_key, unknown_serial, wanted) in [
        (FLOOR, true, false, false),
        (HOUR - 1, true, false, false),
        (HOUR, true, false, true),
        (FLOOR, true, true, true),
        (FLOOR, false, false, true),
        (FLOOR - 1, false, true, false),
        (0, false, true, false),
        // A clock that went back.
        (-1, true, false, true),
    ] {
        let is_due = due(age, current_key, None, unknown_serial);
        assert_eq!(is_due, wanted, "{age} {current_key} {unknown_serial}");
        assert!(!due(age, current_key, Some(0), unknown_serial));
        assert!(!due(age, current_key, Some(FLOOR - 1), unknown_serial));
        let later = due(age, current_key, Some(FLOOR), unknown_serial);
        assert_eq!(later, wanted);
    }
}

#[test]
fn a_person_is_told_of_an_old_download_and_of_a_term_that_ends() {
    for (age, valid_for, wanted) in [
        (0, YEAR, false),
        (12 * HOUR - 1, YEAR, false),
        (12 * HOUR, YEAR, true),
        (0, WEEK, false),
        (0, WEEK - 1, true),
        (0, 0, true),
    ] {
        let held = held(age, Some(valid_for), true);
        assert_eq!(needs_attention(Some(&held), at(0)), wanted, "{age}");
    }
}
