//! A refund that is due.

use shared::deadline::Deadline;
use shared::domain::{Due, OrderId, RefundId, RefundState};
use shared::settling_client::SettlingError;
use shared::store::{Commit, StoredRefund};
use shared::telemetry::{Level, LogLine, Metric};

use crate::Sweep;

/// How long WeChat Pay may take for a refund before it counts as stuck, in seconds: three days, what
/// a card may take.
const PROCESSING_SECONDS_MAX: i64 = 3 * 24 * 60 * 60;

/// How long a refund may wait to be taken by WeChat Pay before it counts as stuck, in seconds: longer
/// than fifty of one order wait for each other's minute.
const RESERVED_SECONDS_MAX: i64 = 60 * 60;

impl Sweep {
    pub(crate) async fn refund(
        &self,
        order_id: &OrderId,
        refund_id: &RefundId,
        deadline: Deadline,
        line: &mut LogLine,
    ) -> Result<(), SettlingError> {
        let Some(claimed) = self.refunds.load(order_id, refund_id).await? else {
            return Ok(());
        };
        let StoredRefund { refund, attempts } = claimed;
        line.field("status", refund.state.as_str());
        let age_seconds = self.now().seconds_since(refund.created_at);
        let stuck = match refund.state {
            // The first look may be at one that waited long for the merchant, and not for WeChat Pay; a
            // refusal begins the count of looks anew.
            RefundState::Reserved => {
                (attempts > 1 || refund.refusals > 0) && age_seconds > RESERVED_SECONDS_MAX
            }
            RefundState::Processing => age_seconds > PROCESSING_SECONDS_MAX,
            RefundState::Abnormal => true,
            RefundState::Requested
            | RefundState::Closed
            | RefundState::Success { .. }
            | RefundState::Rejected => false,
        };
        if stuck {
            line.count(Metric::RefundStuck).raise(Level::Warn);
        }
        match refund.state {
            RefundState::Reserved | RefundState::Processing | RefundState::Abnormal => {}
            RefundState::Requested
            | RefundState::Closed
            | RefundState::Success { .. }
            | RefundState::Rejected => return Ok(()),
        }
        // Whether this look got the order's moment, where it came to that.
        let mut moment = None;
        let claim_slot = async || -> Result<bool, SettlingError> {
            let interval = self.sender.interval_seconds();
            let claimed = self
                .orders
                .claim_send_slot(order_id, self.now(), interval)
                .await?;
            moment = Some(claimed);
            Ok(claimed == Commit::Done)
        };
        self.sender
            .follow(refund, attempts, claim_slot, &deadline, line)
            .await?;
        self.put_off_refund(order_id, refund_id, attempts, moment)
            .await
    }

    /// Moves the due time from the claim to where the refund's state wants it; one whose order's
    /// minute another has taken is due when that is over. One that was sent in vain waits for its own
    /// time, which grows.
    async fn put_off_refund(
        &self,
        order_id: &OrderId,
        refund_id: &RefundId,
        attempts: u32,
        moment: Option<Commit>,
    ) -> Result<(), SettlingError> {
        let Some(stored) = self.refunds.load(order_id, refund_id).await? else {
            return Ok(());
        };
        let now = self.now();
        // Changed since the claim, with a due time of its own.
        if stored.attempts == 0 || stored.refund.next_attempt_at.is_none() {
            return Ok(());
        }
        let mut attempts = attempts;
        let mut at = stored.refund.due_at(now, attempts);
        if moment == Some(Commit::Conflict)
            && let Some(order) = self.orders.load(order_id).await?
            && let Some(payment) = order.order.payment_on_record()
            && let Some(next_refund_at) = payment.next_refund_at
        {
            at = at.map(|at| at.min(next_refund_at.max(now)));
            // Nothing was sent, so nothing was in vain.
            attempts = attempts.saturating_sub(1);
        }
        let due = at.map(|at| Due { at, attempts });
        // A conflict means that somebody changed the refund and its due time with it.
        self.refunds.postpone(&stored.refund, due).await?;
        Ok(())
    }
}
