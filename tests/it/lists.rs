//! The merchant's lists: what a day had, each row exactly once, and nothing of it to a payer.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::{BeijingDay, Timestamp};

use crate::harness::{ALICE, BOB, TestStack};

/// Puts copies of an order's item that differ in their numbers and in when they were placed.
fn copies(
    stack: &TestStack,
    item: &Value,
    name: &str,
    placed_at: impl Iterator<Item = i64>,
) -> Vec<String> {
    let mut numbers = Vec::new();
    for (index, at) in placed_at.enumerate() {
        let number = format!("{name}-{index:04}");
        let day = shared::rfc3339::beijing_day(Timestamp::from_unix_seconds(at));
        let mut copy = item.clone();
        copy["pk"]["S"] = json!(format!("ORDER#{number}"));
        copy["out_trade_no"]["S"] = json!(number);
        copy["created_at"]["N"] = json!(at.to_string());
        copy["list_shard"]["S"] = json!(format!("ORDER#{day}#{}", index % 10));
        stack.put_item(&copy);
        numbers.push(number);
    }
    numbers
}

fn numbers(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap().iter();
    items
        .map(|item| item["out_trade_no"].as_str().unwrap().to_owned())
        .collect()
}

/// All pages of a list as the merchant gets them; `between` happens after each.
async fn pages(stack: &TestStack, list: &str, between: impl AsyncFn(usize)) -> Vec<Value> {
    let mut pages = Vec::new();
    let mut path = list.to_owned();
    loop {
        let page = stack.get(&stack.merchant, &path).await.expect(200);
        assert!(page["items"].as_array().unwrap().len() <= 50);
        let next = page["next_token"].as_str().map(str::to_owned);
        pages.push(page);
        let Some(next) = next else { return pages };
        between(pages.len()).await;
        path = format!("{list}&next_token={next}");
    }
}

async fn nothing(_: usize) {}

#[tokio::test]
async fn the_orders_of_a_day_come_exactly_once_while_others_are_placed() {
    let stack = TestStack::start().await;
    let day = stack.new_day().await;
    stack.native("model-0001", 100).await;
    let item = stack.order_item("model-0001");
    assert_eq!(
        item["list_shard"]["S"].as_str().unwrap().len(),
        "ORDER#20261129#7".len()
    );
    let placed_at: i64 = item["created_at"]["N"].as_str().unwrap().parse().unwrap();
    // Up to nine in a second, so that pages end in the middle of one.
    let old = copies(
        &stack,
        &item,
        "old",
        (0..119).map(|index| placed_at - index / 9),
    );
    let mut wanted: BTreeSet<String> = old.into_iter().collect();
    wanted.insert("model-0001".to_owned());
    assert_eq!(wanted.len(), 120);
    let pages = pages(&stack, &format!("/orders?date={day}"), async |page| {
        for index in 0..2 {
            stack.native(&format!("new-{page}-{index}"), 100).await;
        }
        // More of the day, newer than any, in each shard.
        let newer = placed_at + 10 * i64::try_from(page).unwrap();
        copies(
            &stack,
            &item,
            &format!("newer-{page}"),
            (0..20).map(|_| newer),
        );
    })
    .await;
    assert_eq!(pages.len(), 3);
    let told: Vec<String> = pages.iter().flat_map(numbers).collect();
    let once: BTreeSet<String> = told.iter().cloned().collect();
    assert_eq!(once.len(), told.len(), "none twice: {told:?}");
    let missing: Vec<&String> = wanted.difference(&once).collect();
    assert!(missing.is_empty(), "lost between pages: {missing:?}");
    // Newest first; and the next reading has the others too.
    let moments: Vec<i64> = told
        .iter()
        .map(|number| {
            stack.order_item(number)["created_at"]["N"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    assert!(
        moments.is_sorted_by(|newer, older| newer >= older),
        "{moments:?}"
    );
    let again = super::lists::pages(&stack, &format!("/orders?date={day}"), nothing).await;
    assert_eq!(again.iter().flat_map(numbers).count(), 120 + 2 * (2 + 20));
}

#[tokio::test]
async fn a_day_is_beijings_and_a_state_leaves_the_others_out() {
    let stack = TestStack::start().await;
    let day = stack.new_day().await;
    stack.paid("model-0001", 100).await;
    let (midnight, paid) = (
        BeijingDay::of(stack.stack.clock().business())
            .starts_at()
            .unix_seconds(),
        stack.order_item("model-0001"),
    );
    let placed_at: i64 = paid["created_at"]["N"].as_str().unwrap().parse().unwrap();
    let mut unpaid = paid.clone();
    unpaid["trade_state"]["S"] = json!("NOTPAY");
    unpaid["due_shard"] = json!({"S": "0"});
    unpaid["due_at"] = json!({"N": "9999999999"});
    let edges = [midnight - 1, midnight, midnight + 86_399, midnight + 86_400];
    copies(&stack, &unpaid, "edge", edges.into_iter());
    // The first page has what is newest: more than it reads at most, and none of it paid.
    copies(&stack, &unpaid, "open", (0..230).map(|_| placed_at + 1));
    copies(&stack, &paid, "paid", (0..70).map(|_| placed_at - 1));
    let all = pages(&stack, &format!("/orders?date={day}"), nothing).await;
    let all: Vec<String> = all.iter().flat_map(numbers).collect();
    assert_eq!(all.len(), 1 + 2 + 230 + 70);
    let edges: Vec<&String> = all
        .iter()
        .filter(|number| number.starts_with("edge"))
        .collect();
    assert_eq!(edges, ["edge-0002", "edge-0001"]);
    let of_state = async |state: &str| {
        let list = format!("/orders?date={day}&trade_state={state}");
        pages(&stack, &list, nothing).await
    };
    let paid = of_state("SUCCESS").await;
    assert_eq!(
        paid[0]["items"],
        json!([]),
        "nothing yet, and it goes on: {}",
        paid[0]
    );
    assert!(paid[0]["next_token"].is_string());
    let told: Vec<String> = paid.iter().flat_map(numbers).collect();
    let once: BTreeSet<&String> = told.iter().collect();
    assert_eq!((told.len(), once.len()), (71, 71), "{told:?}");
    assert!(
        told.iter()
            .all(|number| number.starts_with("paid") || number == "model-0001")
    );
    let open = of_state("NOTPAY").await;
    assert_eq!(open.iter().flat_map(numbers).count(), 232);
    assert_eq!(numbers(&of_state("CLOSING").await[0]), Vec::<String>::new());
    let other = pages(&stack, "/orders?date=2020-02-29", nothing).await;
    assert_eq!(other, [json!({"items": []})]);
}

#[tokio::test]
async fn a_listed_order_is_told_as_a_single_one_and_to_the_merchant_alone() {
    let stack = TestStack::start().await;
    let day = stack.new_day().await;
    let (alice, bob) = (stack.login(ALICE).await, stack.login(BOB).await);
    let order = json!({"trade_type": "native", "items": [{"sku": "tea", "quantity": 2}], "attach": "table 7"});
    let placed = stack
        .post_once(&alice, "/orders", "key-0000000000001", order)
        .await
        .expect(201);
    let number = placed["out_trade_no"].as_str().unwrap();
    stack.pay(number).await;
    stack.until_state(number, "SUCCESS").await;
    let asked = stack.wire.requests().len();
    let list = format!("/orders?date={day}");
    let listed = stack.get(&stack.merchant, &list).await.expect(200);
    assert_eq!(
        stack.wire.requests().len(),
        asked,
        "WeChat Pay is not asked"
    );
    let mut single = stack.order(number).await;
    for without in ["fresh", "refunds"] {
        single.as_object_mut().unwrap().remove(without);
    }
    single["amount"].as_object_mut().unwrap().remove("refunded");
    assert_eq!(listed, json!({"items": [single]}));
    // A payer's list is their own, whatever they add to it.
    for (parameter, value) in [
        ("date", day.as_str()),
        ("date", "x"),
        ("trade_state", "SUCCESS"),
    ] {
        for payer in [&alice, &bob] {
            let path = format!("/orders?{parameter}={value}");
            let refused = stack
                .get(payer, &path)
                .await
                .refused(422, "field_not_allowed");
            assert_eq!(refused["field"], parameter);
            assert!(!refused.to_string().contains(number));
        }
    }
    let nobody = stack.send(Method::GET, &list, None, &[], None).await;
    nobody.refused(401, "unauthenticated");
    let mine = stack
        .get(&bob, &format!("/orders?next_token=9999999999.{number}"))
        .await;
    assert_eq!(mine.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn a_day_or_a_token_that_is_none_is_refused_by_name() {
    let stack = TestStack::start().await;
    let midnight = BeijingDay::of(Timestamp::from_unix_seconds(1_790_000_000));
    let (first, last) = (
        midnight.starts_at().unix_seconds(),
        midnight.ends_at().unix_seconds() - 1,
    );
    let day = "2026-09-21";
    for inside in [first, last] {
        let path = format!("/orders?date={day}&next_token={inside}.order-0001");
        let page = stack.get(&stack.merchant, &path).await.expect(200);
        assert_eq!(page, json!({"items": []}));
    }
    for (query, field) in [
        ("date=", "date"),
        ("date=today", "date"),
        ("date=20260921", "date"),
        ("date=2026-9-21", "date"),
        ("date=2026-02-30", "date"),
        ("date=2026-09-21T00:00:00Z", "date"),
        ("date=2026-09-21%20", "date"),
        ("date=2026-09-21&trade_state=", "trade_state"),
        ("date=2026-09-21&trade_state=success", "trade_state"),
        ("date=2026-09-21&trade_state=REFUND", "trade_state"),
        ("date=2026-09-21&next_token=", "next_token"),
        ("date=2026-09-21&next_token=x", "next_token"),
        ("date=2026-09-21&next_token=1790000000.a", "next_token"),
        ("date=2026-09-21&next_token=1790000000", "next_token"),
        (
            &format!("date={day}&next_token={}.order-0001", first - 1),
            "next_token",
        ),
        (
            &format!("date={day}&next_token={}.order-0001", last + 1),
            "next_token",
        ),
        (
            "date=2026-09-21&next_token=-9223372036854775808.order-0001",
            "next_token",
        ),
        ("date=2026-09-21&transaction_id=4200", "transaction_id"),
        ("trade_state=SUCCESS", "date"),
        ("next_token=1790000000.order-0001", "date"),
        ("transaction_id=4200&trade_state=SUCCESS", "transaction_id"),
        ("", "date"),
    ] {
        let answer = stack
            .get(&stack.merchant, &format!("/orders?{query}"))
            .await;
        let refused = answer.refused(400, "malformed_request");
        assert_eq!(refused["field"], field, "{query}: {refused}");
    }
}
