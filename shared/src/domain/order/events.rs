//! What an order's changes are called where others hear of them.

use super::{Order, OrderState};
use crate::domain::{EventKind, Timestamp};

/// What a change of state is called, if others hear of it. A payment that comes after the close is a
/// payment; that the order is closed is told once, however often it is confirmed, and so is that something
/// was refunded elsewhere.
const fn name_of(before: &OrderState, after: &OrderState) -> Option<EventKind> {
    match (before, after) {
        (
            OrderState::NotPay | OrderState::Closing { .. } | OrderState::Closed { .. },
            OrderState::Success(payment),
        ) => Some(if payment.refunded_elsewhere {
            EventKind::OrderRefundedElsewhere
        } else {
            EventKind::OrderPaid
        }),
        (OrderState::Success(before), OrderState::Success(after)) => {
            if after.refunded_elsewhere && !before.refunded_elsewhere {
                Some(EventKind::OrderRefundedElsewhere)
            } else {
                None
            }
        }
        (OrderState::NotPay | OrderState::Closing { .. }, OrderState::Closed { .. }) => {
            Some(EventKind::OrderClosed)
        }
        (
            OrderState::NotPay
            | OrderState::Closing { .. }
            | OrderState::Closed { .. }
            | OrderState::Success(_),
            OrderState::NotPay | OrderState::Closing { .. },
        )
        | (OrderState::Closed { .. } | OrderState::Success(_), OrderState::Closed { .. }) => None,
    }
}

impl Order {
    /// The record's next version in this state, with what others are told of it.
    pub(super) fn next(&self, state: OrderState, now: Timestamp) -> Self {
        let version = self.version + 1;
        let events = self.events.with(version, now, name_of(&self.state, &state));
        Self {
            terms: self.terms.clone(),
            state,
            version,
            missing_since: None,
            events,
        }
    }
}
