//! A refund: what is to be given back, where it stands, and how a report moves it.
//!
//! `REQUESTED → RESERVED → PROCESSING → ABNORMAL → CLOSED | SUCCESS`, and `REJECTED` by the
//! merchant. REQUESTED holds nothing; from RESERVED to SUCCESS the amount is out of the order's
//! `refundable`; only a signed CLOSED gives it back. No doubt of any kind releases a reservation.

mod decision;
mod refusal;
mod timing;

use super::contradiction::Contradiction;
use super::report::RefundStatus;
use super::terms::Party;
use super::{
    Fen, Order, OrderId, Payment, RecordMac, RefundId, RefundReport, Timestamp, TransactionId,
    WechatpayRefundId,
};

pub use decision::{Decision, OtherTerms, approves_itself};
pub use refusal::{REFUSALS_MAX, REFUSED_SECONDS, RefusalKind};
pub use timing::{PROCESSING_SECONDS_MAX, RESERVED_SECONDS_MAX, next_refund_at};

/// Where a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundState {
    /// Asked for by the payer; the merchant has not decided. Holds nothing.
    Requested,
    /// The amount is taken; WeChat Pay may or may not know the refund.
    Reserved,
    /// WeChat Pay accepted it.
    Processing,
    /// The money could not reach the payer; still reserved, a person has to act.
    Abnormal,
    /// WeChat Pay closed it; nothing was given back and the amount is free again.
    Closed,
    /// The money is back.
    Success {
        /// When it arrived, or when we learnt it where WeChat Pay left it out.
        at: Timestamp,
    },
    /// The merchant said no.
    Rejected,
}

impl RefundState {
    /// The state's name on our wire and in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "REQUESTED",
            Self::Reserved => "RESERVED",
            Self::Processing => "PROCESSING",
            Self::Abnormal => "ABNORMAL",
            Self::Closed => "CLOSED",
            Self::Success { .. } => "SUCCESS",
            Self::Rejected => "REJECTED",
        }
    }

    /// Whether the amount is out of the order's `refundable`.
    pub const fn holds_money(self) -> bool {
        match self {
            Self::Reserved | Self::Processing | Self::Abnormal | Self::Success { .. } => true,
            Self::Requested | Self::Closed | Self::Rejected => false,
        }
    }

    /// Whether WeChat Pay may still say something new.
    pub const fn is_under_way(self) -> bool {
        match self {
            Self::Reserved | Self::Processing | Self::Abnormal => true,
            Self::Requested | Self::Closed | Self::Success { .. } | Self::Rejected => false,
        }
    }
}

/// A refund as the record has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// The refund's number.
    pub refund_id: RefundId,
    /// The order it gives back from.
    pub order_id: OrderId,
    /// The payment it gives back from.
    pub transaction_id: TransactionId,
    /// What is given back.
    pub amount: Fen,
    /// The order's total, repeated on the wire.
    pub total: Fen,
    /// Shown to the payer.
    pub reason: Option<String>,
    /// Where WeChat Pay sends the notice.
    pub notify_url: String,
    /// Who asked.
    pub asked_by: Party,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Where it stands.
    pub state: RefundState,
    /// Raised by one with every change of the record that tells something.
    pub version: u64,
    /// WeChat Pay's own number of the refund, once it gave one.
    pub wechatpay_refund_id: Option<WechatpayRefundId>,
    /// How often WeChat Pay refused it in a way that time may mend.
    pub refusals: u32,
    /// Why a person has to look, if one has to.
    pub needs_human: Option<String>,
    /// What proves that the terms, and how far they were decided, were written by somebody who may
    /// send refunds; nothing is sent without it.
    pub mac: Option<RecordMac>,
}

/// What a report means for a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundChange {
    /// The record becomes this.
    Changed {
        /// The refund afterwards.
        refund: Box<Refund>,
        /// What goes back to the order's `refundable`, in the same transaction.
        release: Option<Fen>,
    },
    /// The record knew it, or knows better.
    Unchanged,
    /// The report does not fit the record: nothing changes and a person has to look.
    Contradiction(Contradiction),
}

/// What somebody asks to be refunded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundTerms {
    /// The refund's number.
    pub refund_id: RefundId,
    /// What is given back.
    pub amount: Fen,
    /// Shown to the payer.
    pub reason: Option<String>,
    /// Where WeChat Pay sends the notice.
    pub notify_url: String,
    /// Who asks.
    pub asked_by: Party,
}

impl Refund {
    /// A payer's request: it waits for the merchant and holds nothing.
    pub fn requested(terms: RefundTerms, order: &Order, payment: &Payment, now: Timestamp) -> Self {
        Self {
            refund_id: terms.refund_id,
            order_id: order.terms.order_id.clone(),
            transaction_id: payment.transaction_id.clone(),
            amount: terms.amount,
            total: order.terms.total,
            reason: terms.reason,
            notify_url: terms.notify_url,
            asked_by: terms.asked_by,
            created_at: now,
            state: RefundState::Requested,
            version: 1,
            wechatpay_refund_id: None,
            refusals: 0,
            needs_human: None,
            mac: None,
        }
    }

    /// A refund that is to be made at once.
    pub fn reserved(terms: RefundTerms, order: &Order, payment: &Payment, now: Timestamp) -> Self {
        Self {
            state: RefundState::Reserved,
            ..Self::requested(terms, order, payment, now)
        }
    }

    /// Decides what a signed report means; changes nothing itself, and hearing a report twice is
    /// hearing it once.
    pub fn observe(&self, report: &RefundReport, now: Timestamp) -> RefundChange {
        if let Some(field) = self.differing_field(report) {
            return RefundChange::Contradiction(Contradiction::Differs { field });
        }
        let impossible = |reported| {
            RefundChange::Contradiction(Contradiction::Impossible {
                recorded: self.state.as_str(),
                reported,
            })
        };
        match (self.state, &report.status) {
            (_, RefundStatus::Unknown(state)) => {
                RefundChange::Contradiction(Contradiction::UnknownState(state.clone()))
            }
            // WeChat Pay knows a refund that was never sent from this record.
            (RefundState::Requested | RefundState::Rejected, _) => impossible("a refund"),
            (RefundState::Closed, RefundStatus::Success { .. }) => impossible("SUCCESS"),
            (RefundState::Success { .. }, RefundStatus::Closed) => impossible("CLOSED"),
            (RefundState::Reserved, RefundStatus::Processing) => {
                self.changed(report, RefundState::Processing, None)
            }
            (RefundState::Reserved | RefundState::Processing, RefundStatus::Abnormal) => {
                self.changed(report, RefundState::Abnormal, None)
            }
            (
                RefundState::Reserved | RefundState::Processing | RefundState::Abnormal,
                RefundStatus::Success { at },
            ) => self.changed(
                report,
                RefundState::Success {
                    at: at.unwrap_or(now),
                },
                None,
            ),
            (
                RefundState::Reserved | RefundState::Processing | RefundState::Abnormal,
                RefundStatus::Closed,
            ) => self.changed(report, RefundState::Closed, Some(self.amount)),
            (RefundState::Processing | RefundState::Abnormal, RefundStatus::Processing)
            | (RefundState::Abnormal, RefundStatus::Abnormal)
            | (
                RefundState::Closed,
                RefundStatus::Processing | RefundStatus::Abnormal | RefundStatus::Closed,
            )
            | (
                RefundState::Success { .. },
                RefundStatus::Processing | RefundStatus::Abnormal | RefundStatus::Success { .. },
            ) => RefundChange::Unchanged,
        }
    }

    fn differing_field(&self, report: &RefundReport) -> Option<&'static str> {
        if report.refund_id != self.refund_id {
            return Some("out_refund_no");
        }
        if report.order_id != self.order_id {
            return Some("out_trade_no");
        }
        if report.transaction_id != self.transaction_id {
            return Some("transaction_id");
        }
        if report.amount != self.amount {
            return Some("amount.refund");
        }
        if report.total != self.total {
            return Some("amount.total");
        }
        None
    }

    fn changed(
        &self,
        report: &RefundReport,
        state: RefundState,
        release: Option<Fen>,
    ) -> RefundChange {
        let mut refund = self.clone();
        refund.state = state;
        refund.version += 1;
        refund.wechatpay_refund_id = Some(report.wechatpay_refund_id.clone());
        // What it reports answers whatever it refused before.
        refund.refusals = 0;
        refund.needs_human = None;
        RefundChange::Changed {
            refund: Box::new(refund),
            release,
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
