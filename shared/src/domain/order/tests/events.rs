//! What others hear of an order: each change that pays or closes it, once, and nothing else.

use super::*;
use crate::domain::{Event, EventKind};

/// What a change of the state is called.
fn told(from: &str, to: &str) -> Option<EventKind> {
    match (from, to) {
        ("NOTPAY" | "CLOSING" | "CLOSED", "SUCCESS") => Some(EventKind::OrderPaid),
        ("NOTPAY" | "CLOSING", "CLOSED") => Some(EventKind::OrderClosed),
        _ => None,
    }
}

/// All that can be observed of an order or decided about it.
fn changes(order: &Order) -> Vec<OrderChange> {
    let mut changes: Vec<_> = reports()
        .iter()
        .map(|report| order.observe(report, NOW))
        .collect();
    changes.push(order.observe_close(NOW));
    changes.push(order.observe_absence(NOW));
    changes.push(order.observe_absence(NOW.plus_seconds(ABSENCE_INTERVAL_SECONDS)));
    changes.push(order.observe_absence(CLOSED.plus_seconds(ABSENCE_CONFIRM_SECONDS[1])));
    changes.push(order.begin_close(NOW));
    changes
}

#[test]
fn each_change_of_an_order_is_told_by_the_event_of_its_version_or_by_none() {
    let (mut paid, mut closed, mut silent) = (0, 0, 0);
    for order in orders() {
        for change in changes(&order) {
            let OrderChange::Changed(after) = change else {
                continue;
            };
            let expected = told(order.state.as_str(), after.state.as_str());
            match expected {
                Some(EventKind::OrderPaid) => paid += 1,
                Some(_) => closed += 1,
                None => silent += 1,
            }
            let events: Vec<(u64, EventKind)> = after
                .events
                .iter()
                .map(|event| (event.version, event.kind))
                .collect();
            let expected: Vec<(u64, EventKind)> = expected
                .into_iter()
                .map(|kind| (order.version + 1, kind))
                .collect();
            assert_eq!(events, expected, "{order:?} to {after:?}");
        }
    }
    assert!(paid > 0 && closed > 0 && silent > 0);
}

#[test]
fn an_order_that_is_paid_after_its_close_tells_both_with_the_moment_of_each() {
    let closed = changed(not_pay().observe(&report(TradeState::Closed), NOW));
    let paid = changed(closed.observe(&super::paid(), LATER));
    let event = |version, at, kind| Event { version, at, kind };
    let events: Vec<Event> = paid.events.iter().copied().collect();
    assert_eq!(
        events,
        [
            event(8, NOW, EventKind::OrderClosed),
            event(9, LATER, EventKind::OrderPaid),
        ]
    );
    // What goes back elsewhere is news of the record, and no second payment.
    let refunded = changed(paid.observe(&paid_with(|paid| paid.refunded = true), LATER));
    assert_eq!((refunded.version, refunded.events), (10, paid.events));
}

#[test]
fn a_new_order_tells_nothing() {
    assert_eq!(Order::placed(terms()).events.iter().count(), 0);
}
