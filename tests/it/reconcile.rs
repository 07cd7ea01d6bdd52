//! Yesterday's bills against the record: agreement, each difference, each trouble with a bill.

mod elsewhere;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use local::aws::{Fault, FaultHook};
use serde_json::{Value, json};

use crate::harness::{ALICE, TestStack, native_order};
use crate::published::schemas;

/// The statuses of paid orders are in the table, not only at WeChat Pay.
async fn known_as(stack: &TestStack, number: &str, state: &str) {
    let look = async || stack.order_item(number)["trade_state"]["S"].clone();
    stack.until(look, |seen| seen == state).await;
}

async fn paid_and_known(stack: &TestStack, number: &str, total: i64) {
    stack.native(number, total).await;
    stack.pay(number).await;
    known_as(stack, number, "SUCCESS").await;
}

async fn done(stack: &TestStack, date: &str, differences: u64) {
    let outcome = stack.reconcile(date).await.unwrap();
    let expected = json!({"date": date, "status": "done", "differences": differences});
    assert_eq!(outcome, expected, "{:#?}", stack.logged());
}

#[tokio::test]
async fn a_day_that_agrees_is_done_once_and_told_in_three_ways() {
    let stack = TestStack::start().await;
    let date = stack.new_day().await;
    paid_and_known(&stack, "agree-0001", 1_200).await;
    paid_and_known(&stack, "agree-0002", 34).await;
    stack.native("agree-0003", 77).await;
    stack
        .refund("agree-0001", "agree-r1", 200)
        .await
        .expect(202);
    stack
        .until_refund("agree-0001", "agree-r1", "SUCCESS")
        .await;
    // Not before ten: the next run asks again.
    stack.next_day_at(9 * 3_600).await;
    let run = async || {
        stack
            .stack
            .run_scheduled("ReconcileFunction")
            .await
            .unwrap()
    };
    let early = run().await;
    assert_eq!(
        (&early["date"], &early["status"]),
        (&json!(date), &json!("waiting"))
    );
    assert_eq!(stack.report_file(&date, "done.json"), None);
    stack.advance(3_600 + 900).await;
    let first = run().await;
    assert_eq!(
        first,
        json!({"date": date, "status": "done", "differences": 0})
    );
    let report = stack.report(&date);
    assert_eq!(report["trade_bill"]["total"], 1_234);
    assert_eq!(report["trade_bill"]["refunded"], 200);
    assert_eq!(report["fund_flow_bill"]["sum_in"], 1_234);
    assert_eq!(report["fund_flow_bill"]["sum_out"], 200);
    assert_eq!(report["on_record"], json!({"payments": 2, "refunds": 1}));
    assert_eq!(report["difference_count"], 0);
    assert_eq!(report["hours"].as_array().unwrap().len(), 24);
    let page = stack.report_file(&date, "report.html").unwrap();
    assert!(
        page.contains("The books agree.") && page.contains("<svg"),
        "{page}"
    );
    let csv = stack.report_file(&date, "report.csv").unwrap();
    assert_eq!(csv.lines().count(), 1);
    // A run that finds the day done asks nobody; a named day is reconciled again.
    let asked = stack.wire.requests().len();
    let again = run().await;
    assert_eq!(again, json!({"date": date, "status": "already_done"}));
    assert_eq!(stack.wire.requests().len(), asked);
    done(&stack, &date, 0).await;
    for wrong in [json!("2026-13-01"), json!(7), json!(stack.today())] {
        let event = json!({"date": wrong});
        let refused = stack.stack.invoke("ReconcileFunction", event).await;
        assert!(refused.is_err(), "{wrong}: {refused:?}");
    }
}

/// A day that came to no end is not forgotten when the next one is over, and days before a stack's first are none.
#[tokio::test]
async fn a_day_that_was_left_is_caught_up_when_the_later_ones_are_done() {
    let stack = TestStack::start().await;
    let run = async || {
        stack
            .stack
            .run_scheduled("ReconcileFunction")
            .await
            .unwrap()
    };
    let first = stack.new_day().await;
    stack.next_morning().await;
    assert_eq!(run().await["date"], json!(first));
    let left = stack.today();
    stack.paid("left-0001", 500).await;
    stack.next_morning().await;
    let later = stack.today();
    // All day the bill is late.
    stack.fault("bill_late", json!({})).await;
    assert_eq!(run().await["status"], "waiting");
    stack.no_faults().await;
    stack.next_morning().await;
    let mut ended = Vec::new();
    for _ in 0..3 {
        let outcome = run().await;
        ended.push((outcome["date"].clone(), outcome["status"].clone()));
    }
    let day = |date: &str, status: &str| (json!(date), json!(status));
    assert_eq!(
        ended,
        [
            day(&later, "done"),
            day(&left, "done"),
            day(&later, "already_done")
        ]
    );
    assert!(stack.report_file(&left, "done.json").is_some());
}

#[tokio::test]
async fn a_quiet_day_is_done_without_a_bill() {
    let stack = TestStack::start().await;
    let date = stack.new_day().await;
    stack.native("quiet-0001", 100).await;
    stack.next_morning().await;
    done(&stack, &date, 0).await;
    let report = stack.report(&date);
    assert_eq!(report["trade_bill"], Value::Null);
    assert_eq!(report["fund_flow_bill"], Value::Null);
}

#[tokio::test]
async fn what_the_bill_proves_paid_is_settled_through_a_query() {
    let stack = TestStack::start().await;
    let date = stack.new_day().await;
    stack.fault("notice_lost", json!({})).await;
    for (number, total) in [("lost-0001", 500), ("lost-0002", 600)] {
        stack.native(number, total).await;
        stack.pay(number).await;
    }
    // One is refunded, and nobody tells of that either: WeChat Pay took it, and its answer was lost.
    stack.until_state("lost-0002", "SUCCESS").await;
    stack
        .fault("response_lost", json!({"operation": "refund", "count": 1}))
        .await;
    stack.refund("lost-0002", "lost-r1", 600).await.expect(202);
    stack.next_morning().await;
    assert_eq!(stack.order_item("lost-0001")["trade_state"]["S"], "NOTPAY");
    let before = stack.wire.requests().len();
    done(&stack, &date, 2).await;
    let found =
        |kind: &str, refund: Value, settled: &str| vec![(kind.to_owned(), refund, json!(settled))];
    assert_eq!(
        stack.findings(&date, "lost-0001"),
        found("in_bill_unpaid_here", Value::Null, "SUCCESS")
    );
    assert_eq!(
        stack.findings(&date, "lost-0002"),
        found("refund_in_bill_not_here", json!("lost-r1"), "SUCCESS")
    );
    let asked = stack.wire.requests().split_off(before);
    let paths: Vec<&str> = asked.iter().map(|asked| asked.target.as_str()).collect();
    for path in ["out-trade-no/lost-0001", "refunds/lost-r1"] {
        assert!(paths.iter().any(|asked| asked.contains(path)), "{paths:?}");
    }
    known_as(&stack, "lost-0001", "SUCCESS").await;
    // The file alone settles nothing: while no answer comes, the day is not done.
    let date = stack.new_day().await;
    stack.native("lost-0003", 500).await;
    stack.pay("lost-0003").await;
    stack.next_morning().await;
    let unanswered = json!({"operation": "query"});
    stack.fault("server_error", unanswered).await;
    let refused = stack.reconcile(&date).await;
    assert!(refused.is_ok_and(|outcome| outcome["status"] == "waiting"));
    assert_eq!(stack.order_item("lost-0003")["trade_state"]["S"], "NOTPAY");
    assert_eq!(stack.report_file(&date, "done.json"), None);
    let found = stack.findings(&date, "lost-0003");
    assert_eq!(found[0].2, Value::Null, "told, and not settled");
    stack.no_faults().await;
    done(&stack, &date, 1).await;
    known_as(&stack, "lost-0003", "SUCCESS").await;
}

/// What was told of days since the start, oldest first.
fn told(stack: &TestStack) -> Vec<Value> {
    let mut events = stack.stack.aws.events().all();
    events.retain(|event| event["source"] == "wxpay");
    events
}

fn ids(events: &[Value]) -> Vec<&str> {
    let ids = events.iter().map(|event| event["detail"]["id"].as_str());
    ids.map(Option::unwrap).collect()
}

/// What goes wrong with every so many calls to the bus.
fn bus_trouble(stack: &TestStack, fault: impl Fn(u32) -> Option<Fault> + Send + Sync + 'static) {
    let calls = AtomicU32::new(0);
    let hook: FaultHook = Arc::new(move |call| {
        let puts = call.operation == "PutEvents" && call.caller == "ReconcileFunction";
        puts.then(|| calls.fetch_add(1, Ordering::Relaxed))
            .and_then(&fault)
    });
    stack.watch.set_fault(Some(hook));
}

#[tokio::test]
async fn what_differs_is_told_before_it_is_settled_and_a_bus_that_is_down_loses_nothing() {
    let stack = TestStack::start().await;
    let date = stack.new_day().await;
    // More than one call to the bus takes.
    stack.fault("notice_lost", json!({})).await;
    let numbers: Vec<String> = (0..13).map(|index| format!("untold-{index:04}")).collect();
    for number in &numbers {
        stack.native(number, 500).await;
        stack.pay(number).await;
    }
    stack.next_morning().await;
    let run = async || stack.stack.run_scheduled("ReconcileFunction").await;
    // For an hour the bus is down: each run fails, and settles nothing that a later one could not find.
    bus_trouble(&stack, |_| Some(Fault::Fail));
    for _ in 0..2 {
        let failed = run().await;
        assert!(failed.is_err(), "{failed:?}");
        stack.advance(30 * 60).await;
    }
    assert_eq!(told(&stack), Vec::<Value>::new());
    assert_eq!(stack.order_item(&numbers[0])["trade_state"]["S"], "NOTPAY");
    assert_eq!(stack.report_file(&date, "done.json"), None);
    let lines = stack.log_lines();
    let said = lines.iter().filter(|line| {
        let error = line["error"].as_str().unwrap_or_default();
        line["message"] == "not reconciled" && error.contains("the bus did not take the events")
    });
    assert_eq!(said.count(), 2, "{:#?}", stack.logged());
    // Then it leaves some behind; and at the end it takes what it does not acknowledge.
    let last = numbers.len() as u32 / 10 + 2;
    bus_trouble(&stack, move |call| match call {
        0 => Some(Fault::LeaveSome),
        call if call >= last => Some(Fault::Fail),
        _ => None,
    });
    let failed = run().await;
    assert!(
        failed.is_err(),
        "the day is not told to be done: {failed:?}"
    );
    let wanted: BTreeSet<String> = numbers
        .iter()
        .map(|number| format!("reconcile:{date}:in_bill_unpaid_here:{number}"))
        .collect();
    let heard = told(&stack);
    let heard: BTreeSet<String> = ids(&heard).into_iter().map(str::to_owned).collect();
    assert_eq!(
        heard, wanted,
        "what is settled now is found by no later run"
    );
    assert_eq!(stack.report_file(&date, "done.json"), None);
    known_as(&stack, &numbers[0], "SUCCESS").await;
    stack.watch.set_fault(None);
    let before = told(&stack).len();
    let outcome = run().await.unwrap();
    assert_eq!(
        outcome,
        json!({"date": date, "status": "done", "differences": 0})
    );
    let done = told(&stack).split_off(before);
    assert_eq!(ids(&done), [format!("reconcile:{date}:done")]);
    // A second run of the day tells what it finds again, by the same ids.
    let mut planted = Planted::in_the_table_of(&stack);
    planted.change(stack.order_item(&numbers[0]), "total", json!({"N": "501"}));
    let mut runs = Vec::new();
    for _ in 0..2 {
        let before = told(&stack).len();
        assert_eq!(stack.reconcile(&date).await.unwrap()["differences"], 1);
        let events = told(&stack).split_off(before);
        runs.push(
            ids(&events)
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        );
    }
    let amount = format!("reconcile:{date}:amount_differs:{}", numbers[0]);
    assert_eq!(runs[0], [amount, format!("reconcile:{date}:done")]);
    assert_eq!(runs[0], runs[1]);
    planted.undo();
    schemas::check(&told(&stack));
}

/// A stand-in for what somebody did to the table: an item as it was, and as it is now.
struct Planted<'a> {
    stack: &'a TestStack,
    before: Vec<Value>,
    added: Vec<Value>,
}

impl<'a> Planted<'a> {
    const fn in_the_table_of(stack: &'a TestStack) -> Self {
        Self {
            stack,
            before: Vec::new(),
            added: Vec::new(),
        }
    }

    /// Changes an item.
    fn change(&mut self, item: Value, attribute: &str, value: Value) {
        let mut changed = item.clone();
        assert_ne!(changed[attribute], Value::Null, "{item}");
        changed[attribute] = value;
        self.stack.put_item(&changed);
        self.before.push(item);
    }

    /// Takes an item away.
    fn take(&mut self, item: Value) {
        self.stack.take_item(&item);
        self.before.push(item);
    }

    /// Adds an item.
    fn add(&mut self, item: Value) {
        self.stack.put_item(&item);
        self.added.push(item);
    }

    /// Leaves the table as it was.
    fn undo(self) {
        for item in &self.added {
            self.stack.take_item(item);
        }
        for item in &self.before {
            self.stack.put_item(item);
        }
    }
}

#[tokio::test]
async fn a_planted_difference_of_each_kind_is_found_and_named() {
    let stack = TestStack::start().await;
    let date = stack.new_day().await;
    for number in ["gone-0001", "amount-0001", "number-0001", "mchid-0001"] {
        paid_and_known(&stack, number, 500).await;
    }
    for refund in ["gone-r1", "amount-r1", "kept-r1"] {
        let order = format!("refund-{refund}");
        paid_and_known(&stack, &order, 500).await;
        stack.refund(&order, refund, 300).await.expect(202);
        stack.until_refund(&order, refund, "SUCCESS").await;
    }
    stack.fault("notice_lost", json!({})).await;
    stack.native("unpaid-0001", 500).await;
    stack.pay("unpaid-0001").await;
    // The last payment of the day, which the bill will lack: both bills then tell of it differently.
    stack.paid("lacking-0001", 700).await;
    stack.next_morning().await;

    let mut planted = Planted::in_the_table_of(&stack);
    planted.take(stack.order_item("gone-0001"));
    planted.change(
        stack.order_item("amount-0001"),
        "total",
        json!({"N": "501"}),
    );
    planted.change(
        stack.order_item("number-0001"),
        "transaction_id",
        json!({"S": "4200000000000000000000000000"}),
    );
    let mchid = json!({"S": "1900000000"});
    planted.change(stack.order_item("mchid-0001"), "mchid", mchid);
    let refund = |number: &str| {
        stack.item(
            &format!("ORDER#refund-{number}"),
            &format!("REFUND#{number}"),
        )
    };
    planted.take(refund("gone-r1"));
    planted.change(refund("amount-r1"), "refund", json!({"N": "299"}));
    let mut never = refund("kept-r1");
    never["sk"] = json!({"S": "REFUND#never-r1"});
    never["out_refund_no"] = json!({"S": "never-r1"});
    planted.add(never);
    stack
        .fault(
            "bill_lacks_payment",
            json!({"operation": "trade_bill", "count": 1}),
        )
        .await;

    done(&stack, &date, 10).await;
    let none = Value::Null;
    for (number, kind, refund) in [
        ("gone-0001", "in_bill_not_here", none.clone()),
        ("unpaid-0001", "in_bill_unpaid_here", none.clone()),
        ("amount-0001", "amount_differs", none.clone()),
        ("number-0001", "transaction_id_differs", none.clone()),
        ("mchid-0001", "merchant_differs", none.clone()),
        (
            "refund-gone-r1",
            "refund_in_bill_not_here",
            json!("gone-r1"),
        ),
        (
            "refund-amount-r1",
            "refund_amount_differs",
            json!("amount-r1"),
        ),
        (
            "refund-kept-r1",
            "refund_here_not_in_bill",
            json!("never-r1"),
        ),
    ] {
        let found = stack.findings(&date, number);
        let found: Vec<_> = found
            .iter()
            .map(|found| (found.0.as_str(), &found.1))
            .collect();
        assert_eq!(found, [(kind, &refund)], "{number}");
    }
    let lacking = stack.findings(&date, "lacking-0001");
    let mut lacking: Vec<_> = lacking.iter().map(|found| found.0.as_str()).collect();
    lacking.sort_unstable();
    assert_eq!(lacking, ["fund_flow_differs", "paid_here_not_in_bill"]);
    let report = stack.report(&date);
    let counts = report["counts"].as_object().unwrap();
    assert!(
        counts.values().all(|count| count.as_u64() >= Some(1)),
        "{counts:?}"
    );
    assert_eq!(counts.len(), 10);
    // Each finding is told, too.
    let events = told(&stack);
    schemas::check(&events);
    let kinds: BTreeSet<&str> = events
        .iter()
        .filter_map(|event| event["detail"]["kind"].as_str())
        .collect();
    assert_eq!(kinds, counts.keys().map(String::as_str).collect());
    let unique: BTreeSet<&str> = ids(&events).into_iter().collect();
    assert_eq!(unique.len(), 10 + 1, "{events:#?}");
    let csv = stack.report_file(&date, "report.csv").unwrap();
    let page = stack.report_file(&date, "report.html").unwrap();
    for kind in counts.keys() {
        assert!(csv.contains(kind) && page.contains(kind), "{kind}");
    }
    planted.undo();
    // What was settled meanwhile stays so, and nothing else was changed by what a file says.
    done(&stack, &date, 0).await;
}

#[tokio::test]
async fn what_happens_around_midnight_is_looked_for_in_both_bills_and_told_once() {
    let stack = TestStack::start().await;
    let first = stack.new_day().await;
    // Nine minutes before midnight by WeChat Pay's clock.
    let now = stack.stack.clock().business();
    let midnight = shared::domain::BeijingDay::of(now).ends_at();
    let before = midnight.minus_seconds(9 * 60).seconds_since(now);
    stack.advance(before).await;
    paid_and_known(&stack, "midnight-01", 900).await;
    stack.next_morning().await;
    let second = stack.today();
    paid_and_known(&stack, "midnight-02", 800).await;
    done(&stack, &first, 0).await;
    assert_eq!(stack.report(&first)["on_record"]["payments"], 0);
    stack.next_morning().await;
    done(&stack, &second, 0).await;
    assert_eq!(stack.report(&second)["on_record"]["payments"], 2);
    // Where the bill of neither day has it, it is missing with the second.
    let mut planted = Planted::in_the_table_of(&stack);
    let mut ghost = stack.order_item("midnight-01");
    ghost["pk"] = json!({"S": "ORDER#midnight-03"});
    ghost["out_trade_no"] = json!({"S": "midnight-03"});
    planted.add(ghost);
    done(&stack, &first, 0).await;
    done(&stack, &second, 1).await;
    let found = stack.findings(&second, "midnight-03");
    assert_eq!(found[0].0, "paid_here_not_in_bill");
    planted.undo();
}

#[tokio::test]
async fn payments_of_other_systems_are_counted_where_the_merchant_number_is_shared() {
    let mut stack = TestStack::start().await;
    let date = stack.new_day().await;
    for number in ["before-01", "other-0001", "other-0002"] {
        paid_and_known(&stack, number, 500).await;
    }
    stack
        .refund("other-0001", "other-r1", 300)
        .await
        .expect(202);
    stack
        .until_refund("other-0001", "other-r1", "SUCCESS")
        .await;
    for (name, value) in [
        ("MerchantNumberShared", "true"),
        ("OrderNumberPrefix", "T1-"),
    ] {
        stack
            .options
            .parameters
            .insert(name.to_owned(), value.to_owned());
    }
    let stack = stack.restarted().await;
    // Its own numbers all begin so.
    let another = native_order("other-0003", 100);
    let refused = stack.post(&stack.merchant, "/orders", another).await;
    let refused = refused.refused(422, "invalid_value");
    assert_eq!(refused["field"], "out_trade_no");
    for number in ["T1-0000001", "T1-0000002"] {
        paid_and_known(&stack, number, 700).await;
    }
    stack.next_morning().await;
    // What stands in for other systems has never been on record here.
    let mut planted = Planted::in_the_table_of(&stack);
    planted.take(stack.item("ORDER#other-0001", "REFUND#other-r1"));
    for number in ["other-0001", "other-0002", "T1-0000002"] {
        planted.take(stack.order_item(number));
    }
    // Of its own and of what it placed before, every difference is one as ever.
    let total = json!({"N": "501"});
    planted.change(stack.order_item("before-01"), "total", total);
    done(&stack, &date, 2).await;
    let kind = |number: &str| stack.findings(&date, number)[0].0.clone();
    assert_eq!(kind("T1-0000002"), "in_bill_not_here");
    assert_eq!(kind("before-01"), "amount_differs");
    let report = stack.report(&date);
    assert_eq!(report["of_others"], json!({"payments": 2, "refunds": 1}));
    assert_eq!(report["trade_bill"]["payments"], 5);
    let page = stack.report_file(&date, "report.html").unwrap();
    assert!(page.contains("Of other systems"), "{page}");
    planted.undo();
    let undone = stack.reconcile(&date).await.unwrap();
    assert_eq!(undone["differences"], 0);
    assert_eq!(stack.report(&date)["of_others"]["payments"], 0);
}

#[tokio::test]
async fn a_refund_that_is_approved_late_is_looked_for_too() {
    let stack = TestStack::start().await;
    let asked_on = stack.new_day().await;
    let alice = stack.login(ALICE).await;
    let body = json!({"trade_type": "jsapi", "items": [{"sku": "tea", "quantity": 1}]});
    let placed = stack.post_once(&alice, "/orders", "key-0000000000001", body);
    let placed = placed.await.expect(201);
    let number = placed["out_trade_no"].as_str().unwrap();
    stack.pay(number).await;
    known_as(&stack, number, "SUCCESS").await;
    let asked = stack
        .asked_back(&alice, number, "ask-000000000001", 10)
        .await;
    let refund = asked["out_refund_no"].as_str().unwrap();
    // Forty days later somebody sees it.
    stack.advance(40 * 24 * 60 * 60).await;
    let date = stack.new_day().await;
    let approve = format!("/orders/{number}/refunds/{refund}/approve");
    stack
        .post(&stack.merchant, &approve, json!({}))
        .await
        .expect(202);
    stack.until_refund(number, refund, "SUCCESS").await;
    // It stays in the list of the day on which it was asked for.
    let list = format!("/refunds?date={asked_on}");
    let listed = stack.get(&stack.merchant, &list).await.expect(200);
    assert_eq!(listed["items"][0]["out_refund_no"], refund);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    stack.next_morning().await;
    done(&stack, &date, 0).await;
    assert_eq!(stack.report(&date)["on_record"]["refunds"], 1);
    // One that WeChat Pay is said to have taken with it is missing in its bill.
    let mut planted = Planted::in_the_table_of(&stack);
    let mut never = stack.item(&format!("ORDER#{number}"), &format!("REFUND#{refund}"));
    never["sk"] = json!({"S": "REFUND#never-r1"});
    never["out_refund_no"] = json!({"S": "never-r1"});
    planted.add(never);
    done(&stack, &date, 1).await;
    let found = stack.findings(&date, number);
    assert_eq!(
        (found[0].0.as_str(), &found[0].1),
        ("refund_here_not_in_bill", &json!("never-r1"))
    );
    planted.undo();
}

#[tokio::test]
async fn no_trouble_with_a_bill_is_ever_half_a_comparison() {
    let stack = TestStack::start().await;
    let date = stack.new_day().await;
    paid_and_known(&stack, "trouble-01", 500).await;
    stack.next_morning().await;
    let run = async || {
        stack
            .stack
            .run_scheduled("ReconcileFunction")
            .await
            .unwrap()
    };
    for (fault, why) in [
        ("bill_late", "tradebill: it is being made"),
        ("bill_missing", "tradebill: WeChat Pay says there is none"),
        ("bill_bad_hash", "the hash is that of other bytes"),
        (
            "bill_bad_totals",
            "the summary does not agree with the rows: 应结订单总金额",
        ),
        ("bill_bomb", "is too long"),
        ("bill_foreign_url", "a bill at a foreign host"),
    ] {
        let only = json!({"operation": "trade_bill"});
        stack.fault(fault, only).await;
        let outcome = run().await;
        let said = outcome["why"].as_str().unwrap_or_default();
        assert_eq!(outcome["status"], "waiting", "{fault}: {outcome}");
        assert!(said.contains(why), "{fault}: {said}");
        for file in ["report.json", "report.csv", "report.html", "done.json"] {
            assert_eq!(stack.report_file(&date, file), None, "{fault}: {file}");
        }
        stack.no_faults().await;
    }
    // So it is with the other bill.
    for fault in ["bill_late", "bill_missing", "bill_bad_hash"] {
        stack
            .fault(fault, json!({"operation": "fund_flow_bill"}))
            .await;
        let outcome = run().await;
        assert_eq!(outcome["status"], "waiting", "{fault}: {outcome}");
        assert_eq!(stack.report_file(&date, "done.json"), None, "{fault}");
        stack.no_faults().await;
    }
    let overdue = || {
        let lines = stack.log_lines();
        let counted = lines.iter().filter(|line| line["reconcile_overdue"] == 1);
        counted.count()
    };
    assert_eq!(overdue(), 0);
    // At two in the afternoon somebody is called.
    stack.advance(4 * 3_600).await;
    stack.fault("bill_late", json!({"count": 1})).await;
    run().await;
    assert_eq!(overdue(), 1, "{:#?}", stack.logged());
    // A download that breaks off, or a bucket that takes nothing, is tried again by the next run.
    stack
        .fault(
            "response_lost",
            json!({"operation": "download", "count": 1}),
        )
        .await;
    assert_eq!(run().await["status"], "waiting");
    let fails: FaultHook = Arc::new(|call| (call.operation == "PutObject").then_some(Fault::Fail));
    stack.watch.set_fault(Some(fails));
    let failed = stack.stack.run_scheduled("ReconcileFunction").await;
    assert!(failed.is_err(), "{failed:?}");
    stack.watch.set_fault(None);
    // A formula is text like any other, and stands in no report.
    stack.fault("bill_formula", json!({"count": 1})).await;
    let outcome = run().await;
    assert_eq!(
        outcome,
        json!({"date": date, "status": "done", "differences": 0})
    );
    for file in ["report.json", "report.csv", "report.html"] {
        let report = stack.report_file(&date, file).unwrap();
        assert!(!report.contains("cmd|"), "{file}");
    }
}
