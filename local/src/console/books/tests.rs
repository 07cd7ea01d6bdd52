//! Both books compared: every pair of states, and each difference in its place.

use serde_json::json;

use super::*;

const PAYMENTS: [Payment; 3] = [Payment::Open, Payment::Closed, Payment::Paid];
const REFUNDS: [Refund; 6] = [
    Refund::Unsent,
    Refund::Unanswered,
    Refund::Processing,
    Refund::Abnormal,
    Refund::Closed,
    Refund::Done,
];

fn with_none<T: Copy>(all: &[T]) -> Vec<Option<T>> {
    let some = all.iter().copied().map(Some);
    std::iter::once(None).chain(some).collect()
}

#[test]
fn money_that_one_side_alone_has_is_always_a_difference() {
    for here in with_none(&PAYMENTS) {
        for there in with_none(&PAYMENTS) {
            let paid = |side| side == Some(Payment::Paid);
            let told = payment_difference(here, there);
            if paid(here) != paid(there) {
                assert!(told.is_some(), "{here:?} {there:?}");
            } else if here.is_some() && (here == there || there.is_none()) {
                assert_eq!(told, None, "{here:?} {there:?}");
            }
        }
    }
    for here in with_none(&REFUNDS) {
        for there in with_none(&REFUNDS) {
            let done = |side| side == Some(Refund::Done);
            let told = refund_difference(here, there);
            if done(here) != done(there) {
                assert!(told.is_some(), "{here:?} {there:?}");
            } else if here == there && here.is_some() {
                assert_eq!(told, None, "{here:?} {there:?}");
            }
        }
    }
}

#[test]
fn what_is_under_way_is_no_difference() {
    for status in [
        "REQUESTED",
        "REJECTED",
        "RESERVED",
        "WITHDRAWING",
        "WITHDRAWN",
    ] {
        assert_eq!(
            refund_difference(Some(Refund::of(status)), None),
            None,
            "{status}"
        );
    }
    for status in ["PROCESSING", "ABNORMAL", "CLOSED"] {
        let told = refund_difference(Some(Refund::of(status)), None);
        assert_eq!(told, Some(Difference::UnknownThere), "{status}");
    }
    let requested = Some(Refund::of("REQUESTED"));
    assert!(refund_difference(requested, Some(Refund::Processing)).is_some());
}

fn order(number: &str, state: &str, total: i64, refundable: Option<i64>) -> Value {
    json!({"pk": format!("ORDER#{number}"), "sk": "ORDER", "out_trade_no": number, "trade_state": state,
           "total": total, "refundable": refundable, "created_at": 1, "description": "Tea"})
}

fn refund(number: &str, refund_number: &str, status: &str, fen: i64) -> Value {
    json!({"sk": format!("REFUND#{refund_number}"), "out_trade_no": number, "out_refund_no": refund_number,
           "status": status, "refund": fen})
}

fn order_there(number: &str, state: &str, total: i64) -> Value {
    json!({"kind": "order", "out_trade_no": number, "trade_state": state, "amount": {"total": total}})
}

fn refund_there(number: &str, refund_number: &str, status: &str, fen: i64) -> Value {
    json!({"kind": "refund", "out_trade_no": number, "out_refund_no": refund_number, "status": status,
           "amount": {"refund": fen}})
}

#[test]
fn a_refunded_order_is_success_here_and_refund_there_and_balances() {
    let here = [
        order("a", "SUCCESS", 600, Some(400)),
        refund("a", "r", "SUCCESS", 200),
    ];
    let there = [
        order_there("a", "REFUND", 600),
        refund_there("a", "r", "SUCCESS", 200),
    ];
    let told = compare(&here, &there);
    assert_eq!(
        (told["balanced"].clone(), told["differences"].clone()),
        (json!(true), json!(0))
    );
    assert_eq!(
        told["here"],
        json!({"paid": 600, "refunded": 200, "kept": 400})
    );
    assert_eq!(told["here"], told["there"]);
    assert_eq!(told["orders"][0]["difference"], Value::Null);
}

#[test]
fn each_difference_is_told_where_it_is() {
    let paid = || order("a", "SUCCESS", 600, Some(600));
    let paid_there = || order_there("a", "SUCCESS", 600);
    for (here, there, told) in [
        (
            vec![order("a", "NOTPAY", 600, None)],
            vec![paid_there()],
            "done_there",
        ),
        (
            vec![paid()],
            vec![order_there("a", "NOTPAY", 600)],
            "done_here",
        ),
        (vec![paid()], vec![], "done_here"),
        (
            vec![paid()],
            vec![order_there("a", "SUCCESS", 601)],
            "amount",
        ),
        (vec![], vec![paid_there()], "unknown_here"),
        (
            vec![order("a", "SUCCESS", 600, Some(599))],
            vec![paid_there()],
            "own_sum",
        ),
    ] {
        let compared = compare(&here, &there);
        assert_eq!(
            compared["orders"][0]["difference"], told,
            "{here:?} {there:?}"
        );
        assert_eq!(compared["balanced"], false, "{told}");
    }
    let held = || order("a", "SUCCESS", 600, Some(400));
    for (status, there, told) in [
        ("SUCCESS", vec![paid_there()], "done_here"),
        ("PROCESSING", vec![paid_there()], "unknown_there"),
        (
            "PROCESSING",
            vec![paid_there(), refund_there("a", "r", "SUCCESS", 200)],
            "done_there",
        ),
        (
            "PROCESSING",
            vec![paid_there(), refund_there("a", "r", "CLOSED", 200)],
            "state",
        ),
        (
            "PROCESSING",
            vec![paid_there(), refund_there("a", "r", "PROCESSING", 201)],
            "amount",
        ),
    ] {
        let compared = compare(&[held(), refund("a", "r", status, 200)], &there);
        assert_eq!(
            compared["orders"][0]["refunds"][0]["difference"], told,
            "{status} {there:?}"
        );
        assert_eq!(compared["balanced"], false, "{told}");
    }
    let unknown = compare(
        &[paid()],
        &[paid_there(), refund_there("a", "r", "SUCCESS", 200)],
    );
    assert_eq!(
        unknown["orders"][0]["refunds"][0]["difference"],
        "unknown_here"
    );
}
