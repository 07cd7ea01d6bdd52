//! The merchant's lists: what a day had, each row exactly once, and nothing of it to a payer.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::{BeijingDay, Timestamp};
use shared::process::Process;

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

/// Asks as the payer for a part of an order, and gives the refund's number.
async fn requested(stack: &TestStack, token: &str, number: &str, key: &str, fen: i64) -> String {
    let asked = stack.asked_back(token, number, key, fen).await;
    assert_eq!(asked["status"], "REQUESTED");
    asked["out_refund_no"].as_str().unwrap().to_owned()
}

fn refund_numbers(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap().iter();
    items
        .map(|item| item["out_refund_no"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_request_waits_on_the_list_until_it_is_decided_and_stays_on_its_days() {
    let stack = TestStack::start().await;
    let day = stack.new_day().await;
    let alice = stack.login(ALICE).await;
    let number = stack.bought(&alice, "key-0000000000001", 2).await;
    let mut asked = Vec::new();
    for key in [
        "key-0000000000002",
        "key-0000000000003",
        "key-0000000000004",
    ] {
        stack.advance(1).await;
        asked.push(requested(&stack, &alice, &number, key, 100).await);
    }
    let waiting = async || {
        stack
            .get(&stack.merchant, "/refunds?status=REQUESTED")
            .await
            .expect(200)
    };
    let of_day = async |day: &str| {
        let list = format!("/refunds?date={day}");
        stack.get(&stack.merchant, &list).await.expect(200)
    };
    let page = waiting().await;
    assert_eq!(refund_numbers(&page), asked, "oldest first");
    let first = &page["items"][0];
    assert_eq!(
        first,
        &json!({
            "out_refund_no": asked[0], "out_trade_no": number, "status": "REQUESTED", "reason": "cold",
            "amount": {"refund": 100, "total": 600, "currency": "CNY"},
            "asked_by": "payer", "created_at": first["created_at"],
        })
    );
    let created_at = shared::rfc3339::parse(first["created_at"].as_str().unwrap()).unwrap();
    assert_eq!(shared::rfc3339::format_day(BeijingDay::of(created_at)), day);
    // The merchant's own waits for nobody; it is of its day like the others.
    stack.advance(1).await;
    stack.refund(&number, "own-r1", 50).await.expect(202);
    assert_eq!(refund_numbers(&waiting().await), asked);
    let all: Vec<String> = [&asked[..], &["own-r1".to_owned()]].concat();
    assert_eq!(refund_numbers(&of_day(&day).await), all);
    // Decided on another day, it still is of the day on which it was asked for.
    let next = stack.new_day().await;
    for (refund, decision) in [(&asked[0], "reject"), (&asked[1], "approve")] {
        let path = format!("/orders/{number}/refunds/{refund}/{decision}");
        let decided = stack.post(&stack.merchant, &path, json!({})).await;
        assert!(matches!(decided.status, 200 | 202), "{decided:?}");
    }
    assert_eq!(refund_numbers(&waiting().await), asked[2..]);
    let told = of_day(&day).await;
    assert_eq!(refund_numbers(&told), all);
    assert_eq!(told["items"][0]["status"], "REJECTED");
    assert_eq!(told["items"][3]["asked_by"], "merchant");
    assert_eq!(of_day(&next).await, json!({"items": []}));
    // The money moves on, and so no row of the index.
    stack
        .sweep_until_refund(&number, &asked[1], "SUCCESS")
        .await;
    assert_eq!(refund_numbers(&of_day(&day).await), all);
    for list in ["/refunds?status=REQUESTED", "/refunds", "/refunds?date=x"] {
        stack.get(&alice, list).await.refused(404, "not_found");
        stack
            .send(Method::GET, list, None, &[], None)
            .await
            .refused(401, "unauthenticated");
    }
}

#[tokio::test]
async fn requests_come_exactly_once_while_some_are_decided_and_others_made() {
    let stack = TestStack::start().await;
    let day = stack.new_day().await;
    let alice = stack.login(ALICE).await;
    let number = stack.bought(&alice, "key-0000000000001", 2).await;
    let first = requested(&stack, &alice, &number, "key-0000000000002", 1).await;
    let item = stack.item(&format!("ORDER#{number}"), &format!("REFUND#{first}"));
    let asked_at: i64 = item["created_at"]["N"].as_str().unwrap().parse().unwrap();
    let copy = |name: &str, at: i64| {
        let mut copy = item.clone();
        copy["sk"]["S"] = json!(format!("REFUND#{name}"));
        copy["out_refund_no"]["S"] = json!(name);
        copy["created_at"]["N"] = json!(at.to_string());
        stack.put_item(&copy);
    };
    // Seven in each second.
    for index in 0..119 {
        copy(&format!("old-{index:04}"), asked_at - index / 7);
    }
    for list in [
        "/refunds?status=REQUESTED".to_owned(),
        format!("/refunds?date={day}"),
    ] {
        let pages = pages(&stack, &list, async |page| {
            // The last ones wait while the first are told, and are rejected before their turn comes.
            for index in [2 * page, 2 * page + 1] {
                let path = format!("/orders/{number}/refunds/old-{index:04}/reject");
                stack
                    .post(&stack.merchant, &path, json!({}))
                    .await
                    .expect(200);
            }
            copy(&format!("new-{page}-{}", list.len()), asked_at + 1);
        })
        .await;
        let told: Vec<String> = pages.iter().flat_map(refund_numbers).collect();
        let once: BTreeSet<&String> = told.iter().collect();
        assert_eq!(once.len(), told.len(), "none twice: {told:?}");
        let old = (0..119).map(|index| format!("old-{index:04}"));
        let missing: Vec<String> = old.filter(|number| !once.contains(number)).collect();
        // Those that were decided before their page no longer wait; the day has them all the same.
        let decided = ["old-0002", "old-0003", "old-0004", "old-0005"];
        let gone: Vec<&str> = decided[..if list.contains("status") { 4 } else { 0 }].to_vec();
        assert_eq!(missing, gone, "{list}");
        assert!(once.contains(&first));
    }
}

#[tokio::test]
async fn a_list_of_refunds_is_asked_for_by_status_or_day() {
    let stack = TestStack::start().await;
    let inside = "/refunds?date=2026-09-21&next_token=1790000000.order-0001.r";
    let page = stack.get(&stack.merchant, inside).await.expect(200);
    assert_eq!(page, json!({"items": []}));
    for anywhere in [
        "-9223372036854775808",
        "0",
        "1790000000",
        "9223372036854775807",
    ] {
        let path = format!("/refunds?status=REQUESTED&next_token={anywhere}.order-0001.r");
        let page = stack.get(&stack.merchant, &path).await.expect(200);
        assert_eq!(page, json!({"items": []}), "{anywhere}");
    }
    for (query, field) in [
        ("", "status"),
        ("status=REQUESTED&date=2026-09-21", "status"),
        ("status=", "status"),
        ("status=requested", "status"),
        ("status=SUCCESS", "status"),
        ("date=2026-02-30", "date"),
        ("date=", "date"),
        ("status=REQUESTED&next_token=", "next_token"),
        (
            "status=REQUESTED&next_token=1790000000.order-0001",
            "next_token",
        ),
        ("status=REQUESTED&next_token=x.order-0001.r", "next_token"),
        (
            "status=REQUESTED&next_token=1790000000.order-0001.",
            "next_token",
        ),
        (
            "date=2026-09-22&next_token=1790000000.order-0001.r",
            "next_token",
        ),
    ] {
        let answer = stack
            .get(&stack.merchant, &format!("/refunds?{query}"))
            .await;
        let refused = answer.refused(400, "malformed_request");
        assert_eq!(refused["field"], field, "{query}: {refused}");
    }
}

#[tokio::test]
async fn anybody_sees_what_is_on_sale_and_nobody_wears_out_its_items() {
    let stack = TestStack::start().await;
    let http = Process::system().unwrap().http;
    let ask = async || {
        let url = format!("{}/articles", stack.stack.api_url);
        let answer = http.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["cache-control"], "public, max-age=60");
        let page: Value = answer.json().await.unwrap();
        page
    };
    let skus = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap().iter();
        items
            .map(|item| item["sku"].as_str().unwrap().to_owned())
            .collect()
    };
    let reads = || {
        let calls = stack.watch.calls();
        calls
            .iter()
            .filter(|call| call.operation != "GetSecretValue")
            .count()
    };
    let asked = reads();
    let page = ask().await;
    assert_eq!(skus(&page), ["coffee", "tea", "cake"]);
    let tea =
        json!({"sku": "tea", "description": "Tea 茶", "amount": {"total": 300, "currency": "CNY"}});
    assert_eq!(page["items"][1], tea);
    assert_eq!(
        reads(),
        asked + 2,
        "the index, and the articles in one call"
    );
    for _ in 0..20 {
        assert_eq!(ask().await, page);
    }
    assert_eq!(reads(), asked + 2, "and nothing more within the minute");
    // More than one call takes; some of them not on sale, and one that nobody put on the list.
    for index in 0..120 {
        stack.put_article(&format!("more-{index:03}"), 100 + index, index % 10 != 0);
    }
    let mut unlisted = stack.item("SKU#more-001", "SKU");
    unlisted["pk"]["S"] = json!("SKU#secret");
    unlisted.as_object_mut().unwrap().remove("list_shard");
    stack.put_item(&unlisted);
    assert_eq!(ask().await, page, "a minute old at most");
    stack.advance(61).await;
    let page = ask().await;
    let told = skus(&page);
    assert_eq!(told.len(), 3 + 108, "{told:?}");
    assert_eq!(told[3], "more-001");
    assert_eq!(page["items"][3]["amount"]["total"], 101);
    assert!(!told.contains(&"more-010".to_owned()) && !told.contains(&"secret".to_owned()));
    // Who has it already is not sent it again.
    let ask_again = async |known: &str| {
        let url = format!("{}/articles", stack.stack.api_url);
        let asked = http.get(url).header("if-none-match", known);
        let answer = asked.send().await.unwrap();
        let headers = answer.headers();
        assert_eq!(headers["cache-control"], "public, max-age=60");
        let tag = headers["etag"].to_str().unwrap().to_owned();
        let status = answer.status().as_u16();
        (status, tag, answer.text().await.unwrap())
    };
    let (status, tag, text) = ask_again("\"another\"").await;
    assert_eq!((status, text.is_empty()), (200, false));
    let known = ask_again(&tag).await;
    assert_eq!(known, (304, tag.clone(), String::new()));
    stack.put_article("tea", 301, true);
    stack.advance(61).await;
    let (status, changed, text) = ask_again(&tag).await;
    assert_eq!(status, 200);
    assert!(changed != tag && text.contains("301"), "{changed} {text}");
    let strange = stack.get(&stack.merchant, "/articles?sku=tea").await;
    strange.refused(400, "malformed_request");
}
