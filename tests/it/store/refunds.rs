//! Refunds: never more than was paid, never more than fifty, each number once, and what is released
//! is released once.

mod requests;
mod sending;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::domain::refund::RefundableChange;
use shared::domain::terms::Party;
use shared::domain::{Due, NotRefundable, Order, OrderState, Payment, Refund, RefundState};
use shared::store::{
    Approval, Commit, RefundCommit, Reserve, SendClaim, SendSlot, StoreError, StoredRefund,
};

use super::bench::Bench;
use super::{
    INTERVAL, NOW, REFUNDS_MAX, SLOT, as_approved, as_rejected, changed, exceeds, fen, merchants,
    order, order_id, paid, payment, refund, refund_id, reported, request, reserve, soon, withdrawn,
};

const YEAR: i64 = 365 * 24 * 60 * 60;

/// What is left of the order to give back, and how many refunds it had.
async fn left(bench: &Bench, order: &Order) -> (i64, u32) {
    let stored = bench.load(&order.terms.order_id).await;
    let payment = stored.order.payment_on_record().cloned().unwrap();
    (payment.refundable, payment.refund_count)
}

/// The books of an order: what is left and what refunds hold make the total.
async fn assert_balanced(bench: &Bench, order: &Order) {
    let (refundable, _) = left(bench, order).await;
    let refunds = bench.refunds().of_order(&order.terms.order_id).await;
    let held: i64 = refunds
        .unwrap()
        .iter()
        .filter(|stored| stored.refund.state.holds_money())
        .map(|stored| stored.refund.amount.get())
        .sum();
    assert!(refundable >= 0);
    assert_eq!(refundable + held, order.terms.total.get());
}

/// The refund as it is read back.
fn standing(refund: &Refund, due: Option<Due>) -> StoredRefund {
    let refund = refund.clone();
    StoredRefund { refund, due }
}

/// A paid order with this payment.
async fn paid_with(bench: &Bench, number: &str, payment: Payment) -> Order {
    let order = order(number);
    bench.placed(&order).await;
    let paid = changed(&order, OrderState::Success(payment));
    let committed = bench.orders().commit(&order, &paid, None).await;
    assert_eq!(committed.unwrap(), Commit::Done);
    paid
}

#[tokio::test]
async fn a_reservation_takes_the_amount_and_stands_whole() {
    let bench = Bench::start().await;
    let order = bench.paid("reserved-1").await;
    let refund = refund("reserved-r1", &order, 200);
    let refunds = bench.refunds();
    let reserved = refunds.reserve(&refund, NOW, SLOT, soon()).await;
    assert_eq!(reserved.unwrap(), Reserve::Done);
    let stored = refunds.load(&order.terms.order_id, &refund.refund_id).await;
    let stored = stored.unwrap().unwrap();
    let sent = Refund {
        sent_at: Some(NOW),
        ..refund.clone()
    };
    assert_eq!(stored, standing(&sent, Some(soon())));
    let guard = bench.item("REFUNDNO#reserved-r1", "REFUNDNO").await;
    assert_eq!(guard["out_trade_no"], json!({"S": "reserved-1"}));
    let after = bench.load(&order.terms.order_id).await.order;
    let expected = changed(
        &order,
        OrderState::Success(Payment {
            refundable: 400,
            refund_count: 1,
            next_refund_at: Some(NOW.plus_seconds(INTERVAL + 1)),
            ..payment(&order)
        }),
    );
    assert_eq!(after, expected, "the version rises, the payment stays");
    assert_eq!(
        refunds.of_order(&order.terms.order_id).await.unwrap(),
        [standing(&sent, Some(soon()))]
    );
    let missing = refunds
        .load(&order.terms.order_id, &refund_id("missing"))
        .await;
    assert_eq!(missing.unwrap(), None);
}

#[tokio::test]
async fn one_fen_beyond_what_is_left_is_refused_and_the_last_fen_is_not() {
    let bench = Bench::start().await;
    let order = bench.paid("bound-0001").await;
    let cases = [
        ("r1", 601, exceeds(600)),
        ("r1", 200, Reserve::Done),
        ("r2", 401, exceeds(400)),
        ("r2", 400, Reserve::Done),
        ("r3", 1, exceeds(0)),
    ];
    for (number, amount, expected) in cases {
        let refund = refund(number, &order, amount);
        assert_eq!(
            reserve(&bench, &refund).await,
            expected,
            "{number} {amount}"
        );
        assert_balanced(&bench, &order).await;
    }
    assert_eq!(
        bench.items().await.len(),
        1 + 2 * 2,
        "a refusal leaves nothing"
    );
}

#[tokio::test]
async fn fifty_reservations_at_once_never_take_more_than_was_paid() {
    let bench = Bench::start().await;
    let order = bench.paid("fifty-0001").await;
    let refunds = bench.refunds();
    let asked: Vec<Refund> = (0..50)
        .map(|index| refund(&format!("fifty-r{index}"), &order, 70 + index % 3))
        .collect();
    let reserved = asked
        .iter()
        .map(|refund| refunds.reserve(refund, NOW, SendSlot::Later, soon()));
    let reserved = bench.at_once(reserved).await;
    let done = reserved.iter().filter(|reserve| **reserve == Reserve::Done);
    assert!(done.count() <= 8, "{reserved:?}");
    for reserve in &reserved {
        let refused = matches!(reserve, Reserve::Refused(NotRefundable::Exceeds { refundable }) if *refundable < 72);
        assert!(refused || *reserve == Reserve::Done, "{reserve:?}");
    }
    assert_balanced(&bench, &order).await;
    let (refundable, made) = left(&bench, &order).await;
    assert!(made >= 1 && refundable < 600, "some are made");
}

#[tokio::test]
async fn of_twenty_equal_reservations_at_once_one_is_made_and_the_others_are_told_of_it() {
    let bench = Bench::start().await;
    let order = bench.paid("twenty-001").await;
    let refunds = bench.refunds();
    let asked = refund("twenty-r1", &order, 600);
    let reserved = bench
        .at_once((0..20).map(|_| refunds.reserve(&asked, NOW, SendSlot::Later, soon())))
        .await;
    let (done, told): (Vec<_>, Vec<_>) = reserved
        .into_iter()
        .partition(|reserve| *reserve == Reserve::Done);
    assert!(done.len() <= 1);
    for reserve in told {
        assert_eq!(
            reserve,
            Reserve::Exists(Box::new(standing(&asked, Some(soon())))),
            "a repeat is told of itself, not that nothing is left"
        );
    }
    assert_eq!(left(&bench, &order).await, (0, 1));
}

#[tokio::test]
async fn a_number_is_one_refunds_whoever_asks() {
    let bench = Bench::start().await;
    let mine = bench.paid("number-001").await;
    let other = bench.paid("number-002").await;
    let first = refund("number-r1", &mine, 100);
    assert_eq!(reserve(&bench, &first).await, Reserve::Done);
    // The same number with other terms: what stands is told, and whoever asks compares.
    let differing = refund("number-r1", &mine, 500);
    assert_eq!(
        reserve(&bench, &differing).await,
        Reserve::Exists(Box::new(standing(&first, Some(soon()))))
    );
    // What stands is told even where nothing would be left for it.
    let too_much = refund("number-r1", &mine, 600);
    assert_eq!(
        reserve(&bench, &too_much).await,
        Reserve::Exists(Box::new(standing(&first, Some(soon()))))
    );
    let taken = refund("number-r1", &other, 100);
    assert_eq!(reserve(&bench, &taken).await, Reserve::NumberTaken);
    assert_eq!(left(&bench, &other).await, (600, 0));
}

#[tokio::test]
async fn asking_takes_no_number_and_does_not_tell_which_are_taken() {
    let bench = Bench::start().await;
    let payers = bench.paid("squat-001").await;
    let merchants = bench.paid("squat-002").await;
    let refunds = bench.refunds();
    // A number that the merchant has used, and one that it is about to use.
    let used = refund("squat-r1", &merchants, 100);
    assert_eq!(reserve(&bench, &used).await, Reserve::Done);
    for number in ["squat-r1", "squat-r2"] {
        let asked = request(number, &payers, 100);
        assert_eq!(refunds.request(&asked).await.unwrap(), Reserve::Done);
    }
    let next = refund("squat-r2", &merchants, 100);
    let later = soon();
    let reserved = refunds.reserve(&next, NOW, SendSlot::Later, later).await;
    assert_eq!(reserved.unwrap(), Reserve::Done);
    // Approval, both would be another order's refund at WeChat Pay.
    for number in ["squat-r1", "squat-r2"] {
        let asked = request(number, &payers, 100);
        let approved = refunds
            .approve(&asked, &as_approved(&asked), NOW, SendSlot::Later, soon())
            .await
            .unwrap();
        assert_eq!(approved, Approval::NumberTaken);
    }
    assert_eq!(left(&bench, &payers).await, (600, 0));
}

#[tokio::test]
async fn of_two_orders_that_want_a_number_at_once_one_gets_it() {
    let bench = Bench::start().await;
    let mut orders = Vec::new();
    for index in 0..8 {
        orders.push(bench.paid(&format!("wanted-{index:03}")).await);
    }
    let asked: Vec<Refund> = orders
        .iter()
        .map(|order| refund("wanted-r1", order, 100))
        .collect();
    let refunds = bench.refunds();
    let reserved = asked
        .iter()
        .map(|refund| refunds.reserve(refund, NOW, SendSlot::Later, soon()));
    let reserved = bench.at_once(reserved).await;
    let done = reserved.iter().filter(|reserve| **reserve == Reserve::Done);
    assert!(done.count() <= 1);
    let mut made = 0;
    for order in &orders {
        assert_balanced(&bench, order).await;
        made += left(&bench, order).await.1;
    }
    assert_eq!(made, 1);
}

#[tokio::test]
async fn an_order_that_is_not_paid_gives_nothing_back() {
    let bench = Bench::start().await;
    let order = order("unpaid-001");
    let refund = refund("unpaid-r1", &order, 100);
    let request = request("unpaid-r1", &order, 100);
    let refunds = bench.refunds();
    let unpaid = async || {
        assert_eq!(
            reserve(&bench, &refund).await,
            Reserve::Refused(NotRefundable::NotPaid)
        );
        let now = refunds.reserve(&refund, NOW, SLOT, soon()).await;
        assert_eq!(now.unwrap(), Reserve::Refused(NotRefundable::NotPaid));
        let asked = refunds.request(&request).await;
        assert_eq!(asked.unwrap(), Reserve::Refused(NotRefundable::NotPaid));
    };
    unpaid().await;
    assert!(bench.items().await.is_empty(), "there is no such order");
    bench.placed(&order).await;
    unpaid().await;
    let closing = changed(&order, OrderState::Closing { since: NOW });
    bench.orders().commit(&order, &closing, None).await.unwrap();
    unpaid().await;
    assert_eq!(bench.items().await.len(), 1);
}

#[tokio::test]
async fn the_fifty_first_refund_is_too_many() {
    let bench = Bench::start().await;
    let almost = Payment {
        refund_count: REFUNDS_MAX - 1,
        ..payment(&order("many-00001"))
    };
    let order = paid_with(&bench, "many-00001", almost).await;
    assert_eq!(
        reserve(&bench, &refund("many-r50", &order, 1)).await,
        Reserve::Done
    );
    assert_eq!(
        reserve(&bench, &refund("many-r51", &order, 1)).await,
        Reserve::Refused(NotRefundable::TooMany)
    );
    assert_eq!(left(&bench, &order).await, (599, REFUNDS_MAX));
}

#[tokio::test]
async fn a_year_after_the_payment_is_too_late() {
    let bench = Bench::start().await;
    for (number, seconds, expected) in [
        ("year-00001", YEAR - 1, Reserve::Done),
        ("year-00002", YEAR, Reserve::Refused(NotRefundable::TooOld)),
    ] {
        let old = Payment {
            success_time: NOW.minus_seconds(seconds),
            ..payment(&order(number))
        };
        let order = paid_with(&bench, number, old).await;
        let refund = refund(&format!("{number}-r"), &order, 1);
        assert_eq!(reserve(&bench, &refund).await, expected);
        let asked = request(&format!("{number}-q"), &order, 1);
        let asked = bench.refunds().request(&asked).await.unwrap();
        assert_eq!(asked, expected);
    }
}

#[tokio::test]
async fn the_second_refund_within_the_interval_is_reserved_to_wait() {
    let bench = Bench::start().await;
    let order = bench.paid("minute-001").await;
    let refunds = bench.refunds();
    let now = async |number: &str, seconds| {
        let refund = refund(number, &order, 100);
        let at = NOW.plus_seconds(seconds);
        let reserved = refunds.reserve(&refund, at, SLOT, soon()).await;
        reserved.unwrap()
    };
    assert_eq!(now("minute-r1", 0).await, Reserve::Done);
    let next_refund_at = NOW.plus_seconds(INTERVAL + 1);
    let taken = Reserve::SlotTaken { next_refund_at };
    assert_eq!(now("minute-r2", 0).await, taken);
    assert_eq!(now("minute-r2", INTERVAL).await, taken);
    assert_eq!(left(&bench, &order).await, (500, 1), "nothing was taken");
    let later = refund("minute-r2", &order, 100);
    assert_eq!(reserve(&bench, &later).await, Reserve::Done);
    let after = bench.load(&order.terms.order_id).await.order;
    assert_eq!(
        after.payment_on_record().unwrap().next_refund_at,
        Some(next_refund_at),
        "who waits claims no moment"
    );
    assert_eq!(now("minute-r3", INTERVAL + 1).await, Reserve::Done);
}

#[tokio::test]
async fn what_wechat_pay_closed_goes_back_to_the_order_exactly_once() {
    let bench = Bench::start().await;
    let order = bench.paid("closed-001").await;
    let refunds = bench.refunds();
    let refund = refund("closed-r1", &order, 200);
    assert_eq!(reserve(&bench, &refund).await, Reserve::Done);
    let version = bench.load(&order.terms.order_id).await.order.version;
    let closed = reported(&refund, RefundState::Closed);
    let release = || refunds.commit(&refund, &closed, RefundableChange::Released(fen(200)), None);
    let released = bench.at_once((0..16).map(|_| release())).await;
    let done = released
        .iter()
        .filter(|commit| **commit == RefundCommit::Done);
    assert!(done.count() <= 1);
    assert_eq!(release().await.unwrap(), RefundCommit::Conflict);
    assert_eq!(
        left(&bench, &order).await,
        (600, 1),
        "free again, and still counted as one of the fifty"
    );
    let after = bench.load(&order.terms.order_id).await.order;
    assert_eq!(after.version, version + 1);
    assert_eq!(
        refunds.of_order(&order.terms.order_id).await.unwrap(),
        [standing(&closed, None)]
    );
}

#[tokio::test]
async fn a_release_beyond_what_was_paid_is_never_made() {
    let bench = Bench::start().await;
    let order = bench.paid("books-0001").await;
    let refunds = bench.refunds();
    let refund = refund("books-r1", &order, 200);
    assert_eq!(reserve(&bench, &refund).await, Reserve::Done);
    // Books that were set wrong by hand.
    let item = bench.order_item("books-0001").await;
    bench.alter(item, "refundable", json!({"N": "401"})).await;
    let closed = reported(&refund, RefundState::Closed);
    let released = refunds
        .commit(&refund, &closed, RefundableChange::Released(fen(200)), None)
        .await;
    let error = released.unwrap_err();
    assert!(
        error.to_string().contains("more than was paid"),
        "a person is told why: {error}"
    );
    assert_eq!(left(&bench, &order).await, (401, 1));
    let stored = refunds.load(&order.terms.order_id, &refund.refund_id).await;
    assert_eq!(stored.unwrap().unwrap().refund.state, RefundState::Reserved);
}

#[tokio::test]
async fn every_state_of_a_refund_is_read_back_whole() {
    let bench = Bench::start().await;
    let order = bench.paid("states-001").await;
    let refunds = bench.refunds();
    let mut before = Refund {
        reason: None,
        ..refund(&"r".repeat(64), &order, 600)
    };
    assert_eq!(reserve(&bench, &before).await, Reserve::Done);
    for state in [
        RefundState::Processing,
        RefundState::Abnormal,
        RefundState::Success { at: NOW },
        RefundState::Reserved,
    ] {
        let due = Due {
            at: NOW.plus_seconds(90),
            attempts: 3,
        };
        let after = Refund {
            refusals: before.refusals + 1,
            needs_human: Some("the merchant's balance is short".to_owned()),
            ..reported(&before, state)
        };
        let committed = refunds
            .commit(&before, &after, RefundableChange::Stays, Some(due))
            .await;
        assert_eq!(committed.unwrap(), RefundCommit::Done);
        let stored = refunds.load(&order.terms.order_id, &after.refund_id).await;
        let stored = stored.unwrap().unwrap();
        assert_eq!(stored, standing(&after, Some(due)));
        let stale = refunds
            .commit(&before, &after, RefundableChange::Stays, None)
            .await;
        assert_eq!(stale.unwrap(), RefundCommit::Conflict);
        before = after;
    }
    assert_balanced(&bench, &order).await;
}

#[tokio::test]
async fn a_refunds_due_time_moves_without_its_version() {
    let bench = Bench::start().await;
    let order = bench.paid("put-off-01").await;
    let refunds = bench.refunds();
    let refund = refund("put-off-r1", &order, 600);
    assert_eq!(reserve(&bench, &refund).await, Reserve::Done);
    let later = Due {
        at: NOW.plus_seconds(300),
        attempts: 2,
    };
    let load = async || {
        let stored = refunds.load(&order.terms.order_id, &refund.refund_id).await;
        stored.unwrap().unwrap()
    };
    let moved = refunds.postpone(&refund, Some(later)).await;
    assert_eq!(moved.unwrap(), Commit::Done);
    let stored = load().await;
    assert_eq!(stored, standing(&refund, Some(later)));
    let processing = reported(&refund, RefundState::Processing);
    let committed = refunds
        .commit(&refund, &processing, RefundableChange::Stays, None)
        .await;
    assert_eq!(committed.unwrap(), RefundCommit::Done);
    let late = refunds.postpone(&refund, Some(later)).await;
    assert_eq!(late.unwrap(), Commit::Conflict);
    assert_eq!(load().await.due, None);
}

#[tokio::test]
async fn one_caller_in_the_floor_gets_to_ask_about_a_refund() {
    let bench = Bench::start().await;
    let order = bench.paid("ask-refund").await;
    let refunds = bench.refunds();
    let refund = refund("ask-r1", &order, 600);
    let missing = refunds.claim_asking(&refund, NOW, 2).await;
    assert_eq!(missing.unwrap(), Commit::Conflict, "there is none");
    assert_eq!(reserve(&bench, &refund).await, Reserve::Done);
    let claims = bench
        .at_once((0..16).map(|_| refunds.claim_asking(&refund, NOW, 2)))
        .await;
    let done = claims.iter().filter(|claim| **claim == Commit::Done);
    assert!(done.count() <= 1);
    for (seconds, expected) in [
        (1, Commit::Conflict),
        (2, Commit::Done),
        (-60, Commit::Done),
    ] {
        let at = NOW.plus_seconds(seconds);
        let claimed = refunds.claim_asking(&refund, at, 2).await.unwrap();
        assert_eq!(claimed, expected, "{seconds} s later");
    }
}

#[tokio::test]
async fn a_refund_that_cannot_be_read_is_an_error_that_names_it() {
    let bench = Bench::start().await;
    let order = bench.paid("unreadable").await;
    let refunds = bench.refunds();
    let refund = refund("unreadable-r1", &order, 600);
    assert_eq!(reserve(&bench, &refund).await, Reserve::Done);
    let good = bench.item("ORDER#unreadable", "REFUND#unreadable-r1").await;
    let wrong = [
        ("status", json!({"S": "CHANGE"})),
        ("status", json!({"S": "SUCCESS"})),
        ("refund", json!({"N": "0"})),
        ("refund", Value::Null),
        ("total", json!({"S": "600"})),
        ("asked_by", json!({"S": "nobody"})),
        ("version", json!({"N": "1.5"})),
        ("refusals", json!({"N": "-1"})),
        ("transaction_id", json!({"S": ""})),
    ];
    for (attribute, value) in wrong {
        bench.alter(good.clone(), attribute, value.clone()).await;
        let id = &order.terms.order_id;
        let errors = [
            refunds.load(id, &refund.refund_id).await.err(),
            refunds.of_order(id).await.err(),
            // A repeat that meets it is no refusal.
            reserve_error(&bench, &refund).await,
        ];
        for error in errors {
            assert!(
                matches!(&error, Some(StoreError::Unreadable { key, .. }) if key == "ORDER#unreadable"),
                "{attribute} = {value}: {error:?}"
            );
        }
    }
}

async fn reserve_error(bench: &Bench, refund: &Refund) -> Option<StoreError> {
    bench
        .refunds()
        .reserve(refund, NOW, SendSlot::Later, soon())
        .await
        .err()
}

#[tokio::test]
async fn a_guard_without_its_refund_is_not_taken_for_another_orders() {
    let bench = Bench::start().await;
    let order = bench.paid("restored-1").await;
    // A restored table may hold a part of the last transactions.
    bench
        .put(json!({
            "pk": {"S": "REFUNDNO#restored-r1"}, "sk": {"S": "REFUNDNO"},
            "out_trade_no": {"S": "restored-1"},
        }))
        .await;
    let refund = refund("restored-r1", &order, 600);
    let error = reserve_error(&bench, &refund).await;
    assert!(
        matches!(&error, Some(StoreError::Unreadable { key, .. }) if key == "REFUNDNO#restored-r1"),
        "{error:?}"
    );
    assert_eq!(left(&bench, &order).await, (600, 0));
}

#[tokio::test]
async fn all_refunds_of_an_order_are_found_and_no_others() {
    let bench = Bench::start().await;
    let order = bench.paid("all-000001").await;
    let near = bench.paid("all-000001-near").await;
    let mut expected = BTreeSet::new();
    for index in 0..40 {
        let number = format!("all-r{index:02}");
        assert_eq!(
            reserve(&bench, &refund(&number, &order, 10)).await,
            Reserve::Done
        );
        expected.insert(number);
    }
    assert_eq!(
        reserve(&bench, &refund("all-near", &near, 10)).await,
        Reserve::Done
    );
    let found = bench.refunds().of_order(&order.terms.order_id).await;
    let found: Vec<String> = found
        .unwrap()
        .iter()
        .map(|stored| stored.refund.refund_id.to_string())
        .collect();
    assert_eq!(found, Vec::from_iter(expected), "by number");
    let none = bench.refunds().of_order(&order_id("all-missing")).await;
    assert_eq!(none.unwrap(), []);
}

#[tokio::test]
async fn refunds_of_an_order_are_read_over_pages() {
    let bench = Bench::start().await;
    let order = bench.paid("pages-0001").await;
    let refund = refund("pages-r00", &order, 1);
    assert_eq!(reserve(&bench, &refund).await, Reserve::Done);
    let item = bench.item("ORDER#pages-0001", "REFUND#pages-r00").await;
    // Eight times 300 KB is more than two of the megabytes that a page has.
    for index in 1..=8 {
        let mut large = item.clone();
        large["sk"] = json!({"S": format!("REFUND#pages-r{index:02}")});
        large["note"] = json!({"S": "x".repeat(300_000)});
        bench.put(large).await;
    }
    bench.calls();
    let found = bench.refunds().of_order(&order.terms.order_id).await;
    assert_eq!(found.unwrap().len(), 9);
    assert!(bench.calls().len() > 1, "it took several pages");
}

#[tokio::test]
async fn a_refund_with_everything_in_it_is_one_write_unit() {
    let bench = Bench::start().await;
    let base = merchants(&"o".repeat(32), shared::domain::TradeType::Native);
    bench.placed(&base).await;
    let paid = paid(&base);
    bench.orders().commit(&base, &paid, None).await.unwrap();
    let refunds = bench.refunds();
    let refund = Refund {
        reason: Some("x".repeat(80)),
        asked_by: Party::Merchant,
        ..refund(&"r".repeat(64), &paid, 600)
    };
    assert_eq!(reserve(&bench, &refund).await, Reserve::Done);
    let after = Refund {
        refusals: 2,
        needs_human: Some("WeChat Pay refuses it: USER_ACCOUNT_ABNORMAL".to_owned()),
        ..reported(&refund, RefundState::Success { at: NOW })
    };
    let due = Due {
        at: NOW,
        attempts: 20,
    };
    refunds
        .commit(&refund, &after, RefundableChange::Stays, Some(due))
        .await
        .unwrap();
    refunds.claim_asking(&refund, NOW, 2).await.unwrap();
    let item = bench
        .item(
            &format!("ORDER#{}", paid.terms.order_id),
            &format!("REFUND#{}", refund.refund_id),
        )
        .await;
    let size = super::model::size(&item);
    assert!(size <= 1024, "{size} bytes");
}
