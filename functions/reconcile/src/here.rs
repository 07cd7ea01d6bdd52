//! The record against the bill: what was paid or given back on the day stands in it.
//!
//! The table's index lists orders by the day of their placing. An order can be paid until it expires, up
//! to a week later, so that many days are walked, and each order on them is read. A refund is listed by
//! the day on which it was asked for, and may wait for its approval.

use std::time::Duration;

use futures_util::future::try_join_all;
use shared::deadline::Deadline;
use shared::domain::reconciliation::{Difference, Expected, Span, payment_missing, refund_missing};
use shared::domain::{BeijingDay, Order, OrderId};
use shared::store::{RECORDS_MAX, RefundKey};

use crate::Reconcile;
use crate::bills::{Bills, Trade};
use crate::compare::Comparison;
use crate::error::ReconcileError;
use crate::keys::Named;

/// For how many days before the bill's day orders are looked at: an order may be payable for seven
/// (`create-order`), and midnight is not sharp.
const PLACED_DAYS_BACK: i64 = 8;

/// For how many days before the bill's day refunds are looked at: one that the merchant approves later
/// than this is not looked for in a bill.
const ASKED_DAYS_BACK: i64 = 31;

/// How many orders or refunds are listed at a time.
const PAGE: usize = 800;

/// What must be left of the time for more to be read.
const TIME_RESERVE: Duration = Duration::from_secs(10);

/// What may stand in the bill of the day before.
struct Unsure {
    named: Named,
    number: String,
    difference: Difference,
}

impl Reconcile {
    /// Looks for everything on record that has to stand in the bill.
    pub(crate) async fn compare_record(
        &self,
        bills: &Bills<'_>,
        comparison: &mut Comparison<'_>,
        deadline: &Deadline,
    ) -> Result<(), ReconcileError> {
        let mut unsure = Vec::new();
        for days in 0..=PLACED_DAYS_BACK {
            let placed = comparison.day.days_before(days);
            self.compare_orders(placed, comparison, &mut unsure, deadline)
                .await?;
        }
        for days in 0..=ASKED_DAYS_BACK {
            let asked = comparison.day.days_before(days);
            self.compare_refunds(asked, comparison, &mut unsure, deadline)
                .await?;
        }
        if unsure.is_empty() {
            return Ok(());
        }
        let before = bills.trade(comparison.day.before()).await?;
        for Unsure {
            named,
            number,
            difference,
        } in unsure
        {
            if !stands_in(before.as_ref(), named, &number) {
                comparison.find(difference);
            }
        }
        Ok(())
    }

    /// Looks for the payments of all orders of a day.
    async fn compare_orders(
        &self,
        placed: BeijingDay,
        comparison: &mut Comparison<'_>,
        unsure: &mut Vec<Unsure>,
        deadline: &Deadline,
    ) -> Result<(), ReconcileError> {
        let mut after = None;
        loop {
            self.in_time(deadline)?;
            let page = self.listed.orders_of(placed, after.as_ref(), PAGE).await?;
            let listed: Vec<OrderId> = page.rows.iter().map(|row| row.key.clone()).collect();
            for order in self.read(&listed).await? {
                let number = order.terms.order_id.as_str();
                let found = Span::of_payment(&order)
                    .and_then(|span| look_for(span, Named::Order, number, comparison));
                if let Some(expected) = found {
                    settle_upon(
                        expected,
                        Unsure {
                            named: Named::Order,
                            number: number.to_owned(),
                            difference: payment_missing(&order),
                        },
                        comparison,
                        unsure,
                    );
                }
            }
            after = page.rows.into_iter().next_back();
            if !page.more || after.is_none() {
                return Ok(());
            }
        }
    }

    /// Looks for all refunds that were asked for on a day.
    async fn compare_refunds(
        &self,
        asked: BeijingDay,
        comparison: &mut Comparison<'_>,
        unsure: &mut Vec<Unsure>,
        deadline: &Deadline,
    ) -> Result<(), ReconcileError> {
        let mut after = None;
        loop {
            self.in_time(deadline)?;
            let page = self.listed.refunds_of(asked, after.as_ref(), PAGE).await?;
            let listed: Vec<RefundKey> = page.rows.iter().map(|row| row.key.clone()).collect();
            let reads = listed.chunks(RECORDS_MAX);
            let read = try_join_all(reads.map(|some| self.records.refunds(some))).await?;
            for refund in read.into_iter().flatten() {
                let number = refund.refund_id.as_str();
                let found = Span::of_refund(&refund)
                    .and_then(|span| look_for(span, Named::Refund, number, comparison));
                if let Some(expected) = found {
                    settle_upon(
                        expected,
                        Unsure {
                            named: Named::Refund,
                            number: number.to_owned(),
                            difference: refund_missing(&refund),
                        },
                        comparison,
                        unsure,
                    );
                }
            }
            after = page.rows.into_iter().next_back();
            if !page.more || after.is_none() {
                return Ok(());
            }
        }
    }

    /// The orders of these numbers.
    async fn read(&self, order_ids: &[OrderId]) -> Result<Vec<Order>, ReconcileError> {
        let reads = order_ids.chunks(RECORDS_MAX);
        let read = try_join_all(reads.map(|some| self.records.orders(some))).await?;
        Ok(read.into_iter().flatten().collect())
    }

    pub(crate) fn in_time(&self, deadline: &Deadline) -> Result<(), ReconcileError> {
        if deadline.left(&self.process.clock, TIME_RESERVE) < TIME_RESERVE {
            return Err(ReconcileError::Late);
        }
        Ok(())
    }
}

fn stands_in(bill: Option<&Trade>, named: Named, number: &str) -> bool {
    bill.is_some_and(|bill| bill.keys.has(named, number))
}

/// Looks for something on record in the bill, and counts it where it belongs to the day; gives where it
/// was expected, if it is not there.
fn look_for(
    span: Span,
    named: Named,
    number: &str,
    comparison: &mut Comparison<'_>,
) -> Option<Expected> {
    let expected = span.expected(comparison.day);
    match expected {
        Expected::Elsewhere => return None,
        Expected::Here | Expected::HereOrBefore => comparison.here.count(named),
    }
    (!stands_in(comparison.bill, named, number)).then_some(expected)
}

/// Finds what is missing, or keeps what may stand in the bill of the day before.
fn settle_upon(
    expected: Expected,
    missing: Unsure,
    comparison: &mut Comparison<'_>,
    unsure: &mut Vec<Unsure>,
) {
    match expected {
        Expected::Elsewhere => {}
        Expected::Here => comparison.find(missing.difference),
        Expected::HereOrBefore => unsure.push(missing),
    }
}
