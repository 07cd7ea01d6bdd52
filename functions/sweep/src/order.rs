//! What the sweep does with an order that is due.

use shared::deadline::Deadline;
use shared::domain::OrderId;
use shared::settlement::Settled;
use shared::settlement::notes::note_call;
use shared::settling_client::{AskedOrder, SettlingError};
use shared::store::{Commit, StoredOrder};
use shared::telemetry::{Level, LogLine, Metric};
use shared::wechatpay::CallError;

use crate::Sweep;

impl Sweep {
    pub(crate) async fn order(
        &self,
        order_id: &OrderId,
        deadline: Deadline,
        line: &mut LogLine,
    ) -> Result<(), SettlingError> {
        let Some(claimed) = self.orders.load(order_id).await? else {
            return Ok(());
        };
        line.field("trade_state", claimed.order.state.as_str());
        let attempts = claimed.due.map_or(0, |due| due.attempts);
        let AskedOrder { heard, settled } = match self
            .sender
            .settling_client()
            .ask_order(order_id, &deadline, line)
            .await
        {
            Ok(asked) => asked,
            Err(SettlingError::Call(error)) => {
                self.note(&error, &claimed, line).await?;
                return self.postpone(order_id, attempts).await;
            }
            Err(error) => return Err(error),
        };
        if !settled.fits() {
            // What does not fit the record is for a person; nothing is decided by it.
            return self.postpone(order_id, attempts).await;
        }
        let Some(stored) = settled.record() else {
            return Ok(());
        };
        if stored.order.must_close(heard, self.now()) {
            self.close(order_id, deadline, line).await?;
        }
        self.postpone(order_id, attempts).await
    }

    async fn close(
        &self,
        order_id: &OrderId,
        deadline: Deadline,
        line: &mut LogLine,
    ) -> Result<(), SettlingError> {
        let settling_client = self.sender.settling_client();
        match settling_client.begin_close(order_id, line).await? {
            Settled::Changed(_) | Settled::Unchanged(_) => {}
            Settled::Unknown | Settled::Contradiction(..) => return Ok(()),
        }
        match settling_client.close_order(order_id, &deadline, line).await {
            Ok(_) => Ok(()),
            // Paid in this very moment, perhaps: the next look asks.
            Err(SettlingError::Call(error)) => {
                note_call(&error, line);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Moves the due time from the claim to where the order's state wants it.
    async fn postpone(&self, order_id: &OrderId, attempts: u32) -> Result<(), SettlingError> {
        let Some(stored) = self.orders.load(order_id).await? else {
            return Ok(());
        };
        let attempts = match stored.due {
            // Changed since the claim, which set the count back.
            Some(due) if due.attempts == 0 => return Ok(()),
            Some(_) => attempts,
            None => return Ok(()),
        };
        let due = stored.order.due_after(self.now(), attempts);
        // A conflict means that somebody changed the order and its due time with it.
        self.orders.postpone(&stored.order, due).await?;
        Ok(())
    }

    /// Notes why there is no answer, and calls a person where that goes on for too long: once.
    async fn note(
        &self,
        error: &CallError,
        claimed: &StoredOrder,
        line: &mut LogLine,
    ) -> Result<(), SettlingError> {
        note_call(error, line);
        let now = self.now();
        if !claimed.order.is_overdue(now) {
            return Ok(());
        }
        line.field("overdue", true);
        let order_id = &claimed.order.terms.order_id;
        match self.orders.claim_call(order_id, now).await? {
            Commit::Done => {
                line.count(Metric::NeedsHuman).raise(Level::Error);
            }
            Commit::Conflict => {}
        }
        Ok(())
    }
}
