//! What becomes due by itself: plain records. `schedule.rs` does it.

use super::order::OrderKey;
use super::refund::RefundKey;

/// What becomes due by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// An unpaid order is closed.
    OrderCloses(OrderKey),
    /// The bank finishes a refund.
    RefundEnds(RefundKey),
    /// A notice is sent by the schedule.
    NoticeDue(u64),
    /// A second copy of a notice.
    NoticeCopy(u64),
}
