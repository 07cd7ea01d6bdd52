//! The promises that can be read off the table's items, its stream and WeChat Pay's ledger. They are told
//! as sentences; a list without any means that all hold.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::coverage::{EDGES, edge};

/// An item's partition key.
pub fn key(item: &Value) -> &str {
    text(item, "pk")
}

/// A text of an item's, empty where it has none.
pub fn text<'a>(item: &'a Value, name: &str) -> &'a str {
    item[name]["S"].as_str().unwrap_or_default()
}

/// A number of an item's, 0 where it has none.
pub fn number(item: &Value, name: &str) -> i64 {
    let number = item[name]["N"].as_str();
    number.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Whether an item is an order.
pub fn is_order(item: &Value) -> bool {
    text(item, "sk") == "ORDER"
}

/// Whether an item is a refund.
pub fn is_refund(item: &Value) -> bool {
    text(item, "sk").starts_with("REFUND#")
}

/// What does not hold of the items, at any moment.
pub fn broken_books<'a>(items: impl Iterator<Item = &'a Value> + Clone) -> Vec<String> {
    let mut broken = Vec::new();
    // Whose refund has each number.
    let guards: BTreeMap<&str, &str> = items
        .clone()
        .filter_map(|item| Some((key(item).strip_prefix("REFUNDNO#")?, item)))
        .map(|(refund, item)| (refund, text(item, "out_trade_no")))
        .collect();
    let mut held: BTreeMap<&str, i64> = BTreeMap::new();
    for item in items.clone().filter(|item| is_refund(item)) {
        let (status, refund) = (text(item, "status"), text(item, "out_refund_no"));
        let waits = matches!(status, "REQUESTED" | "REJECTED");
        let order = text(item, "out_trade_no");
        match guards.get(refund) {
            _ if waits => {}
            Some(guarded) if *guarded == order => {}
            Some(guarded) => broken.push(format!(
                "{refund} is a refund of {order}, and its number one of {guarded}"
            )),
            None => broken.push(format!("{refund} has no guard")),
        }
        let under_way = matches!(
            status,
            "RESERVED" | "PROCESSING" | "ABNORMAL" | "WITHDRAWING"
        );
        // What WeChat Pay refuses for good waits for a person, and a withdrawn one is looked at twice more.
        let gave_up = status == "RESERVED" && !text(item, "needs_human").is_empty();
        if !gave_up && status != "WITHDRAWN" && under_way != item["due_at"]["N"].is_string() {
            broken.push(format!("{refund} is {status}, and is it due? {item}"));
        }
        if refused_for_good(item) && item["due_at"]["N"].is_string() {
            broken.push(format!("what is refused for good is sent again: {item}"));
        }
        if under_way || status == "SUCCESS" {
            *held.entry(key(item)).or_default() += number(item, "refund");
        }
    }
    for order in items.filter(|item| is_order(item)) {
        let (state, total) = (text(order, "trade_state"), number(order, "total"));
        let held = held.get(key(order)).copied().unwrap_or_default();
        if state == "SUCCESS" && number(order, "refundable") + held != total {
            broken.push(format!(
                "what is left and what is held, {held}, make no total: {order}"
            ));
        }
        if state != "SUCCESS" && held != 0 {
            broken.push(format!(
                "{held} are held of an order that is not paid: {order}"
            ));
        }
        if matches!(state, "NOTPAY" | "CLOSING") && !order["due_at"]["N"].is_string() {
            broken.push(format!("an open order is never due: {order}"));
        }
    }
    broken
}

/// Whether WeChat Pay refuses a refund that waits with a code that does not pass: where it calls a person,
/// it is not sent again by itself. "No such order" passes; of a 429 or a 5xx nothing is known.
fn refused_for_good(item: &Value) -> bool {
    let code = text(item, "needs_human").strip_prefix("WeChat Pay refuses it: ");
    text(item, "status") == "RESERVED" && code.is_some_and(|code| code != "RESOURCE_NOT_EXISTS")
}

/// What does not hold of a change of one item: its state goes back, or a version is left out.
pub fn broken_change(old: &Value, new: &Value) -> Option<String> {
    if new.is_null() || new["pk"].is_null() {
        return Some(format!("something was deleted: {old}"));
    }
    let (of, name) = if is_order(new) {
        ("order", "trade_state")
    } else if is_refund(new) {
        ("refund", "status")
    } else {
        return None;
    };
    let (before, after) = (text(old, name), text(new, name));
    if before != after && !EDGES.contains(&edge(of, before, after).as_str()) {
        return Some(format!("{} went from {before} to {after}", key(new)));
    }
    let raised = number(new, "version") - number(old, "version");
    let news = before != after;
    if !(0..=1).contains(&raised) || news && raised != 1 {
        return Some(format!(
            "{} {}: a version is left out, from {} to {}",
            key(new),
            text(new, "sk"),
            number(old, "version"),
            number(new, "version")
        ));
    }
    let terms = [
        "total",
        "refund",
        "openid",
        "transaction_id",
        "out_trade_no",
    ];
    terms
        .iter()
        .find(|name| !old[**name].is_null() && old[**name] != new[**name])
        .map(|name| format!("{name} of {} changed", key(new)))
}

/// What a committed change is called where others hear of it, with its id, told from its images alone.
pub fn transition(old: &Value, new: &Value) -> Option<(String, String)> {
    if !key(new).starts_with("ORDER#") || number(new, "version") == number(old, "version") {
        return None;
    }
    let order = text(new, "out_trade_no");
    let (of, kind) = if is_order(new) {
        let kind = match (text(old, "trade_state"), text(new, "trade_state")) {
            (_, "SUCCESS") if old["refunded_elsewhere"] != new["refunded_elsewhere"] => {
                "order.refunded_elsewhere"
            }
            ("NOTPAY" | "CLOSING" | "CLOSED", "SUCCESS") => "order.paid",
            ("NOTPAY" | "CLOSING", "CLOSED") => "order.closed",
            _ => return None,
        };
        ("order", kind)
    } else {
        let (before, after) = (text(old, "status"), text(new, "status"));
        let calls =
            !text(new, "needs_human").is_empty() && old["needs_human"] != new["needs_human"];
        let kind = match after {
            _ if before.is_empty() && text(new, "asked_by") == "payer" => "refund.requested",
            "SUCCESS" if before != after => "refund.succeeded",
            "CLOSED" if before != after => "refund.closed",
            "ABNORMAL" if before != after => "refund.abnormal",
            "REJECTED" if before != after => "refund.rejected",
            "WITHDRAWN" if before != after => "refund.withdrawn",
            _ if calls => "refund.needs_human",
            _ => return None,
        };
        (text(new, "out_refund_no"), kind)
    };
    Some((
        format!("{order}:{of}:{}", number(new, "version")),
        kind.to_owned(),
    ))
}

/// More given back than was paid, by WeChat Pay's own ledger.
pub fn overdrawn(ledger: &[Value]) -> Option<String> {
    ledger
        .iter()
        .filter(|row| row["kind"] == "order")
        .find(|order| {
            let refunds = ledger.iter().filter(|row| {
                row["kind"] == "refund"
                    && row["status"] != "CLOSED"
                    && row["out_trade_no"] == order["out_trade_no"]
            });
            let back: i64 = refunds
                .filter_map(|row| row["amount"]["refund"].as_i64())
                .sum();
            back > order["amount"]["total"].as_i64().unwrap_or(0)
        })
        .map(|order| format!("more was given back than was paid: {order}"))
}

/// What differs between the table and WeChat Pay's ledger, or has not come to rest.
pub fn open_ends<'a>(items: impl Iterator<Item = &'a Value>, ledger: &[Value]) -> Vec<String> {
    let mut open = Vec::new();
    let mut theirs: BTreeMap<String, &Value> = BTreeMap::new();
    for row in ledger {
        let name = match row["out_refund_no"].as_str() {
            Some(refund) => format!("refund {refund}"),
            None => format!("order {}", row["out_trade_no"].as_str().unwrap_or_default()),
        };
        if theirs.insert(name.clone(), row).is_some() {
            open.push(format!("{name} is there twice"));
        }
    }
    for item in items {
        if is_order(item) {
            let row = theirs.remove(&format!("order {}", text(item, "out_trade_no")));
            open.extend(order_differs(item, row));
        } else if is_refund(item) {
            let name = format!("refund {}", text(item, "out_refund_no"));
            // Another order's request may have the number; WeChat Pay has it of one.
            let of_order = |row: &&Value| row["out_trade_no"] == text(item, "out_trade_no");
            let row = theirs.get(&name).copied().filter(of_order);
            if row.is_some() {
                theirs.remove(&name);
            }
            open.extend(refund_differs(item, row));
        }
    }
    open.extend(
        theirs
            .keys()
            .map(|name| format!("{name} is WeChat Pay's alone")),
    );
    open.extend(overdrawn(ledger));
    open
}

fn order_differs(item: &Value, row: Option<&Value>) -> Option<String> {
    let state = text(item, "trade_state");
    let told = row
        .and_then(|row| row["trade_state"].as_str())
        .unwrap_or_default();
    let fits = match (state, told, row) {
        ("SUCCESS", "SUCCESS" | "REFUND", Some(row)) => {
            row["transaction_id"] == text(item, "transaction_id")
                && row["amount"]["total"] == number(item, "total")
        }
        // One that never arrived there is closed here all the same.
        ("CLOSED", "CLOSED" | "", _) => true,
        _ => false,
    };
    (!fits).then(|| {
        format!(
            "order {} is {state}, there {told:?}",
            text(item, "out_trade_no")
        )
    })
}

fn refund_differs(item: &Value, row: Option<&Value>) -> Option<String> {
    let status = text(item, "status");
    let told = row
        .and_then(|row| row["status"].as_str())
        .unwrap_or_default();
    let fits = match (status, told, row) {
        ("SUCCESS", "SUCCESS", Some(row)) | ("CLOSED", "CLOSED", Some(row)) => {
            row["amount"]["refund"] == number(item, "refund")
                && row["out_trade_no"] == text(item, "out_trade_no")
        }
        // Not decided, decided against, or taken back before WeChat Pay had it: it knows nothing of it.
        ("REQUESTED" | "REJECTED" | "WITHDRAWN", "", _) => true,
        _ => false,
    };
    (!fits).then(|| {
        format!(
            "refund {} is {status}, there {told:?}",
            text(item, "out_refund_no")
        )
    })
}
