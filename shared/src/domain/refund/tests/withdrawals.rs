//! Withdrawals: nothing is released before two "no such refund" that count, and what WeChat Pay reports
//! wins over them, before and after.

use super::*;
use crate::domain::absence::{ABSENCE_CONFIRM_SECONDS, ABSENCE_INTERVAL_SECONDS};

/// As long as the function may run that sends it, in seconds (tests/it/lifetimes.rs).
const SENDING: i64 = 60;

fn withdrawing(sent_at: Option<Timestamp>, missing_since: Option<Timestamp>) -> Refund {
    Refund {
        sent_at,
        ..refund(RefundState::Withdrawing {
            since: WITHDRAWN,
            missing_since,
        })
    }
}

#[test]
fn no_such_refund_counts_once_nothing_can_be_on_its_way_and_the_second_five_minutes_later_releases()
{
    for sent_after in [None, Some(-100), Some(0), Some(30)] {
        let sent_at = sent_after.map(|seconds| WITHDRAWN.plus_seconds(seconds));
        let counts = WITHDRAWN.plus_seconds(SENDING + sent_after.unwrap_or(0).max(0));
        let started = withdrawing(sent_at, None);
        for early in [WITHDRAWN, counts.minus_seconds(1)] {
            assert_eq!(started.observe_absence(early), RefundChange::Unchanged);
        }
        let (first, money) = changed(started.observe_absence(counts));
        assert_eq!(money, RefundableChange::Stays, "once is not enough");
        let expected = Refund {
            version: started.version + 1,
            ..withdrawing(sent_at, Some(counts))
        };
        assert_eq!(first, expected);
        let second = counts.plus_seconds(ABSENCE_INTERVAL_SECONDS);
        for early in [counts, second.minus_seconds(1)] {
            assert_eq!(first.observe_absence(early), RefundChange::Unchanged);
        }
        let (withdrawn, money) = changed(first.observe_absence(second));
        assert_eq!(money, RefundableChange::Released(started.amount));
        let state = RefundState::Withdrawn {
            at: second,
            confirmations: 0,
        };
        assert_eq!(
            (withdrawn.state, withdrawn.version),
            (state, first.version + 1)
        );
        assert_eq!(withdrawn.observe_absence(second), RefundChange::Unchanged);
    }
}

#[test]
fn an_absence_that_was_heard_before_the_last_sending_was_over_is_heard_anew() {
    // A sending that was claimed before the withdrawal, and only then became known.
    let heard = withdrawing(Some(MISSED), Some(MISSED));
    let (again, money) = changed(heard.observe_absence(NOW));
    assert_eq!(money, RefundableChange::Stays);
    let state = RefundState::Withdrawing {
        since: WITHDRAWN,
        missing_since: Some(NOW),
    };
    assert_eq!(again.state, state);
}

#[test]
fn absence_means_something_only_for_what_is_or_was_withdrawn() {
    for state in STATES {
        for now in [NOW, LATER, NOW.plus_seconds(200_000)] {
            let change = refund(state).observe_absence(now);
            let withdrawn = state.as_str().starts_with("WITHDRAW");
            assert!(withdrawn || change == RefundChange::Unchanged, "{state:?}");
        }
    }
}

#[test]
fn what_wechat_pay_reports_of_a_withdrawn_refund_is_believed_and_calls_a_person() {
    for state in STATES
        .into_iter()
        .filter(|state| state.as_str().starts_with("WITHDRAW"))
    {
        for status in statuses()
            .into_iter()
            .filter(|status| !matches!(status, RefundStatus::Unknown(_)))
        {
            let before = refund(state);
            let (taken, money) = changed(before.observe(&report(status.clone()), NOW));
            assert_eq!(
                money,
                money_between(&before, &taken),
                "{state:?} {status:?}"
            );
            assert!(taken.needs_human.is_some(), "{state:?} {status:?}");
            assert!(!taken.state.as_str().starts_with("WITHDRAW"));
        }
    }
}

#[test]
fn what_was_taken_after_all_is_for_a_person_to_its_end_unless_nothing_went_back() {
    let withdrawn = refund(RefundState::Withdrawn {
        at: WITHDRAWN,
        confirmations: 2,
    });
    let (taken, _) = changed(withdrawn.observe(&report(RefundStatus::Processing), NOW));
    let mut seen = 0;
    for status in statuses() {
        let RefundChange::Changed { refund, .. } = taken.observe(&report(status), LATER) else {
            continue;
        };
        seen += 1;
        let closed = refund.state == RefundState::Closed;
        let expected = taken.needs_human.clone().filter(|_| !closed);
        assert_eq!(refund.needs_human, expected, "{:?}", refund.state);
    }
    assert_eq!(seen, 4, "both of SUCCESS, CLOSED and ABNORMAL");
}

#[test]
fn what_was_taken_after_all_and_takes_too_long_calls_a_person_once_more_and_not_at_its_end() {
    let withdrawn = refund(RefundState::Withdrawn {
        at: WITHDRAWN,
        confirmations: 0,
    });
    let (taken, _) = changed(withdrawn.observe(&report(RefundStatus::Processing), NOW));
    assert!(taken.calls_anew(&withdrawn));
    let three_days = taken.reserved_at.unwrap().plus_seconds(3 * 86_400);
    assert_eq!(taken.overdue(three_days), None);
    let late = taken.overdue(three_days.plus_seconds(1)).unwrap();
    assert!(late.calls_anew(&taken));
    let why = late.needs_human.as_deref().unwrap();
    assert!(
        why.starts_with(taken.needs_human.as_deref().unwrap()),
        "{why}"
    );
    assert_eq!(late.overdue(three_days.plus_seconds(86_400)), None, "once");
    for (status, still) in [
        (RefundStatus::Success { at: None }, true),
        (RefundStatus::Abnormal, true),
        (RefundStatus::Closed, false),
    ] {
        let (ended, _) = changed(late.observe(&report(status), LATER));
        assert!(!ended.calls_anew(&late), "{:?}", ended.state);
        assert_eq!(ended.needs_human.is_some(), still, "{:?}", ended.state);
    }
    // Whoever is called for something else is looking already.
    let refused = Refund {
        needs_human: Some("its record is not authentic".to_owned()),
        ..taken
    };
    assert_eq!(refused.overdue(three_days.plus_seconds(1)), None);
}

#[test]
fn a_withdrawal_that_takes_an_hour_calls_a_person_once_until_it_ends() {
    let quiet = Refund {
        needs_human: None,
        ..withdrawing(None, Some(MISSED))
    };
    let hour_later = WITHDRAWN.plus_seconds(3_600);
    assert_eq!(quiet.overdue(hour_later), None);
    let called = quiet.overdue(hour_later.plus_seconds(1)).unwrap();
    assert!(called.needs_human.is_some());
    assert_eq!(called.overdue(NOW.plus_seconds(100_000)), None, "once");
    let (withdrawn, _) = changed(called.observe_absence(NOW));
    assert!(matches!(withdrawn.state, RefundState::Withdrawn { .. }));
    assert_eq!(withdrawn.needs_human, None);
}

#[test]
fn a_withdrawn_refund_is_looked_at_twice_more() {
    let mut refund = refund(RefundState::Withdrawn {
        at: WITHDRAWN,
        confirmations: 0,
    });
    for seconds in ABSENCE_CONFIRM_SECONDS {
        let planned = WITHDRAWN.plus_seconds(seconds);
        let early = planned.minus_seconds(1);
        assert_eq!(refund.due_at(WITHDRAWN, 0), Some(planned));
        assert_eq!(refund.observe_absence(early), RefundChange::Unchanged);
        let (looked_at, money) = changed(refund.observe_absence(planned));
        assert_eq!(money, RefundableChange::Stays);
        refund = looked_at;
    }
    assert_eq!(refund.due_at(NOW.plus_seconds(200_000), 0), None);
    let long_after = NOW.plus_seconds(10_000_000);
    assert_eq!(refund.observe_absence(long_after), RefundChange::Unchanged);
}

#[test]
fn a_planned_look_at_what_was_withdrawn_is_not_over_before_it_is_made() {
    let state = RefundState::Withdrawn {
        at: WITHDRAWN,
        confirmations: 0,
    };
    for (after, due) in [(1_799, 1_800), (1_800, 1_860)] {
        let at = refund(state).due_at(WITHDRAWN.plus_seconds(after), 0);
        assert_eq!(at, Some(WITHDRAWN.plus_seconds(due)));
    }
}

#[test]
fn the_first_look_at_a_withdrawal_is_when_absence_counts_and_the_second_when_it_releases() {
    let counts = WITHDRAWN.plus_seconds(SENDING);
    for attempts in [0, 3] {
        let first = withdrawing(None, None).due_at(WITHDRAWN, attempts);
        assert_eq!(first, Some(counts));
    }
    // Then it was not answered, which is waited for as for anything else.
    let unheard = withdrawing(None, None).due_at(counts, 3);
    assert_eq!(unheard, Some(counts.plus_seconds(600)));
    let second = counts.plus_seconds(ABSENCE_INTERVAL_SECONDS);
    let heard = withdrawing(None, Some(counts));
    assert_eq!(heard.due_at(counts, 0), Some(second));
    assert_eq!(
        heard.due_at(LATER, 3),
        Some(LATER),
        "as soon as WeChat Pay answers"
    );
}
