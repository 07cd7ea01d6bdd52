//! What the walk writes down: of the orders, as simply as a shopkeeper would, and of what happened.

use std::collections::BTreeMap;

use serde_json::Value;

use super::op::{Person, Start, refund_number};
use super::variable;

/// What the notebook says of an order.
#[derive(Clone, Debug)]
pub(super) struct Noted {
    /// The number that callers know it by.
    pub(super) number: String,
    /// Who ordered.
    pub(super) by: Person,
    /// The request, to be repeated; a payer's with its key.
    pub(super) request: Value,
    pub(super) key: Option<String>,
    pub(super) total: i64,
    /// An answer said that it exists.
    pub(super) promised: bool,
    /// The phone said that it was paid.
    pub(super) paid: bool,
    /// An answer said that it is paid.
    pub(super) told_paid: bool,
    /// The refunds that were asked for, by the walk's number.
    pub(super) refunds: BTreeMap<u32, NotedRefund>,
}

#[derive(Clone, Debug)]
pub(super) struct NotedRefund {
    /// Who asks for it, and repeats that: what a payer asked for is no refund of the merchant's.
    pub(super) by: Person,
    pub(super) amount: i64,
    /// An answer said that it is accepted.
    pub(super) promised: bool,
    /// Waits for the merchant, as far as answers said.
    pub(super) requested: bool,
}

impl NotedRefund {
    pub(super) const fn new(by: Person, amount: i64) -> Self {
        Self {
            by,
            amount,
            promised: false,
            requested: false,
        }
    }

    /// The number under which it stands: what a payer names is put into the payers' namespace.
    pub(super) fn number(&self, refund: u32) -> String {
        let named = refund_number(refund);
        match self.by {
            Person::Merchant => named,
            Person::Alice | Person::Bob => format!("payer-{named}"),
        }
    }
}

/// Prints what happened, if the walk ends badly.
pub(super) struct Diary {
    pub(super) start: Start,
    pub(super) lines: Vec<String>,
    pub(super) loud: bool,
}

impl Drop for Diary {
    fn drop(&mut self) {
        let failed = std::thread::panicking() && self.loud;
        if failed || variable("WALK_SHOW").is_some() {
            eprintln!("walk from {:?}:", self.start);
            for line in &self.lines {
                eprintln!("    {line}");
            }
        }
    }
}
