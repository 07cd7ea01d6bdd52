//! How long a stranger's refund takes beside the unpaid orders of one payer: in exact time, since only
//! what waits for something lets the clock go on.

use std::future::pending;

use local::template::physical;
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use super::in_a_world;
use crate::fault::Place;
use crate::process::Answer;
use crate::world::{ALICE, MERCHANT_KEY, World};

/// How many unpaid orders of one payer are due at once.
const FLOOD: u32 = 1_500;

/// Longer than any of this takes.
const PATIENCE_MS: i64 = 300_000;

/// How long refunds took, in milliseconds of the world's clock.
#[derive(Debug)]
struct Took {
    /// One that waited for its order's minute, from when the sweep began.
    by_the_sweep: i64,
    /// One that was asked for while the sweep was at work, until it was answered.
    when_asked_for: i64,
}

#[test]
fn a_strangers_refund_takes_no_longer_beside_1500_unpaid_orders_of_one_payer() {
    let (alone, beside) = (refunds_beside(0), refunds_beside(FLOOD));
    assert!(alone.by_the_sweep > 0 && alone.when_asked_for > 0);
    assert!(
        beside.by_the_sweep <= 2 * alone.by_the_sweep
            && beside.when_asked_for <= 2 * alone.when_asked_for,
        "{beside:?} beside them, {alone:?} without"
    );
}

fn refunds_beside(flood: u32) -> Took {
    in_a_world(async |world| {
        world.weather.begin_step(0);
        for number in ["stranger-1", "stranger-2"] {
            paid(world, number).await;
        }
        refund(world, "stranger-1", "stranger-1-r1").await;
        // Within a minute of the other, so that the sweep sends it.
        let later = refund(world, "stranger-1", "stranger-1-r2").await;
        assert_eq!(later.body["status"], "RESERVED", "{later:?}");
        for at in 0..flood {
            unpaid(world, at);
        }
        sleep(Duration::from_secs(90)).await;
        let took = tokio::select! {
            took = strangers(world) => took,
            () = sweep(world) => unreachable!("it does not end"),
        };
        assert_eq!(world.weather.first_broken(), None);
        took
    })
}

/// Sweeps once, and never says so.
async fn sweep(world: &World) {
    let event = json!({"source": "aws.scheduler"});
    let swept = world
        .processes
        .invoke("SweepFunction", Place::Scheduled, event)
        .await;
    swept.unwrap();
    pending::<()>().await;
}

async fn strangers(world: &World) -> Took {
    let began = world.weather.elapsed_ms();
    let since = || world.weather.elapsed_ms() - began;
    while !at_wechat_pay(world, "stranger-1-r2") {
        assert!(since() < PATIENCE_MS, "it was never sent");
        sleep(Duration::from_millis(1)).await;
    }
    let by_the_sweep = since();
    let asked = refund(world, "stranger-2", "stranger-2-r1").await;
    assert_eq!(asked.body["status"], "PROCESSING", "{asked:?}");
    Took {
        by_the_sweep,
        when_asked_for: since() - by_the_sweep,
    }
}

fn at_wechat_pay(world: &World, number: &str) -> bool {
    let ledger = world.ledger();
    ledger.iter().any(|row| row["out_refund_no"] == number)
}

async fn post(world: &World, path: &str, body: Value) -> Answer {
    let bearer = format!("Bearer {MERCHANT_KEY}");
    let headers = [("authorization", bearer.as_str())];
    let body = body.to_string().into_bytes();
    world.processes.call("POST", path, &headers, &body).await
}

async fn refund(world: &World, number: &str, refund_number: &str) -> Answer {
    let body = json!({"out_refund_no": refund_number, "amount": {"refund": 100}});
    let asked = post(world, &format!("/orders/{number}/refunds"), body).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    asked
}

/// An order that somebody else has paid, as its notification told.
async fn paid(world: &World, number: &str) {
    let body = json!({
        "trade_type": "native", "out_trade_no": number, "description": "Tea",
        "amount": {"total": 500},
    });
    let placed = post(world, "/orders", body).await;
    assert_eq!(placed.status, 201, "{placed:?}");
    let code = json!({"code_url": placed.body["pay"]["code_url"]});
    let (status, told) = world.control(&format!("orders/{number}/pay"), code).await;
    assert_eq!(status, 200, "{told}");
    sleep(Duration::from_secs(10)).await;
}

/// An order of the one payer's in the table, never paid and long due.
fn unpaid(world: &World, at: u32) {
    let now = world.now().to_string();
    let number = format!("flood-{at:04}");
    let item = json!({
        "TableName": physical("Table"),
        "Item": {
            "pk": {"S": format!("ORDER#{number}")}, "sk": {"S": "ORDER"}, "out_trade_no": {"S": number},
            "attempt": {"S": "flood"}, "placed_by": {"S": "payer"}, "created_at": {"N": now},
            "trade_type": {"S": "jsapi"}, "wire_version": {"N": "1"},
            "appid": {"S": "wxd678efh567hg6787"}, "mchid": {"S": world.merchant_number()},
            "description": {"S": "Tea"}, "total": {"N": "100"},
            "time_expire": {"N": (world.now() + 1_800).to_string()},
            "notify_url": {"S": "https://proof.test/wechatpay/notify"},
            "openid": {"S": ALICE}, "trade_state": {"S": "NOTPAY"}, "version": {"N": "1"},
            "due_shard": {"S": (at % 10).to_string()}, "due_at": {"N": "1"},
        },
    });
    let put = world
        .aws
        .table
        .put_item(serde_json::from_value(item).unwrap());
    put.unwrap();
}
