//! An order that is due.

use shared::deadline::Deadline;
use shared::domain::order::{CLOSE_GRACE_SECONDS, ClosedBy};
use shared::domain::{Due, OrderId, OrderState};
use shared::settlement::Settled;
use shared::settlement::notes::note_call;
use shared::settling_client::SettlingError;
use shared::store::StoredOrder;
use shared::telemetry::{Level, LogLine, Metric};
use shared::wechatpay::CallError;

use crate::Sweep;

/// How long after its time an order may stay unasked about before a person is asked to look, in
/// seconds.
const OVERDUE_SECONDS_MAX: i64 = 60 * 60;

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
        let asked = match self
            .sender
            .settling_client()
            .ask_order(order_id, &deadline, line)
            .await
        {
            Ok(settled) => settled,
            Err(SettlingError::Call(error)) => {
                self.note(&error, &claimed, line);
                return self.put_off(order_id, attempts).await;
            }
            Err(error) => return Err(error),
        };
        if let Settled::Contradiction(..) = asked {
            // What does not fit the record is for a person; nothing is decided by it.
            return self.put_off(order_id, attempts).await;
        }
        let Some(stored) = asked.record() else {
            return Ok(());
        };
        if self.should_close(&stored, line) {
            self.close(order_id, deadline, line).await?;
        }
        self.put_off(order_id, attempts).await
    }

    /// Expired and unpaid, or closed for absence and now found at WeChat Pay: it is closed there.
    fn should_close(&self, stored: &StoredOrder, line: &mut LogLine) -> bool {
        let order = &stored.order;
        let close = match &order.state {
            OrderState::NotPay => {
                self.now() >= order.terms.time_expire.plus_seconds(CLOSE_GRACE_SECONDS)
                    && order.missing_since.is_none()
            }
            OrderState::Closing { .. } => order.missing_since.is_none(),
            OrderState::Closed {
                by: ClosedBy::Absence { .. },
                ..
            } => {
                // The question a moment ago found it there after all, unless it was absent again.
                !line.has("wechatpay.trade_state")
            }
            OrderState::Closed {
                by: ClosedBy::Wechatpay,
                ..
            }
            | OrderState::Success(_) => false,
        };
        // "No such order" at this moment leaves nothing to close, and closing burns the number for a
        // prepay that may still be on its way.
        close && !line.has("wechatpay.trade_state")
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
    async fn put_off(&self, order_id: &OrderId, attempts: u32) -> Result<(), SettlingError> {
        let Some(stored) = self.orders.load(order_id).await? else {
            return Ok(());
        };
        let attempts = match stored.due {
            // Changed since the claim, which set the count back.
            Some(due) if due.attempts == 0 => return Ok(()),
            Some(_) => attempts,
            None => return Ok(()),
        };
        let at = stored.order.due_at(self.now(), attempts);
        // A conflict means that somebody changed the order and its due time with it.
        self.orders
            .postpone(&stored.order, at.map(|at| Due { at, attempts }))
            .await?;
        Ok(())
    }

    fn note(&self, error: &CallError, claimed: &StoredOrder, line: &mut LogLine) {
        note_call(error, line);
        // Before its time is over an order may wait for WeChat Pay; long after it somebody has to look.
        let overdue_seconds = self.now().seconds_since(claimed.order.terms.time_expire);
        if overdue_seconds > OVERDUE_SECONDS_MAX {
            line.count(Metric::NeedsHuman).raise(Level::Error);
        }
    }
}
