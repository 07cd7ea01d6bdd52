//! The stream: every change with what was before and after, and a version that tells what is news.

use std::time::Duration;

use serde_json::{Value, json};
use shared::domain::RefundState;
use shared::domain::refund::RefundableChange;
use shared::store::{RefundCommit, Reserve, SendSlot, StoredRecord};

use super::bench::Bench;
use super::{INTERVAL, NOW, order, paid, refund, reported, soon};

/// How long a record is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// The stream's records so far.
async fn records(bench: &Bench) -> Vec<Value> {
    let table = bench.raw("DescribeTable", json!({"TableName": bench.name}));
    let stream = table.await["Table"]["LatestStreamArn"].clone();
    let described = bench.raw("DescribeStream", json!({"StreamArn": stream}));
    let shards = described.await["StreamDescription"]["Shards"].clone();
    let mut found = Vec::new();
    for shard in shards.as_array().unwrap() {
        let request = json!({
            "StreamArn": stream, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON",
        });
        let mut iterator = bench.raw("GetShardIterator", request).await["ShardIterator"].clone();
        while iterator.is_string() {
            let page = bench.raw("GetRecords", json!({"ShardIterator": iterator}));
            let page = page.await;
            let records = page["Records"].as_array().unwrap();
            if records.is_empty() {
                break;
            }
            found.extend(records.iter().cloned());
            iterator = page["NextShardIterator"].clone();
        }
    }
    found
}

/// The versions before and after that each record of one item tells, and whether they are news.
async fn versions(bench: &Bench, sort: &str, last: i64) -> Vec<(Option<i64>, i64)> {
    let version = |image: &Value| image["version"]["N"].as_str()?.parse::<i64>().ok();
    let mut told = Vec::new();
    for _ in 0..PATIENCE.as_millis() / 100 {
        told = records(bench)
            .await
            .into_iter()
            .map(|record| record["dynamodb"].clone())
            .filter(|change| change["Keys"]["sk"]["S"] == sort)
            .map(|change| {
                let after = version(&change["NewImage"]).unwrap();
                (version(&change["OldImage"]), after)
            })
            .collect();
        if told.last().is_some_and(|(_, after)| *after == last) {
            return told;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("version {last} of {sort} did not come: {told:?}");
}

#[tokio::test]
async fn only_what_is_news_raises_the_version_in_the_stream() {
    let bench = Bench::start().await;
    let (orders, refunds) = (bench.orders(), bench.refunds());
    let read = order("stream-001");
    let id = &read.terms.order_id;
    bench.placed(&read).await;
    orders.claim_asking(id, NOW, 2).await.unwrap();
    orders.postpone(&read, Some(soon())).await.unwrap();
    let paid = paid(&read);
    orders.commit(&read, &paid, None).await.unwrap();
    let refund = refund("stream-r1", &paid, 200);
    let reserved = refunds.reserve(&refund, NOW, SendSlot::Later, soon()).await;
    assert_eq!(reserved.unwrap(), Reserve::Done);
    refunds.claim_asking(&refund, NOW, 2).await.unwrap();
    refunds.claim_send(&refund, NOW, INTERVAL).await.unwrap();
    let closed = reported(&refund, RefundState::Closed);
    let released = refunds.commit(
        &refund,
        &closed,
        RefundableChange::Released(refund.amount),
        None,
    );
    assert_eq!(released.await.unwrap(), RefundCommit::Done);
    let order = versions(&bench, "ORDER", 4).await;
    assert_eq!(
        order,
        [
            (None, 1),
            (Some(1), 1),
            (Some(1), 1),
            (Some(1), 2),
            (Some(2), 3),
            (Some(3), 3),
            (Some(3), 4),
        ],
        "placed, asked about, postponed, paid, reserved from, its slot claimed, given back to"
    );
    let refund = versions(&bench, "REFUND#stream-r1", 2).await;
    assert_eq!(
        refund,
        [(None, 1), (Some(1), 1), (Some(1), 1), (Some(1), 2)]
    );
}

#[tokio::test]
async fn what_another_version_keeps_beside_an_order_has_no_events() {
    let bench = Bench::start().await;
    let order = bench.paid("stream-002").await;
    bench
        .put(json!({
            "pk": {"S": "ORDER#stream-002"}, "sk": {"S": "PAYOUT#1"}, "version": {"N": "1"},
        }))
        .await;
    let records = bench.order_records().of_order(&order.terms.order_id).await;
    let records = records.unwrap();
    assert!(
        matches!(&records[..], [Ok(StoredRecord::Order(_))]),
        "{records:?}"
    );
}
