//! Both sides' books: what the table and WeChat Pay have on record of each order and refund, and where they
//! differ. A difference is one of money: an order that is `SUCCESS` here and `REFUND` there is the same
//! payment, and a refund that was not sent yet need not be known there.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use shared::rfc3339;

use super::image;
use crate::template::physical;

/// Orders that are shown, the newest ones.
const ORDERS_MAX: usize = 100;
/// Items of the table that are looked at for them.
const ITEMS_MAX: usize = 5_000;

/// How two records of one thing differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Difference {
    /// The amounts.
    Amount,
    /// WeChat Pay has it and the table does not.
    UnknownHere,
    /// The table has it and WeChat Pay does not.
    UnknownThere,
    /// It is paid, or refunded, at WeChat Pay alone.
    DoneThere,
    /// It is paid, or refunded, in the table alone.
    DoneHere,
    /// It ended otherwise.
    State,
    /// What can still be refunded and what refunds hold do not make the order's total.
    OwnSum,
}

impl Difference {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Amount => "amount",
            Self::UnknownHere => "unknown_here",
            Self::UnknownThere => "unknown_there",
            Self::DoneThere => "done_there",
            Self::DoneHere => "done_here",
            Self::State => "state",
            Self::OwnSum => "own_sum",
        }
    }
}

/// How far a payment is, for either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Payment {
    Open,
    Closed,
    Paid,
}

impl Payment {
    fn of(state: &str) -> Self {
        match state {
            "SUCCESS" | "REFUND" => Self::Paid,
            "CLOSED" | "REVOKED" => Self::Closed,
            _ => Self::Open,
        }
    }
}

/// How far a refund is, for either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refund {
    /// Not sent: it waits for a decision, or was decided against.
    Unsent,
    /// It may have been sent, and no answer said so.
    Unanswered,
    Processing,
    Abnormal,
    Closed,
    Done,
}

impl Refund {
    fn of(status: &str) -> Self {
        match status {
            "SUCCESS" => Self::Done,
            "CLOSED" => Self::Closed,
            "ABNORMAL" => Self::Abnormal,
            "PROCESSING" => Self::Processing,
            "RESERVED" | "WITHDRAWING" => Self::Unanswered,
            _ => Self::Unsent,
        }
    }
}

const fn payment_difference(here: Option<Payment>, there: Option<Payment>) -> Option<Difference> {
    match (here, there) {
        (None, None) => None,
        (None, Some(_)) => Some(Difference::UnknownHere),
        (Some(Payment::Paid), Some(Payment::Paid)) => None,
        (Some(Payment::Paid), None | Some(Payment::Open | Payment::Closed)) => {
            Some(Difference::DoneHere)
        }
        (Some(Payment::Open | Payment::Closed), Some(Payment::Paid)) => Some(Difference::DoneThere),
        // It could still be paid there.
        (Some(Payment::Closed), Some(Payment::Open)) => Some(Difference::State),
        (Some(Payment::Open | Payment::Closed), None)
        | (Some(Payment::Open), Some(Payment::Open | Payment::Closed))
        | (Some(Payment::Closed), Some(Payment::Closed)) => None,
    }
}

const fn refund_difference(here: Option<Refund>, there: Option<Refund>) -> Option<Difference> {
    match (here, there) {
        (None, None) => None,
        (None, Some(_)) => Some(Difference::UnknownHere),
        (Some(Refund::Done), Some(Refund::Done)) => None,
        (Some(Refund::Done), None)
        | (
            Some(Refund::Done),
            Some(
                Refund::Unsent
                | Refund::Unanswered
                | Refund::Processing
                | Refund::Abnormal
                | Refund::Closed,
            ),
        ) => Some(Difference::DoneHere),
        (
            Some(
                Refund::Unsent
                | Refund::Unanswered
                | Refund::Processing
                | Refund::Abnormal
                | Refund::Closed,
            ),
            Some(Refund::Done),
        ) => Some(Difference::DoneThere),
        (Some(Refund::Unsent | Refund::Unanswered), None) => None,
        (Some(Refund::Unsent), Some(Refund::Closed | Refund::Unsent)) => None,
        (
            Some(Refund::Unsent),
            Some(Refund::Unanswered | Refund::Processing | Refund::Abnormal),
        ) => Some(Difference::State),
        // An answer that was lost: the same number is sent again, or asked about.
        (
            Some(Refund::Unanswered),
            Some(
                Refund::Unsent
                | Refund::Unanswered
                | Refund::Processing
                | Refund::Abnormal
                | Refund::Closed,
            ),
        ) => None,
        (Some(Refund::Processing | Refund::Abnormal | Refund::Closed), None) => {
            Some(Difference::UnknownThere)
        }
        (Some(Refund::Processing), Some(Refund::Processing))
        | (Some(Refund::Abnormal), Some(Refund::Abnormal))
        | (Some(Refund::Closed), Some(Refund::Closed)) => None,
        (
            Some(Refund::Processing | Refund::Abnormal | Refund::Closed),
            Some(
                Refund::Unsent
                | Refund::Unanswered
                | Refund::Processing
                | Refund::Abnormal
                | Refund::Closed,
            ),
        ) => Some(Difference::State),
    }
}

/// Statuses whose refunds hold a part of the order's total.
const HOLDING: [&str; 5] = [
    "RESERVED",
    "PROCESSING",
    "ABNORMAL",
    "SUCCESS",
    "WITHDRAWING",
];

/// What either side has on record of an order or a refund.
#[derive(Clone, Debug, Default)]
struct Side {
    state: String,
    fen: i64,
}

/// An order with its refunds, on both sides.
#[derive(Debug, Default)]
struct Order {
    here: Option<Side>,
    there: Option<Side>,
    refunds: BTreeMap<String, Both>,
    /// What only the table's item says, or, without one, WeChat Pay's row.
    about: Map<String, Value>,
    created: i64,
    refundable: Option<i64>,
}

#[derive(Debug, Default)]
struct Both {
    here: Option<Side>,
    there: Option<Side>,
    about: Map<String, Value>,
}

impl Order {
    fn difference(&self) -> Option<Difference> {
        let state = |side: &Option<Side>| side.as_ref().map(|side| Payment::of(&side.state));
        amounts_differ(self.here.as_ref(), self.there.as_ref())
            .or_else(|| payment_difference(state(&self.here), state(&self.there)))
            .or_else(|| self.own_sum())
    }

    fn own_sum(&self) -> Option<Difference> {
        let (total, refundable) = (self.here.as_ref()?.fen, self.refundable?);
        let refunds = self.refunds.values();
        let held = refunds.filter_map(|refund| refund.here.as_ref());
        let held = held.filter(|side| HOLDING.contains(&side.state.as_str()));
        let held: i64 = held.map(|side| side.fen).sum();
        (refundable + held != total).then_some(Difference::OwnSum)
    }
}

impl Both {
    fn difference(&self) -> Option<Difference> {
        let state = |side: &Option<Side>| side.as_ref().map(|side| Refund::of(&side.state));
        amounts_differ(self.here.as_ref(), self.there.as_ref())
            .or_else(|| refund_difference(state(&self.here), state(&self.there)))
    }
}

fn amounts_differ(here: Option<&Side>, there: Option<&Side>) -> Option<Difference> {
    (here?.fen != there?.fen).then_some(Difference::Amount)
}

/// What was taken and given back on one side, in fen.
#[derive(Debug, Default)]
struct Sums {
    paid: i64,
    refunded: i64,
}

impl Sums {
    fn add(&mut self, order: Option<&Side>, refunds: impl Iterator<Item = Side>) {
        if let Some(order) = order.filter(|side| Payment::of(&side.state) == Payment::Paid) {
            self.paid += order.fen;
        }
        let done = refunds.filter(|side| Refund::of(&side.state) == Refund::Done);
        self.refunded += done.map(|side| side.fen).sum::<i64>();
    }

    fn told(&self) -> Value {
        json!({"paid": self.paid, "refunded": self.refunded, "kept": self.paid - self.refunded})
    }
}

/// Every order with what both sides say, newest first, and whether the books balance.
pub(super) fn compare(items: &[Value], ledger: &[Value]) -> Value {
    let mut orders: BTreeMap<String, Order> = BTreeMap::new();
    items.iter().for_each(|item| add_item(&mut orders, item));
    ledger.iter().for_each(|row| add_row(&mut orders, row));
    let (mut here, mut there) = (Sums::default(), Sums::default());
    let mut differences = 0;
    let mut told: Vec<(i64, Value)> = Vec::new();
    for (number, order) in orders {
        let refunds = || order.refunds.values();
        here.add(
            order.here.as_ref(),
            refunds().filter_map(|refund| refund.here.clone()),
        );
        there.add(
            order.there.as_ref(),
            refunds().filter_map(|refund| refund.there.clone()),
        );
        let found = refunds().filter_map(Both::difference).count();
        differences += found + usize::from(order.difference().is_some());
        told.push((order.created, order_told(&number, &order)));
    }
    let total = told.len();
    told.sort_by_key(|(created, _)| std::cmp::Reverse(*created));
    told.truncate(ORDERS_MAX);
    let orders: Vec<Value> = told.into_iter().map(|(_, order)| order).collect();
    json!({
        "orders": orders,
        "total": total,
        "differences": differences,
        "balanced": differences == 0,
        "here": here.told(),
        "there": there.told(),
    })
}

fn order_told(number: &str, order: &Order) -> Value {
    let refunds: Vec<Value> = order
        .refunds
        .iter()
        .map(|(number, refund)| {
            let mut told = Value::Object(refund.about.clone());
            told["out_refund_no"] = json!(number);
            sides(&mut told, refund.here.as_ref(), refund.there.as_ref());
            told["difference"] = json!(refund.difference().map(Difference::as_str));
            told
        })
        .collect();
    let mut told = Value::Object(order.about.clone());
    told["out_trade_no"] = json!(number);
    sides(&mut told, order.here.as_ref(), order.there.as_ref());
    told["created"] = json!(order.created);
    told["refundable"] = json!(order.refundable);
    told["refunds"] = json!(refunds);
    told["difference"] = json!(order.difference().map(Difference::as_str));
    told
}

fn sides(told: &mut Value, here: Option<&Side>, there: Option<&Side>) {
    told["here"] = json!(here.map(|side| &side.state));
    told["there"] = json!(there.map(|side| &side.state));
    told["amount_fen"] = json!(here.or(there).map(|side| side.fen));
    told["amount_there_fen"] = json!(there.map(|side| side.fen));
}

/// Members of this name, where they are there.
fn some(from: &Value, names: &[&str]) -> Map<String, Value> {
    let found = names.iter().filter(|name| !from[**name].is_null());
    found
        .map(|name| ((*name).to_owned(), from[*name].clone()))
        .collect()
}

fn add_item(orders: &mut BTreeMap<String, Order>, item: &Value) {
    let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
    let number = |name: &str| item[name].as_i64();
    let order = orders.entry(text("out_trade_no")).or_default();
    if text("sk") == "ORDER" {
        order.here = Some(Side {
            state: text("trade_state"),
            fen: number("total").unwrap_or_default(),
        });
        order.created = number("created_at").unwrap_or_default();
        order.refundable = number("refundable");
        let names = [
            "description",
            "openid",
            "placed_by",
            "trade_type",
            "needs_human",
        ];
        order.about = some(item, &names);
    } else {
        let refund = order.refunds.entry(text("out_refund_no")).or_default();
        refund.here = Some(Side {
            state: text("status"),
            fen: number("refund").unwrap_or_default(),
        });
        let names = ["reason", "asked_by", "needs_human", "due_at"];
        refund.about = some(item, &names);
    }
}

fn add_row(orders: &mut BTreeMap<String, Order>, row: &Value) {
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let fen = |name: &str| row["amount"][name].as_i64().unwrap_or_default();
    let order = orders.entry(text("out_trade_no")).or_default();
    if row["kind"] == "order" {
        order.there = Some(Side {
            state: text("trade_state"),
            fen: fen("total"),
        });
        if order.here.is_none() {
            let created = rfc3339::parse(&text("created_at"));
            order.created = created.map_or(0, |created| created.unix_seconds());
            order.about = some(row, &["description"]);
        }
    } else {
        let refund = order.refunds.entry(text("out_refund_no")).or_default();
        refund.there = Some(Side {
            state: text("status"),
            fen: fen("refund"),
        });
    }
}

/// The table's orders and refunds, without DynamoDB's names of types.
///
/// # Errors
/// The table cannot be read.
pub(super) fn items(table: &dynoxide::Database) -> Result<Vec<Value>, String> {
    let unread = |error: &dyn std::fmt::Display| format!("the table cannot be read: {error}");
    let mut items = Vec::new();
    let mut start = Value::Null;
    while items.len() < ITEMS_MAX {
        let mut request = json!({
            "TableName": physical("Table"),
            "FilterExpression": "sk = :order OR begins_with(sk, :refund)",
            "ExpressionAttributeValues": {":order": {"S": "ORDER"}, ":refund": {"S": "REFUND#"}},
        });
        if !start.is_null() {
            request["ExclusiveStartKey"] = start;
        }
        let request = serde_json::from_value(request).map_err(|error| unread(&error))?;
        let page = table.scan(request).map_err(|error| unread(&error))?;
        let mut page = serde_json::to_value(page).map_err(|error| unread(&error))?;
        if let Value::Array(found) = page["Items"].take() {
            items.extend(found.iter().map(image::plain));
        }
        start = page["LastEvaluatedKey"].take();
        if start.is_null() {
            break;
        }
    }
    Ok(items)
}

#[cfg(test)]
mod tests;
