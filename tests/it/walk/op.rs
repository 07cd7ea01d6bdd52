//! What can happen in a walk, as values: a walk is a [`Start`] and a list of [`Op`]s.
//!
//! Orders and refunds have numbers of the list's own, so that an operation still means the same order
//! where another one is taken out of the list. An operation on an order that nobody knows the number
//! of (its creation failed) does nothing.

use local::aws::Fault;
use serde_json::{Value, json};

use crate::harness::{ALICE, BOB};

/// How a walk begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// The seed of the simulator's own randomness.
    pub(super) seed: u64,
    /// Whether WeChat Pay makes trouble by itself, too.
    pub(super) hostile: bool,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Op {
    /// Somebody places an order; a payer's total is a number of cups of tea.
    Place {
        order: u32,
        by: Person,
        trade_type: &'static str,
        total: i64,
    },
    /// The same request again, with the same number or key.
    PlaceAgain { order: u32 },
    /// Another request with the same number or key: it must be refused.
    PlaceOtherwise { order: u32 },
    /// What the payer does on the phone.
    Pay { order: u32, act: Act },
    /// The merchant or the owner queries the order.
    Query { order: u32, by: Person },
    /// A payer tries another payer's order.
    Pry { order: u32, attempt: Attempt },
    /// The owner closes the order.
    Close { order: u32 },
    /// Somebody asks for a refund, of the whole, a part, or too much.
    Refund {
        order: u32,
        refund: u32,
        by: Person,
        amount: i64,
    },
    /// The same request for a refund again.
    RefundAgain { order: u32, refund: u32 },
    /// The merchant decides on a payer's request, if it waits for that.
    Decide {
        order: u32,
        refund: u32,
        decision: Decision,
    },
    /// The bank ends a refund.
    Bank {
        order: u32,
        refund: u32,
        end: BankEnd,
    },
    /// A close, a query, a payment and a sweep of one order at the same time.
    AllAtOnce { order: u32 },
    /// Three refunds of more than half the total each, and the first again, at the same time; their
    /// numbers are `first` and the two that follow.
    RefundsAtOnce { order: u32, first: u32 },
    /// The sweep runs.
    Sweep,
    /// The business clock moves on.
    Advance { seconds: i64 },
    /// WeChat Pay makes this trouble, `count` times at most, each time with this probability.
    Trouble {
        fault: &'static str,
        count: u32,
        rate: f64,
    },
    /// These of the next calls to the table go wrong; the next one is number 0.
    TableTrouble { calls: Vec<(u32, Fault)> },
    /// No more trouble, from WeChat Pay or from the table.
    Calm,
    /// A notification about the order arrives that WeChat Pay did not sign.
    Forge { order: u32 },
    /// The stack stops and starts again.
    Restart,
}

/// Every operation's name: a walk in which one of them never ran proves less than it says.
pub(super) const NAMES: [&str; 20] = [
    "Place",
    "PlaceAgain",
    "PlaceOtherwise",
    "Pay",
    "Query",
    "Pry",
    "Close",
    "Refund",
    "RefundAgain",
    "Decide",
    "Bank",
    "AllAtOnce",
    "RefundsAtOnce",
    "Sweep",
    "Advance",
    "Trouble",
    "TableTrouble",
    "Calm",
    "Forge",
    "Restart",
];

impl Op {
    /// The operation's name.
    pub(super) fn name(&self) -> &'static str {
        let debug = format!("{self:?}");
        let name = debug.split(' ').next().unwrap();
        let known = NAMES.iter().find(|known| **known == name);
        known.unwrap_or_else(|| panic!("{name} is not in NAMES"))
    }
}

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Person {
    Merchant,
    Alice,
    Bob,
}

impl Person {
    /// Who pays an order of this person's.
    pub(super) const fn openid(self) -> &'static str {
        match self {
            Self::Merchant | Self::Alice => ALICE,
            Self::Bob => BOB,
        }
    }

    /// The other payer.
    pub(super) const fn other_payer(self) -> Self {
        match self {
            Self::Merchant | Self::Bob => Self::Alice,
            Self::Alice => Self::Bob,
        }
    }
}

/// What a payer does on the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Pays,
    Cancels,
    Fails,
}

impl Act {
    /// The simulator's name for it.
    pub(super) const fn control(self) -> &'static str {
        match self {
            Self::Pays => "pay",
            Self::Cancels => "cancel",
            Self::Fails => "fail",
        }
    }
}

/// What is tried on another payer's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    Querying,
    Closing,
    Refunding,
}

/// What the merchant decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Approve,
    Reject,
}

impl Decision {
    /// The route's last segment.
    pub(super) const fn segment(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }
}

/// How the bank ends a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BankEnd {
    Completes,
    Closes,
    Abnormal,
}

impl BankEnd {
    /// The simulator's name for it.
    pub(super) const fn control(self) -> &'static str {
        match self {
            Self::Completes => "complete",
            Self::Closes => "close",
            Self::Abnormal => "abnormal",
        }
    }
}

/// What one cup of tea costs a payer, in fen.
pub(super) const TEA: i64 = 300;

/// The request that places this order.
pub(super) fn request(order: u32, by: Person, trade_type: &str, total: i64) -> Value {
    if by != Person::Merchant {
        let items = json!([{"sku": "tea", "quantity": total / TEA}]);
        return json!({"trade_type": trade_type, "items": items});
    }
    let mut request = json!({
        "trade_type": trade_type, "out_trade_no": merchant_number(order),
        "description": "Walk", "amount": {"total": total},
    });
    if trade_type == "jsapi" {
        request["payer"] = json!({"openid": ALICE});
    }
    request
}

/// The number that the merchant gives this order.
pub(super) fn merchant_number(order: u32) -> String {
    format!("walk-{order:04}")
}

/// The number of this refund.
pub(super) fn refund_number(refund: u32) -> String {
    format!("walk-r{refund:04}")
}

/// The walk as Rust, to be pasted into `regressions.rs`.
pub(super) fn literal(start: Start, ops: &[Op]) -> String {
    let mut text = format!("    replay(\n        {start:?},\n        &[\n");
    for op in ops {
        // A list in a value is a `Vec`, which Debug writes like an array.
        let op = format!("{op:?}").replace(": [", ": vec![");
        text.push_str(&format!("            {op},\n"));
    }
    text + "        ],\n    );\n"
}
