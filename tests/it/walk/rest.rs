//! How a walk ends: without trouble everything comes to rest, and is what the notebook says.

use std::collections::BTreeMap;

use serde_json::Value;

use super::op::BankEnd;
use super::refunds::end_refund;
use super::walker::{Tally, Walk, sweep};
use crate::harness::{TestStack, watch};

impl Walk {
    /// Ends the walk, checks everything, and says how much happened.
    pub(super) async fn rest(mut self) -> Tally {
        self.calm().await;
        self.note("the end begins".to_owned());
        come_to_rest(self.stack()).await;
        let violations = self.stack().seen("violations").await;
        let accepted = violations
            .iter()
            .find(|row| row["kind"] == "accepted_forgery");
        assert_eq!(accepted, None);
        self.check_notebook();
        self.tally.clone()
    }

    /// Every order that anybody was told of is there, and is paid exactly if the phone said so; no
    /// refund that was accepted is lost.
    fn check_notebook(&self) {
        let stack = self.stack();
        let items = stack.items();
        let orders: BTreeMap<&str, &Value> = items
            .iter()
            .filter(|item| watch::text(item, "sk") == "ORDER")
            .map(|item| (watch::text(item, "out_trade_no"), item))
            .collect();
        for noted in self.orders.values() {
            let number = &noted.number;
            let Some(item) = orders.get(number.as_str()) else {
                assert!(!noted.promised && !noted.paid, "{number} is lost");
                continue;
            };
            let paid = watch::text(item, "trade_state") == "SUCCESS";
            assert_eq!(paid, noted.paid, "{number}: {item}");
            assert_eq!(watch::number(item, "total"), noted.total, "{number}");
            for (refund, asked) in &noted.refunds {
                let refund = asked.number(*refund);
                let item = stack.item(&format!("ORDER#{number}"), &format!("REFUND#{refund}"));
                if item.is_null() {
                    assert!(!asked.promised, "{refund} of {number} is lost");
                } else {
                    assert_eq!(watch::number(&item, "refund"), asked.amount, "{refund}");
                }
            }
        }
    }
}

/// For how many sweeps nothing may change while nothing is due: no more will come of it.
const UNCHANGED_MAX: u32 = 20;

/// Sweeps ever later, some days in all, until nothing is open: what is due least often is due daily.
async fn come_to_rest(stack: &TestStack) {
    let (mut open, mut unchanged) = (Vec::new(), 0);
    for round in 0..60 {
        let seconds = match round {
            0..8 => 150,
            8..16 => 900,
            _ => 7200,
        };
        stack.advance(seconds).await;
        sweep(stack).await;
        for row in stack.seen("ledger").await {
            if row["status"] == "ABNORMAL" {
                // A person dealt with it.
                let refund = row["out_refund_no"].as_str().unwrap();
                end_refund(stack, refund, BankEnd::Completes).await;
            }
        }
        let mut still_open = stack.open_ends().await;
        let mut due = stack.items();
        due.retain(|item| !item["due_at"].is_null());
        unchanged = if due.is_empty() && still_open == open {
            unchanged + 1
        } else {
            0
        };
        still_open.extend(due.iter().map(|item| format!("still due: {item}")));
        open = still_open;
        if open.is_empty() || unchanged == UNCHANGED_MAX {
            break;
        }
    }
    assert!(open.is_empty(), "not at rest: {open:#?}");
}
