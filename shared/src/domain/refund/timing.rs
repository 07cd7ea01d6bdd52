//! When a refund is sent or looked at next, and when it takes too long.

use super::{Refund, RefundState};
use crate::domain::schedule::backoff_seconds;
use crate::domain::{Due, Timestamp};

/// How long WeChat Pay may take for a refund before it counts as stuck, in seconds: three days, what
/// a card may take.
pub const PROCESSING_SECONDS_MAX: i64 = 3 * 24 * 60 * 60;

/// How long a refund may wait to be taken by WeChat Pay before it counts as stuck, in seconds: longer
/// than fifty of one order wait for each other's minute.
pub const RESERVED_SECONDS_MAX: i64 = 60 * 60;

/// The moment at which the next refund of the order may be sent.
///
/// Moments are whole seconds: one more than the interval keeps it whole however late in its second
/// this one is sent.
pub const fn next_refund_at(now: Timestamp, interval_seconds: i64) -> Timestamp {
    now.plus_seconds(interval_seconds.saturating_add(1))
}

impl Refund {
    /// When the sweep looks at the refund next, after `attempts` looks without a change; `None`
    /// where nothing is left to be learnt.
    pub fn due_after(&self, now: Timestamp, attempts: u32) -> Option<Due> {
        let at = self.due_at(now, attempts)?;
        Some(Due { at, attempts })
    }

    pub(super) fn due_at(&self, now: Timestamp, attempts: u32) -> Option<Timestamp> {
        match self.state {
            RefundState::Reserved | RefundState::Processing => {
                Some(now.plus_seconds(backoff_seconds(attempts)))
            }
            // A person has to act at WeChat Pay first; once a day is enough to see that they did.
            RefundState::Abnormal => Some(now.plus_seconds(24 * 60 * 60)),
            RefundState::Requested
            | RefundState::Closed
            | RefundState::Success { .. }
            | RefundState::Rejected => None,
        }
    }

    /// Whether the refund has not moved for so long that a person has to look, at a look that follows
    /// `attempts` others.
    pub const fn is_stuck(&self, attempts: u32, now: Timestamp) -> bool {
        let age_seconds = now.seconds_since(self.created_at);
        match self.state {
            // The first look may be at one that waited long for the merchant, and not for WeChat Pay; a
            // refusal begins the count of looks anew.
            RefundState::Reserved => {
                (attempts > 1 || self.refusals > 0) && age_seconds > RESERVED_SECONDS_MAX
            }
            RefundState::Processing => age_seconds > PROCESSING_SECONDS_MAX,
            RefundState::Abnormal => true,
            RefundState::Requested
            | RefundState::Closed
            | RefundState::Success { .. }
            | RefundState::Rejected => false,
        }
    }

    /// When the refund is looked at next, after `attempts` looks without a change, where another
    /// refund of its order has taken the slot until `next_refund_at`: when that is over, and nothing
    /// was sent, so nothing was in vain. `None` where nothing is left to be learnt.
    pub fn due_after_taken_slot(
        &self,
        now: Timestamp,
        attempts: u32,
        next_refund_at: Timestamp,
    ) -> Option<Due> {
        let at = self.due_at(now, attempts)?;
        Some(Due {
            at: at.min(next_refund_at.max(now)),
            attempts: attempts.saturating_sub(1),
        })
    }
}
