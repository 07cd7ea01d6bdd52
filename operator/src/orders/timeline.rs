//! An order's story, from three sources: what WeChat Pay says now (through the API), the record (the table),
//! and the log.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use shared::domain::{OrderId, Timestamp};

use crate::aws::logs::Wanted;
use crate::exit::Failure;
use crate::money::yuan;
use crate::output::{DIM, amount, aside, moment_of, table, text};
use crate::target::{Target, Which};

use super::summary;

/// How long after it was placed an order's notifications are looked for in the log, in seconds.
const LOG_SECONDS: i64 = 3 * 24 * 60 * 60;

/// How long before, since clocks differ.
const CLOCKS_SECONDS: i64 = 60 * 60;

/// What an attribute of an order's item, a time, tells.
const OF_ORDERS: [(&str, &str); 7] = [
    ("created_at", "placed"),
    ("code_url_at", "WeChat Pay gave the QR code"),
    (
        "asked_at",
        "WeChat Pay was asked, for whoever looked at the order",
    ),
    ("missing_since", "WeChat Pay does not know the order"),
    ("closing_at", "the close was decided"),
    ("closed_at", "closed"),
    ("success_time", "paid, by WeChat Pay's clock"),
];

/// What an attribute of a refund's item, a time, tells.
const OF_REFUNDS: [(&str, &str); 8] = [
    ("created_at", "asked for"),
    ("reserved_at", "its amount reserved"),
    ("sent_at", "sent to WeChat Pay"),
    ("refused_since", "refused by WeChat Pay since then"),
    ("withdrawing_at", "withdrawn by the merchant"),
    ("missing_since", "WeChat Pay does not know it"),
    ("withdrawn_at", "its amount free again"),
    ("success_time", "the payer has the money"),
];

type Item = HashMap<String, AttributeValue>;

/// A line of the story.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Moment {
    at: Timestamp,
    what: String,
    source: &'static str,
}

/// Tells an order's story.
///
/// # Errors
/// There is no such order, or the API gives no usable answer. Without a right to the table or the log, what
/// they would tell is left out, and standard error says so.
pub(super) async fn show(
    which: &Which,
    target: &Target,
    order_id: &OrderId,
) -> Result<(), Failure> {
    let order = target
        .api()?
        .get(&format!("/orders/{order_id}"), &[])
        .await?
        .body;
    let mut moments = Vec::new();
    let mut placed = target.process.clock.wall();
    match items(target, order_id).await {
        Ok(items) => {
            for item in &items {
                placed = placed.min(time(item, "created_at").unwrap_or(placed));
                moments.extend(of_item(item));
            }
        }
        Err(failure) => aside(&format!("wxpay: without the record: {failure}")),
    }
    match notifications(target, order_id, placed).await {
        Ok(found) => moments.extend(found),
        Err(failure) => aside(&format!("wxpay: without the log: {failure}")),
    }
    moments.sort_by_key(|moment| moment.at);
    let told: Vec<Value> = moments.iter().map(Moment::json).collect();
    let answer = json!({"order": order, "timeline": told});
    which.output().answer(&answer, || {
        let rows = moments.iter().map(Moment::row);
        let timeline = table(&["when (Beijing)", "what", "source"], rows);
        format!("{}\n{}\n\n{timeline}", summary(&order), standing(&order))
    });
    Ok(())
}

impl Moment {
    fn json(&self) -> Value {
        let at = shared::rfc3339::format(self.at);
        json!({"at": at, "what": self.what, "source": self.source})
    }

    fn row(&self) -> Vec<String> {
        vec![
            moment_of(self.at),
            self.what.clone(),
            self.source.to_owned(),
        ]
    }
}

/// How the order stands: what was bought, and what of the money is where.
fn standing(order: &Value) -> String {
    let asked = if order["trade_state"] == "SUCCESS" {
        "paid on record; of that nobody is asked again"
    } else if order["fresh"] == true {
        "WeChat Pay says so now"
    } else {
        "as the record has it; WeChat Pay was not asked, or did not answer"
    };
    let mut lines = vec![
        format!("{DIM}{asked}{DIM:#}"),
        format!(
            "{}  refunded {}, refundable {}",
            text(&order["description"]),
            amount(&order["amount"]["refunded"]),
            amount(&order["amount"]["refundable"])
        ),
    ];
    for item in order["items"].as_array().into_iter().flatten() {
        lines.push(format!(
            "  {} × {} ({}) at {}",
            text(&item["quantity"]),
            text(&item["description"]),
            text(&item["sku"]),
            amount(&item["unit_price"])
        ));
    }
    for refund in order["refunds"].as_array().into_iter().flatten() {
        let human = if refund["needs_human"] == true {
            ", a person has to act"
        } else {
            ""
        };
        lines.push(format!(
            "  refund {}: {} yuan, {}{human}",
            text(&refund["out_refund_no"]),
            amount(&refund["amount"]["refund"]),
            text(&refund["status"])
        ));
    }
    lines.join("\n")
}

/// The order's item and its refunds'.
async fn items(target: &Target, order_id: &OrderId) -> Result<Vec<Item>, Failure> {
    let answer = target
        .aws
        .table()
        .query()
        .table_name(target.described.output("TableName")?)
        .key_condition_expression("pk = :order")
        .expression_attribute_values(":order", AttributeValue::S(format!("ORDER#{order_id}")))
        .consistent_read(true)
        .send()
        .await
        .map_err(|error| crate::aws::refused("dynamodb:Query", error))?;
    Ok(answer.items.unwrap_or_default())
}

/// What one item tells.
fn of_item(item: &Item) -> Vec<Moment> {
    let refund = string(item, "out_refund_no");
    let (times, who) = match refund {
        None => (&OF_ORDERS[..], string(item, "placed_by")),
        Some(_) => (&OF_REFUNDS[..], string(item, "asked_by")),
    };
    let amount = number(item, if refund.is_some() { "refund" } else { "total" });
    let named = refund.map_or_else(String::new, |number| format!("refund {number}: "));
    let mut moments = Vec::new();
    for (attribute, what) in times {
        let Some(at) = time(item, attribute) else {
            continue;
        };
        let more = match *attribute {
            "created_at" => format!(
                " by the {}, {} yuan",
                who.unwrap_or("caller"),
                yuan(amount.unwrap_or_default())
            ),
            "success_time" if refund.is_none() => {
                format!(", {}", string(item, "transaction_id").unwrap_or_default())
            }
            _ => String::new(),
        };
        moments.push(Moment {
            at,
            what: format!("{named}{what}{more}"),
            source: "record",
        });
    }
    moments.extend(events(item, refund.is_some(), &named));
    moments
}

/// The events that stand in an item (docs/data-model.md, "Events"): `2+42:paid` is of version 2, 42 seconds
/// after `created_at`.
fn events(item: &Item, of_refund: bool, named: &str) -> Vec<Moment> {
    let kind = if of_refund { "refund" } else { "order" };
    let log = string(item, "events").unwrap_or_default();
    let Some(created_at) = time(item, "created_at") else {
        return Vec::new();
    };
    let entries = log.split(' ').filter_map(|entry| {
        let (place, name) = entry.split_once(':')?;
        let (_, seconds) = place.split_once('+')?;
        Some(Moment {
            at: created_at.plus_seconds(seconds.parse().ok()?),
            what: format!("{named}event {kind}.{name}"),
            source: "record",
        })
    });
    entries.collect()
}

/// The notifications about the order, as the log has them.
async fn notifications(
    target: &Target,
    order_id: &OrderId,
    placed: Timestamp,
) -> Result<Vec<Moment>, Failure> {
    let now = target.process.clock.wall();
    let from = placed.min(now).minus_seconds(CLOCKS_SECONDS);
    let until = from.plus_seconds(LOG_SECONDS + CLOCKS_SECONDS);
    let wanted = Wanted {
        group: target.described.output("FunctionLogGroup")?,
        from_ms: from.unix_seconds().saturating_mul(1_000),
        until_ms: Some(until.unix_seconds().saturating_mul(1_000)),
        term: Some(order_id.as_str()),
    };
    let lines = target.aws.lines(&wanted).await?;
    let told = lines.iter().filter_map(|line| {
        let fields = line.fields();
        let is_notice = fields["function"] == "notify-callback"
            && fields["order.out_trade_no"] == order_id.as_str();
        is_notice.then(|| Moment {
            at: Timestamp::from_unix_seconds(line.at_ms.div_euclid(1_000)),
            what: notification(&fields),
            source: "log",
        })
    });
    Ok(told.collect())
}

fn notification(fields: &Value) -> String {
    let mut what = format!("notification {}", text(&fields["notice.id"]));
    if let Some(refund) = fields["refund.out_refund_no"].as_str() {
        what.push_str(&format!(" about refund {refund}"));
    }
    for member in ["settled", "notice", "contradiction", "error"] {
        if let Some(said) = fields[member].as_str() {
            what.push_str(&format!(", {member} {said}"));
        }
    }
    what
}

fn string<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

fn number(item: &Item, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

fn time(item: &Item, name: &str) -> Option<Timestamp> {
    number(item, name).map(Timestamp::from_unix_seconds)
}
