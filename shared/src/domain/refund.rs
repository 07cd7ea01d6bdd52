//! A refund: what is to be given back, where it stands, and how a report moves it.
//!
//! `REQUESTED → RESERVED → PROCESSING → ABNORMAL → CLOSED | SUCCESS`, and `REJECTED` by the
//! merchant. REQUESTED holds nothing; from RESERVED to SUCCESS the amount is out of the order's
//! `refundable`; only a signed CLOSED gives it back. No doubt of any kind releases a reservation.

use super::order::Contradiction;
use super::report::RefundStatus;
use super::terms::Party;
use super::{
    Fen, OrderId, RecordMac, RefundId, RefundReport, Timestamp, TransactionId, WechatpayRefundId,
};

/// How many refunds WeChat Pay takes of one order.
pub const REFUNDS_MAX: u32 = 50;

/// How many refunds payers may ask for of one order, whatever becomes of them: what asks for a
/// decision of the merchant's has an end, and so has what is read with the order.
pub const REQUESTS_MAX: u32 = 50;

/// How long after the payment WeChat Pay takes refunds, in seconds: one year.
pub const REFUND_WINDOW_SECONDS: i64 = 365 * 24 * 60 * 60;

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
    /// When the sweep sends it or asks about it next.
    pub next_attempt_at: Option<Timestamp>,
    /// Why a person has to look, if one has to.
    pub needs_human: Option<String>,
    /// What proves that the terms, and how far they were decided, were written by somebody who may
    /// send refunds; nothing is sent without it.
    pub mac: Option<RecordMac>,
}

/// What a report means for a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
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

impl Refund {
    /// Decides what a signed report means; changes nothing itself, and hearing a report twice is
    /// hearing it once.
    pub fn observe(&self, report: &RefundReport, now: Timestamp) -> Observation {
        if let Some(field) = self.differing_field(report) {
            return Observation::Contradiction(Contradiction::Differs { field });
        }
        let impossible = |reported| {
            Observation::Contradiction(Contradiction::Impossible {
                recorded: self.state.as_str(),
                reported,
            })
        };
        match (self.state, &report.status) {
            (_, RefundStatus::Unknown(state)) => {
                Observation::Contradiction(Contradiction::UnknownState(state.clone()))
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
            ) => Observation::Unchanged,
        }
    }

    /// When the sweep looks at the refund next, after `attempts` looks without a change; `None`
    /// where nothing is left to be learnt.
    pub fn due_at(&self, now: Timestamp, attempts: u32) -> Option<Timestamp> {
        match self.state {
            RefundState::Reserved | RefundState::Processing => {
                Some(now.plus_seconds(super::order::backoff_seconds(attempts)))
            }
            // A person has to act at WeChat Pay first; once a day is enough to see that they did.
            RefundState::Abnormal => Some(now.plus_seconds(24 * 60 * 60)),
            RefundState::Requested
            | RefundState::Closed
            | RefundState::Success { .. }
            | RefundState::Rejected => None,
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
    ) -> Observation {
        let mut refund = self.clone();
        refund.state = state;
        refund.version += 1;
        refund.wechatpay_refund_id = Some(report.wechatpay_refund_id.clone());
        // What it reports answers whatever it refused before.
        refund.refusals = 0;
        refund.needs_human = None;
        Observation::Changed {
            refund: Box::new(refund),
            release,
        }
    }
}

/// The moment at which the next refund of the order may be sent.
///
/// Moments are whole seconds: one more than the interval keeps it whole however late in its second
/// this one is sent.
pub const fn next_refund_at(now: Timestamp, interval_seconds: i64) -> Timestamp {
    now.plus_seconds(interval_seconds.saturating_add(1))
}

#[cfg(test)]
mod tests;
