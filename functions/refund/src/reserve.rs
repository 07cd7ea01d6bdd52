//! A request for a refund: policy, the reservation, and the first sending.

use shared::api::{Answer, Caller, Code, Incoming, Problem};
use shared::deadline::Deadline;
use shared::domain::books::not_refundable;
use shared::domain::refund::{RefundTerms, approves_itself};
use shared::domain::{self, Due, NotRefundable, Order, OrderId, RefundId};
use shared::refund_mac::Stage;
use shared::store::{Commit, Reserve, SendSlot, StoredOrder, StoredRefund};
use shared::telemetry::LogLine;

use crate::request::{RefundRequest, payers_own};
use crate::{ASK_FLOOR_SECONDS, Refund, answered, party_of, problems};

impl Refund {
    pub(crate) async fn ask(
        &self,
        caller: &Caller,
        order_id: &OrderId,
        incoming: &Incoming,
        line: &mut LogLine,
    ) -> Result<Answer, Problem> {
        let key = shared::api::derived_ids::idempotency_key(incoming)?;
        let request = RefundRequest::read(incoming)?;
        let (refund_id, earlier) = self.numbers_of(caller, &request, order_id, key).await?;
        line.field("refund.out_refund_no", refund_id.as_str());
        let stored = self.visible(caller, order_id).await?;
        for number in std::iter::once(&refund_id).chain(&earlier) {
            if let Some(known) = self.refunds.load(order_id, number).await? {
                return self
                    .repeat(caller, &request, known, &incoming.deadline, line)
                    .await;
            }
        }
        if *caller == Caller::Merchant {
            request.is_the_merchants(&self.own_numbers)?;
        }
        let order = self.paid(caller, stored, incoming, line).await?;
        let payment = order
            .payment_on_record()
            .ok_or_else(|| problems::refused(NotRefundable::NotPaid))?;
        let now = self.process.clock.business();
        let terms = RefundTerms {
            refund_id,
            amount: request.amount,
            reason: request.reason.clone(),
            notify_url: shared::api::notify_url(self.public_base_url.as_deref(), incoming)?,
            asked_by: party_of(caller),
        };
        let names_number = request.refund_id.is_some();
        let seconds = self.auto_approve_seconds;
        if approves_itself(
            terms.asked_by,
            names_number,
            order.counts_as_paid_at(payment),
            seconds,
            now,
        ) {
            let refund = domain::Refund::reserved(terms, &order, payment, now);
            let refund = self.vouched(refund, Stage::Approved).await?;
            return self
                .reserve_and_send(refund, caller, &request, incoming, line)
                .await;
        }
        // What cannot be given is refused now; what can is bounded again when it is approved.
        if let Some(refused) = not_refundable(payment, request.amount, now) {
            return Err(problems::refused(refused));
        }
        let refund = domain::Refund::requested(terms, &order, payment, now);
        let refund = self.vouched(refund, Stage::Requested).await?;
        match self.refunds.request(&refund).await? {
            Reserve::Done => Ok(answered(202, &StoredRefund { refund, due: None })),
            other @ (Reserve::Exists(_)
            | Reserve::NumberTaken
            | Reserve::Refused(_)
            | Reserve::SlotTaken { .. }) => {
                self.not_reserved(other, caller, &request, &incoming.deadline, line)
                    .await
            }
        }
    }

    /// Takes the amount and sends the refund, now if the order's minute allows it.
    async fn reserve_and_send(
        &self,
        refund: domain::Refund,
        caller: &Caller,
        request: &RefundRequest,
        incoming: &Incoming,
        line: &mut LogLine,
    ) -> Result<Answer, Problem> {
        let now = self.process.clock.business();
        let mut due = self.soon(now);
        let mut reserve = self.refunds.reserve(&refund, now, self.slot(), due).await?;
        let mut sent_now = true;
        if let Reserve::SlotTaken { next_refund_at } = reserve {
            due = Due::first(next_refund_at);
            sent_now = false;
            reserve = self
                .refunds
                .reserve(&refund, now, SendSlot::Later, due)
                .await?;
        }
        match reserve {
            Reserve::Done => {
                let due = Some(due);
                let reserved = StoredRefund { refund, due };
                self.sent(reserved, sent_now, &incoming.deadline, line)
                    .await
            }
            other @ (Reserve::Exists(_)
            | Reserve::NumberTaken
            | Reserve::Refused(_)
            | Reserve::SlotTaken { .. }) => {
                self.not_reserved(other, caller, request, &incoming.deadline, line)
                    .await
            }
        }
    }

    async fn not_reserved(
        &self,
        reserve: Reserve,
        caller: &Caller,
        request: &RefundRequest,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<Answer, Problem> {
        match reserve {
            // Somebody with the same number was faster.
            Reserve::Exists(stored) => self.repeat(caller, request, *stored, deadline, line).await,
            Reserve::NumberTaken => Err(problems::number_taken()),
            Reserve::Refused(refused) => Err(problems::refused(refused)),
            // These are dealt with by whoever reserves; a new one between two tries is tried again.
            Reserve::Done | Reserve::SlotTaken { .. } => Err(problems::changed_meanwhile()),
        }
    }

    /// The same number again: the same refund if its terms are the same.
    async fn repeat(
        &self,
        caller: &Caller,
        request: &RefundRequest,
        stored: StoredRefund,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<Answer, Problem> {
        let reason = request.reason.as_deref();
        let repeated = stored
            .refund
            .repeated(party_of(caller), request.amount, reason);
        repeated.map_err(problems::other_terms)?;
        line.field("placed", "repeat");
        Ok(answered(200, &self.followed(stored, deadline, line).await?))
    }

    /// The order, paid on record: where the record says otherwise WeChat Pay is asked first.
    ///
    /// Payers ask at most once in [`ASK_FLOOR_SECONDS`], and so does the merchant, apart from them, so
    /// that a payer's requests cannot keep a refund from being made. Whoever may not ask yet reads the
    /// record at once: no request waits for another.
    async fn paid(
        &self,
        caller: &Caller,
        stored: StoredOrder,
        incoming: &Incoming,
        line: &mut LogLine,
    ) -> Result<Order, Problem> {
        if stored.order.payment_on_record().is_some() {
            return Ok(stored.order);
        }
        let order_id = &stored.order.terms.order_id;
        let (orders, now) = (&self.orders, self.process.clock.wall());
        let claimed = match caller {
            Caller::Payer { .. } => {
                orders
                    .claim_asking(order_id, now, ASK_FLOOR_SECONDS)
                    .await?
            }
            Caller::Merchant => {
                let claimed = orders.claim_asking_to_refund(order_id, now, ASK_FLOOR_SECONDS);
                claimed.await?
            }
        };
        if claimed == Commit::Conflict {
            return Err(problems::not_paid_moments_ago(ASK_FLOOR_SECONDS));
        }
        let answer = self
            .sender
            .settling_client()
            .ask_order(order_id, &incoming.deadline, line)
            .await?;
        answer
            .settled
            .record()
            .map(|stored| stored.order)
            .filter(|order| order.payment_on_record().is_some())
            .ok_or_else(|| problems::refused(NotRefundable::NotPaid))
    }

    /// The number of the refund that is meant, and the one that it has if it was asked for before the stack was
    /// given its prefix, or by a build that made numbers otherwise.
    async fn numbers_of(
        &self,
        caller: &Caller,
        request: &RefundRequest,
        order_id: &OrderId,
        key: Option<&str>,
    ) -> Result<(RefundId, Option<RefundId>), Problem> {
        if let Some(named) = &request.refund_id {
            return match caller {
                Caller::Payer { .. } => payers_own(named, &self.own_numbers),
                Caller::Merchant => Ok((named.clone(), None)),
            };
        }
        let key = key.ok_or_else(|| {
            Problem::new(
                Code::MalformedRequest,
                "send an Idempotency-Key or an out_refund_no",
            )
            .field("Idempotency-Key")
        })?;
        let keys = self.callers.keys().await?;
        let number = shared::api::derived_ids::refund_id(&keys, caller, order_id, key)?;
        let prefix = &self.number_prefix;
        let earlier = (!prefix.is_empty()).then(|| RefundId::parse(format!("{prefix}{number}")));
        Ok((number, earlier.transpose()?))
    }
}
