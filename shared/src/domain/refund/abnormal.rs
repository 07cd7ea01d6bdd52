//! The application for an abnormal refund: whether the merchant's goes to WeChat Pay.

use super::{Refund, RefundState};
use crate::domain::report::RefundStatus;

/// What becomes of an application for a refund of which WeChat Pay just said how it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Application {
    /// It goes to WeChat Pay.
    Send,
    /// WeChat Pay has taken one before: a repeat.
    Taken,
    /// The refund is not abnormal: there is nothing to apply for.
    NotAbnormal,
}

impl Refund {
    /// Whether WeChat Pay may find this refund abnormal, and so is worth asking.
    pub const fn may_be_abnormal(&self) -> bool {
        match self.state {
            RefundState::Processing | RefundState::Abnormal => true,
            RefundState::Requested
            | RefundState::Reserved
            | RefundState::Closed
            | RefundState::Success { .. }
            | RefundState::Rejected
            | RefundState::Withdrawing { .. }
            | RefundState::Withdrawn { .. } => false,
        }
    }

    /// Decides about an application, from the record and from what WeChat Pay reports right now. One that
    /// is abnormal on record and processed at WeChat Pay was applied for: nothing else leads there.
    pub fn application(&self, status: &RefundStatus) -> Application {
        match status {
            RefundStatus::Abnormal if self.may_be_abnormal() => Application::Send,
            RefundStatus::Processing if self.state == RefundState::Abnormal => Application::Taken,
            RefundStatus::Abnormal
            | RefundStatus::Processing
            | RefundStatus::Success { .. }
            | RefundStatus::Closed
            | RefundStatus::Unknown(_) => Application::NotAbnormal,
        }
    }

    /// Whether WeChat Pay's word on an abnormal refund, right after an application without a usable
    /// answer, says that it took the application.
    pub fn was_applied_for(&self, status: &RefundStatus) -> bool {
        match status {
            RefundStatus::Processing | RefundStatus::Success { .. } => {
                self.state == RefundState::Abnormal
            }
            RefundStatus::Abnormal | RefundStatus::Closed | RefundStatus::Unknown(_) => false,
        }
    }
}
