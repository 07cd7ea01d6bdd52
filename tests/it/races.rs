//! Many at once, and limits that many reach together: whoever is first, what stands is one thing.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{BoxFuture, join_all};
use serde_json::{Value, json};

use crate::harness::{ALICE, Answer, TestStack, native_order, payment_content, watch};

/// Requests to WeChat Pay whose path begins so.
fn asked(stack: &TestStack, method: &str, path: &str) -> usize {
    let requests = stack.wire.requests();
    requests
        .iter()
        .filter(|request| request.method == method && request.target.starts_with(path))
        .count()
}

/// A payer's paid order of 900 fen.
async fn bought(stack: &TestStack, token: &str) -> String {
    stack.bought(token, "key-races-00000001", 3).await
}

async fn requested(stack: &TestStack, token: &str, number: &str, key: &str, amount: i64) -> String {
    let asked = stack.asked_back(token, number, key, amount).await;
    let refund = asked["out_refund_no"].as_str().unwrap();
    format!("/orders/{number}/refunds/{refund}")
}

#[tokio::test]
async fn of_many_decisions_at_once_one_is_made() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    let number = bought(&stack, &alice).await;
    let refund = requested(&stack, &alice, &number, "key-races-00000002", 400).await;
    let decide = async |decision: &'static str| {
        let path = format!("{refund}/{decision}");
        let answer = stack.post(&stack.merchant, &path, json!({})).await;
        (decision, answer)
    };
    let decisions = (0..16).map(|place| decide(["approve", "reject"][place % 2]));
    let answers: Vec<(&str, Answer)> = join_all(decisions).await;
    let taken: BTreeSet<&str> = answers
        .iter()
        .filter(|(_, answer)| answer.status < 300)
        .map(|(decision, _)| *decision)
        .collect();
    assert_eq!(taken.len(), 1, "{answers:?}");
    for (_, answer) in &answers {
        let refused = answer.status == 409 && answer.body["code"] == "refund_decided";
        assert!(
            answer.status < 300 || refused || answer.status == 503,
            "{answer:?}"
        );
    }
    let left = watch::number(&stack.order_item(&number), "refundable");
    let expected = if taken.contains("approve") { 500 } else { 900 };
    assert_eq!(left, expected, "{taken:?}");
    let sent = asked(&stack, "POST", "/v3/refund/domestic/refunds");
    assert_eq!(sent, usize::from(taken.contains("approve")));
}

#[tokio::test]
async fn of_requests_that_together_exceed_the_total_only_what_fits_is_approved() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    let number = bought(&stack, &alice).await;
    let mut refunds = Vec::new();
    for place in 0..5 {
        let key = format!("key-races-1000000{place}");
        refunds.push(requested(&stack, &alice, &number, &key, 400).await);
    }
    let approve = async |refund: &String| {
        let path = format!("{refund}/approve");
        stack.post(&stack.merchant, &path, json!({})).await
    };
    let answers = join_all(refunds.iter().map(approve)).await;
    let approved = answers.iter().filter(|answer| answer.status == 202).count();
    assert!((1..=2).contains(&approved), "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 202) {
        assert!(matches!(answer.status, 409 | 503), "{answer:?}");
    }
    let left = watch::number(&stack.order_item(&number), "refundable");
    assert_eq!(left, 900 - 400 * approved as i64);
}

#[tokio::test]
async fn of_two_terms_for_one_number_at_once_one_becomes_the_order() {
    let stack = TestStack::start().await;
    let orders = (0..16).map(|place| native_order("terms-race", 100 + place % 2));
    let answers = join_all(orders.map(|order| stack.post(&stack.merchant, "/orders", order))).await;
    let placed: BTreeSet<i64> = answers
        .iter()
        .filter(|answer| answer.status < 300)
        .map(|answer| answer.body["amount"]["total"].as_i64().unwrap())
        .collect();
    assert_eq!(placed.len(), 1, "{answers:?}");
    let refused = answers
        .iter()
        .filter(|answer| answer.body["code"] == "terms_differ");
    assert_eq!(refused.count(), 8);
    let ledger = stack.seen("ledger").await;
    assert_eq!(ledger.len(), 1);
    assert_eq!(ledger[0]["amount"]["total"], *placed.first().unwrap());
}

#[tokio::test]
async fn one_refund_number_at_once_for_two_orders_is_one_refund() {
    let stack = TestStack::start().await;
    stack.paid("number-001", 500).await;
    stack.paid("number-002", 500).await;
    let refunds = (0..10).map(|place| {
        let order = if place % 2 == 0 {
            "number-001"
        } else {
            "number-002"
        };
        stack.refund(order, "number-r1", 300)
    });
    let answers = join_all(refunds).await;
    let taken = answers.iter().filter(|answer| answer.status == 202).count();
    assert_eq!(taken, 1, "{answers:?}");
    let left = |order: &str| watch::number(&stack.order_item(order), "refundable");
    assert_eq!(left("number-001") + left("number-002"), 700);
}

#[tokio::test]
async fn of_many_questions_at_once_one_reaches_wechat_pay() {
    let stack = TestStack::start().await;
    stack.fault("notice_lost", json!({})).await;
    stack.native("storm-0001", 100).await;
    stack.pay("storm-0001").await;
    let answers = join_all((0..40).map(|_| stack.order("storm-0001"))).await;
    let query = "/v3/pay/transactions/out-trade-no/storm-0001";
    assert_eq!(asked(&stack, "GET", query), 1, "at most one in two seconds");
    // Whoever did not get to ask says so, and says nothing that is wrong.
    for answer in &answers {
        let known = answer["trade_state"] == "SUCCESS";
        assert!(known || answer["fresh"] == false, "{answer}");
    }
    assert!(
        answers
            .iter()
            .any(|answer| answer["trade_state"] == "SUCCESS")
    );
}

/// What the schedule may do: EventBridge starts a sweep at least once.
#[tokio::test]
async fn sweeps_at_once_look_at_each_thing_once_and_at_all_of_them() {
    const ORDERS: usize = 30;
    let stack = TestStack::start().await;
    let numbers: Vec<String> = (0..ORDERS)
        .map(|place| format!("swept-{place:05}"))
        .collect();
    for number in &numbers {
        stack.native(number, 100).await;
    }
    stack.paid("swept-back", 1000).await;
    stack
        .fault("request_lost", json!({"operation": "refund", "count": 1}))
        .await;
    let waiting = stack
        .refund("swept-back", "swept-r1", 400)
        .await
        .expect(202);
    assert_eq!(waiting["status"], "RESERVED");
    stack.no_faults().await;
    stack.advance(32 * 60).await;
    join_all((0..4).map(|_| stack.sweep())).await;
    let mut looks: BTreeMap<String, u32> = BTreeMap::new();
    for line in stack.log_lines() {
        if line["message"] == "looked at" {
            let (order, refund) = (&line["order.out_trade_no"], &line["refund.out_refund_no"]);
            *looks.entry(format!("{order} {refund}")).or_default() += 1;
        }
    }
    assert_eq!(looks.len(), ORDERS + 1, "{looks:?}");
    assert!(looks.values().all(|times| *times == 1), "{looks:?}");
    let at_rest = async || {
        stack.advance(150).await;
        stack.sweep().await;
        json!(stack.open_ends().await)
    };
    stack.until(at_rest, |open| *open == json!([])).await;
    for number in &numbers {
        let item = stack.order_item(number);
        assert_eq!(watch::text(&item, "trade_state"), "CLOSED", "{number}");
    }
}

#[tokio::test]
async fn paid_closed_asked_and_told_at_once_it_ends_paid() {
    for round in 0..4 {
        let stack = TestStack::start().await;
        let number = format!("moment-{round:04}");
        stack.native(&number, 100).await;
        let close = format!("/orders/{number}/close");
        let (_, closed, asked, _) = tokio::join!(
            stack.pay(&number),
            stack.post(&stack.merchant, &close, json!({})),
            stack.order(&number),
            stack.sweep(),
        );
        assert!(matches!(closed.status, 200 | 202 | 409 | 503), "{closed:?}");
        assert_ne!(asked["trade_state"], "CLOSED", "{asked}");
        stack.advance(180).await;
        let at_rest = async || {
            stack.sweep().await;
            stack.advance(60).await;
            json!(stack.open_ends().await)
        };
        stack.until(at_rest, |open| *open == json!([])).await;
        // The phone was asked first: whatever else was said, the payer's money is there.
        let ledger = stack.seen("ledger").await;
        let state = stack.order_item(&number)["trade_state"]["S"].clone();
        let paid = ledger[0]["trade_state"] == "SUCCESS";
        assert_eq!(paid, state == "SUCCESS", "{ledger:?}");
    }
}

/// By notice, by query and by the sweep in one moment: one payment, one version.
#[tokio::test]
async fn one_payment_told_in_three_ways_at_once_is_settled_once() {
    let stack = TestStack::start().await;
    stack.fault("notice_lost", json!({})).await;
    stack.native("ways-00001", 100).await;
    stack.pay("ways-00001").await;
    let ledger = stack.seen("ledger").await;
    let mut content = payment_content(&stack, "ways-00001", 100);
    content["transaction_id"] = ledger[0]["transaction_id"].clone();
    stack.advance(301).await;
    let ways: Vec<BoxFuture<'_, ()>> = (0..9)
        .map(|place| -> BoxFuture<'_, ()> {
            match place % 3 {
                0 => Box::pin(async {
                    let answer = stack.notice("TRANSACTION.SUCCESS", &content).await;
                    assert!(matches!(answer.status, 204 | 503), "{answer:?}");
                }),
                1 => Box::pin(async {
                    stack.order("ways-00001").await;
                }),
                _ => Box::pin(async {
                    stack.sweep().await;
                }),
            }
        })
        .collect();
    join_all(ways).await;
    let item = stack.order_item("ways-00001");
    assert_eq!(watch::text(&item, "trade_state"), "SUCCESS");
    assert_eq!(watch::number(&item, "version"), 2, "placed and paid");
    assert_eq!(stack.open_ends().await, Vec::<String>::new());
}

/// Refunds of ten fen, ten at a time, until each is taken.
async fn taken(stack: &TestStack, number: &str, count: usize) {
    // Ten writers of one order meet at a time; whoever is told to try again tries again.
    let ask = async |place: usize| {
        let refund = format!("{number}-r{place}");
        let asked = async || {
            let answer = stack.refund(number, &refund, 10).await;
            json!([answer.status, answer.body])
        };
        let taken = |seen: &Value| seen[0] == 202 || seen[0] == 200;
        stack.until(asked, taken).await
    };
    for ten in (0..count).step_by(10) {
        join_all((ten..count.min(ten + 10)).map(ask)).await;
    }
}

#[tokio::test]
async fn an_order_takes_fifty_refunds_and_no_more() {
    let stack = TestStack::start().await;
    stack.paid("fifty-0002", 1000).await;
    taken(&stack, "fifty-0002", 50).await;
    let one_more = stack.refund("fifty-0002", "fifty-one-more", 10).await;
    one_more.refused(409, "too_many_refunds");
    let item = stack.order_item("fifty-0002");
    assert_eq!(watch::number(&item, "refundable"), 500);
}

#[tokio::test]
async fn of_many_refunds_of_one_order_each_gets_its_minute() {
    // At WeChat Pay's own pace: a minute is longer than a sweep.
    let stack = TestStack::with(|options| options.speed = 1.0).await;
    stack.paid("minutes-01", 1000).await;
    taken(&stack, "minutes-01", 12).await;
    let sent = async || stack.seen("ledger").await.len() - 1;
    let mut before = sent().await;
    assert_eq!(before, 1, "the others wait");
    for _ in 0..40 {
        stack.advance(61).await;
        stack.sweep().await;
        let now = sent().await;
        assert!(now <= before + 1, "one a minute");
        before = now;
        if now == 12 {
            break;
        }
    }
    assert_eq!(before, 12, "none starves");
    let at_rest = async || {
        stack.advance(600).await;
        stack.sweep().await;
        json!(stack.open_ends().await)
    };
    stack.until(at_rest, |open| *open == json!([])).await;
}

#[tokio::test]
async fn after_a_year_nothing_is_given_back_and_a_day_before_it_is() {
    const DAY: i64 = 24 * 60 * 60;
    let stack = TestStack::start().await;
    stack.paid("year-00001", 1000).await;
    stack.advance(364 * DAY).await;
    stack.refund("year-00001", "year-r1", 100).await.expect(202);
    stack.advance(DAY + 60).await;
    let late = stack.refund("year-00001", "year-r2", 100).await;
    late.refused(409, "refund_too_late");
    let known: Value = stack.refund("year-00001", "year-r1", 100).await.expect(200);
    assert_eq!(
        known["out_refund_no"], "year-r1",
        "what was given is still told"
    );
}

#[tokio::test]
async fn two_stacks_of_one_merchant_number_their_orders_and_refunds_apart() {
    let stack = TestStack::with(|options| {
        for (name, value) in [
            ("OrderNumberPrefix", "T1-"),
            ("MerchantNumberShared", "true"),
        ] {
            options.parameters.insert(name.to_owned(), value.to_owned());
        }
    })
    .await;
    let alice = stack.login(ALICE).await;
    let number = bought(&stack, &alice).await;
    assert!(number.starts_with("T1-") && number.len() <= 32, "{number}");
    // WeChat Pay knows a refund's number once for all of them: those that people choose have the prefix.
    let refunds = format!("/orders/{number}/refunds");
    let asked = json!({"amount": {"refund": 100}, "out_refund_no": "cold-tea"});
    let asked = stack.post(&alice, &refunds, asked).await.expect(202);
    assert_eq!(asked["out_refund_no"], "payer-T1-cold-tea");
    // A repeat may use the number for the name; another stack's number is a name here.
    for (name, number, status) in [
        ("payer-T1-cold-tea", "payer-T1-cold-tea", 200),
        ("payer-T2-cold-tea", "payer-T1-T2-cold-tea", 202),
    ] {
        let asked = json!({"amount": {"refund": 100}, "out_refund_no": name});
        let asked = stack.post(&alice, &refunds, asked).await.expect(status);
        assert_eq!(asked["out_refund_no"], number);
    }
    let other = json!({"amount": {"refund": 100}, "out_refund_no": "R-0001"});
    let other = stack.post(&stack.merchant, &refunds, other).await;
    assert_eq!(
        other.refused(422, "invalid_value")["field"],
        "out_refund_no"
    );
    let own = json!({"amount": {"refund": 100}, "out_refund_no": "T1-R-0001"});
    stack.post(&stack.merchant, &refunds, own).await.expect(202);
}

/// A stack may be given its prefix when another begins to share the merchant number: what was asked for
/// before is the same order and the same refund afterwards.
#[tokio::test]
async fn what_was_asked_for_before_a_prefix_was_given_is_the_same_afterwards() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    let number = bought(&stack, &alice).await;
    let refunds = format!("/orders/{number}/refunds");
    let key = "key-races-00000003";
    let asked = json!({"amount": {"refund": 300}});
    let first = stack.post_once(&stack.merchant, &refunds, key, asked.clone());
    let first = first.await.expect(202);
    let named = json!({"amount": {"refund": 100}, "out_refund_no": "cold-tea"});
    let by_name = stack.post(&alice, &refunds, named.clone()).await;
    assert_eq!(by_name.expect(202)["out_refund_no"], "payer-cold-tea");
    let of_merchant = json!({"amount": {"refund": 100}, "out_refund_no": "R-0001"});
    stack.advance(120).await;
    stack
        .post(&stack.merchant, &refunds, of_merchant.clone())
        .await
        .expect(202);
    stack.native("prefix-0001", 500).await;
    let mut stack = stack;
    for (name, value) in [
        ("OrderNumberPrefix", "T1-"),
        ("MerchantNumberShared", "true"),
    ] {
        stack
            .options
            .parameters
            .insert(name.to_owned(), value.to_owned());
    }
    let stack = stack.restarted().await;
    let tea = json!({"trade_type": "native", "items": [{"sku": "tea", "quantity": 3}]});
    let order = stack.post_once(&alice, "/orders", "key-races-00000001", tea);
    assert_eq!(order.await.expect(200)["out_trade_no"], *number);
    let again = stack.post_once(&stack.merchant, &refunds, key, asked).await;
    assert_eq!(again.expect(200)["out_refund_no"], first["out_refund_no"]);
    for (caller, asked, number) in [
        (&alice, named, "payer-cold-tea"),
        (&stack.merchant, of_merchant, "R-0001"),
    ] {
        let again = stack.post(caller, &refunds, asked).await.expect(200);
        assert_eq!(again["out_refund_no"], number);
    }
    let order = native_order("prefix-0001", 500);
    let again = stack.post(&stack.merchant, "/orders", order).await;
    assert_eq!(again.expect(200)["out_trade_no"], "prefix-0001");
    let order = native_order("prefix-0002", 500);
    let other = stack.post(&stack.merchant, "/orders", order).await;
    assert_eq!(other.refused(422, "invalid_value")["field"], "out_trade_no");
    let ledger = stack.seen("ledger").await;
    assert_eq!(ledger.len(), 4, "{ledger:#?}");
}
