//! `wxpay orders`: the orders of a day.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shared::domain::{BeijingDay, OrderState};
use shared::rfc3339;

use crate::exit::Failure;
use crate::output::{amount, moment, table, text};
use crate::target::{Target, Which};

/// How many orders a list has at most, unless another bound is given.
const LIMIT: usize = 500;

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
    List(List),
}

/// Which orders.
#[derive(Args, Debug)]
struct List {
    /// The day in Beijing: 2026-11-29, today or yesterday.
    #[arg(long, default_value = "today", value_parser = day)]
    date: Day,
    /// Only those in this state.
    #[arg(long, value_parser = OrderState::NAMES, ignore_case = true)]
    state: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = LIMIT)]
    limit: usize,
}

/// A day as it is written on the command line.
#[derive(Clone, Copy, Debug)]
enum Day {
    DaysAgo(i64),
    Of(BeijingDay),
}

fn day(text: &str) -> Result<Day, String> {
    match text {
        "today" => Ok(Day::DaysAgo(0)),
        "yesterday" => Ok(Day::DaysAgo(1)),
        _ => rfc3339::parse_day(text)
            .map(Day::Of)
            .ok_or_else(|| "a day is 2026-11-29, today or yesterday".to_owned()),
    }
}

impl Day {
    fn text(self, target: &Target) -> String {
        rfc3339::format_day(match self {
            Self::Of(day) => day,
            Self::DaysAgo(days) => BeijingDay::of(target.process.clock.wall()).days_before(days),
        })
    }
}

/// Does what was asked.
///
/// # Errors
/// As each verb says.
pub async fn run(orders: Orders) -> Result<(), Failure> {
    let target = orders.which.find().await?;
    match orders.verb {
        Verb::List(asked) => list(&orders.which, &target, asked).await,
    }
}

async fn list(which: &Which, target: &Target, asked: List) -> Result<(), Failure> {
    let date = asked.date.text(target);
    let mut query = vec![("date", date.as_str())];
    let state = asked.state.map(|state| state.to_ascii_uppercase());
    if let Some(state) = &state {
        query.push(("trade_state", state));
    }
    let items = target.api()?.list("/orders", &query, asked.limit).await?;
    which
        .output()
        .answer(&json!({"date": date, "items": items}), || {
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
