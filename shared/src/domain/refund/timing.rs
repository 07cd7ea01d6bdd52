//! When a refund is sent or looked at next, and when it takes too long.

use super::withdrawal::{TAKEN_AFTER_ALL, TAKEN_AND_LATE, planned_look};
use super::{Refund, RefundState};
use crate::domain::absence::ABSENCE_INTERVAL_SECONDS;
use crate::domain::schedule::backoff_seconds;
use crate::domain::{Due, Timestamp};

/// How long WeChat Pay may take for a refund before it counts as stuck, in seconds: three days, what
/// a card may take.
pub const PROCESSING_SECONDS_MAX: i64 = 3 * 24 * 60 * 60;

/// How long a refund may wait to be taken by WeChat Pay before it counts as stuck, in seconds: longer
/// than fifty of one order wait for each other's minute.
pub const RESERVED_SECONDS_MAX: i64 = 60 * 60;

/// How long a withdrawal may wait for its two signed "no such refund" before it counts as stuck, in
/// seconds; they take six minutes where WeChat Pay answers.
pub const WITHDRAWING_SECONDS_MAX: i64 = 60 * 60;

/// How long after it was asked for a refund may be sent and still be found by its day, in seconds: 30 days.
pub const LATE_SECONDS: i64 = 30 * 24 * 60 * 60;

/// The moment at which the next refund of the order may be sent.
///
/// Moments are whole seconds: one more than the interval keeps it whole however late in its second
/// this one is sent.
pub const fn next_refund_at(now: Timestamp, interval_seconds: i64) -> Timestamp {
    now.plus_seconds(interval_seconds.saturating_add(1))
}

impl Refund {
    /// The last moment from which it can have been on its way to WeChat Pay: when somebody last got the
    /// right to send it, or its amount was taken, or the merchant last had it tried again.
    pub fn last_sent_at(&self) -> Timestamp {
        let earliest = self.reserved_at.unwrap_or(self.created_at);
        self.sent_at
            .map_or(earliest, |sent_at| sent_at.max(earliest))
    }

    /// Whether it was sent, if at all, more than [`LATE_SECONDS`] after it was asked for.
    pub fn is_late(&self) -> bool {
        self.last_sent_at().seconds_since(self.created_at) > LATE_SECONDS
    }

    /// When the sweep looks at the refund next, after `attempts` looks without a change; `None`
    /// where nothing is left to be learnt.
    pub fn due_after(&self, now: Timestamp, attempts: u32) -> Option<Due> {
        let at = self.due_at(now, attempts)?;
        Some(Due { at, attempts })
    }

    pub(super) fn due_at(&self, now: Timestamp, attempts: u32) -> Option<Timestamp> {
        let asked = now.plus_seconds(backoff_seconds(attempts));
        match self.state {
            RefundState::Reserved | RefundState::Processing => Some(asked),
            // A person has to act at WeChat Pay first; once a day is enough to see that they did.
            RefundState::Abnormal => Some(now.plus_seconds(24 * 60 * 60)),
            RefundState::Withdrawing {
                since,
                missing_since,
            } => {
                let counts = self.absence_counts_from(since);
                Some(match missing_since {
                    Some(first) => first.plus_seconds(ABSENCE_INTERVAL_SECONDS).max(now),
                    None if now < counts => counts,
                    None => asked,
                })
            }
            RefundState::Withdrawn { at, confirmations } => planned_look(at, confirmations)
                .map(|planned| if planned > now { planned } else { asked }),
            RefundState::Requested
            | RefundState::Closed
            | RefundState::Success { .. }
            | RefundState::Rejected => None,
        }
    }

    /// The refund as it stands once a person is called because it takes too long, if it does and nobody
    /// was called so far, but for that it was taken after all. Its age counts from the reservation, or
    /// from the withdrawal.
    pub fn overdue(&self, now: Timestamp) -> Option<Self> {
        let age_seconds = now.seconds_since(self.reserved_at.unwrap_or(self.created_at));
        let why = match self.state {
            RefundState::Reserved if age_seconds > RESERVED_SECONDS_MAX => {
                "WeChat Pay has not taken it for an hour"
            }
            RefundState::Processing if age_seconds > PROCESSING_SECONDS_MAX => {
                "WeChat Pay has not finished it for three days"
            }
            RefundState::Withdrawing { since, .. }
                if now.seconds_since(since) > WITHDRAWING_SECONDS_MAX =>
            {
                "it is withdrawn, and WeChat Pay has not said for an hour that it does not have it"
            }
            RefundState::Requested
            | RefundState::Reserved
            | RefundState::Processing
            | RefundState::Abnormal
            | RefundState::Closed
            | RefundState::Success { .. }
            | RefundState::Rejected
            | RefundState::Withdrawing { .. }
            | RefundState::Withdrawn { .. } => return None,
        };
        let why = match self.needs_human.as_deref() {
            None => why,
            Some(TAKEN_AFTER_ALL) => TAKEN_AND_LATE,
            Some(_) => return None,
        };
        let flagged = Self {
            needs_human: Some(why.to_owned()),
            ..self.clone()
        };
        Some(self.next(flagged, now))
    }

    /// When the refund is looked at next, after `attempts` looks without a change, where another
    /// refund of its order has taken the slot until `next_refund_at`: when that is over, and nothing
    /// was sent, so no sending failed. `None` where nothing is left to be learnt.
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
