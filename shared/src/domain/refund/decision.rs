//! What the merchant decides about a refund, and what a second request with its number means.

use super::{Refund, RefundState};
use crate::domain::terms::Party;
use crate::domain::{Fen, Timestamp};

/// What a decision of the merchant's means for a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The record becomes this.
    Changed(Box<Refund>),
    /// It was decided so before: a repeat.
    Repeat,
    /// What stands does not allow it any more.
    TooLate,
}

/// Why a second request with a refund's number is not answered with that refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherTerms {
    /// It asks for something else: this field differs.
    Field(&'static str),
    /// The merchant's request meets a payer's that waits for it.
    PayersRequestWaits,
    /// The merchant's request meets a payer's that it has rejected.
    PayersRequestRejected,
}

/// Whether a refund is reserved without the merchant's decision.
///
/// A number that a payer names waits for the merchant too: an approved refund takes its number from
/// all others, and the merchant's are not a payer's to take or to try. `paid_at` is
/// [`Order::counts_as_paid_at`](crate::domain::Order::counts_as_paid_at). A payment may be dated a moment
/// ahead by WeChat Pay's clock, so its age may be negative: with no seconds of policy that must not be
/// an approval.
pub const fn approves_itself(
    asked_by: Party,
    names_number: bool,
    paid_at: Timestamp,
    auto_approve_seconds: i64,
    now: Timestamp,
) -> bool {
    match asked_by {
        Party::Merchant => true,
        Party::Payer => {
            !names_number
                && auto_approve_seconds > 0
                && now.seconds_since(paid_at) < auto_approve_seconds
        }
    }
}

impl Refund {
    /// Decides what the merchant's approval means.
    pub fn approve(&self, now: Timestamp) -> Decision {
        match self.state {
            RefundState::Requested => self.decided(
                Self {
                    state: RefundState::Reserved,
                    reserved_at: Some(now),
                    ..self.clone()
                },
                now,
            ),
            RefundState::Rejected => Decision::TooLate,
            RefundState::Reserved
            | RefundState::Processing
            | RefundState::Abnormal
            | RefundState::Closed
            | RefundState::Success { .. }
            | RefundState::Withdrawing { .. }
            | RefundState::Withdrawn { .. } => Decision::Repeat,
        }
    }

    /// Decides what the merchant's rejection means.
    pub fn reject(&self, now: Timestamp) -> Decision {
        match self.state {
            RefundState::Requested => self.decided(
                Self {
                    state: RefundState::Rejected,
                    ..self.clone()
                },
                now,
            ),
            RefundState::Rejected => Decision::Repeat,
            RefundState::Reserved
            | RefundState::Processing
            | RefundState::Abnormal
            | RefundState::Closed
            | RefundState::Success { .. }
            | RefundState::Withdrawing { .. }
            | RefundState::Withdrawn { .. } => Decision::TooLate,
        }
    }

    /// Decides what the merchant's wish means to have it tried again, after WeChat Pay refused it: it
    /// is sent as if it were just reserved, with the same number and the same bytes.
    pub fn retry(&self, now: Timestamp) -> Decision {
        match self.state {
            RefundState::Reserved => self.decided(
                Self {
                    reserved_at: Some(now),
                    refusals: 0,
                    refused_since: None,
                    needs_human: None,
                    ..self.clone()
                },
                now,
            ),
            RefundState::Processing | RefundState::Abnormal | RefundState::Success { .. } => {
                Decision::Repeat
            }
            RefundState::Requested
            | RefundState::Closed
            | RefundState::Rejected
            | RefundState::Withdrawing { .. }
            | RefundState::Withdrawn { .. } => Decision::TooLate,
        }
    }

    /// The record's next version by a decision of the merchant's.
    pub(super) fn decided(&self, after: Self, now: Timestamp) -> Decision {
        Decision::Changed(Box::new(self.next(after, now)))
    }

    /// Decides whether a second request with this refund's number is answered with this refund.
    ///
    /// # Errors
    /// It asks for something else.
    pub fn repeated(
        &self,
        asked_by: Party,
        amount: Fen,
        reason: Option<&str>,
    ) -> Result<(), OtherTerms> {
        match (asked_by, self.asked_by, self.state) {
            (Party::Merchant, Party::Payer, RefundState::Requested) => {
                return Err(OtherTerms::PayersRequestWaits);
            }
            (Party::Merchant, Party::Payer, RefundState::Rejected) => {
                return Err(OtherTerms::PayersRequestRejected);
            }
            (Party::Payer, _, _)
            | (_, Party::Merchant, _)
            | (
                _,
                _,
                RefundState::Reserved
                | RefundState::Processing
                | RefundState::Abnormal
                | RefundState::Closed
                | RefundState::Success { .. }
                | RefundState::Withdrawing { .. }
                | RefundState::Withdrawn { .. },
            ) => {}
        }
        if amount != self.amount {
            return Err(OtherTerms::Field("amount.refund"));
        }
        if reason != self.reason.as_deref() {
            return Err(OtherTerms::Field("reason"));
        }
        Ok(())
    }
}
