//! What WeChat Pay's "no such order" means: twice, five minutes apart, it closes, and it is confirmed twice.

use super::*;

#[test]
fn absence_does_not_count_before_its_grace_has_passed() {
    let counts = EXPIRES.plus_seconds(ABSENCE_GRACE_SECONDS);
    for order in [not_pay(), closing()] {
        for early in [CREATED, EXPIRES, counts.minus_seconds(1)] {
            assert_eq!(
                order.observe_absence(early),
                OrderChange::Unchanged,
                "{early}"
            );
        }
        let heard = changed(order.observe_absence(counts));
        assert_eq!(heard.missing_since, Some(counts));
        assert_eq!(heard.state, order.state);
    }
    assert_eq!(ABSENCE_GRACE_SECONDS, 600);
}

#[test]
fn two_absences_five_minutes_apart_close_an_order_and_one_does_not() {
    assert_eq!(ABSENCE_INTERVAL_SECONDS, 300);
    let first = EXPIRES.plus_seconds(ABSENCE_GRACE_SECONDS);
    let second = first.plus_seconds(ABSENCE_INTERVAL_SECONDS);
    for order in [not_pay(), closing()] {
        let heard = changed(order.observe_absence(first));
        for early in [first, first.plus_seconds(60), second.minus_seconds(1)] {
            assert_eq!(
                heard.observe_absence(early),
                OrderChange::Unchanged,
                "{early}"
            );
        }
        let gone = changed(heard.observe_absence(second));
        let by = ClosedBy::Absence { confirmations: 0 };
        assert_eq!(gone.state, OrderState::Closed { at: second, by });
        assert_eq!(gone.missing_since, None);
    }
}

#[test]
fn a_clock_that_went_back_does_not_make_two_absences_of_one() {
    let first = NOW;
    let heard = changed(not_pay().observe_absence(first));
    let earlier = first.minus_seconds(ABSENCE_INTERVAL_SECONDS + 1);
    assert_eq!(heard.observe_absence(earlier), OrderChange::Unchanged);
}

#[test]
fn an_order_that_turns_up_again_has_to_be_missed_twice_anew() {
    for order in [not_pay(), closing()] {
        let heard = changed(order.observe_absence(NOW));
        let known = changed(heard.observe(&report(TradeState::Unpaid), NOW.plus_seconds(60)));
        assert_eq!(known.missing_since, None);
        assert_eq!(known.state, order.state);
        let again = NOW.plus_seconds(ABSENCE_INTERVAL_SECONDS);
        let heard = changed(known.observe_absence(again));
        assert_eq!(heard.missing_since, Some(again));
        assert_eq!(heard.state, order.state);
        let gone = changed(heard.observe_absence(again.plus_seconds(ABSENCE_INTERVAL_SECONDS)));
        assert_eq!(gone.state.as_str(), "CLOSED");
    }
}

#[test]
fn a_close_by_absence_is_confirmed_twice_and_keeps_when_it_was_made() {
    for (confirmations, seconds) in (0..).zip(ABSENCE_CONFIRM_SECONDS) {
        let planned = CLOSED.plus_seconds(seconds);
        let confirmed = changed(absent(confirmations).observe_absence(planned));
        let by = ClosedBy::Absence {
            confirmations: confirmations + 1,
        };
        assert_eq!(confirmed.state, OrderState::Closed { at: CLOSED, by });
    }
    let late = CLOSED.plus_seconds(7 * 24 * 60 * 60);
    for confirmations in [2, u32::MAX - 1, u32::MAX] {
        assert_eq!(
            absent(confirmations).observe_absence(late),
            OrderChange::Unchanged
        );
    }
    assert_eq!(closed().observe_absence(late), OrderChange::Unchanged);
}

#[test]
fn asking_in_between_does_not_use_up_the_later_looks_at_a_close_by_absence() {
    for (confirmations, seconds) in (0..).zip(ABSENCE_CONFIRM_SECONDS) {
        let order = absent(confirmations);
        let planned = CLOSED.plus_seconds(seconds);
        for early in [CLOSED, CLOSED.plus_seconds(2), planned.minus_seconds(1)] {
            assert_eq!(order.observe_absence(early), OrderChange::Unchanged);
            assert_eq!(order.due_at(early, 0), Some(planned));
        }
    }
}
