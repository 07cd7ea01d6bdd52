//! Changes an order or a refund because WeChat Pay said so: load, observe, commit.
//!
//! Notifications, queries, closes, refunds and the sweep all settle here, and no report moves anything
//! unless it is [`Signed`]. The decision is `domain`'s; the commit is conditional on the version that was
//! read, so of two that decide at once one decides again.

pub mod notes;

use crate::domain::Contradiction;
use crate::domain::order::OrderChange;
use crate::domain::refund::RefundChange;
use crate::domain::terms::Payee;
use crate::domain::{Order, OrderId, OrderReport, Refund, RefundReport, Timestamp};
use crate::store::{
    Commit, Guard, Orders, RefundCommit, Refunds, StoreError, StoredOrder, StoredRefund,
};
use crate::wechatpay::{Absence, Closed, RefundAbsence, Signed};

/// How often a decision is taken again because somebody else changed the record meanwhile.
///
/// Two notices of one payment a second apart are the normal case; more than a handful of writers of
/// one order within milliseconds is not.
const DECISIONS_MAX: u32 = 5;

/// What a report led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled<T> {
    /// The record was changed to this.
    Changed(T),
    /// The record stands as it was.
    Unchanged(T),
    /// There is no such record here.
    Unknown,
    /// The report does not fit the record, which stands as it was.
    Contradiction(T, Contradiction),
}

impl<T> Settled<T> {
    /// The record as it stands now.
    pub fn record(self) -> Option<T> {
        match self {
            Self::Changed(record) | Self::Unchanged(record) | Self::Contradiction(record, _) => {
                Some(record)
            }
            Self::Unknown => None,
        }
    }

    /// Whether the report could be settled or named no record here; false where it contradicts one.
    pub const fn fits(&self) -> bool {
        match self {
            Self::Changed(_) | Self::Unchanged(_) | Self::Unknown => true,
            Self::Contradiction(..) => false,
        }
    }
}

/// What a report about a refund led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledRefund {
    /// What became of the record.
    pub settled: Settled<StoredRefund>,
    /// Whether a person has to look for a reason that is new.
    pub calls: bool,
}

impl SettledRefund {
    const fn quietly(settled: Settled<StoredRefund>) -> Self {
        let calls = false;
        Self { settled, calls }
    }
}

/// Settles what WeChat Pay says.
#[derive(Clone, Debug)]
pub struct Settlement {
    orders: Orders,
    refunds: Refunds,
}

impl Settlement {
    /// Settles into this table.
    pub const fn new(orders: Orders, refunds: Refunds) -> Self {
        Self { orders, refunds }
    }

    /// Settles a signed report about an order; a repeat changes nothing.
    ///
    /// # Errors
    /// The table is unavailable. The change may stand; the same report again finds out.
    pub async fn order(
        &self,
        report: &Signed<OrderReport>,
        now: Timestamp,
    ) -> Result<Settled<StoredOrder>, StoreError> {
        let report = report.get();
        self.decide_order(&report.order_id, now, |order| order.observe(report, now))
            .await
    }

    /// Settles WeChat Pay's signed word that the order is closed, told to the merchant `payee`; a repeat
    /// changes nothing.
    ///
    /// # Errors
    /// As [`Self::order`].
    pub async fn closed(
        &self,
        order_id: &OrderId,
        payee: &Payee,
        _closed: &Signed<Closed>,
        now: Timestamp,
    ) -> Result<Settled<StoredOrder>, StoreError> {
        self.decide_order(order_id, now, |order| {
            of_another_merchant(order, payee).unwrap_or_else(|| order.observe_close(now))
        })
        .await
    }

    /// Settles WeChat Pay's signed word that the merchant `payee` has no such order.
    ///
    /// # Errors
    /// As [`Self::order`].
    pub async fn absent(
        &self,
        order_id: &OrderId,
        payee: &Payee,
        _absence: &Signed<Absence>,
        now: Timestamp,
    ) -> Result<Settled<StoredOrder>, StoreError> {
        self.decide_order(order_id, now, |order| {
            of_another_merchant(order, payee).unwrap_or_else(|| order.observe_absence(now))
        })
        .await
    }

    /// Stores the intention to close an order of the merchant `payee` that is not paid; a repeat changes
    /// nothing.
    ///
    /// # Errors
    /// As [`Self::order`].
    pub async fn begin_close(
        &self,
        order_id: &OrderId,
        payee: &Payee,
        now: Timestamp,
    ) -> Result<Settled<StoredOrder>, StoreError> {
        self.decide_order(order_id, now, |order| {
            of_another_merchant(order, payee).unwrap_or_else(|| order.begin_close(now))
        })
        .await
    }

    /// Settles a signed report about a refund; a repeat changes nothing. A CLOSED gives the amount
    /// back to the order in the same transaction.
    ///
    /// # Errors
    /// As [`Self::order`].
    pub async fn refund(
        &self,
        report: &Signed<RefundReport>,
        now: Timestamp,
    ) -> Result<SettledRefund, StoreError> {
        self.decide_refund(report, None, now).await
    }

    /// Settles the signed answer to a question about `asked`, as [`Self::refund`] does. Whatever order the
    /// answer names, it is about that refund or contradicts it, so that nobody has to look for it.
    ///
    /// # Errors
    /// As [`Self::order`].
    pub async fn refund_answer(
        &self,
        asked: &Refund,
        report: &Signed<RefundReport>,
        now: Timestamp,
    ) -> Result<SettledRefund, StoreError> {
        self.decide_refund(report, Some(&asked.order_id), now).await
    }

    async fn decide_refund(
        &self,
        report: &Signed<RefundReport>,
        asked_of: Option<&OrderId>,
        now: Timestamp,
    ) -> Result<SettledRefund, StoreError> {
        let report = report.get();
        for _ in 0..DECISIONS_MAX {
            let stored = match asked_of {
                Some(order_id) => self.refunds.load(order_id, &report.refund_id).await?,
                None => self.reported_refund(report).await?,
            };
            let Some(stored) = stored else {
                return Ok(SettledRefund::quietly(Settled::Unknown));
            };
            let change = stored.refund.observe(report, now);
            if let Some(settled) = self.write_refund(stored, change, now).await? {
                return Ok(settled);
            }
        }
        Err(contended("settle a refund"))
    }

    /// Settles the signed answer to a question about a refund of this order that never left from the record: the
    /// order counts as refunded elsewhere. An answer about another order changes nothing, nor does one about a
    /// refund that was sent from here meanwhile.
    ///
    /// # Errors
    /// As [`Self::order`].
    pub async fn refund_elsewhere(
        &self,
        order_id: &OrderId,
        report: &Signed<RefundReport>,
        now: Timestamp,
    ) -> Result<Settled<StoredOrder>, StoreError> {
        let report = report.get();
        for _ in 0..DECISIONS_MAX {
            // The order first: a refund that is reserved after this look changes its version.
            let Some(stored) = self.orders.load(order_id).await? else {
                return Ok(Settled::Unknown);
            };
            let refund = self.refunds.load(order_id, &report.refund_id).await?;
            if refund.is_some_and(|stored| stored.refund.state.may_have_left()) {
                return Ok(Settled::Unchanged(stored));
            }
            let change = stored.order.observe_refund_elsewhere(report, now);
            if let Some(settled) = self.write_order(stored, change, now).await? {
                return Ok(settled);
            }
        }
        Err(contended("settle an order"))
    }

    /// Settles WeChat Pay's signed word that the merchant `payee` has no such refund; it counts for one
    /// that is being withdrawn. The second that counts gives the amount back to the order and burns the
    /// number in the same transaction.
    ///
    /// # Errors
    /// As [`Self::order`].
    pub async fn refund_absent(
        &self,
        refund: &Refund,
        payee: &Payee,
        _absence: &Signed<RefundAbsence>,
        now: Timestamp,
    ) -> Result<SettledRefund, StoreError> {
        let unknown = SettledRefund::quietly(Settled::Unknown);
        let Some(order) = self.orders.load(&refund.order_id).await? else {
            return Ok(unknown);
        };
        let elsewhere = payee.differing_field(&order.order.terms);
        for _ in 0..DECISIONS_MAX {
            let stored = self.refunds.load(&refund.order_id, &refund.refund_id);
            let Some(stored) = stored.await? else {
                return Ok(unknown);
            };
            let change = match elsewhere {
                Some(field) => RefundChange::Contradiction(Contradiction::Differs { field }),
                None => stored.refund.observe_absence(now),
            };
            if let Some(settled) = self.write_refund(stored, change, now).await? {
                return Ok(settled);
            }
        }
        Err(contended("settle a refund"))
    }

    /// Writes what was decided about a refund; `None` where somebody else was faster.
    async fn write_refund(
        &self,
        stored: StoredRefund,
        change: RefundChange,
        now: Timestamp,
    ) -> Result<Option<SettledRefund>, StoreError> {
        let (after, money) = match change {
            RefundChange::Unchanged => {
                return Ok(Some(SettledRefund::quietly(Settled::Unchanged(stored))));
            }
            RefundChange::Contradiction(contradiction) => {
                let settled = Settled::Contradiction(stored, contradiction);
                return Ok(Some(SettledRefund::quietly(settled)));
            }
            RefundChange::Changed { refund, money } => (*refund, money),
        };
        let calls = after.calls_anew(&stored.refund);
        let due = after.due_after(now, 0);
        let committed = self.refunds.commit(&stored.refund, &after, money, due);
        Ok(match committed.await? {
            RefundCommit::Done => Some(SettledRefund {
                settled: Settled::Changed(StoredRefund { refund: after, due }),
                calls,
            }),
            RefundCommit::Conflict => None,
        })
    }

    /// The guard of the refund's number, if the number is its order's, read consistently.
    ///
    /// # Errors
    /// The table is unavailable or the guard unreadable.
    pub async fn own_guard(&self, refund: &Refund) -> Result<Option<Guard>, StoreError> {
        let guard = self.refunds.guard(&refund.refund_id).await?;
        Ok(guard.filter(|guard| guard.order_id == refund.order_id))
    }

    /// The refund that a report is about which nobody asked for. One that names another order than the
    /// refund's own is not unknown: it contradicts the record, and the number's guard knows which.
    async fn reported_refund(
        &self,
        report: &RefundReport,
    ) -> Result<Option<StoredRefund>, StoreError> {
        let refund_id = &report.refund_id;
        if let Some(stored) = self.refunds.load(&report.order_id, refund_id).await? {
            return Ok(Some(stored));
        }
        match self.refunds.guard(refund_id).await? {
            Some(guard) => self.refunds.load(&guard.order_id, refund_id).await,
            None => Ok(None),
        }
    }

    async fn decide_order(
        &self,
        order_id: &OrderId,
        now: Timestamp,
        decide: impl Fn(&Order) -> OrderChange,
    ) -> Result<Settled<StoredOrder>, StoreError> {
        for _ in 0..DECISIONS_MAX {
            let Some(stored) = self.orders.load(order_id).await? else {
                return Ok(Settled::Unknown);
            };
            let change = decide(&stored.order);
            if let Some(settled) = self.write_order(stored, change, now).await? {
                return Ok(settled);
            }
        }
        Err(contended("settle an order"))
    }

    /// Writes what was decided about an order; `None` where somebody else was faster.
    async fn write_order(
        &self,
        stored: StoredOrder,
        change: OrderChange,
        now: Timestamp,
    ) -> Result<Option<Settled<StoredOrder>>, StoreError> {
        let after = match change {
            OrderChange::Unchanged => return Ok(Some(Settled::Unchanged(stored))),
            OrderChange::Contradiction(contradiction) => {
                return Ok(Some(Settled::Contradiction(stored, contradiction)));
            }
            OrderChange::Changed(after) => *after,
        };
        let due = after.due_after(now, 0);
        Ok(
            match self.orders.commit(&stored.order, &after, due).await? {
                Commit::Done => Some(Settled::Changed(StoredOrder {
                    order: after,
                    due,
                    ..stored
                })),
                Commit::Conflict => None,
            },
        )
    }
}

/// What WeChat Pay says about one merchant's orders tells nothing about another's: these answers name no
/// merchant themselves, and a stack may have been given another number since the order was placed.
fn of_another_merchant(order: &Order, payee: &Payee) -> Option<OrderChange> {
    let field = payee.differing_field(&order.terms)?;
    Some(OrderChange::Contradiction(Contradiction::Differs { field }))
}

fn contended(action: &'static str) -> StoreError {
    StoreError::Contended { action }
}
