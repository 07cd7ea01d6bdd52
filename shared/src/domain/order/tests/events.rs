//! What others hear of an order: each change that pays or closes it, once, and nothing else.

use super::*;
use crate::domain::{Event, EventKind};

/// What a change of the state is called.
fn told(before: &Order, after: &Order) -> Option<EventKind> {
    let elsewhere =
        |order: &Order| Some(order.payment_on_record()?.refunded_elsewhere).filter(|it| *it);
    if elsewhere(before) != elsewhere(after) {
        return Some(EventKind::OrderRefundedElsewhere);
    }
    match (before.state.as_str(), after.state.as_str()) {
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
    let (mut paid, mut closed, mut elsewhere, mut silent) = (0, 0, 0, 0);
    for order in orders() {
        for change in changes(&order) {
            let OrderChange::Changed(after) = change else {
                continue;
            };
            let expected = told(&order, &after);
            match expected {
                Some(EventKind::OrderPaid) => paid += 1,
                Some(EventKind::OrderRefundedElsewhere) => elsewhere += 1,
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
    assert!(paid > 0 && closed > 0 && elsewhere > 0 && silent > 0);
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
    // What goes back elsewhere is no second payment, and told once.
    let told = paid_with(|paid| paid.refunded = true);
    let refunded = changed(paid.observe(&told, LATER));
    let last = event(10, LATER, EventKind::OrderRefundedElsewhere);
    let events: Vec<Event> = paid.events.iter().copied().chain([last]).collect();
    assert_eq!(refunded.events.iter().copied().collect::<Vec<_>>(), events);
    assert_eq!(refunded.observe(&told, LATER), OrderChange::Unchanged);
    // Nor is it one where both are learnt at once.
    let both = changed(not_pay().observe(&told, NOW));
    let kinds: Vec<EventKind> = both.events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::OrderRefundedElsewhere]);
}

#[test]
fn a_new_order_tells_nothing() {
    assert_eq!(Order::placed(terms()).events.iter().count(), 0);
}
