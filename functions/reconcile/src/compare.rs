//! The bill against the record, by the hundred rows.

use std::collections::{BTreeMap, BTreeSet};

use shared::deadline::Deadline;
use shared::domain::bill::{BillRow, Entry, FlowTotals, TradeTotals};
use shared::domain::reconciliation::{
    self, Ask, Difference, DifferenceKind, Recorded, compare_flow, flow_alone,
};
use shared::domain::terms::Payee;
use shared::domain::{BeijingDay, Order, OrderId, OwnNumbers, Refund, RefundId};
use shared::store::RECORDS_MAX;
use shared::wechatpay::{BillKind, NoBill};

use crate::Reconcile;
use crate::ask::{Asks, Question};
use crate::bills::{Flow, Trade, unusable_flow, unusable_trade};
use crate::error::ReconcileError;
use crate::flows::Flows;
use crate::keys::Named;

/// How many findings are told one by one; the rest are counted.
pub(crate) const FINDINGS_MAX: usize = 10_000;

/// What was paid and given back in an hour, in fen, as the bill has it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hour {
    pub(crate) paid: i64,
    pub(crate) refunded: i64,
}

/// How many payments and refunds of the day there are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) payments: u64,
    pub(crate) refunds: u64,
}

impl Counted {
    /// How many of both.
    pub(crate) const fn all(self) -> u64 {
        self.payments + self.refunds
    }

    /// Counts one more.
    pub(crate) const fn count(&mut self, named: Named) {
        match named {
            Named::Order | Named::Payment => self.payments += 1,
            Named::Refund | Named::WechatpayRefund => self.refunds += 1,
        }
    }
}

/// A comparison under way.
pub(crate) struct Comparison<'a> {
    pub(crate) day: BeijingDay,
    pub(crate) trade: Option<TradeTotals>,
    pub(crate) flow: Option<FlowTotals>,
    pub(crate) hours: [Hour; 24],
    /// What the record has that belongs to the day.
    pub(crate) here: Counted,
    /// What the bill has of other systems of the merchant number.
    pub(crate) of_others: Counted,
    pub(crate) findings: Vec<Difference>,
    pub(crate) counts: BTreeMap<DifferenceKind, u64>,
    pub(crate) asks: Asks,
    pub(crate) bill: Option<&'a Trade>,
    payee: &'a Payee,
    own_numbers: &'a OwnNumbers,
    flows: Option<Flows>,
    flow_needed: bool,
}

impl<'a> Comparison<'a> {
    pub(crate) fn new(
        day: BeijingDay,
        reconcile: &'a Reconcile,
        trade: Option<&'a Trade>,
        flow: Option<&Flow>,
    ) -> Result<Self, ReconcileError> {
        Ok(Self {
            day,
            trade: trade.map(|trade| trade.totals),
            flow: flow.map(|flow| flow.totals),
            hours: [Hour::default(); 24],
            here: Counted::default(),
            of_others: Counted::default(),
            findings: Vec::new(),
            counts: BTreeMap::new(),
            asks: Asks::at(reconcile.process.clock.business()),
            bill: trade,
            payee: reconcile.settling_client.payee(),
            own_numbers: &reconcile.own_numbers,
            flows: flow.map(Flows::of).transpose()?,
            flow_needed: false,
        })
    }

    /// Notes a finding.
    pub(crate) fn find(&mut self, difference: Difference) {
        *self.counts.entry(difference.kind).or_default() += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(difference);
        }
    }

    /// Compares a row with what the record and the other bill have of it.
    fn row(&mut self, row: &BillRow, recorded: Recorded<'_>) {
        self.picture(row);
        if reconciliation::is_of_others(row, recorded, self.own_numbers) {
            let refund = row.refund().map(|_| Named::Refund);
            self.of_others.count(refund.unwrap_or(Named::Order));
            if let Some(flows) = &mut self.flows {
                flows.take(row);
            }
            return;
        }
        let compared = reconciliation::compare(row, recorded, &self.payee.mchid);
        match (compared.ask, recorded) {
            (Ask::Nothing, _) => {}
            (Ask::Order, Recorded { order, .. }) => {
                if let Some(order) = order {
                    let order_id = order.terms.order_id.clone();
                    self.asks.extend(Question::Order(order_id));
                }
            }
            (Ask::Refund, Recorded { refund, .. }) => {
                if let Some(refund) = refund {
                    self.asks.extend(Question::Refund(Box::new(refund.clone())));
                }
            }
            (Ask::RefundElsewhere, Recorded { order, .. }) => {
                if let (Some(order), Some(refund)) = (order, row.refund()) {
                    self.asks.about_elsewhere(order, &refund.refund_no);
                }
            }
        }
        for difference in compared.differences {
            self.find(difference);
        }
        match &mut self.flows {
            Some(flows) => {
                let moved = flows.take(row);
                if let Some(difference) = compare_flow(row, self.day, moved) {
                    self.find(difference);
                }
            }
            // A partner has no bill of a sub-merchant's flows.
            None if self.payee.sub_mchid.is_some() => {}
            None => self.flow_needed |= compare_flow(row, self.day, None).is_some(),
        }
    }

    fn picture(&mut self, row: &BillRow) {
        let seconds = row.at.seconds_since(self.day.starts_at());
        let hour = usize::try_from(seconds.div_euclid(3_600)).unwrap_or(usize::MAX);
        let Some(hour) = self.hours.get_mut(hour) else {
            return;
        };
        match &row.entry {
            Entry::Payment { total } => hour.paid = hour.paid.saturating_add(*total),
            Entry::Refund(refund) => hour.refunded = hour.refunded.saturating_add(refund.amount),
            Entry::Revoked => {}
        }
    }

    /// Looks for money that moved for what the trade bill does not have. After its rows were compared.
    pub(crate) fn unmatched_flows(&mut self, flow: &Flow) -> Result<(), ReconcileError> {
        let Some(flows) = self.flows.take() else {
            return Ok(());
        };
        let mut rows = flow.rows()?;
        while let Some(row) = rows.next_row().map_err(unusable_flow)? {
            if !flows.is_matched(&row)
                && !reconciliation::moves_money_of_others(&row, self.own_numbers)
                && let Some(difference) = flow_alone(&row, self.day)
            {
                self.find(difference);
            }
        }
        Ok(())
    }

    /// Whether no bill is missing: "there is none" is answered for a quiet day and, now and then, falsely.
    pub(crate) fn is_whole(&self) -> Result<(), ReconcileError> {
        let missing = |bill: BillKind| {
            let (bill, why) = (bill.as_str(), NoBill::Never);
            Err(ReconcileError::NoBill { bill, why })
        };
        let found = |kind| self.counts.contains_key(&kind);
        let expected = found(DifferenceKind::PaidHereNotInBill)
            || found(DifferenceKind::RefundHereNotInBill)
            || found(DifferenceKind::FundFlowDiffers);
        if self.bill.is_none() && expected {
            return missing(BillKind::Trade);
        }
        if self.flow_needed {
            return missing(BillKind::FundFlow);
        }
        Ok(())
    }
}

impl Reconcile {
    /// Compares each row of the trade bill with the record.
    pub(crate) async fn compare_bill(
        &self,
        trade: &Trade,
        comparison: &mut Comparison<'_>,
        deadline: &Deadline,
    ) -> Result<(), ReconcileError> {
        let mut rows = trade.rows()?;
        loop {
            self.in_time(deadline)?;
            let mut some = Vec::with_capacity(RECORDS_MAX);
            while some.len() < RECORDS_MAX {
                match rows.next_row().map_err(unusable_trade)? {
                    Some(row) => some.push(row),
                    None => break,
                }
            }
            if some.is_empty() {
                return Ok(());
            }
            let (orders, refunds) = self.recorded(&some).await?;
            for row in &some {
                let refund = row.refund().and_then(|billed| {
                    refunds.get(&(row.order_no.as_str(), billed.refund_no.as_str()))
                });
                let order = orders.get(row.order_no.as_str());
                comparison.row(row, Recorded { order, refund });
            }
        }
    }

    /// What the record has of these rows.
    async fn recorded<'r>(
        &self,
        rows: &'r [BillRow],
    ) -> Result<
        (
            BTreeMap<&'r str, Order>,
            BTreeMap<(&'r str, &'r str), Refund>,
        ),
        ReconcileError,
    > {
        let order_nos: BTreeSet<&str> = rows.iter().map(|row| row.order_no.as_str()).collect();
        // A number that breaks our rule was given by another system.
        let order_ids: Vec<OrderId> = order_nos
            .iter()
            .filter_map(|number| OrderId::parse(*number).ok())
            .collect();
        let refund_ids: Vec<(OrderId, RefundId)> = rows
            .iter()
            .filter_map(|row| {
                let refund_no = row.refund()?.refund_no.as_str();
                let order_id = OrderId::parse(row.order_no.as_str()).ok()?;
                Some((order_id, RefundId::parse(refund_no).ok()?))
            })
            .collect();
        let (orders, refunds) = tokio::join!(
            self.records.orders(&order_ids),
            self.records.refunds(&refund_ids)
        );
        let (mut orders, mut refunds) = (orders?, refunds?);
        let mut found = (BTreeMap::new(), BTreeMap::new());
        for row in rows {
            let order_no = row.order_no.as_str();
            let place = orders
                .iter()
                .position(|order| order.terms.order_id.as_str() == order_no);
            if let Some(place) = place {
                found.0.insert(order_no, orders.swap_remove(place));
            }
            let Some(refund_no) = row.refund().map(|refund| refund.refund_no.as_str()) else {
                continue;
            };
            let place = refunds.iter().position(|refund| {
                refund.refund_id.as_str() == refund_no && refund.order_id.as_str() == order_no
            });
            if let Some(place) = place {
                let refund = refunds.swap_remove(place);
                found.1.insert((order_no, refund_no), refund);
            }
        }
        Ok(found)
    }
}
