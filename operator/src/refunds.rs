//! `wxpay refunds`: what waits for a decision, and the decisions.
//!
//! What sends money back is confirmed first. Everything here may be typed again: a number stands for one refund,
//! however often it is asked for.

use std::collections::BTreeMap;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use shared::domain::{OrderId, RefundId};
use shared::{random, rfc3339};

use crate::day::Day;
use crate::exit::Failure;
use crate::money;
use crate::orders::order_id;
use crate::output::{BOLD, amount, aside, moment, table, text};
use crate::prompt;
use crate::target::{Target, Which};

/// How many refunds a list has at most, unless another bound is given.
const LIMIT: usize = 500;

/// The commands about refunds.
#[derive(Args, Debug)]
pub struct Refunds {
    #[command(flatten)]
    which: Which,
    /// Does it without asking: for what sends money back.
    #[arg(long, global = true, help_heading = "How to answer")]
    yes: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Lists the requests that wait for a decision, or the refunds of a day, oldest first.
    List(List),
    /// Shows a refund, after WeChat Pay was asked where its status can still change.
    Show(One),
    /// Refunds a part of an order, or all that is left.
    #[command(after_help = "Examples:
  wxpay refunds create counter-7-0001 --amount 1000 --reason 'a slice was missing'
  wxpay refunds create counter-7-0001 --amount 10.00 --yuan
  wxpay refunds create counter-7-0001 --all --yes

Without --number the refund gets one, which is printed before anything is sent. If there is no usable answer
(exit code 6), ask for the same again with that number: it is refunded once, however often it is asked for.")]
    Create(Create),
    /// Approves a payer's request: the money goes back.
    Approve(One),
    /// Rejects a payer's request.
    Reject(One),
    /// Takes a refund back that WeChat Pay has not taken; its amount is free after about seven minutes.
    Withdraw(One),
    /// Sends a refund again that WeChat Pay refused.
    Retry(One),
    /// Applies for another way for an abnormal refund: to a bank card.
    #[command(
        after_help = "The number of a payer's card and the name on it are asked for, or read from standard input as two lines
where nobody can be asked. They are encrypted for WeChat Pay before they leave the function, and kept nowhere."
    )]
    Abnormal(Abnormal),
}

/// Which refunds.
#[derive(Args, Debug)]
struct List {
    /// Those that were asked for on this day in Beijing, whatever became of them; without it those that wait.
    #[arg(long, value_parser = Day::parse)]
    date: Option<Day>,
    /// At most so many.
    #[arg(long, default_value_t = LIMIT)]
    limit: usize,
}

/// Which refund.
#[derive(Args, Debug)]
struct One {
    /// The order's number (out_trade_no).
    #[arg(value_name = "ORDER", value_parser = order_id)]
    order_id: OrderId,
    /// The refund's number (out_refund_no).
    #[arg(value_name = "REFUND", value_parser = refund_id)]
    refund_id: RefundId,
}

/// What is refunded.
#[derive(Args, Debug)]
struct Create {
    /// The order's number (out_trade_no).
    #[arg(value_name = "ORDER", value_parser = order_id)]
    order_id: OrderId,
    /// How much, in fen.
    #[arg(long, required_unless_present = "all", conflicts_with = "all")]
    amount: Option<String>,
    /// The amount is in yuan.
    #[arg(long, requires = "amount")]
    yuan: bool,
    /// All that can still be refunded.
    #[arg(long)]
    all: bool,
    /// Why; the payer sees it.
    #[arg(long)]
    reason: Option<String>,
    /// The refund's number; without it a new one.
    #[arg(long, value_parser = refund_id)]
    number: Option<RefundId>,
}

/// Where an abnormal refund goes.
#[derive(Args, Debug)]
struct Abnormal {
    #[command(flatten)]
    one: One,
    /// Whose card.
    #[arg(long = "to", value_enum)]
    to: Card,
    /// The bank of the payer's card, such as ICBC_DEBIT (docs/api.md).
    #[arg(long, required_if_eq("to", "payer"))]
    bank_type: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Card {
    /// A debit card of the payer's.
    Payer,
    /// Your own account, from which you pay the payer by hand.
    Merchant,
}

fn refund_id(text: &str) -> Result<RefundId, String> {
    RefundId::parse(text).map_err(|error| error.to_string())
}

impl One {
    fn path(&self) -> String {
        format!("/orders/{}/refunds/{}", self.order_id, self.refund_id)
    }
}

/// Does what was asked.
///
/// # Errors
/// As each verb says.
pub async fn run(refunds: Refunds) -> Result<(), Failure> {
    let Refunds { which, yes, verb } = refunds;
    let target = which.find().await?;
    let answer = match verb {
        Verb::List(asked) => return list(&which, &target, asked).await,
        Verb::Show(one) => target.api()?.get(&one.path(), &[]).await?.body,
        Verb::Create(create) => created(&target, create, yes).await?,
        Verb::Approve(one) => approved(&target, &one, yes).await?,
        Verb::Reject(one) => decided(&target, &one, "reject").await?,
        Verb::Withdraw(one) => decided(&target, &one, "withdraw").await?,
        Verb::Retry(one) => {
            let what = format!("send refund {} to WeChat Pay again", one.refund_id);
            prompt::confirm(&what, yes)?;
            decided(&target, &one, "retry").await?
        }
        Verb::Abnormal(abnormal) => applied(&target, abnormal, yes).await?,
    };
    which.output().answer(&answer, || summary(&answer));
    Ok(())
}

async fn list(which: &Which, target: &Target, asked: List) -> Result<(), Failure> {
    let date = asked
        .date
        .map(|date| rfc3339::format_day(date.on(&target.process.clock)));
    let query = match &date {
        Some(date) => [("date", date.as_str())],
        None => [("status", "REQUESTED")],
    };
    let (items, more) = target.api()?.list("/refunds", &query, asked.limit).await?;
    if more {
        aside(&format!(
            "There are more than {}: --limit shows more of them.",
            items.len()
        ));
    }
    let mut answer = json!({"items": items});
    if more {
        answer["more"] = json!(true);
    }
    which.output().answer(&answer, || {
        if items.is_empty() {
            return match &date {
                Some(date) => format!("No refunds of {date}."),
                None => "No request waits for a decision.".to_owned(),
            };
        }
        let heading = [
            "order", "refund", "status", ">yuan", "asked by", "asked at", "reason",
        ];
        table(&heading, items.iter().map(row))
    });
    Ok(())
}

fn row(refund: &Value) -> Vec<String> {
    vec![
        text(&refund["out_trade_no"]),
        text(&refund["out_refund_no"]),
        text(&refund["status"]),
        amount(&refund["amount"]["refund"]),
        text(&refund["asked_by"]),
        moment(&refund["created_at"]),
        text(&refund["reason"]),
    ]
}

/// A refund's line, and what a person has to know of it.
fn summary(refund: &Value) -> String {
    let mut summary = format!(
        "{BOLD}{}{BOLD:#}  {}  {} yuan of {}",
        text(&refund["out_refund_no"]),
        text(&refund["status"]),
        amount(&refund["amount"]["refund"]),
        amount(&refund["amount"]["total"])
    );
    if !refund["next_attempt_at"].is_null() {
        summary.push_str(&format!(", sent at {}", moment(&refund["next_attempt_at"])));
    }
    if refund["needs_human"] == true {
        summary.push_str("\nA person has to act: docs/operations.md, RB-2 and RB-7.");
    }
    summary
}

/// What numbers begin with that people choose, where other systems use the merchant number, too.
fn own_prefix(parameters: &BTreeMap<String, String>) -> &str {
    let given = |name: &str| parameters.get(name).map_or("", String::as_str);
    if given("MerchantNumberShared") == "true" {
        given("OrderNumberPrefix")
    } else {
        ""
    }
}

async fn created(target: &Target, create: Create, yes: bool) -> Result<Value, Failure> {
    let api = target.api()?;
    let fen = match &create.amount {
        Some(amount) => money::parse(amount, create.yuan)
            .map_err(Failure::Refused)?
            .get(),
        None => {
            let order = api
                .get(&format!("/orders/{}", create.order_id), &[])
                .await?
                .body;
            let left = order["amount"]["refundable"].as_i64().unwrap_or_default();
            if left == 0 {
                let why = format!("nothing can be refunded of {}", create.order_id);
                return Err(Failure::Refused(why));
            }
            left
        }
    };
    let number = match create.number {
        Some(number) => number.as_str().to_owned(),
        None => {
            let prefix = own_prefix(&target.described.parameters);
            let chance = random::token();
            format!("{prefix}op-{}", chance.get(..16).unwrap_or_default())
        }
    };
    let yuan = money::yuan(fen);
    prompt::confirm(
        &format!("refund {yuan} yuan of order {}", create.order_id),
        yes,
    )?;
    aside(&format!("Refund {number} of order {}", create.order_id));
    let mut body = json!({"out_refund_no": number, "amount": {"refund": fen}});
    if let Some(reason) = &create.reason {
        body["reason"] = json!(reason);
    }
    let path = format!("/orders/{}/refunds", create.order_id);
    match api.post(&path, Some(&body)).await {
        Ok(answer) => Ok(answer.body),
        Err(Failure::NoAnswer(why)) => Err(Failure::NoAnswer(format!(
            "{why}; whether it was refunded is not known: ask for the same again with --number {number}"
        ))),
        Err(other) => Err(other),
    }
}

async fn approved(target: &Target, one: &One, yes: bool) -> Result<Value, Failure> {
    let api = target.api()?;
    let refund = api.get(&one.path(), &[]).await?.body;
    let yuan = amount(&refund["amount"]["refund"]);
    let what = format!("refund {yuan} yuan of order {}", one.order_id);
    prompt::confirm(&what, yes)?;
    decided(target, one, "approve").await
}

async fn decided(target: &Target, one: &One, decision: &str) -> Result<Value, Failure> {
    let path = format!("{}/{decision}", one.path());
    Ok(target.api()?.post(&path, None).await?.body)
}

async fn applied(target: &Target, abnormal: Abnormal, yes: bool) -> Result<Value, Failure> {
    let body = match abnormal.to {
        Card::Merchant => json!({"type": "MERCHANT_BANK_CARD"}),
        Card::Payer => {
            let [account, name] = prompt::card()?;
            json!({
                "type": "USER_BANK_CARD", "bank_type": abnormal.bank_type,
                "bank_account": account, "real_name": name,
            })
        }
    };
    let what = format!("send refund {} to a bank card", abnormal.one.refund_id);
    prompt::confirm(&what, yes)?;
    let path = format!("{}/abnormal", abnormal.one.path());
    Ok(target.api()?.post(&path, Some(&body)).await?.body)
}
