//! The record against the bill: what was paid or given back on the day stands in it.
//!
//! The table's index lists orders by the day of their placing. An order can be paid until it expires, up
//! to a week later, so that many days are walked, and each order on them is read. A refund is listed by
//! the day on which it was asked for; those that were sent long after it have a list of their own.

use std::time::Duration;

use futures_util::future::try_join_all;
use shared::deadline::Deadline;
use shared::domain::paging::{Page, Row};
use shared::domain::reconciliation::{Difference, Expected, Span, payment_missing, refund_missing};
use shared::domain::{BeijingDay, Order, OrderId, Refund};
use shared::store::{BatchReader, ListIndex, RECORDS_MAX, RefundKey, StoreError};

use crate::Reconcile;
use crate::bills::{Bills, Trade};
use crate::compare::Comparison;
use crate::error::ReconcileError;
use crate::keys::Named;

/// For how many days before the bill's day orders are looked at: an order may be payable for seven
/// (`create-order`), and midnight is not sharp.
const PLACED_DAYS_BACK: i64 = 8;

/// For how many days before the bill's day refunds are looked at; one that was sent more than thirty days
/// after it was asked for is among the late ones (`Refund::is_late`), and midnight is not sharp.
const ASKED_DAYS_BACK: i64 = 31;

/// For how many days before the bill's day late refunds are looked at: a payment is refunded within a year.
const LATE_DAYS_BACK: i64 = 400;

/// How many orders or refunds are listed at a time.
const PAGE: usize = 800;

/// What must be left of the time for more to be read.
const TIME_RESERVE: Duration = Duration::from_secs(10);

/// A list of the index that has what may belong to the day.
trait List: Sync {
    /// What a row points at.
    type Key: Clone + Send + Sync;

    /// A page of the list.
    fn page(
        &self,
        index: &ListIndex,
        after: Option<&Row<Self::Key>>,
    ) -> impl Future<Output = Result<Page<Self::Key>, StoreError>> + Send;

    /// What the record has of these (at most [`RECORDS_MAX`]).
    fn read(
        records: &BatchReader,
        keys: &[Self::Key],
    ) -> impl Future<Output = Result<Vec<OnRecord>, StoreError>> + Send;
}

/// The orders that were placed on a day.
struct Placed(BeijingDay);

/// Refunds, by when they were asked for.
enum Asked {
    /// On this day.
    On(BeijingDay),
    /// From the one day on and before the other, and sent late.
    Late(BeijingDay, BeijingDay),
}

impl List for Placed {
    type Key = OrderId;

    async fn page(
        &self,
        index: &ListIndex,
        after: Option<&Row<OrderId>>,
    ) -> Result<Page<OrderId>, StoreError> {
        index.orders_of(self.0, after, PAGE).await
    }

    async fn read(records: &BatchReader, keys: &[OrderId]) -> Result<Vec<OnRecord>, StoreError> {
        let orders = records.orders(keys).await?;
        Ok(orders.iter().filter_map(OnRecord::payment).collect())
    }
}

impl List for Asked {
    type Key = RefundKey;

    async fn page(
        &self,
        index: &ListIndex,
        after: Option<&Row<RefundKey>>,
    ) -> Result<Page<RefundKey>, StoreError> {
        match self {
            Self::On(day) => index.refunds_of(*day, after, PAGE).await,
            Self::Late(since, before) => index.late_refunds(*since, *before, after, PAGE).await,
        }
    }

    async fn read(records: &BatchReader, keys: &[RefundKey]) -> Result<Vec<OnRecord>, StoreError> {
        let refunds = records.refunds(keys).await?;
        Ok(refunds.iter().filter_map(OnRecord::refund).collect())
    }
}

/// What stands in some bill, by the record.
struct OnRecord {
    named: Named,
    number: String,
    span: Span,
    /// What is found if it does not.
    missing: Difference,
}

impl OnRecord {
    fn payment(order: &Order) -> Option<Self> {
        Some(Self {
            named: Named::Order,
            number: order.terms.order_id.as_str().to_owned(),
            span: Span::of_payment(order)?,
            missing: payment_missing(order),
        })
    }

    fn refund(refund: &Refund) -> Option<Self> {
        Some(Self {
            named: Named::Refund,
            number: refund.refund_id.as_str().to_owned(),
            span: Span::of_refund(refund)?,
            missing: refund_missing(refund),
        })
    }

    fn stands_in(&self, bill: Option<&Trade>) -> bool {
        bill.is_some_and(|bill| bill.keys.has(self.named, &self.number))
    }
}

impl Reconcile {
    /// Looks for everything on record that has to stand in the bill.
    pub(crate) async fn compare_record(
        &self,
        bills: &Bills<'_>,
        comparison: &mut Comparison<'_>,
        deadline: &Deadline,
    ) -> Result<(), ReconcileError> {
        let day = comparison.day;
        // What may stand in the bill of the day before.
        let mut unsure = Vec::new();
        for days in 0..=PLACED_DAYS_BACK {
            let placed = Placed(day.days_before(days));
            self.compare_list(&placed, comparison, &mut unsure, deadline)
                .await?;
        }
        for days in 0..=ASKED_DAYS_BACK {
            let asked = Asked::On(day.days_before(days));
            self.compare_list(&asked, comparison, &mut unsure, deadline)
                .await?;
        }
        // A day's list has those that were sent late, too.
        let earlier = day.days_before(ASKED_DAYS_BACK);
        let late = Asked::Late(day.days_before(LATE_DAYS_BACK), earlier);
        self.compare_list(&late, comparison, &mut unsure, deadline)
            .await?;
        if unsure.is_empty() {
            return Ok(());
        }
        let before = bills.trade(day.before()).await?;
        for unsure in unsure {
            if !unsure.stands_in(before.as_ref()) {
                comparison.find(unsure.missing);
            }
        }
        Ok(())
    }

    /// Looks for everything that a list has.
    async fn compare_list<L: List>(
        &self,
        list: &L,
        comparison: &mut Comparison<'_>,
        unsure: &mut Vec<OnRecord>,
        deadline: &Deadline,
    ) -> Result<(), ReconcileError> {
        let mut after = None;
        loop {
            self.in_time(deadline)?;
            let page = list.page(&self.listed, after.as_ref()).await?;
            let keys: Vec<L::Key> = page.rows.iter().map(|row| row.key.clone()).collect();
            let reads = keys.chunks(RECORDS_MAX);
            let read = try_join_all(reads.map(|some| L::read(&self.records, some))).await?;
            for on_record in read.into_iter().flatten() {
                look_for(on_record, comparison, unsure);
            }
            after = page.rows.into_iter().next_back();
            if !page.more || after.is_none() {
                return Ok(());
            }
        }
    }

    pub(crate) fn in_time(&self, deadline: &Deadline) -> Result<(), ReconcileError> {
        if deadline.left(&self.process.clock, TIME_RESERVE) < TIME_RESERVE {
            return Err(ReconcileError::Late);
        }
        Ok(())
    }
}

/// Looks in the bill for something on record, and counts it where it belongs to the day; keeps what may
/// stand in the bill of the day before.
fn look_for(on_record: OnRecord, comparison: &mut Comparison<'_>, unsure: &mut Vec<OnRecord>) {
    let expected = on_record.span.expected(comparison.day);
    match expected {
        Expected::Elsewhere => return,
        Expected::Here | Expected::HereOrBefore => comparison.here.count(on_record.named),
    }
    if on_record.stands_in(comparison.bill) {
        return;
    }
    match expected {
        Expected::Elsewhere => {}
        Expected::Here => comparison.find(on_record.missing),
        Expected::HereOrBefore => unsure.push(on_record),
    }
}
