//! The two sparse indexes: what is due, oldest first, and a payer's orders, newest first.

use std::collections::BTreeSet;

use serde_json::json;
use shared::domain::order::ClosedBy;
use shared::domain::refund::RefundableChange;
use shared::domain::{Due, Order, OrderId, OrderState, RefundState, Terms, Timestamp, TradeType};
use shared::store::{Commit, DueItem, Lane, RECORDS_MAX, Reserve, SHARDS};

use super::bench::Bench;
use super::{
    NOW, changed, closed, merchants, openid, order, order_id, paid, refund, reported, reserve,
    terms,
};

fn at(seconds: i64) -> Option<Due> {
    Some(Due {
        at: NOW.plus_seconds(seconds),
        attempts: 0,
    })
}

/// Everything that is due at `now` in all shards.
async fn all_due(bench: &Bench, now: Timestamp) -> Vec<(DueItem, Timestamp)> {
    let mut found = Vec::new();
    for shard in 0..SHARDS {
        let page = bench.due_index().due(shard, now, 100).await.unwrap();
        assert_eq!(page.unreadable, 0);
        found.extend(page.items);
    }
    found
}

/// The number's shard, as the table has it.
async fn shard_of(bench: &Bench, number: &str) -> u32 {
    let item = bench.order_item(number).await;
    item["due_shard"]["S"].as_str().unwrap().parse().unwrap()
}

/// `count` orders of one shard, due `0, 1, 2 …` seconds from now.
async fn in_one_shard(bench: &Bench, count: usize) -> (u32, Vec<OrderId>) {
    let mut found: Vec<Vec<OrderId>> = vec![Vec::new(); SHARDS as usize];
    for index in 0.. {
        let order = order(&format!("shard-{index:04}"));
        let number = order.terms.order_id.as_str();
        let seconds = i64::from(index);
        let placed = bench.orders().place(&order, "a", None, at(seconds));
        placed.await.unwrap();
        let shard = shard_of(bench, number).await;
        found[shard as usize].push(order_id(number));
        if found[shard as usize].len() == count {
            return (shard, found.swap_remove(shard as usize));
        }
    }
    unreachable!()
}

#[tokio::test]
async fn refunds_and_orders_that_are_being_closed_have_a_line_of_their_own() {
    let bench = Bench::start().await;
    let open = order("line-00001");
    let placed = bench
        .orders()
        .place(&open, "attempt", None, Some(super::soon()));
    placed.await.unwrap();
    let waits = bench.paid("line-00002").await;
    let refund = refund("line-r1", &waits, 100);
    assert_eq!(reserve(&bench, &refund).await, Reserve::Done);
    let shard = async |partition: &str, sort: &str| -> u32 {
        let item = bench.item(partition, sort).await;
        item["due_shard"]["S"].as_str().unwrap().parse().unwrap()
    };
    let of_order = async || shard("ORDER#line-00001", "ORDER").await;
    assert!(Lane::Later.shards().contains(&of_order().await));
    let of_refund = shard("ORDER#line-00002", "REFUND#line-r1").await;
    assert!(Lane::First.shards().contains(&of_refund));
    let closing = changed(&open, OrderState::Closing { since: NOW });
    let due = Some(super::soon());
    bench.orders().commit(&open, &closing, due).await.unwrap();
    assert!(Lane::First.shards().contains(&of_order().await));
    let lines = [Lane::Later.shards(), Lane::First.shards()];
    let shards: Vec<u32> = lines.into_iter().flatten().collect();
    assert_eq!(
        shards,
        Vec::from_iter(0..SHARDS),
        "and no shard is left out"
    );
}

#[tokio::test]
async fn only_what_has_something_left_to_be_learnt_is_on_the_due_index() {
    let bench = Bench::start().await;
    let orders = bench.orders();
    let read = order("sparse-001");
    let placed = orders.place(&read, "attempt", None, at(60)).await;
    placed.unwrap();
    let item = DueItem::Order(read.terms.order_id.clone());
    assert!(all_due(&bench, NOW.plus_seconds(59)).await.is_empty());
    let due = all_due(&bench, NOW.plus_seconds(60)).await;
    assert_eq!(due, [(item, NOW.plus_seconds(60))], "at its moment");
    let paid = paid(&read);
    orders.commit(&read, &paid, None).await.unwrap();
    let far = NOW.plus_seconds(1_000_000);
    assert!(all_due(&bench, far).await.is_empty(), "paid is paid");
    let refund = refund("sparse-r1", &paid, 100);
    assert_eq!(reserve(&bench, &refund).await, Reserve::Done);
    let item = DueItem::Refund(refund.order_id.clone(), refund.refund_id.clone());
    assert_eq!(
        all_due(&bench, far).await,
        [(item, super::soon().at)],
        "the reserved refund, not its order or its number's guard"
    );
    let done = reported(&refund, RefundState::Success { at: NOW });
    bench
        .refunds()
        .commit(&refund, &done, RefundableChange::Stays, None)
        .await
        .unwrap();
    assert!(all_due(&bench, far).await.is_empty());
    for (name, value) in bench.order_item("sparse-001").await.as_object().unwrap() {
        assert!(!name.starts_with("due_"), "{name}: {value} is left over");
    }
}

#[tokio::test]
async fn the_longest_due_come_first_and_no_more_than_asked_for() {
    let bench = Bench::start().await;
    let (shard, numbers) = in_one_shard(&bench, 6).await;
    let far = NOW.plus_seconds(1_000_000);
    let index = bench.due_index();
    let page = index.due(shard, far, 4).await.unwrap();
    let found: Vec<_> = page.items.into_iter().map(|(item, _)| item).collect();
    let expected: Vec<_> = numbers[..4].iter().cloned().map(DueItem::Order).collect();
    assert_eq!(found, expected);
    let claimed = index
        .claim(&found[0], due_of(&bench, &numbers[0]).await, far)
        .await;
    assert_eq!(claimed.unwrap(), Commit::Done);
    let page = index.due(shard, far.minus_seconds(1), 100).await.unwrap();
    let found: Vec<_> = page.items.into_iter().map(|(item, _)| item).collect();
    let expected: Vec<_> = numbers[1..].iter().cloned().map(DueItem::Order).collect();
    assert_eq!(found, expected, "what is claimed waits at the end");
}

async fn due_of(bench: &Bench, number: &OrderId) -> Timestamp {
    bench.load(number).await.due.unwrap().at
}

#[tokio::test]
async fn one_sweep_gets_an_item_and_counts_its_look() {
    let bench = Bench::start().await;
    let order = order("claimed-01");
    let placed = bench.orders().place(&order, "attempt", None, at(0)).await;
    placed.unwrap();
    let index = bench.due_index();
    let item = DueItem::Order(order.terms.order_id.clone());
    let until = NOW.plus_seconds(120);
    let claims = bench
        .at_once((0..16).map(|_| index.claim(&item, NOW, until)))
        .await;
    let done = claims.iter().filter(|claim| **claim == Commit::Done);
    assert!(done.count() <= 1);
    let expected = Some(Due {
        at: until,
        attempts: 1,
    });
    let stored = bench.load(&order.terms.order_id).await;
    assert_eq!((stored.due, stored.order.version), (expected, 1));
    let later = NOW.plus_seconds(300);
    assert_eq!(
        index.claim(&item, NOW, later).await.unwrap(),
        Commit::Conflict,
        "a sighting is claimed once"
    );
    assert_eq!(
        index.claim(&item, until, later).await.unwrap(),
        Commit::Done,
        "who died over it leaves it to the next"
    );
    assert_eq!(
        bench
            .load(&order.terms.order_id)
            .await
            .due
            .unwrap()
            .attempts,
        2
    );
}

#[tokio::test]
async fn a_stale_sighting_claims_nothing() {
    let bench = Bench::start().await;
    let orders = bench.orders();
    let index = bench.due_index();
    let read = order("stale-0001");
    let item = DueItem::Order(read.terms.order_id.clone());
    let claim = async || {
        index
            .claim(&item, NOW, NOW.plus_seconds(120))
            .await
            .unwrap()
    };
    assert_eq!(claim().await, Commit::Conflict, "there is no such order");
    assert!(bench.items().await.is_empty(), "and none is made");
    orders.place(&read, "attempt", None, at(0)).await.unwrap();
    let paid = paid(&read);
    orders.commit(&read, &paid, None).await.unwrap();
    assert_eq!(claim().await, Commit::Conflict, "it was paid meanwhile");
    let stored = bench.load(&read.terms.order_id).await;
    assert_eq!((stored.order, stored.due), (paid, None));
}

#[tokio::test]
async fn a_refund_is_claimed_by_its_own_key() {
    let bench = Bench::start().await;
    let order = bench.paid("claim-ref1").await;
    let refund = refund("claim-r1", &order, 100);
    assert_eq!(reserve(&bench, &refund).await, Reserve::Done);
    let item = DueItem::Refund(refund.order_id.clone(), refund.refund_id.clone());
    let until = NOW.plus_seconds(180);
    let claimed = bench
        .due_index()
        .claim(&item, super::soon().at, until)
        .await;
    assert_eq!(claimed.unwrap(), Commit::Done);
    let stored = bench.refunds().load(&refund.order_id, &refund.refund_id);
    let stored = stored.await.unwrap().unwrap();
    assert_eq!(
        (stored.due.unwrap().attempts, stored.refund.version),
        (1, 1)
    );
    assert_eq!(stored.due.unwrap().at, until);
}

#[tokio::test]
async fn a_change_sets_the_count_of_looks_back() {
    let bench = Bench::start().await;
    let orders = bench.orders();
    let read = order("looks-0001");
    orders.place(&read, "attempt", None, at(0)).await.unwrap();
    let item = DueItem::Order(read.terms.order_id.clone());
    let claimed = bench.due_index().claim(&item, NOW, NOW.plus_seconds(120));
    assert_eq!(claimed.await.unwrap(), Commit::Done);
    let closed = changed(&read, closed(ClosedBy::Absence { confirmations: 0 }));
    orders.commit(&read, &closed, at(1_800)).await.unwrap();
    assert_eq!(bench.load(&read.terms.order_id).await.due, at(1_800));
}

#[tokio::test]
async fn the_shards_are_all_used_and_all_looked_at() {
    let bench = Bench::start().await;
    let mut shards = BTreeSet::new();
    for index in 0..80 {
        let order = order(&format!("spread-{index:03}"));
        let placed = bench.orders().place(&order, "a", None, at(0)).await;
        placed.unwrap();
        shards.insert(shard_of(&bench, order.terms.order_id.as_str()).await);
    }
    assert_eq!(shards, Lane::Later.shards().collect());
    assert_eq!(all_due(&bench, NOW).await.len(), 80);
}

/// An item on the due index that no code of this version wrote.
async fn put_strange(bench: &Bench, shard: u32, pk: &str, sk: &str, due_at: &str) {
    bench
        .put(json!({
            "pk": {"S": pk}, "sk": {"S": sk},
            "due_shard": {"S": shard.to_string()}, "due_at": {"N": due_at},
        }))
        .await;
}

#[tokio::test]
async fn items_that_are_not_ours_hold_up_nobody() {
    let bench = Bench::start().await;
    let (shard, numbers) = in_one_shard(&bench, 3).await;
    // Due before everything else, more than a page of them, and of every wrong kind.
    for index in 0..30 {
        put_strange(&bench, shard, &format!("PAYOUT#{index:03}"), "PAYOUT", "1").await;
    }
    put_strange(&bench, shard, "ORDER#shard-0000", "PAYOUT#1", "2").await;
    put_strange(&bench, shard, "ORDER#a|b|c|d|e", "ORDER", "3").await;
    put_strange(&bench, shard, "ORDER#fraction", "ORDER", "4.5").await;
    let far = NOW.plus_seconds(1_000_000);
    let page = bench.due_index().due(shard, far, 5).await.unwrap();
    let found: Vec<_> = page.items.into_iter().map(|(item, _)| item).collect();
    let expected: Vec<_> = numbers.into_iter().map(DueItem::Order).collect();
    assert_eq!(found, expected);
    assert_eq!(page.unreadable, 33, "they are counted for a person to see");
}

/// `count` orders of one payer, two in each second, the newest last.
async fn of_payer(bench: &Bench, payer: &str, count: i64) -> Vec<OrderId> {
    let mut placed = Vec::new();
    for index in 0..count {
        let order = Order::placed(Terms {
            openid: Some(openid(payer)),
            created_at: NOW.plus_seconds(index / 2),
            ..terms(&format!("{payer}-{index:03}"))
        });
        bench.placed(&order).await;
        placed.push(order.terms.order_id);
    }
    placed
}

#[tokio::test]
async fn a_payers_orders_come_newest_first_page_by_page() {
    let bench = Bench::start().await;
    let placed = of_payer(&bench, "oAlice", 11).await;
    of_payer(&bench, "oBob", 3).await;
    bench
        .placed(&merchants("of-nobody", TradeType::Native))
        .await;
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = bench
            .payer_index()
            .page(&openid("oAlice"), after, 3)
            .await
            .unwrap();
        assert!(page.order_ids.len() <= 3);
        found.extend(page.order_ids);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found.len(), placed.len(), "none twice, none left out");
    let moment = |number: &OrderId| placed.iter().position(|id| id == number).unwrap() / 2;
    let moments: Vec<usize> = found.iter().map(moment).collect();
    assert!(
        moments.is_sorted_by(|newer, older| newer >= older),
        "{found:?}"
    );
    let mut numbers = found.clone();
    numbers.sort();
    assert_eq!(numbers, placed);
}

#[tokio::test]
async fn a_payer_sees_no_refund_and_no_order_of_another() {
    let bench = Bench::start().await;
    let order = bench.paid("payer-0001").await;
    assert_eq!(
        reserve(&bench, &refund("payer-r1", &order, 100)).await,
        Reserve::Done
    );
    let payer = order.terms.openid.clone().unwrap();
    let page = bench.payer_index().page(&payer, None, 20).await.unwrap();
    assert_eq!(page.order_ids, [order.terms.order_id]);
    let page = bench
        .payer_index()
        .page(&openid("oNobody"), None, 20)
        .await
        .unwrap();
    assert!(page.order_ids.is_empty() && page.next.is_none());
}

#[tokio::test]
async fn a_page_starts_where_it_is_told_also_where_nothing_is() {
    let bench = Bench::start().await;
    let placed = of_payer(&bench, "oAlice", 6).await;
    // Whoever makes a place up sees what comes after it, and nothing of others.
    of_payer(&bench, "oBob", 6).await;
    let after = Some((order_id("made-up-0001"), NOW.plus_seconds(1)));
    let page = bench
        .payer_index()
        .page(&openid("oAlice"), after, 20)
        .await
        .unwrap();
    for number in &page.order_ids {
        assert!(placed[..4].contains(number), "{number}");
    }
    assert!(
        placed[..2]
            .iter()
            .all(|number| page.order_ids.contains(number))
    );
    let before_all = Some((order_id("made-up-0001"), Timestamp::from_unix_seconds(0)));
    let page = bench
        .payer_index()
        .page(&openid("oAlice"), before_all, 20)
        .await;
    assert!(page.unwrap().order_ids.is_empty());
}

#[tokio::test]
async fn of_a_payers_recent_orders_the_newest_are_named() {
    let bench = Bench::start().await;
    for index in 0..4 {
        let placed = Order::placed(Terms {
            created_at: NOW.plus_seconds(index),
            ..terms(&format!("recent-{index:03}"))
        });
        bench.placed(&placed).await;
    }
    let openid = terms("recent-000").openid.unwrap();
    let recent = bench.payer_index().placed_since(&openid, NOW, 2).await;
    let newest = ["recent-003", "recent-002"].map(order_id);
    assert_eq!(
        recent.unwrap(),
        newest,
        "the newest of those after the moment"
    );
}

#[tokio::test]
async fn as_many_records_as_dynamodb_takes_are_read_with_one_call() {
    let bench = Bench::start().await;
    let placed = order("batch-0000");
    bench.placed(&placed).await;
    let numbers = (0..RECORDS_MAX).map(|index| order_id(&format!("batch-{index:04}")));
    let found = bench.batch_reader().orders(&Vec::from_iter(numbers)).await;
    assert_eq!(found.unwrap(), [placed]);
}
