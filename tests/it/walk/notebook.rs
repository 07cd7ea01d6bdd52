//! What the walker writes down: of the orders, as naively as a shopkeeper, and of the way.

use std::collections::BTreeMap;

use serde_json::Value;

use super::variable;

/// What the notebook says of an order.
#[derive(Clone, Debug)]
pub(super) struct Noted {
    /// Who ordered: 0 is the merchant, 1 and 2 are payers.
    pub(super) by: usize,
    /// The request, to be repeated; a payer's with its key.
    pub(super) request: Value,
    pub(super) key: Option<String>,
    pub(super) total: i64,
    /// Somebody was told that it exists.
    pub(super) promised: bool,
    /// The phone said that it was paid.
    pub(super) paid: bool,
    /// Somebody was told that it is paid.
    pub(super) told_paid: bool,
    pub(super) refunds: BTreeMap<String, NotedRefund>,
}

#[derive(Clone, Debug)]
pub(super) struct NotedRefund {
    /// Who asks for it, and repeats that: what a payer asked for is no refund of the merchant's.
    pub(super) by: usize,
    pub(super) amount: i64,
    /// Somebody was told that it is accepted.
    pub(super) promised: bool,
    /// Waits for the merchant, as far as was told.
    pub(super) requested: bool,
}

impl NotedRefund {
    pub(super) const fn new(by: usize, amount: i64) -> Self {
        Self {
            by,
            amount,
            promised: false,
            requested: false,
        }
    }
}

/// Prints what was done, if the walk ends badly.
pub(super) struct Diary {
    pub(super) seed: u64,
    pub(super) lines: Vec<String>,
}

impl Drop for Diary {
    fn drop(&mut self) {
        if std::thread::panicking() || variable("WALK_SHOW").is_some() {
            eprintln!("walk of seed {} (WALK_SEED={0}):", self.seed);
            for line in &self.lines {
                eprintln!("    {line}");
            }
        }
    }
}
