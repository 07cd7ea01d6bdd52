//! What the fund-flow bill says of each payment and refund, by its number, and which of it was asked for.

use shared::domain::bill::{BillRow, Entry, FlowKind, FlowRow};

use crate::bills::{Flow, unusable_flow};
use crate::error::ReconcileError;
use crate::keys::{Named, key};

/// What moved for each number, sorted by it.
#[derive(Debug)]
pub(crate) struct Flows {
    /// Number and amount: of a million, the second largest thing that is held.
    moved: Vec<(u64, i64)>,
    matched: Vec<bool>,
}

impl Flows {
    /// Reads the bill.
    pub(crate) fn of(flow: &Flow) -> Result<Self, ReconcileError> {
        let mut moved: Vec<(u64, i64)> = Vec::new();
        let mut rows = flow.rows()?;
        while let Some(row) = rows.next_row().map_err(unusable_flow)? {
            moved.extend(key_of(&row).map(|key| (key, row.amount)));
        }
        moved.sort_unstable();
        // What moved in parts moved in all.
        moved.dedup_by(|later, first| {
            let same = later.0 == first.0;
            if same {
                first.1 = first.1.saturating_add(later.1);
            }
            same
        });
        Ok(Self {
            matched: vec![false; moved.len()],
            moved,
        })
    }

    /// What moved for a row of the trade bill, which is now accounted for.
    pub(crate) fn take(&mut self, row: &BillRow) -> Option<i64> {
        let key = match &row.entry {
            Entry::Payment { .. } => short(Named::Payment, &row.transaction_id),
            Entry::Refund(refund) => short(Named::WechatpayRefund, &refund.wechatpay_refund_id),
            Entry::Revoked => short(Named::Payment, &row.transaction_id),
        };
        let place = self.place(key)?;
        *self.matched.get_mut(place)? = true;
        self.moved.get(place).map(|(_, amount)| *amount)
    }

    /// Whether a row of the fund-flow bill is accounted for, or needs not be.
    pub(crate) fn is_matched(&self, row: &FlowRow) -> bool {
        let place = key_of(row).and_then(|key| self.place(key));
        place.is_none_or(|place| self.matched.get(place).is_some_and(|matched| *matched))
    }

    fn place(&self, key: u64) -> Option<usize> {
        self.moved.binary_search_by_key(&key, |(key, _)| *key).ok()
    }
}

fn key_of(row: &FlowRow) -> Option<u64> {
    match row.kind {
        FlowKind::Payment => Some(short(Named::Payment, &row.business_no)),
        FlowKind::Refund => Some(short(Named::WechatpayRefund, &row.business_no)),
        FlowKind::Other => None,
    }
}

/// The first half of a key: of a million numbers two meet on one day in forty million, and then their
/// amounts differ.
fn short(named: Named, number: &str) -> u64 {
    u64::try_from(key(named, number) >> 64).unwrap_or(u64::MAX)
}
