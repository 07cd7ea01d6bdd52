//! The record against the bill: what was paid or given back on the day stands in it.
//!
//! The table's index lists orders by the day of their placing. An order can be paid until it expires, up
//! to a week later, so that many days are walked, and each order on them is read.

use std::time::Duration;

use futures_util::future::try_join_all;
use shared::deadline::Deadline;
use shared::domain::reconciliation::{Difference, Expected, Span, payment_missing};
use shared::domain::{Order, OrderId};
use shared::store::RECORDS_MAX;

use crate::Reconcile;
use crate::bills::{Bills, Trade};
use crate::compare::Comparison;
use crate::error::ReconcileError;
use crate::keys::Named;

/// For how many days before the bill's day orders are looked at: an order may be payable for seven
/// (`create-order`), and midnight is not sharp.
const PLACED_DAYS_BACK: i64 = 8;

/// How many orders are listed at a time.
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
            let mut after = None;
            loop {
                self.in_time(deadline)?;
                let page = self.orders.orders_of(placed, after.as_ref(), PAGE).await?;
                let listed = page.rows.iter().map(|row| row.key.clone());
                let listed: Vec<OrderId> = listed.collect();
                for order in self.read(&listed).await? {
                    unsure.extend(look_at(&order, comparison));
                }
                after = page.rows.into_iter().next_back();
                if !page.more || after.is_none() {
                    break;
                }
            }
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

    /// The orders of these numbers.
    async fn read(&self, order_ids: &[OrderId]) -> Result<Vec<Order>, ReconcileError> {
        let reads = order_ids.chunks(RECORDS_MAX);
        let read = try_join_all(reads.map(|some| self.records.orders(some))).await?;
        Ok(read.into_iter().flatten().collect())
    }

    pub(crate) fn in_time(&self, deadline: &Deadline) -> Result<(), ReconcileError> {
        if deadline.left(&self.platform.clock, TIME_RESERVE) < TIME_RESERVE {
            return Err(ReconcileError::Late);
        }
        Ok(())
    }
}

fn stands_in(bill: Option<&Trade>, named: Named, number: &str) -> bool {
    bill.is_some_and(|bill| bill.keys.has(named, number))
}

/// Looks for an order's payment in the bill.
fn look_at(order: &Order, comparison: &mut Comparison<'_>) -> Option<Unsure> {
    let span = Span::of_payment(order)?;
    let number = order.terms.order_id.as_str();
    let expected = span.expected(comparison.day);
    match expected {
        Expected::Elsewhere => return None,
        Expected::Here | Expected::HereOrBefore => comparison.here.payments += 1,
    }
    if stands_in(comparison.bill, Named::Order, number) {
        return None;
    }
    let difference = payment_missing(order);
    match expected {
        Expected::Elsewhere => None,
        Expected::Here => {
            comparison.find(difference);
            None
        }
        Expected::HereOrBefore => Some(Unsure {
            named: Named::Order,
            number: number.to_owned(),
            difference,
        }),
    }
}
