//! What the merchant decides about a refund: approve, reject, withdraw, retry.

use shared::api::{Answer, Caller, Incoming, Problem};
use shared::deadline::Deadline;
use shared::domain::refund::{Decision, RefundableChange};
use shared::domain::{self, Due, Order, OrderId, RefundId};
use shared::refund_mac::Stage;
use shared::refund_sender::Sending;
use shared::settling_client::Purpose;
use shared::store::{Approval, RefundCommit, SendSlot, StoredRefund};
use shared::telemetry::LogLine;

use crate::{Refund, answered, named_refund, problems, request};

/// How often a decision is taken again because the refund changed meanwhile.
const DECISIONS_MAX: u32 = 3;

impl Refund {
    pub(crate) async fn approve(
        &self,
        order: &Order,
        refund_id: &RefundId,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<Answer, Problem> {
        let stored = self.refund(order, refund_id).await?;
        let now = self.process.clock.business();
        let reserved = match stored.refund.approve(now) {
            Decision::Changed(reserved) => {
                let client = self.sender.settling_client();
                client
                    .authenticate(&stored.refund, Purpose::Approval)
                    .await?;
                self.vouched(*reserved, Stage::Approved).await?
            }
            // Approved before: the repeat is told how far it came.
            Decision::Repeat => return Ok(answered(200, &stored)),
            Decision::TooLate => return Err(problems::decided(&stored.refund)),
        };
        let requested = &stored.refund;
        let mut due = self.soon(now);
        let mut approval = self
            .refunds
            .approve(requested, &reserved, now, self.slot(), due)
            .await?;
        let mut sent_now = true;
        if let Approval::SlotTaken { next_refund_at } = approval {
            due = Due::first(next_refund_at);
            sent_now = false;
            approval = self
                .refunds
                .approve(requested, &reserved, now, SendSlot::Later, due)
                .await?;
        }
        match approval {
            Approval::Reserved => {
                let due = Some(due);
                let refund = reserved;
                self.sent(StoredRefund { refund, due }, sent_now, deadline, line)
                    .await
            }
            Approval::AlreadyDecided => Ok(answered(200, &self.refund(order, refund_id).await?)),
            Approval::NumberTaken => Err(problems::number_taken()),
            Approval::Refused(refused) => Err(problems::refused(refused)),
            Approval::SlotTaken { .. } => Err(problems::changed_meanwhile()),
        }
    }

    pub(crate) async fn reject(
        &self,
        order: &Order,
        refund_id: &RefundId,
    ) -> Result<Answer, Problem> {
        let now = self.process.clock.business();
        let decide = |refund: &domain::Refund| refund.reject(now);
        let (_, stored) = self.decided(order, refund_id, decide, |_| None).await?;
        Ok(answered(200, &stored))
    }

    /// Takes back a refund that WeChat Pay has not taken: the sweep finds out that it never did.
    pub(crate) async fn withdraw(
        &self,
        order: &Order,
        refund_id: &RefundId,
    ) -> Result<Answer, Problem> {
        let now = self.process.clock.business();
        let decide = |refund: &domain::Refund| refund.withdraw(now);
        let due = |withdrawing: &domain::Refund| withdrawing.due_after(now, 0);
        let (decided, stored) = self.decided(order, refund_id, decide, due).await?;
        Ok(answered(if decided { 202 } else { 200 }, &stored))
    }

    /// Sends a refund again that WeChat Pay refused, now if the order's minute allows it.
    pub(crate) async fn retry(
        &self,
        order: &Order,
        refund_id: &RefundId,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<Answer, Problem> {
        let now = self.process.clock.business();
        let decide = |refund: &domain::Refund| refund.retry(now);
        let due = |_: &domain::Refund| Some(self.soon(now));
        let (decided, stored) = self.decided(order, refund_id, decide, due).await?;
        if !decided {
            return Ok(answered(200, &stored));
        }
        if !self.sender.is_authentic(&stored, line).await? {
            return Ok(answered(202, &stored));
        }
        let sending = self.sender.send(stored, deadline, line).await?;
        let stored = match sending {
            Sending::Sent(stored) => stored,
            // The sweep sends it; it asks first.
            Sending::SlotTaken(stored) => stored,
        };
        Ok(answered(202, &stored))
    }

    /// Decides about a refund and writes it: whether that changed anything, and how it stands. Whoever
    /// decided first decided; what stands is then read and decided about again.
    async fn decided(
        &self,
        order: &Order,
        refund_id: &RefundId,
        decide: impl Fn(&domain::Refund) -> Decision,
        due: impl Fn(&domain::Refund) -> Option<Due>,
    ) -> Result<(bool, StoredRefund), Problem> {
        for _ in 0..DECISIONS_MAX {
            let stored = self.refund(order, refund_id).await?;
            let after = match decide(&stored.refund) {
                Decision::Changed(after) => *after,
                Decision::Repeat => return Ok((false, stored)),
                Decision::TooLate => return Err(problems::decided(&stored.refund)),
            };
            let due = due(&after);
            let committed =
                self.refunds
                    .commit(&stored.refund, &after, RefundableChange::Stays, due);
            match committed.await? {
                RefundCommit::Done => return Ok((true, StoredRefund { refund: after, due })),
                RefundCommit::Conflict => {}
            }
        }
        Err(problems::changed_meanwhile())
    }

    /// The refund that the merchant decides on, by its order and number. A payer is not shown that such
    /// a route exists.
    pub(crate) async fn to_decide(
        &self,
        caller: &Caller,
        order_id: &OrderId,
        incoming: &Incoming,
        line: &mut LogLine,
    ) -> Result<(Order, RefundId), Problem> {
        let refund_id = named_refund(incoming, line)?;
        if *caller != Caller::Merchant {
            return Err(Problem::not_found());
        }
        request::nothing_in(incoming)?;
        let order = self.visible(caller, order_id).await?.order;
        Ok((order, refund_id))
    }
}
