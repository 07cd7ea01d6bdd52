//! The books on both sides: our table beside WeChat Pay's ledger, when everything has come to rest.

use std::collections::BTreeMap;

use serde_json::Value;

use super::TestStack;
use super::watch::{key, number, text};

impl TestStack {
    /// What differs between the two sides, or has not come to rest; empty where all is well.
    pub async fn open_ends(&self) -> Vec<String> {
        let items = self.items();
        let ledger = self.seen("ledger").await;
        let mut open = Vec::new();
        let mut theirs: BTreeMap<String, &Value> = BTreeMap::new();
        for row in &ledger {
            let name = match row["out_refund_no"].as_str() {
                Some(refund) => format!("refund {refund}"),
                None => format!("order {}", row["out_trade_no"].as_str().unwrap()),
            };
            if theirs.insert(name.clone(), row).is_some() {
                open.push(format!("{name} is there twice"));
            }
        }
        for item in &items {
            if text(item, "sk") == "ORDER" {
                let row = theirs.remove(&format!("order {}", text(item, "out_trade_no")));
                open.extend(order_differs(item, row));
            } else if key(item).starts_with("ORDER#") {
                let row = theirs.remove(&format!("refund {}", text(item, "out_refund_no")));
                open.extend(refund_differs(item, row));
            }
        }
        open.extend(
            theirs
                .keys()
                .map(|name| format!("{name} is WeChat Pay's alone")),
        );
        for order in ledger.iter().filter(|row| row["kind"] == "order") {
            let given_back: i64 = ledger
                .iter()
                .filter(|row| row["kind"] == "refund" && row["status"] != "CLOSED")
                .filter(|row| row["out_trade_no"] == order["out_trade_no"])
                .map(|row| row["amount"]["refund"].as_i64().unwrap())
                .sum();
            if given_back > order["amount"]["total"].as_i64().unwrap() {
                open.push(format!("more was given back than was paid: {order}"));
            }
        }
        open
    }
}

fn order_differs(item: &Value, row: Option<&Value>) -> Option<String> {
    let state = text(item, "trade_state");
    let told = row.map_or("", |row| row["trade_state"].as_str().unwrap());
    let fits = match (state, told) {
        ("SUCCESS", "SUCCESS" | "REFUND") => {
            let row = row.unwrap();
            row["transaction_id"] == text(item, "transaction_id")
                && row["amount"]["total"] == number(item, "total")
        }
        // One that never arrived there is closed here all the same.
        ("CLOSED", "CLOSED" | "") => true,
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
    let told = row.map_or("", |row| row["status"].as_str().unwrap());
    let fits = match (status, told) {
        ("SUCCESS", "SUCCESS") | ("CLOSED", "CLOSED") => {
            let row = row.unwrap();
            row["amount"]["refund"] == number(item, "refund")
                && row["out_trade_no"] == text(item, "out_trade_no")
        }
        // Not decided, or decided against: nobody was told.
        ("REQUESTED" | "REJECTED", "") => true,
        _ => false,
    };
    (!fits).then(|| {
        format!(
            "refund {} is {status}, there {told:?}",
            text(item, "out_refund_no")
        )
    })
}
