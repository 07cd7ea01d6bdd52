//! What the sweep does with a refund that is due.

use shared::deadline::Deadline;
use shared::domain::absence::Heard;
use shared::domain::refund::RefundableChange;
use shared::domain::{OrderId, RefundId, RefundState};
use shared::refund_sender::Sending;
use shared::settlement::notes::note_call;
use shared::settling_client::{AskedRefund, SettlingError};
use shared::store::{RefundCommit, StoredRefund};
use shared::telemetry::{Level, LogLine, Metric};
use shared::wechatpay::CallError;

use crate::Sweep;

/// What a look came to.
enum Followed {
    /// WeChat Pay was asked, or the refund was sent.
    Asked,
    /// It would have been sent, but another refund of its order has the slot.
    SlotTaken,
}

/// Whether a refund goes out that WeChat Pay does not know.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sends {
    WhereItMust,
    Never,
}

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
        let attempts = claimed.due.map_or(0, |due| due.attempts);
        line.field("status", claimed.refund.state.as_str());
        if !claimed.refund.state.is_watched() {
            return Ok(());
        }
        // Looked at before the order's slot is taken, which a genuine refund may be waiting for.
        if claimed.refund.state == RefundState::Reserved
            && !self.sender.is_authentic(&claimed, line).await?
        {
            // It is not sent any more. It may have been while its record was, and what WeChat Pay signs counts.
            self.follow(claimed, Sends::Never, &deadline, line).await?;
            return Ok(());
        }
        let claimed = self.note_overdue(claimed, line).await?;
        let followed = self
            .follow(claimed, Sends::WhereItMust, &deadline, line)
            .await?;
        self.postpone_refund(order_id, refund_id, attempts, &followed)
            .await
    }

    /// Calls a person for a refund that takes too long: once, and where the flag is written.
    async fn note_overdue(
        &self,
        claimed: StoredRefund,
        line: &mut LogLine,
    ) -> Result<StoredRefund, SettlingError> {
        let StoredRefund { refund, due } = claimed;
        if refund.state == RefundState::Abnormal {
            line.count(Metric::RefundStuck).raise(Level::Warn);
        }
        let Some(flagged) = refund.overdue(self.now()) else {
            return Ok(StoredRefund { refund, due });
        };
        let written = self
            .refunds
            .commit(&refund, &flagged, RefundableChange::Stays, due);
        match written.await? {
            RefundCommit::Done => {
                line.count(Metric::RefundStuck).raise(Level::Error);
                Ok(StoredRefund {
                    refund: flagged,
                    due,
                })
            }
            // Somebody else changed it: the next look sees how it stands.
            RefundCommit::Conflict => Ok(StoredRefund { refund, due }),
        }
    }

    /// Asks about a refund that WeChat Pay may know, and sends it again where it does not.
    async fn follow(
        &self,
        claimed: StoredRefund,
        sends: Sends,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<Followed, SettlingError> {
        let refund = &claimed.refund;
        let asked = self
            .sender
            .settling_client()
            .follow_refund(refund, deadline, line)
            .await;
        let heard = match asked {
            Ok(AskedRefund { heard, .. }) => heard,
            // Unsigned, it is enough to send the same bytes again and for nothing else.
            Err(SettlingError::Call(CallError::Refused(refusal))) if refusal.status == 404 => {
                line.field("wechatpay.code", refusal.code);
                Heard::Absence
            }
            Err(SettlingError::Call(error)) => {
                note_call(&error, line);
                return Ok(Followed::Asked);
            }
            Err(error) => return Err(error),
        };
        if sends == Sends::Never || !refund.state.must_send(heard) {
            return Ok(Followed::Asked);
        }
        match self.sender.send(claimed, deadline, line).await? {
            Sending::Sent(_) => Ok(Followed::Asked),
            Sending::SlotTaken(_) => Ok(Followed::SlotTaken),
        }
    }

    /// Moves the due time from the claim to where the refund's state wants it; one whose order's slot
    /// another has taken is due when that is over. One that was sent without success waits for its own time,
    /// which grows.
    async fn postpone_refund(
        &self,
        order_id: &OrderId,
        refund_id: &RefundId,
        attempts: u32,
        followed: &Followed,
    ) -> Result<(), SettlingError> {
        let Some(stored) = self.refunds.load(order_id, refund_id).await? else {
            return Ok(());
        };
        // Changed since the claim, with a due time of its own.
        if stored.due.is_none_or(|due| due.attempts == 0) {
            return Ok(());
        }
        let (refund, now) = (&stored.refund, self.now());
        let next_refund_at = match followed {
            Followed::Asked => None,
            Followed::SlotTaken => {
                let order = self.orders.load(order_id).await?;
                let payment = order
                    .as_ref()
                    .and_then(|stored| stored.order.payment_on_record());
                // Of one that was refunded elsewhere nothing is sent when the slot is free: it waits as ever longer.
                let waiting = payment.filter(|payment| !payment.refunded_elsewhere);
                waiting.and_then(|payment| payment.next_refund_at)
            }
        };
        let due = match next_refund_at {
            Some(next_refund_at) => refund.due_after_taken_slot(now, attempts, next_refund_at),
            None => refund.due_after(now, attempts),
        };
        // A conflict means that somebody changed the refund and its due time with it.
        self.refunds.postpone(refund, due).await?;
        Ok(())
    }
}
