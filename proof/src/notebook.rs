//! What a shopkeeper would write down of orders and refunds: as much as answers and the phone said.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::op::{Decision, Person};
use crate::walk::request;

/// What the notebook says of an order.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    /// The number that callers know it by; empty until an answer told it.
    pub(crate) number: String,
    /// Who ordered.
    pub(crate) by: Person,
    /// The request, to be repeated, and its key.
    pub(crate) request: Value,
    pub(crate) key: String,
    pub(crate) total: i64,
    /// An answer said that it exists.
    pub(crate) promised: bool,
    /// The phone said that it was paid.
    pub(crate) paid: bool,
    /// An answer said that it is paid.
    pub(crate) told_paid: bool,
    /// The refunds that were asked for.
    pub(crate) refunds: BTreeMap<u32, NotedRefund>,
}

impl Noted {
    pub(crate) fn new(order: u32, by: Person, native: bool, total: i64) -> Self {
        Self {
            number: match by {
                Person::Merchant => format!("proof-{order:04}"),
                Person::Alice => String::new(),
            },
            by,
            request: request(order, by, native, total),
            key: match by {
                Person::Merchant => String::new(),
                Person::Alice => format!("proof-key-{order:08}"),
            },
            total,
            promised: false,
            paid: false,
            told_paid: false,
            refunds: BTreeMap::new(),
        }
    }
}

/// What the notebook says of a refund.
#[derive(Clone, Debug)]
pub(crate) struct NotedRefund {
    /// Who asks for it.
    pub(crate) by: Person,
    pub(crate) amount: i64,
    /// An answer said that it is accepted.
    pub(crate) promised: bool,
    /// What the merchant decided about it and nobody refused; an approval where an answer said so.
    pub(crate) decided: BTreeSet<Decision>,
}

impl NotedRefund {
    pub(crate) const fn new(by: Person, amount: i64) -> Self {
        Self {
            by,
            amount,
            promised: false,
            decided: BTreeSet::new(),
        }
    }

    /// The number under which it stands: what a payer names is put into the payers' namespace.
    pub(crate) fn number(&self, named: &str) -> String {
        match self.by {
            Person::Merchant => named.to_owned(),
            Person::Alice => format!("payer-{named}"),
        }
    }
}
