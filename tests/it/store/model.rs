//! docs/data-model.md says what is written: its examples, its lists of attributes, writes and holders
//! and its pictures of the states are compared with what the code does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};
use shared::domain::order::{ClosedBy, OrderChange};
use shared::domain::refund::{RefundChange, RefundableChange};
use shared::domain::report::{PaidReport, RefundStatus, TradeState};
use shared::domain::{
    Due, EventKind, EventLog, Order, OrderReport, OrderState, Payment, Refund, RefundReport,
    RefundState, Terms, TradeType, TransactionId, WechatpayRefundId,
};
use shared::store::{DueItem, EvidenceOf, KeptPrepay, SealedCertificates, SendSlot};
use shared::wechatpay::WIRE_VERSION;

use super::bench::{Bench, Call};
use super::writes::Write;
use super::{
    NOW, SLOT, changed, closed, every_extra, merchants, order, paid, payment, refund, reported,
    request, soon, sub_merchant, terms,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/data-model.md")).unwrap()
}

/// The size of an item, as DynamoDB counts it: names and texts in UTF-8, a number as half its digits
/// and one.
pub fn size(item: &Value) -> usize {
    let attributes = item.as_object().unwrap().iter();
    attributes
        .map(|(name, value)| {
            let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
            name.len()
                + match kind.as_str() {
                    "S" => value.as_str().unwrap().len(),
                    "N" => {
                        value
                            .as_str()
                            .unwrap()
                            .trim_start_matches('-')
                            .len()
                            .div_ceil(2)
                            + 1
                    }
                    "BOOL" => 1,
                    other => panic!("{other} is not written"),
                }
        })
        .sum()
}

/// What an item is called in the page: the heading of its section.
fn kind(item: &Value) -> &'static str {
    let text = |name: &str| item[name]["S"].as_str().unwrap();
    match (text("pk").split_once('#').unwrap().0, text("sk")) {
        ("ORDER", "ORDER") => "Order",
        ("ORDER", _) => "Refund",
        ("REFUNDNO", _) => "Guard of a refund's number",
        ("NOTICE", _) => "Evidence",
        ("SKU", _) => "Article",
        ("KEYS", _) => "Certificates",
        (other, _) => panic!("{other} has no section"),
    }
}

/// The section of this heading, up to the next of its level.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("docs/data-model.md has no section {heading:?}"));
    rest.split("\n## ").next().unwrap()
}

/// The blocks of this language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("```{language}\n");
    let opened = text.split(opening.as_str()).skip(1);
    opened
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

/// The rows of the tables in a text whose first cell is code.
fn rows(text: &str) -> Vec<Vec<String>> {
    text.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().replace('`', "")).collect()
        })
        .collect()
}

/// DynamoDB JSON with an attribute a line, the key first.
fn printed(item: &Value) -> String {
    let attributes = item.as_object().unwrap();
    let mut names: Vec<&String> = attributes.keys().collect();
    names.sort_by_key(|name| (*name != "pk", *name != "sk", *name));
    let lines: Vec<String> = names
        .into_iter()
        .map(|name| {
            let (kind, value) = attributes[name].as_object().unwrap().iter().next().unwrap();
            format!("  \"{name}\": {{\"{kind}\": {value}}}")
        })
        .collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

/// Says in which lines a block of the page is not what it has to be.
#[track_caller]
fn assert_same(what: &str, written: &str, wanted: &str) {
    assert!(
        written == wanted,
        "docs/data-model.md, {what}: this has to stand there:\n{wanted}\ninstead of:\n{written}"
    );
}

/// The items that the page shows, by kind, as a run leaves them.
async fn examples(bench: &Bench) -> Vec<(&'static str, Value)> {
    let (orders, refunds) = (bench.orders(), bench.refunds());
    let attempt = "J2WMZVYOCCNVRFDOUZY6DEYMEQ";
    let placed = Order::placed(Terms {
        wire_version: WIRE_VERSION,
        ..terms("WMTM6XJ3WK5YQHBM4PXK2ZLE7A")
    });
    let due = placed.due_after(NOW, 0);
    orders.place(&placed, attempt, None, due).await.unwrap();
    let native = Order::placed(Terms {
        description: "Set lunch".to_owned(),
        ..merchants("lunch-20260921-017", TradeType::Native).terms
    });
    let claim = shared::store::PrepayClaim {
        token: attempt.to_owned(),
        until: NOW.plus_seconds(12),
    };
    let id = &native.terms.order_id;
    orders
        .place(&native, attempt, Some(&claim), due)
        .await
        .unwrap();
    let code = KeptPrepay {
        text: "weixin://wxpay/bizpayurl?pr=p4lpSuKzz".to_owned(),
        at: NOW,
    };
    orders
        .keep_prepay(id, TradeType::Native, &claim, &code)
        .await
        .unwrap();
    orders
        .claim_asking(id, NOW.plus_seconds(20), 2)
        .await
        .unwrap();
    let payment = Payment {
        success_time: NOW.plus_seconds(41),
        ..payment(&native)
    };
    let paid = changed(&native, OrderState::Success(payment));
    orders.commit(&native, &paid, None).await.unwrap();
    let later = NOW.plus_seconds(3_600);
    let given = Refund {
        created_at: later,
        reserved_at: Some(later),
        ..refund("lunch-20260921-017-r1", &paid, 200)
    };
    let due = Due {
        at: later.plus_seconds(30),
        attempts: 0,
    };
    refunds.reserve(&given, later, SLOT, due).await.unwrap();
    let asked = Refund {
        created_at: later.plus_seconds(7),
        events: EventLog::new().with(1, later.plus_seconds(7), Some(EventKind::RefundRequested)),
        reason: None,
        ..request("RQ7YB4GTZ3LSKN5D2XWPA6HM4E", &paid, 100)
    };
    refunds.request(&asked).await.unwrap();
    let envelope = "{\"id\":\"EV-2018022511223320873\",\"create_time\":\"2026-09-21T22:13:20+08:00\",\
                    \"event_type\":\"TRANSACTION.SUCCESS\",\"resource\":{…}}";
    let evidence = EvidenceOf {
        notice_id: "EV-2018022511223320873",
        day: "20260921",
        event_type: "TRANSACTION",
        outcome: "contradicts the record",
        out_trade_no: Some("lunch-20260921-017"),
        envelope,
    };
    bench.evidence().keep(&evidence, NOW).await.unwrap();
    bench.put(article()).await;
    let answer = "{\"data\":[{\"effective_time\":\"2026-09-21T22:13:20+08:00\",\
                  \"encrypt_certificate\":{…},\"serial_no\":\"…\"}]}";
    let certificates = SealedCertificates {
        answer: answer.to_owned(),
        downloaded_at: NOW,
    };
    let kept = bench.certificates().replace(None, &certificates);
    kept.await.unwrap();
    let mut items = Vec::new();
    for (partition, sort) in [
        ("ORDER#WMTM6XJ3WK5YQHBM4PXK2ZLE7A", "ORDER"),
        ("ORDER#lunch-20260921-017", "ORDER"),
        ("ORDER#lunch-20260921-017", "REFUND#lunch-20260921-017-r1"),
        (
            "ORDER#lunch-20260921-017",
            "REFUND#RQ7YB4GTZ3LSKN5D2XWPA6HM4E",
        ),
        ("REFUNDNO#lunch-20260921-017-r1", "REFUNDNO"),
        ("NOTICE#20260921", "NOTICE#EV-2018022511223320873"),
        ("SKU#coffee", "SKU"),
        ("KEYS#wechatpay", "CERTIFICATES"),
    ] {
        let item = bench.item(partition, sort).await;
        items.push((kind(&item), item));
    }
    items
}

/// The article that the first deployment puts on sale, as `wxpay articles put` writes it.
fn article() -> Value {
    json!({
        "pk": {"S": "SKU#coffee"},
        "sk": {"S": "SKU"},
        "created_at": {"N": "1790000000"},
        "description": {"S": "A cup of coffee"},
        "list_shard": {"S": "SKU#ALL"},
        "on_sale": {"BOOL": true},
        "price_fen": {"N": "1"},
    })
}

/// Every kind of item with every attribute that one can have.
async fn everything(bench: &Bench) -> Vec<Value> {
    let mut items = Vec::new();
    for write in Write::ALL {
        write.prepare(bench).await;
        write.make(bench, "attempt").await.unwrap();
        items.extend(bench.items().await);
    }
    bench.clear().await;
    items.extend(examples(bench).await.into_iter().map(|(_, item)| item));
    bench.clear().await;
    let (orders, refunds) = (bench.orders(), bench.refunds());
    let placed = Order::placed(Terms {
        payer_client_ip: Some("203.0.113.7".to_owned()),
        sub_merchant: Some(sub_merchant()),
        extras: every_extra(),
        ..terms("everything")
    });
    bench.placed(&placed).await;
    let claim = shared::store::PrepayClaim {
        token: "repeat".to_owned(),
        until: NOW.plus_seconds(2),
    };
    let (id, trade_type) = (&placed.terms.order_id, placed.terms.trade_type);
    assert_ne!(trade_type, TradeType::Native);
    orders
        .claim_prepay(id, trade_type, &claim, NOW.minus_seconds(2), NOW)
        .await
        .unwrap();
    let kept = KeptPrepay {
        text: "sealed".to_owned(),
        at: NOW,
    };
    orders
        .keep_prepay(id, trade_type, &claim, &kept)
        .await
        .unwrap();
    let mut before = placed.clone();
    for state in [
        OrderState::Closing { since: NOW },
        closed(ClosedBy::Absence { confirmations: 1 }),
        OrderState::Success(Payment {
            closed_at: Some(NOW),
            ..payment(&placed)
        }),
    ] {
        let after = Order {
            missing_since: Some(NOW),
            ..changed(&before, state)
        };
        orders.commit(&before, &after, Some(soon())).await.unwrap();
        items.extend(bench.items().await);
        before = after;
    }
    let reserved = refund("everything-r1", &before, 100);
    refunds.reserve(&reserved, NOW, SLOT, soon()).await.unwrap();
    let refused = Refund {
        refusals: 3,
        refused_since: Some(NOW),
        needs_human: Some("the merchant's balance is short".to_owned()),
        ..reported(&reserved, RefundState::Success { at: NOW })
    };
    refunds
        .commit(&reserved, &refused, RefundableChange::Stays, Some(soon()))
        .await
        .unwrap();
    refunds.claim_asking(&refused, NOW, 2).await.unwrap();
    let item = DueItem::Refund(refused.order_id.clone(), refused.refund_id.clone());
    let index = bench.due_index();
    index.claim(&item, soon().at, NOW).await.unwrap();
    items.extend(bench.items().await);
    let withdrawn = refund("everything-r2", &before, 100);
    let reserved = refunds.reserve(&withdrawn, NOW, SendSlot::Later, soon());
    reserved.await.unwrap();
    let withdrawing = Refund {
        version: withdrawn.version + 1,
        state: RefundState::Withdrawing {
            since: NOW,
            missing_since: Some(NOW),
        },
        ..withdrawn.clone()
    };
    let begun = refunds.commit(
        &withdrawn,
        &withdrawing,
        RefundableChange::Stays,
        Some(soon()),
    );
    begun.await.unwrap();
    let paid = bench.load(id).await.order;
    let elsewhere = OrderState::Success(Payment {
        refunded_elsewhere: true,
        ..payment(&placed)
    });
    let after = changed(&paid, elsewhere);
    orders.commit(&paid, &after, Some(soon())).await.unwrap();
    items.extend(bench.items().await);
    items
}

#[tokio::test]
async fn the_examples_are_what_a_run_leaves_in_the_table() {
    let bench = Bench::start().await;
    let page = page();
    let mut wanted: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (kind, item) in examples(&bench).await {
        wanted.entry(kind).or_default().push(item);
    }
    for (kind, items) in wanted {
        let written = blocks(section(&page, kind), "json");
        assert_eq!(written.len(), items.len(), "examples of {kind}");
        for (written, item) in written.into_iter().zip(items) {
            assert_same(kind, written, &printed(&item));
        }
    }
}

#[tokio::test]
async fn the_attributes_are_those_that_are_written_and_no_others() {
    let bench = Bench::start().await;
    let page = page();
    let mut written: BTreeMap<&str, BTreeSet<(String, String)>> = BTreeMap::new();
    for item in everything(&bench).await {
        let attributes = written.entry(kind(&item)).or_default();
        for (name, value) in item.as_object().unwrap() {
            let type_name = value.as_object().unwrap().keys().next().unwrap();
            attributes.insert((name.clone(), type_name.clone()));
        }
    }
    for (kind, attributes) in written {
        let listed: BTreeSet<(String, String)> = rows(section(&page, kind))
            .into_iter()
            .map(|cells| (cells[0].clone(), cells[1].clone()))
            .collect();
        let missing: Vec<_> = attributes.difference(&listed).collect();
        let idle: Vec<_> = listed.difference(&attributes).collect();
        assert!(
            missing.is_empty() && idle.is_empty(),
            "{kind}: the page lacks {missing:?}, nothing writes {idle:?}"
        );
    }
}

/// The writes of a call, each as the item it goes to and its condition in plain words.
fn conditions(call: &Call) -> Vec<(String, String)> {
    let single = |write: &Value| {
        let key = write.get("Key").unwrap_or(&write["Item"]);
        let item = match kind(key) {
            "Guard of a refund's number" => "guard".to_owned(),
            other => other.to_lowercase(),
        };
        let condition = write["ConditionExpression"].as_str().unwrap();
        let plain = condition.replace('#', "");
        (item, plain.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    match call.request["TransactItems"].as_array() {
        None => vec![single(&call.request)],
        Some(writes) => {
            let write = |write: &Value| single(write.as_object().unwrap().values().next().unwrap());
            writes.iter().map(write).collect()
        }
    }
}

/// The units that the table and its indexes count for a call.
fn units(call: &Call) -> String {
    let consumed = &call.answer["ConsumedCapacity"];
    let consumed = consumed.get(0).unwrap_or(consumed);
    let whole = |units: &Value| units["CapacityUnits"].as_f64().unwrap();
    let indexes = consumed["GlobalSecondaryIndexes"].as_object();
    let indexes: f64 = indexes.into_iter().flatten().map(|(_, it)| whole(it)).sum();
    match (whole(&consumed["Table"]), indexes) {
        (table, 0.0) => format!("{table}"),
        (table, indexes) => format!("{table} + {indexes}"),
    }
}

#[tokio::test]
async fn the_writes_their_conditions_and_their_costs_are_as_listed() {
    let bench = Bench::start().await;
    let page = page();
    let written = blocks(section(&page, "Writes"), "text");
    let mut wanted = String::new();
    let mut names = Vec::new();
    for write in Write::ALL {
        write.prepare(&bench).await;
        bench.measure();
        write.make(&bench, "attempt").await.unwrap();
        let calls = bench.calls();
        assert_eq!(calls.len(), 1, "{write:?} is one call");
        let units = units(&calls[0]);
        // Implementations agree on single writes; of transactions DynamoDB Local counts otherwise.
        let elsewhere = std::env::var_os("DYNAMODB_ENDPOINT").is_some();
        let units = match elsewhere && write.operation() == "TransactWriteItems" {
            true => listed_units(written[0], write.name()),
            false => units,
        };
        names.push(write.name().to_owned());
        wanted.push_str(&format!(
            "{} · {} · {units}\n",
            write.name(),
            write.operation()
        ));
        for (item, condition) in conditions(&calls[0]) {
            wanted.push_str(&format!("    {item}: {condition}\n"));
        }
    }
    assert_same("Writes", written[0], &wanted);
    let explained = rows(section(&page, "Writes"));
    let listed: Vec<&String> = explained.iter().map(|cells| &cells[0]).collect();
    assert_eq!(
        listed,
        names.iter().collect::<Vec<_>>(),
        "each is explained"
    );
    for (write, cells) in Write::ALL.into_iter().zip(&explained) {
        let told = match write.told_after_a_lost_answer() {
            "Conflict" => "conflict",
            _ => "done",
        };
        assert!(cells[2].starts_with(told), "{}: {told}", write.name());
    }
}

fn listed_units(block: &str, name: &str) -> String {
    let line = block
        .lines()
        .find(|line| line.starts_with(&format!("{name} · ")));
    let line = line.unwrap_or_else(|| panic!("{name} is not listed"));
    line.rsplit(" · ").next().unwrap().to_owned()
}

#[test]
fn who_holds_what_is_as_listed() {
    let page = page();
    let handles = [
        "Orders",
        "Refunds",
        "Catalogue",
        "Evidence",
        "CertificateKeeper",
        "DueIndex",
        "ListIndex",
        "PayerIndex",
    ];
    let mut held: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for entry in std::fs::read_dir(root().join("functions")).unwrap() {
        let folder = entry.unwrap().path();
        let code = std::fs::read_to_string(folder.join("src/lib.rs")).unwrap();
        let makes = |handle: &&&str| code.contains(&format!("{handle}::new("));
        let makes: BTreeSet<&str> = handles.iter().filter(makes).copied().collect();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        if !makes.is_empty() {
            held.insert(name, makes);
        }
    }
    let listed: BTreeMap<String, BTreeSet<&str>> = rows(section(&page, "Who may do what"))
        .into_iter()
        .map(|cells| {
            let named: Vec<&str> = cells[1].split(", ").collect();
            let of = |handle: &&&str| named.contains(*handle);
            let holds = handles.iter().filter(of).copied().collect();
            (cells[0].clone(), holds)
        })
        .collect();
    assert_eq!(listed, held);
}

/// The edges of a picture, as (from, to).
fn pictured(page: &str, heading: &str) -> BTreeSet<(String, String)> {
    let pictures = blocks(section(page, heading), "mermaid");
    let edges = pictures[0]
        .lines()
        .filter_map(|line| line.split_once(" --> "));
    edges
        .map(|(from, rest)| {
            let to = rest.split(':').next().unwrap();
            (from.trim().to_owned(), to.trim().to_owned())
        })
        .filter(|(from, to)| from != "[*]" && to != "[*]")
        .collect()
}

#[test]
fn the_picture_of_an_order_has_every_edge_and_no_other() {
    let long_after = NOW.plus_seconds(10 * 24 * 60 * 60);
    let base = order("edges-0001");
    let states = [
        OrderState::NotPay,
        OrderState::Closing { since: NOW },
        closed(ClosedBy::Wechatpay),
        closed(ClosedBy::Absence { confirmations: 0 }),
        OrderState::Success(payment(&base)),
    ];
    let paid = TradeState::Paid(PaidReport {
        transaction_id: payment(&base).transaction_id,
        success_time: None,
        payer_total: None,
        openid: None,
        attach: None,
        refunded: false,
    });
    let report = |state| OrderReport {
        order_id: base.terms.order_id.clone(),
        mchid: Some(base.terms.mchid.clone()),
        appid: Some(base.terms.appid.clone()),
        sub_mchid: None,
        sub_appid: None,
        total: Some(base.terms.total),
        currency: Some("CNY".to_owned()),
        state,
    };
    let mut edges = BTreeSet::new();
    for state in states {
        let order = Order {
            missing_since: Some(NOW),
            ..changed(&base, state)
        };
        let observed = [
            order.observe(&report(paid.clone()), long_after),
            order.observe(&report(TradeState::Closed), long_after),
            order.observe(&report(TradeState::Unpaid), long_after),
            order.observe_close(long_after),
            order.observe_absence(long_after),
            order.begin_close(long_after),
        ];
        for observation in observed {
            if let OrderChange::Changed(after) = observation {
                let edge = (order.state.as_str(), after.state.as_str());
                if edge.0 != edge.1 {
                    edges.insert((edge.0.to_owned(), edge.1.to_owned()));
                }
            }
        }
    }
    assert_eq!(pictured(&page(), "Order"), edges);
}

#[test]
fn the_picture_of_a_refund_has_every_edge_and_no_other() {
    let order = paid(&order("edges-0002"));
    let withdrawing = RefundState::Withdrawing {
        since: NOW.minus_seconds(900),
        missing_since: Some(NOW.minus_seconds(700)),
    };
    let states = [
        RefundState::Requested,
        RefundState::Reserved,
        RefundState::Processing,
        RefundState::Abnormal,
        RefundState::Closed,
        RefundState::Success { at: NOW },
        RefundState::Rejected,
        withdrawing,
        RefundState::Withdrawn {
            at: NOW,
            confirmations: 2,
        },
    ];
    let statuses = [
        RefundStatus::Processing,
        RefundStatus::Abnormal,
        RefundStatus::Closed,
        RefundStatus::Success { at: None },
    ];
    // What the merchant decides is not WeChat Pay's to report.
    let mut edges = BTreeSet::from([
        ("REQUESTED".to_owned(), "RESERVED".to_owned()),
        ("REQUESTED".to_owned(), "REJECTED".to_owned()),
        ("RESERVED".to_owned(), "WITHDRAWING".to_owned()),
    ]);
    for state in states {
        let refund = Refund {
            state,
            ..refund("edges-r1", &order, 100)
        };
        if let RefundChange::Changed { refund: after, .. } = refund.observe_absence(NOW) {
            let edge = (state.as_str().to_owned(), after.state.as_str().to_owned());
            edges.insert(edge);
        }
        for status in &statuses {
            let report = RefundReport {
                refund_id: refund.refund_id.clone(),
                order_id: refund.order_id.clone(),
                mchid: None,
                sub_mchid: None,
                transaction_id: TransactionId::parse(refund.transaction_id.as_str()).unwrap(),
                wechatpay_refund_id: WechatpayRefundId::parse("50000000382019052709732678859")
                    .unwrap(),
                amount: refund.amount,
                total: refund.total,
                status: status.clone(),
            };
            if let RefundChange::Changed { refund: after, .. } = refund.observe(&report, NOW) {
                let edge = (state.as_str().to_owned(), after.state.as_str().to_owned());
                edges.insert(edge);
            }
        }
    }
    assert_eq!(pictured(&page(), "Refund"), edges);
}

#[tokio::test]
async fn the_sizes_are_as_told() {
    let bench = Bench::start().await;
    let page = page();
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    for (kind, item) in examples(&bench).await {
        let largest = sizes.entry(kind).or_default();
        *largest = (*largest).max(size(&item));
    }
    let listed: BTreeMap<String, usize> = rows(section(&page, "Items"))
        .into_iter()
        .map(|cells| (cells[0].clone(), cells[4].parse().unwrap()))
        .collect();
    let sizes: BTreeMap<String, usize> = sizes
        .into_iter()
        .map(|(kind, size)| (kind.to_owned(), size))
        .collect();
    assert_eq!(listed, sizes);
}
