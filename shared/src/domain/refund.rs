//! A refund: how much of which payment it pays back, where it stands, and how a report moves it.
//!
//! `REQUESTED → RESERVED → PROCESSING → ABNORMAL → CLOSED | SUCCESS`, and `REJECTED` by the
//! merchant. REQUESTED holds nothing; from RESERVED to SUCCESS the amount is out of the order's
//! `refundable`, and a signed CLOSED gives it back. The merchant may withdraw a RESERVED refund:
//! `WITHDRAWING → WITHDRAWN`, once WeChat Pay has said twice that it does not know it; what it reports
//! afterwards all the same is believed. No doubt of any kind releases a reservation.

mod abnormal;
mod decision;
mod events;
mod refusal;
mod timing;
mod withdrawal;

use super::absence::Heard;
use super::contradiction::Contradiction;
use super::report::RefundStatus;
use super::terms::Party;
use super::{
    EventLog, Fen, Mchid, Order, OrderId, Payment, RecordMac, RefundId, RefundReport, Timestamp,
    TransactionId, WechatpayRefundId,
};

pub use abnormal::Application;
pub use decision::{Decision, OtherTerms, approves_itself};
pub use refusal::{REFUSALS_MAX, REFUSED_SECONDS, RESENT_SECONDS_MAX, RefusalKind};
pub use timing::{
    LATE_SECONDS, PROCESSING_SECONDS_MAX, RESERVED_SECONDS_MAX, WITHDRAWING_SECONDS_MAX,
    next_refund_at,
};
pub use withdrawal::SENDING_SECONDS_MAX;

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
    /// WeChat Pay closed it; nothing was refunded and the amount is free again.
    Closed,
    /// The money is back.
    Success {
        /// When it arrived, or when we learnt it where WeChat Pay left it out.
        at: Timestamp,
    },
    /// The merchant said no.
    Rejected,
    /// The merchant has taken it back: nothing is sent any more, and WeChat Pay is asked whether it
    /// knows it. The amount is still taken.
    Withdrawing {
        /// Since when.
        since: Timestamp,
        /// When WeChat Pay was first heard, after the last sending, not to know it.
        missing_since: Option<Timestamp>,
    },
    /// WeChat Pay never took it: the amount is free again, and the number is never used again.
    Withdrawn {
        /// When that was certain enough.
        at: Timestamp,
        /// How often it was looked at since.
        confirmations: u32,
    },
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
            Self::Withdrawing { .. } => "WITHDRAWING",
            Self::Withdrawn { .. } => "WITHDRAWN",
        }
    }

    /// Whether the amount is out of the order's `refundable`.
    pub const fn holds_money(self) -> bool {
        match self {
            Self::Reserved
            | Self::Processing
            | Self::Abnormal
            | Self::Success { .. }
            | Self::Withdrawing { .. } => true,
            Self::Requested | Self::Closed | Self::Rejected | Self::Withdrawn { .. } => false,
        }
    }

    /// Whether WeChat Pay is expected to say something new.
    pub const fn is_under_way(self) -> bool {
        match self {
            Self::Reserved | Self::Processing | Self::Abnormal | Self::Withdrawing { .. } => true,
            Self::Requested
            | Self::Closed
            | Self::Success { .. }
            | Self::Rejected
            | Self::Withdrawn { .. } => false,
        }
    }

    /// Whether WeChat Pay is known to have taken it: "no such refund" is then no answer.
    pub const fn is_taken(self) -> bool {
        match self {
            Self::Processing | Self::Abnormal | Self::Closed | Self::Success { .. } => true,
            Self::Requested
            | Self::Reserved
            | Self::Rejected
            | Self::Withdrawing { .. }
            | Self::Withdrawn { .. } => false,
        }
    }

    /// Whether it may have gone to WeChat Pay from this record: not where it waits for a decision or was rejected.
    pub const fn may_have_left(self) -> bool {
        match self {
            Self::Requested | Self::Rejected => false,
            Self::Reserved
            | Self::Processing
            | Self::Abnormal
            | Self::Closed
            | Self::Success { .. }
            | Self::Withdrawing { .. }
            | Self::Withdrawn { .. } => true,
        }
    }

    /// Whether the merchant withdrew it: a signed "no such refund" then counts.
    pub const fn was_withdrawn(self) -> bool {
        match self {
            Self::Withdrawing { .. } | Self::Withdrawn { .. } => true,
            Self::Requested
            | Self::Reserved
            | Self::Processing
            | Self::Abnormal
            | Self::Closed
            | Self::Success { .. }
            | Self::Rejected => false,
        }
    }

    /// Whether the sweep sends a refund, or sends it again, after WeChat Pay was asked: one that is
    /// reserved and that WeChat Pay does not know. The same bytes again are safe where it knows it later.
    pub const fn must_send(self, heard: Heard) -> bool {
        match (self, heard) {
            (Self::Reserved, Heard::Absence) => true,
            (Self::Reserved, Heard::Report)
            | (
                Self::Requested
                | Self::Processing
                | Self::Abnormal
                | Self::Closed
                | Self::Success { .. }
                | Self::Rejected
                | Self::Withdrawing { .. }
                | Self::Withdrawn { .. },
                _,
            ) => false,
        }
    }

    /// Whether the sweep may have to look: under way, or withdrawn, since "no such refund" is answered
    /// falsely now and then.
    pub const fn is_watched(self) -> bool {
        match self {
            Self::Withdrawn { .. } => true,
            Self::Requested
            | Self::Reserved
            | Self::Processing
            | Self::Abnormal
            | Self::Closed
            | Self::Success { .. }
            | Self::Rejected
            | Self::Withdrawing { .. } => self.is_under_way(),
        }
    }
}

/// A refund as the record has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// The refund's number.
    pub refund_id: RefundId,
    /// The order it refunds.
    pub order_id: OrderId,
    /// The payment it refunds.
    pub transaction_id: TransactionId,
    /// Whose money is refunded, in partner mode.
    pub sub_mchid: Option<Mchid>,
    /// What is refunded.
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
    /// When its amount was taken, or the merchant last had it tried again.
    pub reserved_at: Option<Timestamp>,
    /// When somebody last got the right to send it; it was sent a moment later, if at all.
    pub sent_at: Option<Timestamp>,
    /// Where it stands.
    pub state: RefundState,
    /// Raised by one with every change of the record that tells something.
    pub version: u64,
    /// WeChat Pay's own number of the refund, once it gave one.
    pub wechatpay_refund_id: Option<WechatpayRefundId>,
    /// How often WeChat Pay refused it, since it was reserved or last tried again.
    pub refusals: u32,
    /// Since when WeChat Pay refuses it, if it does.
    pub refused_since: Option<Timestamp>,
    /// Why a person has to look, if one has to.
    pub needs_human: Option<String>,
    /// What proves that the terms, and how far they were decided, were written by somebody who may
    /// send refunds; nothing is sent without it.
    pub mac: Option<RecordMac>,
    /// What others are told of it.
    pub events: EventLog,
}

/// What a report means for a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundChange {
    /// The record becomes this.
    Changed {
        /// The refund afterwards.
        refund: Box<Refund>,
        /// What happens to the order's `refundable`, in the same transaction.
        money: RefundableChange,
    },
    /// The record knew it, or knows better.
    Unchanged,
    /// The report does not fit the record: nothing changes and a person has to look.
    Contradiction(Contradiction),
}

/// What a change of a refund does to the `refundable` of its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundableChange {
    /// Nothing.
    Stays,
    /// The amount goes back to it.
    Released(Fen),
    /// The amount, once released, is taken again.
    TakenAgain(Fen),
}

/// What somebody asks to be refunded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundTerms {
    /// The refund's number.
    pub refund_id: RefundId,
    /// What is refunded.
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
            sub_mchid: order.terms.sub_mchid().cloned(),
            amount: terms.amount,
            total: order.terms.total,
            reason: terms.reason,
            notify_url: terms.notify_url,
            asked_by: terms.asked_by,
            created_at: now,
            reserved_at: None,
            sent_at: None,
            state: RefundState::Requested,
            version: 1,
            wechatpay_refund_id: None,
            refusals: 0,
            refused_since: None,
            needs_human: None,
            mac: None,
            events: EventLog::new(),
        }
        .first()
    }

    /// A refund that is to be made at once.
    pub fn reserved(terms: RefundTerms, order: &Order, payment: &Payment, now: Timestamp) -> Self {
        Self {
            state: RefundState::Reserved,
            reserved_at: Some(now),
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
        let ended = |at: &Option<Timestamp>| RefundState::Success {
            at: at.unwrap_or(now),
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
                self.changed(report, RefundState::Processing, now)
            }
            (RefundState::Reserved | RefundState::Processing, RefundStatus::Abnormal) => {
                self.changed(report, RefundState::Abnormal, now)
            }
            (
                RefundState::Reserved | RefundState::Processing | RefundState::Abnormal,
                RefundStatus::Success { at },
            ) => self.changed(report, ended(at), now),
            (
                RefundState::Reserved | RefundState::Processing | RefundState::Abnormal,
                RefundStatus::Closed,
            ) => self.changed(report, RefundState::Closed, now),
            // What WeChat Pay says wins over what it did not know, however late.
            (
                RefundState::Withdrawing { .. } | RefundState::Withdrawn { .. },
                RefundStatus::Processing,
            ) => self.taken_after_all(report, RefundState::Processing, now),
            (
                RefundState::Withdrawing { .. } | RefundState::Withdrawn { .. },
                RefundStatus::Abnormal,
            ) => self.taken_after_all(report, RefundState::Abnormal, now),
            (
                RefundState::Withdrawing { .. } | RefundState::Withdrawn { .. },
                RefundStatus::Success { at },
            ) => self.taken_after_all(report, ended(at), now),
            (
                RefundState::Withdrawing { .. } | RefundState::Withdrawn { .. },
                RefundStatus::Closed,
            ) => self.taken_after_all(report, RefundState::Closed, now),
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
        // A report that names a merchant says by that whether it is a sub-merchant's.
        let names_merchant = report.mchid.is_some() || report.sub_mchid.is_some();
        if names_merchant && report.sub_mchid != self.sub_mchid {
            return Some("sub_mchid");
        }
        None
    }

    fn changed(&self, report: &RefundReport, state: RefundState, now: Timestamp) -> RefundChange {
        let after = Self {
            state,
            wechatpay_refund_id: Some(report.wechatpay_refund_id.clone()),
            // What it reports answers whatever it refused before.
            refusals: 0,
            refused_since: None,
            needs_human: self.still_needs_human(state),
            ..self.clone()
        };
        self.becomes(after, now)
    }

    /// The record's next version, and what that does to the order's `refundable`.
    fn becomes(&self, refund: Self, now: Timestamp) -> RefundChange {
        let money = match (self.state.holds_money(), refund.state.holds_money()) {
            (true, false) => RefundableChange::Released(self.amount),
            (false, true) => RefundableChange::TakenAgain(self.amount),
            (true, true) | (false, false) => RefundableChange::Stays,
        };
        RefundChange::Changed {
            refund: Box::new(self.next(refund, now)),
            money,
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
