//! What payers request: it holds nothing until it is approved, and is decided once.

use super::*;
use shared::domain::EventKind;

#[tokio::test]
async fn what_a_payer_asks_for_holds_nothing_until_it_is_approved() {
    let bench = Bench::start().await;
    let order = bench.paid("asked-0001").await;
    let refunds = bench.refunds();
    let asked = request("asked-r1", &order, 400);
    assert_eq!(refunds.request(&asked).await.unwrap(), Reserve::Done);
    assert_eq!(left(&bench, &order).await, (600, 0));
    let version = bench.load(&order.terms.order_id).await.order.version;
    assert_eq!(version, order.version, "nothing about the order is told");
    assert_eq!(
        refunds.request(&asked).await.unwrap(),
        Reserve::Exists(Box::new(standing(&asked, None)))
    );
    let approved = refunds
        .approve(&asked, &as_approved(&asked), NOW, SLOT, soon())
        .await;
    assert_eq!(approved.unwrap(), Approval::Reserved);
    let reserved = Refund {
        state: RefundState::Reserved,
        reserved_at: Some(NOW),
        sent_at: Some(NOW),
        version: 2,
        ..asked.clone()
    };
    assert_eq!(
        refunds.of_order(&order.terms.order_id).await.unwrap(),
        [standing(&reserved, Some(soon()))]
    );
    assert_eq!(left(&bench, &order).await, (200, 1));
    for slot in [SLOT, SendSlot::Later] {
        let again = refunds
            .approve(&asked, &as_approved(&asked), NOW, slot, soon())
            .await;
        assert_eq!(again.unwrap(), Approval::AlreadyDecided);
    }
    assert_eq!(
        refunds
            .commit(&asked, &as_rejected(&asked), RefundableChange::Stays, None)
            .await
            .unwrap(),
        RefundCommit::Conflict,
        "what is approved is not rejected any more"
    );
    assert_eq!(left(&bench, &order).await, (200, 1));
}

#[tokio::test]
async fn what_is_rejected_is_not_approved_any_more() {
    let bench = Bench::start().await;
    let order = bench.paid("reject-001").await;
    let refunds = bench.refunds();
    let asked = request("reject-r1", &order, 400);
    refunds.request(&asked).await.unwrap();
    assert_eq!(
        refunds
            .commit(&asked, &as_rejected(&asked), RefundableChange::Stays, None)
            .await
            .unwrap(),
        RefundCommit::Done
    );
    let rejected = Refund {
        state: RefundState::Rejected,
        version: 2,
        events: asked.events.with(2, NOW, Some(EventKind::RefundRejected)),
        ..asked.clone()
    };
    assert_eq!(
        refunds
            .commit(&asked, &as_rejected(&asked), RefundableChange::Stays, None)
            .await
            .unwrap(),
        RefundCommit::Conflict
    );
    let approved = refunds
        .approve(&asked, &as_approved(&asked), NOW, SendSlot::Later, soon())
        .await;
    assert_eq!(approved.unwrap(), Approval::AlreadyDecided);
    assert_eq!(
        refunds.of_order(&order.terms.order_id).await.unwrap(),
        [standing(&rejected, None)]
    );
    assert_eq!(left(&bench, &order).await, (600, 0));
}

#[tokio::test]
async fn of_many_decisions_at_once_one_is_made() {
    let bench = Bench::start().await;
    let order = bench.paid("decide-001").await;
    let refunds = bench.refunds();
    let asked = request("decide-r1", &order, 600);
    refunds.request(&asked).await.unwrap();
    let decisions = (0..16).map(|index| {
        let asked = &asked;
        async move {
            if index % 2 == 0 {
                let approved = refunds
                    .approve(asked, &as_approved(asked), NOW, SendSlot::Later, soon())
                    .await?;
                Ok(approved == Approval::Reserved)
            } else {
                Ok(refunds
                    .commit(asked, &as_rejected(asked), RefundableChange::Stays, None)
                    .await?
                    == RefundCommit::Done)
            }
        }
    });
    let made = bench.at_once(decisions).await;
    assert!(made.iter().filter(|made| **made).count() <= 1);
    let stands = refunds.of_order(&order.terms.order_id).await.unwrap();
    assert_ne!(stands[0].refund.state, RefundState::Requested);
    assert_eq!(stands[0].refund.version, 2);
    assert_balanced(&bench, &order).await;
}

#[tokio::test]
async fn an_approval_is_bounded_as_a_reservation_is() {
    let bench = Bench::start().await;
    let refunds = bench.refunds();
    let order = bench.paid("approve-01").await;
    let (first, second) = (
        request("approve-r1", &order, 400),
        request("approve-r2", &order, 400),
    );
    for asked in [&first, &second] {
        assert_eq!(refunds.request(asked).await.unwrap(), Reserve::Done);
    }
    let approve = async |refund: &Refund, slot| {
        let approved = refunds
            .approve(refund, &as_approved(refund), NOW, slot, soon())
            .await;
        approved.unwrap()
    };
    assert_eq!(approve(&first, SLOT).await, Approval::Reserved);
    let exceeds = Approval::Refused(NotRefundable::Exceeds { refundable: 200 });
    assert_eq!(approve(&second, SLOT).await, exceeds);
    assert_eq!(approve(&second, SendSlot::Later).await, exceeds);
    let small = request("approve-r3", &order, 100);
    refunds.request(&small).await.unwrap();
    let next_refund_at = NOW.plus_seconds(INTERVAL + 1);
    assert_eq!(
        approve(&small, SLOT).await,
        Approval::SlotTaken { next_refund_at }
    );
    assert_eq!(approve(&small, SendSlot::Later).await, Approval::Reserved);
    assert_balanced(&bench, &order).await;
    let never = request("approve-r9", &order, 1);
    assert_eq!(
        approve(&never, SendSlot::Later).await,
        Approval::AlreadyDecided,
        "what was never asked for is not approved"
    );
}

#[tokio::test]
async fn payers_ask_at_most_fifty_times_of_one_order() {
    let bench = Bench::start().await;
    let order = bench.paid("asking-001").await;
    let refunds = bench.refunds();
    let asked = |index| request(&format!("asking-r{index}"), &order, 600);
    for index in 0..48 {
        let answer = refunds.request(&asked(index)).await.unwrap();
        assert_eq!(answer, Reserve::Done, "{index}");
    }
    let last: Vec<Refund> = (48..56).map(asked).collect();
    let answers = bench
        .at_once(last.iter().map(|asked| refunds.request(asked)))
        .await;
    let done = answers.iter().filter(|answer| **answer == Reserve::Done);
    assert!(done.count() <= 2, "{answers:?}");
    for asked in &last {
        let answer = refunds.request(asked).await.unwrap();
        assert!(
            matches!(
                answer,
                Reserve::Exists(_) | Reserve::Refused(NotRefundable::TooMany)
            ),
            "{answer:?}"
        );
    }
    let found = refunds.of_order(&order.terms.order_id).await.unwrap();
    assert_eq!(found.len(), 50, "rejected ones count, so there is an end");
    refunds
        .commit(
            &found[0].refund,
            &as_rejected(&found[0].refund),
            RefundableChange::Stays,
            None,
        )
        .await
        .unwrap();
    let one_more = request("asking-r99", &order, 1);
    assert_eq!(
        refunds.request(&one_more).await.unwrap(),
        Reserve::Refused(NotRefundable::TooMany)
    );
    // The merchant's own refunds are not held up by that.
    assert_eq!(
        reserve(&bench, &refund("asking-m1", &order, 600)).await,
        Reserve::Done
    );
    let nothing_left = request("asking-r98", &order, 1);
    let answer = refunds.request(&nothing_left).await.unwrap();
    assert_eq!(answer, exceeds(0));
}
