//! Who may send a refund, and what is not sent any more.

use super::*;

#[tokio::test]
async fn the_right_to_send_is_given_once_in_the_interval_and_kept_on_the_refund() {
    let bench = Bench::start().await;
    let order = bench.paid("slot-00001").await;
    let refunds = bench.refunds();
    let (one, two) = (
        refund("slot-r1", &order, 100),
        refund("slot-r2", &order, 100),
    );
    let missing = refunds.claim_send(&one, NOW, INTERVAL).await;
    assert_eq!(missing.unwrap(), SendClaim::Changed, "there is none");
    for refund in [&one, &two] {
        assert_eq!(reserve(&bench, refund).await, Reserve::Done);
    }
    let version = bench.load(&order.terms.order_id).await.order.version;
    let claims = [&one, &two, &one, &two].map(|refund| refunds.claim_send(refund, NOW, INTERVAL));
    let claims = bench.at_once(claims).await;
    let given = claims.iter().filter(|claim| **claim == SendClaim::Claimed);
    assert!(given.count() <= 1, "{claims:?}");
    let claim = async |refund, seconds| {
        let at = NOW.plus_seconds(seconds);
        refunds.claim_send(refund, at, INTERVAL).await.unwrap()
    };
    // One second more than the interval keeps it whole in whole seconds.
    let after = [(60, SendClaim::SlotTaken), (61, SendClaim::Claimed)];
    if claims.contains(&SendClaim::Claimed) {
        for (seconds, expected) in after {
            assert_eq!(claim(&one, seconds).await, expected);
        }
    }
    let stored = refunds.load(&order.terms.order_id, &one.refund_id).await;
    let stored = stored.unwrap().unwrap().refund;
    assert_eq!(stored.sent_at, Some(NOW.plus_seconds(61)));
    assert_eq!(stored.version, one.version, "nothing is told by it");
    let stands = bench.load(&order.terms.order_id).await.order;
    assert_eq!(stands.version, version, "nor of the order");
    // A change that was decided before the claim does not take it back.
    let processing = reported(&one, RefundState::Processing);
    let committed = refunds
        .commit(&one, &processing, RefundableChange::Stays, None)
        .await;
    assert_eq!(committed.unwrap(), RefundCommit::Done);
    let stored = refunds.load(&order.terms.order_id, &one.refund_id).await;
    assert_eq!(
        stored.unwrap().unwrap().refund.sent_at,
        Some(NOW.plus_seconds(61))
    );
    assert_eq!(
        claim(&processing, 500).await,
        SendClaim::Changed,
        "it is not reserved"
    );
    assert_eq!(
        claim(&one, 500).await,
        SendClaim::Changed,
        "nor as it was read"
    );
}

#[tokio::test]
async fn nothing_is_sent_whose_number_has_no_guard_or_a_burnt_one_or_another_orders() {
    let bench = Bench::start().await;
    let order = bench.paid("guard-0001").await;
    let refunds = bench.refunds();
    let refund = refund("guard-r1", &order, 100);
    assert_eq!(reserve(&bench, &refund).await, Reserve::Done);
    let guard = bench.item("REFUNDNO#guard-r1", "REFUNDNO").await;
    let claim = async || refunds.claim_send(&refund, NOW, INTERVAL).await.unwrap();
    for (attribute, value) in [
        ("out_trade_no", json!({"S": "guard-0002"})),
        ("out_trade_no", Value::Null),
        ("withdrawn_at", json!({"N": "1"})),
    ] {
        bench.alter(guard.clone(), attribute, value).await;
        assert_eq!(claim().await, SendClaim::Unguarded, "{attribute}");
    }
    bench.put(guard).await;
    assert_eq!(claim().await, SendClaim::Claimed);
}

/// It may have gone back another way already.
#[tokio::test]
async fn nothing_is_sent_of_an_order_that_counts_as_refunded_elsewhere() {
    let bench = Bench::start().await;
    let order = bench.paid("marked-0001").await;
    let refunds = bench.refunds();
    let refund = refund("marked-r1", &order, 100);
    assert_eq!(reserve(&bench, &refund).await, Reserve::Done);
    let item = bench.item("ORDER#marked-0001", "ORDER").await;
    let mark = json!({"BOOL": true});
    bench.alter(item.clone(), "refunded_elsewhere", mark).await;
    let claim = async || refunds.claim_send(&refund, NOW, INTERVAL).await.unwrap();
    assert_eq!(claim().await, SendClaim::SlotTaken);
    bench.put(item).await;
    assert_eq!(claim().await, SendClaim::Claimed);
}

#[tokio::test]
async fn a_withdrawn_refund_frees_its_amount_once_and_burns_its_number() {
    let bench = Bench::start().await;
    let order = bench.paid("burnt-0001").await;
    let refunds = bench.refunds();
    let refund = refund("burnt-r1", &order, 200);
    assert_eq!(reserve(&bench, &refund).await, Reserve::Done);
    let (withdrawing, withdrawn) = withdrawn(&refund);
    let begun = refunds.commit(&refund, &withdrawing, RefundableChange::Stays, Some(soon()));
    assert_eq!(begun.await.unwrap(), RefundCommit::Done);
    assert_eq!(left(&bench, &order).await, (400, 1), "it is still held");
    let claimed = refunds.claim_send(&withdrawing, NOW, INTERVAL).await;
    assert_eq!(claimed.unwrap(), SendClaim::Changed, "and never sent");
    let guard = bench.item("REFUNDNO#burnt-r1", "REFUNDNO").await;
    assert!(guard["withdrawn_at"]["N"].is_string(), "{guard}");
    let released = RefundableChange::Released(refund.amount);
    let end = || refunds.commit(&withdrawing, &withdrawn, released, Some(soon()));
    let ended = bench.at_once((0..8).map(|_| end())).await;
    let done = ended.iter().filter(|commit| **commit == RefundCommit::Done);
    assert!(done.count() <= 1);
    assert_eq!(end().await.unwrap(), RefundCommit::Conflict);
    assert_eq!(left(&bench, &order).await, (600, 1));
    assert_balanced(&bench, &order).await;
    let guard = bench.item("REFUNDNO#burnt-r1", "REFUNDNO").await;
    assert!(guard["withdrawn_at"]["N"].is_string(), "{guard}");
    // WeChat Pay took it after all: the amount is taken again, once, also where another refund has it.
    let taken = reported(&withdrawn, RefundState::Processing);
    let rest = super::refund("burnt-r2", &order, 500);
    assert_eq!(reserve(&bench, &rest).await, Reserve::Done);
    let again = || {
        refunds.commit(
            &withdrawn,
            &taken,
            RefundableChange::TakenAgain(refund.amount),
            None,
        )
    };
    assert_eq!(again().await.unwrap(), RefundCommit::Done);
    assert_eq!(again().await.unwrap(), RefundCommit::Conflict);
    assert_eq!(left(&bench, &order).await, (-100, 2));
    let more = reserve(&bench, &super::refund("burnt-r3", &order, 1)).await;
    let nothing = NotRefundable::Exceeds { refundable: 0 };
    assert_eq!(more, Reserve::Refused(nothing));
    let closed = reported(&rest, RefundState::Closed);
    let given_back = refunds.commit(
        &rest,
        &closed,
        RefundableChange::Released(rest.amount),
        None,
    );
    assert_eq!(given_back.await.unwrap(), RefundCommit::Done);
    assert_eq!(left(&bench, &order).await, (400, 2));
    assert_balanced(&bench, &order).await;
}

#[tokio::test]
async fn nothing_is_withdrawn_whose_number_is_another_orders() {
    let bench = Bench::start().await;
    let order = bench.paid("theirs-001").await;
    let refunds = bench.refunds();
    let refund = refund("theirs-r1", &order, 100);
    assert_eq!(reserve(&bench, &refund).await, Reserve::Done);
    let guard = bench.item("REFUNDNO#theirs-r1", "REFUNDNO").await;
    let theirs = json!({"S": "theirs-002"});
    bench.alter(guard, "out_trade_no", theirs.clone()).await;
    let (withdrawing, _) = withdrawn(&refund);
    let begun = refunds.commit(&refund, &withdrawing, RefundableChange::Stays, Some(soon()));
    let error = begun.await.unwrap_err();
    assert!(
        error.to_string().contains("another order's"),
        "a person is told why: {error}"
    );
    let stored = refunds.load(&order.terms.order_id, &refund.refund_id).await;
    assert_eq!(stored.unwrap().unwrap().refund.state, RefundState::Reserved);
    let guard = bench.item("REFUNDNO#theirs-r1", "REFUNDNO").await;
    assert_eq!(guard["out_trade_no"], theirs);
}
