//! The index `listed`: the orders of a day, wherever they lie.

use std::collections::BTreeSet;

use serde_json::json;
use shared::domain::paging::Row;
use shared::domain::refund::{LATE_SECONDS, RefundableChange};
use shared::domain::{BeijingDay, Order, OrderId, Refund, Terms};
use shared::store::{RefundKey, Reserve};

use super::bench::{Bench, Fate};
use super::{NOW, as_rejected, order_id, refund, request, reserve, terms};

fn placed_at(number: &str, seconds: i64) -> Order {
    Order::placed(Terms {
        created_at: NOW.plus_seconds(seconds),
        ..terms(number)
    })
}

async fn pages(bench: &Bench, size: usize, between: impl AsyncFn()) -> Vec<Row<OrderId>> {
    let mut found: Vec<Row<OrderId>> = Vec::new();
    loop {
        let after = found.last().cloned();
        let day = BeijingDay::of(NOW);
        let page = bench
            .list_index()
            .orders_of(day, after.as_ref(), size)
            .await
            .unwrap();
        found.extend(page.rows);
        if !page.more {
            return found;
        }
        between().await;
    }
}

#[tokio::test]
async fn the_120_orders_of_a_day_come_once_while_others_are_placed() {
    let bench = Bench::start().await;
    // A tenth of them in one second, so that it lies in all shards and pages end within it.
    for index in 0..120 {
        let order = placed_at(&format!("order-{index:04}"), -(index / 12));
        bench.placed(&order).await;
    }
    let count = std::cell::Cell::new(0);
    let rows = pages(&bench, 7, async || {
        let index = count.get();
        count.set(index + 1);
        bench
            .placed(&placed_at(&format!("later-{index:04}"), 1 + index / 3))
            .await;
    })
    .await;
    assert!(count.get() >= 17);
    let found: BTreeSet<&OrderId> = rows.iter().map(|row| &row.key).collect();
    assert_eq!(found.len(), rows.len(), "none twice");
    for index in 0..120 {
        let number = order_id(&format!("order-{index:04}"));
        assert!(found.contains(&number), "{number} is lost");
    }
    assert!(rows.is_sorted_by(|one, other| one.at >= other.at));
    let mut shards = BTreeSet::new();
    for item in bench.items().await {
        shards.insert(item["list_shard"]["S"].as_str().unwrap().to_owned());
    }
    let all: BTreeSet<String> = (0..10)
        .map(|place| format!("ORDER#20260921#{place}"))
        .collect();
    assert_eq!(shards, all, "and all shards are used");
}

#[tokio::test]
async fn rows_that_point_at_nothing_of_ours_hold_up_nobody() {
    let bench = Bench::start().await;
    for index in 0..30 {
        bench
            .put(json!({
                "pk": {"S": format!("PAYOUT#{index:03}")}, "sk": {"S": "PAYOUT"},
                "list_shard": {"S": "ORDER#20260921#0"},
                "created_at": {"N": NOW.plus_seconds(9).unix_seconds().to_string()},
            }))
            .await;
    }
    let order = placed_at("order-0001", 0);
    bench.placed(&order).await;
    let rows = pages(&bench, 5, async || {}).await;
    let found: Vec<OrderId> = rows.into_iter().map(|row| row.key).collect();
    assert_eq!(found, [order.terms.order_id]);
}

#[tokio::test]
async fn a_shard_that_does_not_answer_is_no_shorter_list() {
    let bench = Bench::start().await;
    bench.placed(&placed_at("order-0001", 0)).await;
    bench.plan(
        |call| match call.request["ExpressionAttributeValues"][":shard"]["S"].as_str() {
            Some("ORDER#20260921#4") => {
                let error =
                    json!({"__type": "com.amazonaws.dynamodb.v20120810#ValidationException"});
                Fate::Answer(400, error)
            }
            _ => Fate::Pass,
        },
    );
    let day = BeijingDay::of(NOW);
    assert!(bench.list_index().orders_of(day, None, 50).await.is_err());
}

#[tokio::test]
async fn a_request_that_is_decided_between_two_reads_is_still_of_its_day() {
    let bench = Bench::start().await;
    let order = bench.paid("order-0001").await;
    let asked = request("request-r1", &order, 100);
    bench.refunds().request(&asked).await.unwrap();
    let day = BeijingDay::of(NOW);
    bench.calls();
    let page = bench.list_index().refunds_of(day, None, 50).await.unwrap();
    let key = (order.terms.order_id.clone(), asked.refund_id.clone());
    assert_eq!(
        page.rows,
        [Row {
            at: NOW,
            key: key.clone()
        }]
    );
    let read: Vec<_> = bench
        .calls()
        .iter()
        .map(|call| call.request["ExpressionAttributeValues"][":shard"]["S"].clone())
        .collect();
    // The other way round it could leave a shard after that to which it moves was read.
    assert_eq!(read, ["REFUND#REQUESTED", "REFUND#20260921", "REFUND#LATE"]);
    assert_eq!(
        bench.list_index().refunds_waiting(None, 50).await.unwrap(),
        page
    );
    let rejected = as_rejected(&asked);
    let commit = bench
        .refunds()
        .commit(&asked, &rejected, RefundableChange::Stays, None);
    commit.await.unwrap();
    let waiting = bench.list_index().refunds_waiting(None, 50).await.unwrap();
    assert_eq!(waiting.rows, []);
    assert_eq!(
        bench.list_index().refunds_of(day, None, 50).await.unwrap(),
        page
    );
    let missing = (order_id("order-0002"), asked.refund_id.clone());
    let found = bench.refunds().load_many(&[missing, key]).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].refund, rejected);
}

/// The numbers of what a page of refunds points at.
fn numbers(rows: &[Row<RefundKey>]) -> Vec<&str> {
    rows.iter().map(|row| row.key.1.as_str()).collect()
}

#[tokio::test]
async fn a_day_has_the_refunds_of_all_its_seconds_and_of_no_other() {
    let bench = Bench::start().await;
    let order = bench.paid("order-0001").await;
    let day = BeijingDay::of(NOW);
    let tomorrow = BeijingDay::of(day.ends_at());
    let asked = [
        ("before", day.starts_at().minus_seconds(1)),
        ("first", day.starts_at()),
        ("last", day.ends_at().minus_seconds(1)),
        ("after", day.ends_at()),
    ];
    for (number, created_at) in asked {
        let waits = Refund {
            created_at,
            ..request(number, &order, 1)
        };
        bench.refunds().request(&waits).await.unwrap();
        let late = Refund {
            created_at,
            reserved_at: Some(created_at.plus_seconds(LATE_SECONDS + 1)),
            ..refund(&format!("{number}-late"), &order, 1)
        };
        assert_eq!(reserve(&bench, &late).await, Reserve::Done);
        // This one is neither of those that wait nor late.
        let sent = Refund {
            created_at,
            reserved_at: Some(created_at.plus_seconds(LATE_SECONDS)),
            ..refund(&format!("{number}-sent"), &order, 1)
        };
        assert_eq!(reserve(&bench, &sent).await, Reserve::Done);
    }
    let list = bench.list_index();
    let of_day = list.refunds_of(day, None, 50).await.unwrap();
    assert_eq!(
        numbers(&of_day.rows),
        [
            "first",
            "first-late",
            "first-sent",
            "last",
            "last-late",
            "last-sent"
        ]
    );
    let late = list.late_refunds(day, tomorrow, None, 50).await.unwrap();
    assert_eq!(numbers(&late.rows), ["first-late", "last-late"]);
}

#[tokio::test]
async fn the_orders_of_a_days_first_second_are_paged_as_any_others() {
    let bench = Bench::start().await;
    let midnight = BeijingDay::of(NOW).starts_at();
    for index in 0..4 {
        let order = placed_at(&format!("midnight-{index}"), midnight.seconds_since(NOW));
        bench.placed(&order).await;
    }
    let rows = pages(&bench, 1, async || {}).await;
    assert_eq!(rows.len(), 4);
}
