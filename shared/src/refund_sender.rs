//! Sends reserved refunds, and decides what a refusal or a missing answer means for them.
//!
//! A reservation is never released here. What WeChat Pay refuses for a reason that may pass is sent
//! again later, with the same number and the same bytes; what it refuses for good waits for a person.

use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::domain::refund::{RefundableChange, RefusalKind};
use crate::settlement::notes::note_call;
use crate::settling_client::{NotAuthentic, Purpose, SettlingClient, SettlingError};
use crate::store::{RefundCommit, Refunds, SendClaim, StoredRefund};
use crate::telemetry::{Level, LogLine, Metric};
use crate::wechatpay::CallError;

/// What became of sending a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sending {
    /// It was sent, or is not to be sent any more; so it stands.
    Sent(StoredRefund),
    /// Another refund of its order has the slot.
    SlotTaken(StoredRefund),
}

/// Sends refunds. Held by refund and sweep.
#[derive(Debug)]
pub struct RefundSender {
    settling_client: SettlingClient,
    refunds: Refunds,
    clock: Clock,
    interval_seconds: i64,
}

impl RefundSender {
    /// Sends through this client; `interval_seconds` lie between two refunds of an order.
    pub const fn new(
        settling_client: SettlingClient,
        refunds: Refunds,
        clock: Clock,
        interval_seconds: i64,
    ) -> Self {
        Self {
            settling_client,
            refunds,
            clock,
            interval_seconds,
        }
    }

    /// The client.
    pub const fn settling_client(&self) -> &SettlingClient {
        &self.settling_client
    }

    /// The least time between two refunds of an order, in seconds.
    pub const fn interval_seconds(&self) -> i64 {
        self.interval_seconds
    }

    /// Claims the right to send a reserved refund, and sends it if it got it. A refund whose number has
    /// no guard, or a burnt one, is not sent, now or later: a person is called.
    ///
    /// # Errors
    /// As [`Self::send_claimed`].
    pub async fn send(
        &self,
        reserved: StoredRefund,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<Sending, SettlingError> {
        let refund = &reserved.refund;
        let now = self.clock.business();
        let claim = self.refunds.claim_send(refund, now, self.interval_seconds);
        match claim.await? {
            SendClaim::Claimed => {
                let sent = self.send_claimed(reserved, deadline, line).await?;
                Ok(Sending::Sent(sent))
            }
            SendClaim::SlotTaken => Ok(Sending::SlotTaken(reserved)),
            SendClaim::Changed => Ok(Sending::Sent(self.as_it_stands(&reserved).await?)),
            SendClaim::Unguarded => {
                let refused = self.not_authentic(reserved, NotAuthentic::Guard, line);
                Ok(Sending::Sent(refused.await?))
            }
        }
    }

    /// Sends a reserved refund whose slot was claimed, and settles the answer; gives the refund as the
    /// record has it afterwards. Whatever becomes of it, the reservation stands and the sweep has a due
    /// time.
    ///
    /// # Errors
    /// The table is unavailable; the sweep goes on with it.
    pub async fn send_claimed(
        &self,
        reserved: StoredRefund,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<StoredRefund, SettlingError> {
        let sent = self
            .settling_client
            .send_refund(&reserved.refund, deadline, line)
            .await;
        match sent {
            Ok(settled) => Ok(settled.record().unwrap_or(reserved)),
            Err(SettlingError::Call(error)) => self.not_taken(reserved, &error, line).await,
            Err(SettlingError::NotAuthentic(error)) => {
                self.not_authentic(reserved, error, line).await
            }
            // The refund stands reserved, which is the answer; the sweep sends it when it can.
            Err(SettlingError::Secret(error)) => {
                line.field("error", error.to_string())
                    .count(Metric::NotConfigured)
                    .raise(Level::Error);
                Ok(reserved)
            }
            Err(SettlingError::Store(error)) => {
                line.field("error", error.to_string()).raise(Level::Warn);
                Ok(reserved)
            }
        }
    }

    /// Whether a reserved refund may be sent at all. One whose record is not authentic is flagged, and
    /// looked at again when the key that is missing may have been put back; it holds up no other.
    ///
    /// # Errors
    /// The table or the keys are unavailable.
    pub async fn is_authentic(
        &self,
        reserved: &StoredRefund,
        line: &mut LogLine,
    ) -> Result<bool, SettlingError> {
        match self
            .settling_client
            .authenticate(&reserved.refund, Purpose::Sending)
            .await
        {
            Ok(()) => Ok(true),
            Err(SettlingError::NotAuthentic(error)) => {
                self.not_authentic(reserved.clone(), error, line).await?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn not_authentic(
        &self,
        reserved: StoredRefund,
        error: NotAuthentic,
        line: &mut LogLine,
    ) -> Result<StoredRefund, SettlingError> {
        let before = &reserved.refund;
        let (after, due) = before.distrusted(self.clock.business());
        let due = Some(due);
        let committed = self
            .refunds
            .commit(before, &after, RefundableChange::Stays, due)
            .await;
        let stands = if matches!(committed, Ok(RefundCommit::Conflict)) {
            self.as_it_stands(&reserved).await?
        } else {
            StoredRefund { refund: after, due }
        };
        // A withdrawal burns the number and says so in the record: it was a moment faster.
        if error == NotAuthentic::Guard && stands.refund.state.was_withdrawn() {
            line.field("not_sent", "withdrawn meanwhile");
            return Ok(stands);
        }
        line.field("error", error.to_string())
            .field("not_authentic", error.as_str())
            .raise(Level::Error);
        committed?;
        if stands.refund.calls_anew(before) {
            line.count(Metric::NeedsHuman);
        }
        Ok(stands)
    }

    async fn not_taken(
        &self,
        reserved: StoredRefund,
        error: &CallError,
        line: &mut LogLine,
    ) -> Result<StoredRefund, SettlingError> {
        note_call(error, line);
        let kind = match error {
            CallError::Unknown(_) => None,
            CallError::Refused(refusal) => RefusalKind::of(refusal.status, &refusal.code),
        };
        let Some(kind) = kind else {
            // The due time of the reservation, or of the sweep's claim, stands.
            return Ok(reserved);
        };
        let before = &reserved.refund;
        let attempts = reserved.due.map_or(0, |due| due.attempts);
        let now = self.clock.business();
        let (after, due) = before.refused(&kind, attempts, now, self.interval_seconds);
        let committed = self
            .refunds
            .commit(before, &after, RefundableChange::Stays, due);
        let stands = match committed.await? {
            RefundCommit::Done => StoredRefund { refund: after, due },
            // Somebody else learnt more meanwhile, or this write was made and its answer lost.
            RefundCommit::Conflict => self.as_it_stands(&reserved).await?,
        };
        if stands.refund.calls_anew(before) {
            line.count(Metric::NeedsHuman).raise(Level::Error);
        }
        Ok(stands)
    }

    async fn as_it_stands(&self, stored: &StoredRefund) -> Result<StoredRefund, SettlingError> {
        let refund = &stored.refund;
        let found = self.refunds.load(&refund.order_id, &refund.refund_id);
        Ok(found.await?.unwrap_or_else(|| stored.clone()))
    }
}
