//! `wxpay orders`: the orders of a day, and the story of one.

mod timeline;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shared::domain::{OrderId, OrderState};
use shared::rfc3339;

use crate::day::Day;
use crate::exit::Failure;
use crate::output::{BOLD, amount, aside, moment, table, text};
use crate::target::{Target, Which};

/// How many orders a list has at most, unless another bound is given.
const LIMIT: usize = 500;

/// How often WeChat Pay is asked about an order until it answers; it may be asked once in two seconds.
const SETTLE_TRIES: u32 = 3;

/// The commands about orders.
#[derive(Args, Debug)]
pub struct Orders {
    #[command(flatten)]
    which: Which,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Lists the orders that were placed on a day, newest first.
    #[command(after_help = "Examples:
  wxpay orders list
  wxpay orders list --date yesterday --state SUCCESS
  wxpay orders list --date 2026-11-29 --json | jq -r '.items[].out_trade_no'")]
    List(List),
    /// Tells an order's story: placed, asked, paid, notifications, refunds, events.
    #[command(
        after_help = "Each line says where it comes from: the record (the table), the log, or WeChat Pay.
Log lines are those of the order's first three days.

Example:
  wxpay orders show counter-7-0001 --stack wxpay"
    )]
    Show(One),
    /// Closes an order that nobody shall pay any more.
    #[command(
        after_help = "If the payer was faster, nothing is closed, and the exit code is 5. While WeChat Pay has not confirmed the
close, the order may still be paid, and the exit code is 6."
    )]
    Close(One),
    /// Asks WeChat Pay how the order stands, and settles what it says.
    Settle(One),
}

/// Which orders.
#[derive(Args, Debug)]
struct List {
    /// The day in Beijing: 2026-11-29, today or yesterday.
    #[arg(long, default_value = "today", value_parser = Day::parse)]
    date: Day,
    /// Only those in this state.
    #[arg(long, value_parser = OrderState::NAMES, ignore_case = true)]
    state: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = LIMIT)]
    limit: usize,
}

/// Which order.
#[derive(Args, Debug)]
struct One {
    /// The order's number (out_trade_no).
    #[arg(value_name = "ORDER", value_parser = order_id)]
    order_id: OrderId,
}

/// Reads an order's number.
///
/// # Errors
/// It has the wrong length or characters.
pub fn order_id(text: &str) -> Result<OrderId, String> {
    OrderId::parse(text).map_err(|error| error.to_string())
}

/// Does what was asked.
///
/// # Errors
/// As each verb says.
pub async fn run(orders: Orders) -> Result<(), Failure> {
    let target = orders.which.find().await?;
    let which = &orders.which;
    match orders.verb {
        Verb::List(asked) => list(which, &target, asked).await,
        Verb::Show(one) => timeline::show(which, &target, &one.order_id).await,
        Verb::Close(one) => close(which, &target, &one.order_id).await,
        Verb::Settle(one) => settle(which, &target, &one.order_id).await,
    }
}

async fn list(which: &Which, target: &Target, asked: List) -> Result<(), Failure> {
    let date = rfc3339::format_day(asked.date.on(&target.process.clock));
    let mut query = vec![("date", date.as_str())];
    let state = asked.state.map(|state| state.to_ascii_uppercase());
    if let Some(state) = &state {
        query.push(("trade_state", state));
    }
    let (items, more) = target.api()?.list("/orders", &query, asked.limit).await?;
    if more {
        aside(&format!(
            "There are more than {}: --limit shows more of them.",
            items.len()
        ));
    }
    let mut answer = json!({"date": date, "items": items});
    if more {
        answer["more"] = json!(true);
    }
    which.output().answer(&answer, || {
        if items.is_empty() {
            return format!("No orders of {date}.");
        }
        let heading = [
            "order",
            "state",
            "type",
            ">yuan",
            ">refundable",
            "paid",
            "what",
        ];
        table(&heading, items.iter().map(row))
    });
    Ok(())
}

fn row(order: &Value) -> Vec<String> {
    vec![
        text(&order["out_trade_no"]),
        text(&order["trade_state"]),
        text(&order["trade_type"]),
        amount(&order["amount"]["total"]),
        amount(&order["amount"]["refundable"]),
        moment(&order["success_time"]),
        text(&order["description"]),
    ]
}

/// An order's line: number, state and amount.
fn summary(order: &Value) -> String {
    format!(
        "{BOLD}{}{BOLD:#}  {}  {} yuan",
        text(&order["out_trade_no"]),
        text(&order["trade_state"]),
        amount(&order["amount"]["total"])
    )
}

async fn close(which: &Which, target: &Target, order_id: &OrderId) -> Result<(), Failure> {
    let path = format!("/orders/{order_id}/close");
    let order = target.api()?.post(&path, None).await?.body;
    which.output().answer(&order, || summary(&order));
    if order["trade_state"] != "CLOSED" {
        return Err(Failure::NoAnswer(
            "WeChat Pay has not confirmed the close: the order may still be paid. The sweep goes on; ask again".to_owned(),
        ));
    }
    Ok(())
}

async fn settle(which: &Which, target: &Target, order_id: &OrderId) -> Result<(), Failure> {
    let api = target.api()?;
    let path = format!("/orders/{order_id}");
    let mut order = api.get(&path, &[]).await?.body;
    for _ in 1..SETTLE_TRIES {
        if order["fresh"] != false {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;
        order = api.get(&path, &[]).await?.body;
    }
    which.output().answer(&order, || summary(&order));
    if order["fresh"] == false {
        return Err(Failure::NoAnswer(
            "WeChat Pay gave no usable answer; this is how the record stands".to_owned(),
        ));
    }
    Ok(())
}
