//! What a refund's changes are called where others hear of them.

use super::{Refund, RefundState};
use crate::domain::terms::Party;
use crate::domain::{EventKind, Timestamp};

/// What a new refund is called, if others hear of it: what the merchant refunds is no news to the
/// merchant; what a payer asks for is, also where policy approves it at once.
const fn name_of_new(asked_by: Party) -> Option<EventKind> {
    match asked_by {
        Party::Payer => Some(EventKind::RefundRequested),
        Party::Merchant => None,
    }
}

/// What a change is called, if others hear of it: where the refund stands now, or else that a person has to
/// look for a reason that was not there before.
fn name_of(before: &Refund, after: &Refund) -> Option<EventKind> {
    let reached = match after.state {
        RefundState::Success { .. } => Some(EventKind::RefundSucceeded),
        RefundState::Closed => Some(EventKind::RefundClosed),
        RefundState::Abnormal => Some(EventKind::RefundAbnormal),
        RefundState::Rejected => Some(EventKind::RefundRejected),
        RefundState::Withdrawn { .. } => Some(EventKind::RefundWithdrawn),
        RefundState::Requested
        | RefundState::Reserved
        | RefundState::Processing
        | RefundState::Withdrawing { .. } => None,
    };
    let stood = before.state.as_str() == after.state.as_str();
    let called = after.calls_anew(before);
    reached
        .filter(|_| !stood)
        .or(called.then_some(EventKind::RefundNeedsHuman))
}

impl Refund {
    /// Whether a person has to look for a reason that the record did not have `before`.
    pub fn calls_anew(&self, before: &Self) -> bool {
        self.needs_human.is_some() && self.needs_human != before.needs_human
    }

    /// The record's next version with what `after` changes, and with what others are told of it.
    pub(super) fn next(&self, after: Self, now: Timestamp) -> Self {
        let version = self.version + 1;
        let events = self.events.with(version, now, name_of(self, &after));
        Self {
            version,
            events,
            ..after
        }
    }

    /// The new record with what others are told of it.
    pub(super) fn first(self) -> Self {
        let kind = name_of_new(self.asked_by);
        let events = self.events.with(self.version, self.created_at, kind);
        Self { events, ..self }
    }
}
