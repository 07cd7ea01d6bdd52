//! What goes wrong between the store and the table: lost answers, late copies, conflicts, throttling.
//!
//! Every write of the store is one [`Write`], so that each law is checked of all of them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::domain::{OrderState, Refund};
use shared::store::{DueItem, StoreError};

use super::bench::{Bench, Call, Fate, cancelled, error};
use super::writes::Write;
use super::{INTERVAL, NOW, SLOT, changed, fen, order, order_id, payment, refund, soon};

/// The table before and after the write where nothing goes wrong.
async fn undisturbed(bench: &Bench, write: Write) -> (Vec<Value>, Vec<Value>) {
    write.prepare(bench).await;
    let before = bench.items().await;
    let outcome = write.make(bench, "attempt").await.unwrap();
    let done = ["New", "Done", "Reserved", "Claimed", "()"];
    assert!(done.contains(&outcome.as_str()), "{write:?}: {outcome}");
    let after = bench.items().await;
    assert_ne!(before, after, "{write:?} writes something");
    (before, after)
}

/// The table is well; others were in the way.
fn assert_contended(outcome: &Result<String, StoreError>) {
    assert!(
        matches!(outcome, Err(StoreError::Contended { .. })),
        "{outcome:?}"
    );
}

fn assert_unavailable(outcome: &Result<String, StoreError>, cause: &str) {
    assert!(
        matches!(outcome, Err(StoreError::Unavailable { cause: told, .. }) if told.contains(cause)),
        "{outcome:?}, not {cause:?}"
    );
}

/// The calls of an operation.
fn calls_of(calls: &[Call], operation: &str) -> Vec<Call> {
    let of = |call: &&Call| call.operation == operation;
    calls.iter().filter(of).cloned().collect()
}

#[tokio::test]
async fn an_answer_that_is_lost_once_leaves_the_write_made_once() {
    let bench = Bench::start().await;
    for write in Write::ALL {
        let (_, after) = undisturbed(&bench, write).await;
        for fate in [Fate::LoseAnswer, Fate::FailAfterwards] {
            write.prepare(&bench).await;
            bench.next(write.operation(), 1, fate.clone());
            let outcome = write.make(&bench, "attempt").await.unwrap();
            assert_eq!(
                outcome,
                write.told_after_a_lost_answer(),
                "{write:?}, {fate:?}"
            );
            assert_eq!(bench.items().await, after, "{write:?}, {fate:?}");
            let sent = calls_of(&bench.calls(), write.operation());
            assert_eq!(sent.len(), 2, "{write:?}: the SDK sent it again by itself");
            assert_eq!(sent[0].invocation, sent[1].invocation);
            assert_eq!(
                sent[0].request, sent[1].request,
                "{write:?}: with the same token, if it has one"
            );
        }
    }
}

#[tokio::test]
async fn an_answer_that_never_comes_is_no_refusal_and_a_repeat_finds_out() {
    let bench = Bench::start().await;
    for write in Write::ALL {
        let (_, after) = undisturbed(&bench, write).await;
        write.prepare(&bench).await;
        bench.next(write.operation(), 3, Fate::FailAfterwards);
        let outcome = write.make(&bench, "attempt").await;
        assert_unavailable(&outcome, "InternalServerError");
        assert_eq!(bench.items().await, after, "{write:?}");
        let later = write.make(&bench, "another attempt").await.unwrap();
        assert!(later.starts_with(write.told_later()), "{write:?}: {later}");
        assert_eq!(bench.items().await, after, "{write:?}");
    }
}

#[tokio::test]
async fn a_request_that_never_arrives_changes_nothing_and_a_repeat_is_made() {
    let bench = Bench::start().await;
    for write in Write::ALL {
        let (before, after) = undisturbed(&bench, write).await;
        write.prepare(&bench).await;
        bench.next(write.operation(), 3, Fate::LoseRequest);
        let outcome = write.make(&bench, "attempt").await;
        assert_unavailable(&outcome, "no connection");
        assert_eq!(bench.items().await, before, "{write:?}");
        let later = write.make(&bench, "attempt").await.unwrap();
        assert!(
            ["New", "Done", "Reserved", "Claimed", "()"].contains(&later.as_str()),
            "{write:?}: {later}"
        );
        assert_eq!(bench.items().await, after, "{write:?}");
    }
}

#[tokio::test]
async fn a_copy_that_arrives_late_changes_nothing() {
    let bench = Bench::start().await;
    for write in Write::ALL {
        write.prepare(&bench).await;
        write.make(&bench, "attempt").await.unwrap();
        let after = bench.items().await;
        for mut copy in calls_of(&bench.calls(), write.operation()) {
            // A transaction's token is forgotten after ten minutes: the conditions must hold alone.
            if let Some(request) = copy.request.as_object_mut() {
                request.remove("ClientRequestToken");
            }
            bench.repeat(&copy).await;
        }
        assert_eq!(bench.items().await, after, "{write:?}");
    }
}

#[tokio::test]
async fn a_write_that_is_throttled_is_sent_again_and_then_given_up() {
    let bench = Bench::start().await;
    for code in [
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
    ] {
        for write in [Write::Place, Write::Commit, Write::Reserve] {
            write.prepare(&bench).await;
            bench.next(write.operation(), 2, Fate::Answer(400, error(code)));
            write.make(&bench, "attempt").await.unwrap();
            assert_eq!(calls_of(&bench.calls(), write.operation()).len(), 3);
            write.prepare(&bench).await;
            let before = bench.items().await;
            bench.next(write.operation(), 100, Fate::Answer(400, error(code)));
            assert_unavailable(&write.make(&bench, "attempt").await, code);
            assert_eq!(calls_of(&bench.calls(), write.operation()).len(), 3);
            assert_eq!(bench.items().await, before);
        }
    }
}

#[tokio::test]
async fn what_no_repeat_mends_is_told_at_once() {
    let bench = Bench::start().await;
    for code in [
        "AccessDeniedException",
        "ResourceNotFoundException",
        "ValidationException",
    ] {
        for write in [Write::Place, Write::Commit, Write::Reserve] {
            write.prepare(&bench).await;
            bench.next(write.operation(), 100, Fate::Answer(400, error(code)));
            assert_unavailable(&write.make(&bench, "attempt").await, code);
            assert_eq!(
                calls_of(&bench.calls(), write.operation()).len(),
                1,
                "{code}"
            );
        }
    }
}

/// The writes that are transactions.
fn transactions() -> impl Iterator<Item = Write> {
    let all = Write::ALL.into_iter();
    all.filter(|write| write.operation() == "TransactWriteItems")
}

#[tokio::test]
async fn a_transaction_that_met_another_is_tried_again_as_a_new_one() {
    let bench = Bench::start().await;
    for code in [
        "TransactionConflict",
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
    ] {
        for write in transactions() {
            let (_, after) = undisturbed(&bench, write).await;
            write.prepare(&bench).await;
            let met = cancelled(&["None", code]);
            bench.next("TransactWriteItems", 3, Fate::Answer(400, met));
            let outcome = write.make(&bench, "attempt").await.unwrap();
            let made = ["Done", "Reserved", "Claimed"].contains(&outcome.as_str());
            assert!(made, "{write:?}: {outcome}");
            assert_eq!(bench.items().await, after, "{write:?}");
            let sent = calls_of(&bench.calls(), "TransactWriteItems");
            let mut tokens: Vec<&str> = sent
                .iter()
                .map(|call| call.request["ClientRequestToken"].as_str().unwrap())
                .collect();
            tokens.sort_unstable();
            tokens.dedup();
            assert_eq!(tokens.len(), 4, "each is a transaction of its own");
        }
    }
}

#[tokio::test]
async fn a_transaction_that_keeps_meeting_others_is_given_up_after_four_tries() {
    let bench = Bench::start().await;
    for write in transactions() {
        write.prepare(&bench).await;
        let before = bench.items().await;
        let met = cancelled(&["TransactionConflict", "None"]);
        bench.next("TransactWriteItems", 100, Fate::Answer(400, met));
        let began = Instant::now();
        let outcome = write.make(&bench, "attempt").await;
        assert_contended(&outcome);
        assert!(began.elapsed() < Duration::from_secs(2));
        assert_eq!(bench.calls().len(), 4, "{write:?}");
        assert_eq!(bench.items().await, before, "{write:?}");
    }
}

#[tokio::test]
async fn a_table_without_room_is_unavailable_whatever_else_a_transaction_met() {
    let bench = Bench::start().await;
    for code in ["ThrottlingError", "ProvisionedThroughputExceeded"] {
        Write::Reserve.prepare(&bench).await;
        let met = cancelled(&["TransactionConflict", code]);
        bench.next("TransactWriteItems", 100, Fate::Answer(400, met));
        assert_unavailable(&Write::Reserve.make(&bench, "attempt").await, code);
    }
}

#[tokio::test]
async fn a_cancellation_with_a_conflict_in_it_decides_nothing() {
    let bench = Bench::start().await;
    // While another transaction is half-way, one item can show its outcome and the next still be
    // held: a repeat of a refund would be told that nothing is left for it.
    for write in [Write::Reserve, Write::ReserveForLater, Write::Approve] {
        write.prepare(&bench).await;
        let half_way = cancelled(&["ConditionalCheckFailed", "TransactionConflict", "None"]);
        bench.next("TransactWriteItems", 1, Fate::Answer(400, half_way.clone()));
        let outcome = write.make(&bench, "attempt").await.unwrap();
        let made = ["Done", "Reserved", "Claimed"].contains(&outcome.as_str());
        assert!(made, "{write:?}: {outcome}");
        write.prepare(&bench).await;
        bench.next("TransactWriteItems", 100, Fate::Answer(400, half_way));
        assert_contended(&write.make(&bench, "attempt").await);
        assert_eq!(bench.calls().len(), 4);
    }
}

#[tokio::test]
async fn a_transaction_that_is_not_valid_is_not_tried_again() {
    let bench = Bench::start().await;
    for write in transactions() {
        write.prepare(&bench).await;
        let invalid = cancelled(&["ValidationError", "None"]);
        bench.next("TransactWriteItems", 100, Fate::Answer(400, invalid));
        let outcome = write.make(&bench, "attempt").await;
        assert_unavailable(&outcome, "ValidationError");
        assert_eq!(bench.calls().len(), 1, "{write:?}");
    }
}

#[tokio::test]
async fn a_cancellation_without_a_reason_is_not_taken_for_a_slot_that_is_taken() {
    let bench = Bench::start().await;
    Write::ClaimSend.prepare(&bench).await;
    let no_reason = cancelled(&["None", "None", "None"]);
    bench.next("TransactWriteItems", 100, Fate::Answer(400, no_reason));
    let outcome = Write::ClaimSend.make(&bench, "attempt").await;
    assert_unavailable(&outcome, "no known reason");
}

#[tokio::test]
async fn a_transaction_that_is_still_in_progress_is_waited_for() {
    let bench = Bench::start().await;
    for write in transactions() {
        let (_, after) = undisturbed(&bench, write).await;
        write.prepare(&bench).await;
        let busy = error("TransactionInProgressException");
        bench.next("TransactWriteItems", 2, Fate::Answer(400, busy));
        let outcome = write.make(&bench, "attempt").await.unwrap();
        let made = ["Done", "Reserved", "Claimed"].contains(&outcome.as_str());
        assert!(made, "{write:?}: {outcome}");
        let sent = bench.calls();
        assert_eq!(sent[0].request, sent[2].request, "the token stays");
        assert_eq!(bench.items().await, after, "{write:?}");
    }
}

#[tokio::test]
async fn a_single_write_that_met_a_transaction_is_tried_again() {
    let bench = Bench::start().await;
    for write in Write::ALL {
        if write.operation() == "TransactWriteItems" {
            continue;
        }
        let (before, after) = undisturbed(&bench, write).await;
        let met = || Fate::Answer(400, error("TransactionConflictException"));
        write.prepare(&bench).await;
        bench.next(write.operation(), 3, met());
        let outcome = write.make(&bench, "attempt").await.unwrap();
        assert!(
            ["New", "Done", "()"].contains(&outcome.as_str()),
            "{outcome}"
        );
        assert_eq!(bench.items().await, after, "{write:?}");
        write.prepare(&bench).await;
        bench.next(write.operation(), 100, met());
        let outcome = write.make(&bench, "attempt").await;
        assert_contended(&outcome);
        assert_eq!(bench.calls().len(), 4, "{write:?}");
        assert_eq!(bench.items().await, before, "{write:?}");
    }
}

#[tokio::test]
async fn a_table_that_hangs_is_given_up_in_time_for_a_notice() {
    let bench = Bench::start().await;
    let order = bench.paid("hanging-01").await;
    bench.next("GetItem", 100, Fate::Hang);
    let began = Instant::now();
    let error = bench
        .orders()
        .load(&order.terms.order_id)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("timeout"), "{error}");
    let took = began.elapsed();
    assert!(took < Duration::from_millis(3_900), "{took:?}");
    bench.next("GetItem", 1, Fate::Hang);
    let stored = bench.load(&order.terms.order_id).await;
    assert_eq!(stored.order, order, "one that hangs once is asked again");
}

#[tokio::test]
async fn reads_that_are_lost_are_made_again() {
    let bench = Bench::start().await;
    let order = bench.paid("reads-0001").await;
    let id = &order.terms.order_id;
    let openid = order.terms.openid.clone().unwrap();
    for fate in [
        Fate::LoseAnswer,
        Fate::Answer(500, error("InternalServerError")),
    ] {
        bench.next("GetItem", 2, fate.clone());
        assert_eq!(bench.load(id).await.order, order);
        bench.next("BatchGetItem", 2, fate.clone());
        let ids = [id.clone()];
        assert_eq!(bench.orders().load_many(&ids).await.unwrap().len(), 1);
        bench.next("Query", 2, fate.clone());
        assert_eq!(bench.refunds().of_order(id).await.unwrap(), []);
        bench.next("Query", 2, fate.clone());
        let page = bench.payer_index().page(&openid, None, 20).await.unwrap();
        assert_eq!(page.order_ids, ids);
    }
}

/// Lets BatchGetItem leave all but one key undone, `count` times; tells when it did.
fn part_only(bench: &Bench, count: usize) -> Arc<Mutex<Vec<Instant>>> {
    let times = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&times);
    bench.plan(move |call| {
        let mut told = told.lock().unwrap();
        if call.operation != "BatchGetItem" || told.len() == count {
            return Fate::Pass;
        }
        told.push(Instant::now());
        Fate::PartOnly
    });
    times
}

#[tokio::test]
async fn a_batch_that_is_answered_in_part_is_asked_for_the_rest() {
    let bench = Bench::start().await;
    let orders = bench.orders();
    let mut ids = Vec::new();
    for index in 0..5 {
        ids.push(bench.paid(&format!("part-{index:04}")).await.terms.order_id);
    }
    bench.calls();
    part_only(&bench, 2);
    let found = orders.load_many(&ids).await.unwrap();
    let found: Vec<_> = found
        .into_iter()
        .map(|order| order.terms.order_id)
        .collect();
    assert_eq!(found, ids, "whole, and in the order asked for");
    let asked: Vec<usize> = bench
        .calls()
        .iter()
        .map(|call| {
            let tables = call.request["RequestItems"].as_object().unwrap();
            let read = tables.values().next().unwrap();
            read["Keys"].as_array().unwrap().len()
        })
        .collect();
    assert_eq!(asked, [5, 4, 3]);
    // For ever in part: given up, never answered in part.
    part_only(&bench, 100);
    let error = orders.load_many(&ids[..1]).await;
    assert!(error.is_ok(), "one key is answered whole");
    let mut many = ids.clone();
    for index in 5..20 {
        many.push(bench.paid(&format!("part-{index:04}")).await.terms.order_id);
    }
    bench.calls();
    let times = part_only(&bench, 100);
    let error = orders.load_many(&many).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert_eq!(bench.calls().len(), 4);
    // Half of 50, 100 and 200 ms.
    let least = [25, 50, 100].map(Duration::from_millis);
    for (two, least) in times.lock().unwrap().windows(2).zip(least) {
        assert!(two[1] - two[0] >= least, "{two:?}");
    }
}

#[tokio::test]
async fn a_batch_of_which_nothing_is_left_is_not_asked_for_again() {
    let bench = Bench::start().await;
    let id = bench.paid("whole-0001").await.terms.order_id;
    bench.calls();
    let undone = json!({(bench.name.as_str()): {"Keys": []}});
    let nothing = json!({"Responses": {}, "UnprocessedKeys": undone});
    bench.next("BatchGetItem", 100, Fate::Answer(200, nothing));
    assert_eq!(bench.orders().load_many(&[id]).await.unwrap(), []);
    assert_eq!(bench.calls().len(), 1);
}

#[tokio::test]
async fn prices_that_come_in_part_are_asked_for_again() {
    let bench = Bench::start().await;
    for sku in ["coffee", "tea", "cake"] {
        bench
            .put(json!({
                "pk": {"S": format!("SKU#{sku}")}, "sk": {"S": "SKU"},
                "description": {"S": "-"}, "price_fen": {"N": "1"}, "on_sale": {"BOOL": true},
            }))
            .await;
    }
    part_only(&bench, 1);
    let articles = bench.catalogue().articles(&["coffee", "tea", "cake"]).await;
    assert_eq!(articles.unwrap().len(), 3, "none is taken for not on sale");
}

#[tokio::test]
async fn an_error_tells_the_code_and_nothing_of_the_request() {
    let bench = Bench::start().await;
    let order = order("silent-001");
    let refusal = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ValidationException",
        "message": format!("the value {} is odd", order.terms.openid.as_ref().unwrap().as_str()),
    });
    bench.next("PutItem", 1, Fate::Answer(400, refusal));
    let error = bench.orders().place(&order, "attempt", None, None).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "the table did not complete PutItem order: ValidationException"
    );
}

#[tokio::test]
async fn a_reservation_that_was_given_up_is_found_by_its_number() {
    let bench = Bench::start().await;
    let order = bench.paid("given-up-1").await;
    let refunds = bench.refunds();
    let asked = refund("given-up-r1", &order, 600);
    bench.next("TransactWriteItems", 3, Fate::LoseAnswer);
    let reserved = refunds.reserve(&asked, NOW, SLOT, soon()).await;
    assert!(matches!(reserved, Err(StoreError::Unavailable { .. })));
    let stored = refunds.load(&order.terms.order_id, &asked.refund_id).await;
    let stored = stored.unwrap().unwrap();
    let sent = Refund {
        sent_at: Some(NOW),
        ..asked.clone()
    };
    assert_eq!(stored.refund, sent);
    let payment = changed(
        &order,
        OrderState::Success(shared::domain::Payment {
            refundable: 0,
            refund_count: 1,
            next_refund_at: Some(NOW.plus_seconds(INTERVAL + 1)),
            ..payment(&order)
        }),
    );
    assert_eq!(bench.load(&order.terms.order_id).await.order, payment);
    let due = bench.due_index();
    let mut found = Vec::new();
    for shard in 0..shared::store::SHARDS {
        found.extend(due.due(shard, soon().at, 25).await.unwrap().items);
    }
    let item = DueItem::Refund(order_id("given-up-1"), asked.refund_id.clone());
    assert_eq!(found, [(item, soon().at)], "the sweep sends it");
    assert_eq!(asked.amount, fen(600));
}
