//! `…/refunds`: money goes back, never more than was paid.
//!
//! Policy → reserve → call → observe. A payer's request waits for the merchant unless policy approves
//! it; a reservation takes the amount from the order in one transaction with the bound in the write;
//! whatever WeChat Pay then answers or fails to answer, the same number with the same bytes goes out
//! again until its end is known. Only a signed CLOSED gives the amount back. See
//! `shared::refund_sender` for what becomes of a refusal.

mod ask;

use shared::api::{Answer, Caller, Callers, Code, HttpFunction, Incoming, Problem, answer};
use shared::config::secrets::AnySecret;
use shared::config::{ConfigError, Environment, Vars};
use shared::deadline::Deadline;
use shared::domain::terms::Party;
use shared::domain::{self, Order, OrderId, RefundId, RefundState, Timestamp};
use shared::platform::Platform;
use shared::refund_sender::{RefundSender, Sent};
use shared::settlement::Settlement;
use shared::settlement::notes::note_call;
use shared::settling_client::{SettlingClient, SettlingError};
use shared::store::{Approved, Commit, Due, Orders, Refunds, Reserve, StoredOrder};
use shared::telemetry::LogLine;
use shared::wechatpay::CallError;

/// At most one question to WeChat Pay per order or refund in this time, in seconds, however many
/// payers ask.
const ASK_FLOOR_SECONDS: i64 = 2;

/// How long after a reservation the sweep looks, in seconds, if this invocation dies in the middle.
const FOLLOW_UP_SECONDS: i64 = 30;

/// Gives money back.
#[derive(Debug)]
pub struct Refund {
    callers: Callers,
    orders: Orders,
    refunds: Refunds,
    sender: RefundSender,
    number_prefix: String,
    public_base_url: Option<String>,
    auto_approve_seconds: i64,
    interval_seconds: i64,
    platform: Platform,
}

impl HttpFunction for Refund {
    const NAME: &'static str = "refund";

    fn from_vars(vars: &Vars, platform: &Platform) -> Result<Self, ConfigError> {
        let mut environment = Environment::new(vars, platform);
        let merchant = environment.merchant();
        let table = environment.table();
        let (orders, refunds) = (Orders::new(table.clone()), Refunds::new(table));
        let settlement = Settlement::new(orders.clone(), refunds.clone());
        let settling_client =
            SettlingClient::from_environment(&mut environment, &merchant.mchid, settlement);
        let callers = Callers::from_environment(&mut environment);
        let number_prefix = environment.number_prefix();
        let public_base_url = environment.optional("PUBLIC_BASE_URL");
        let auto_approve_hours = environment.integer("AUTO_APPROVE_REFUND_HOURS", 0, 0..=8760);
        let interval_seconds = environment.refund_interval_seconds();
        environment.finish()?;
        Ok(Self {
            callers,
            orders,
            sender: RefundSender::new(
                settling_client,
                refunds.clone(),
                platform.clock.clone(),
                interval_seconds,
            ),
            refunds,
            number_prefix,
            public_base_url,
            auto_approve_seconds: auto_approve_hours * 60 * 60,
            interval_seconds,
            platform: platform.clone(),
        })
    }

    fn platform(&self) -> &Platform {
        &self.platform
    }

    fn secrets(&self) -> Vec<&dyn AnySecret> {
        let [signing, platform_keys] = self.sender.settling_client().secrets();
        vec![signing, platform_keys, self.callers.secret()]
    }

    async fn serve(&self, incoming: &Incoming, line: &mut LogLine) -> Result<Answer, Problem> {
        let caller = self.callers.authenticate(incoming).await?;
        line.field("caller", caller.kind());
        incoming.query([])?;
        let order_id = incoming.order_id()?;
        line.field("order.out_trade_no", order_id.as_str());
        match incoming.route() {
            "POST /orders/{out_trade_no}/refunds" => {
                self.ask(&caller, &order_id, incoming, line).await
            }
            "GET /orders/{out_trade_no}/refunds/{out_refund_no}" => {
                let refund_id = named_refund(incoming, line)?;
                self.show(&caller, &order_id, &refund_id, &incoming.deadline, line)
                    .await
            }
            "POST /orders/{out_trade_no}/refunds/{out_refund_no}/approve" => {
                let refund_id = named_refund(incoming, line)?;
                let order = self.to_decide(&caller, &order_id, incoming).await?;
                self.approve(&order, &refund_id, &incoming.deadline, line)
                    .await
            }
            "POST /orders/{out_trade_no}/refunds/{out_refund_no}/reject" => {
                let refund_id = named_refund(incoming, line)?;
                let order = self.to_decide(&caller, &order_id, incoming).await?;
                self.reject(&order, &refund_id).await
            }
            _ => Err(Problem::not_found()),
        }
    }
}

impl Refund {
    async fn ask(
        &self,
        caller: &Caller,
        order_id: &OrderId,
        incoming: &Incoming,
        line: &mut LogLine,
    ) -> Result<Answer, Problem> {
        let key = shared::api::derived_ids::idempotency_key(incoming)?;
        let asked = ask::Asked::read(incoming)?;
        let refund_id = self.refund_id_of(caller, order_id, &asked, key).await?;
        line.field("refund.out_refund_no", refund_id.as_str());
        let stored = self.visible(caller, order_id).await?;
        if let Some(known) = self.refunds.load(order_id, &refund_id).await? {
            return self
                .repeat(caller, &asked, known.refund, &incoming.deadline, line)
                .await;
        }
        let order = self.paid(caller, stored, incoming, line).await?;
        let payment = order
            .payment_on_record()
            .ok_or_else(|| Problem::new(Code::OrderNotPaid, "the order is not paid"))?;
        let now = self.platform.clock.business();
        let mut refund = domain::Refund {
            refund_id,
            order_id: order_id.clone(),
            transaction_id: payment.transaction_id.clone(),
            amount: asked.amount,
            total: order.terms.total,
            reason: asked.reason.clone(),
            notify_url: shared::api::notify_url(self.public_base_url.as_deref(), incoming)?,
            asked_by: ask::party(caller),
            created_at: now,
            state: RefundState::Reserved,
            version: 1,
            wechatpay_refund_id: None,
            refusals: 0,
            next_attempt_at: None,
            needs_human: None,
            mac: None,
        };
        // A payment may be dated a moment ahead by WeChat Pay's clock, so its age may be negative: with
        // no hours of policy that must not be an approval.
        // A number that a payer names waits for the merchant too: an approved refund takes its number
        // from all others, and the merchant's are not a payer's to take or to try.
        let by_policy = asked.refund_id.is_none()
            && self.auto_approve_seconds > 0
            && now.seconds_since(payment.success_time) < self.auto_approve_seconds;
        if *caller != Caller::Merchant && !by_policy {
            refund.state = RefundState::Requested;
            // What cannot be given is refused now; what can is bounded again when it is approved.
            if asked.amount.get() > payment.refundable {
                return Err(ask::exceeds(payment.refundable));
            }
            return match self.refunds.request(&refund).await? {
                Reserve::Done => Ok(Answer::json(202, answer::refund(&refund))),
                other => {
                    self.not_reserved(other, caller, &asked, &incoming.deadline, line)
                        .await
                }
            };
        }
        self.reserve_and_send(refund, caller, &asked, incoming, line)
            .await
    }

    /// Takes the amount and sends the refund, now if the order's minute allows it.
    async fn reserve_and_send(
        &self,
        mut refund: domain::Refund,
        caller: &Caller,
        asked: &ask::Asked,
        incoming: &Incoming,
        line: &mut LogLine,
    ) -> Result<Answer, Problem> {
        let now = self.platform.clock.business();
        let soon = Due {
            at: now.plus_seconds(FOLLOW_UP_SECONDS),
            attempts: 0,
        };
        refund.next_attempt_at = Some(soon.at);
        match self
            .refunds
            .reserve(&refund, now, self.interval_seconds, soon)
            .await?
        {
            Reserve::Done => {
                line.field("reserved", "now");
                let sent = self
                    .sender
                    .send_claimed(refund, 0, &incoming.deadline, line)
                    .await?;
                Ok(sent_answer(202, sent))
            }
            Reserve::SlotTaken { next_refund_at } => {
                line.field("reserved", "later");
                let due = Due {
                    at: next_refund_at,
                    attempts: 0,
                };
                refund.next_attempt_at = Some(due.at);
                match self.refunds.reserve_for_later(&refund, now, due).await? {
                    Reserve::Done => Ok(Answer::json(202, answer::refund(&refund))),
                    other => {
                        self.not_reserved(other, caller, asked, &incoming.deadline, line)
                            .await
                    }
                }
            }
            other => {
                self.not_reserved(other, caller, asked, &incoming.deadline, line)
                    .await
            }
        }
    }

    async fn not_reserved(
        &self,
        reserve: Reserve,
        caller: &Caller,
        asked: &ask::Asked,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<Answer, Problem> {
        match reserve {
            // Somebody with the same number was faster.
            Reserve::Exists(refund) => self.repeat(caller, asked, *refund, deadline, line).await,
            other => Err(ask::refused(other)),
        }
    }

    /// The same number again: the same refund if its terms are the same.
    async fn repeat(
        &self,
        caller: &Caller,
        asked: &ask::Asked,
        refund: domain::Refund,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<Answer, Problem> {
        let is_request = matches!(refund.state, RefundState::Requested | RefundState::Rejected);
        if is_request && *caller == Caller::Merchant && refund.asked_by == Party::Payer {
            let what = if refund.state == RefundState::Requested {
                "a payer's request with this number is waiting: approve it, or use another number"
            } else {
                "a payer's request with this number was rejected: use another number"
            };
            return Err(Problem::new(Code::TermsDiffer, what).field("out_refund_no"));
        }
        if let Some(field) = asked.differing_field(&refund) {
            return Err(Problem::new(
                Code::TermsDiffer,
                format!("the refund with this number differs in {field}"),
            )
            .field(field));
        }
        line.field("placed", "repeat");
        let refund = self.followed(refund, deadline, line).await?;
        Ok(Answer::json(200, answer::refund(&refund)))
    }

    async fn show(
        &self,
        caller: &Caller,
        order_id: &OrderId,
        refund_id: &RefundId,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<Answer, Problem> {
        self.visible(caller, order_id).await?;
        let stored = self.refunds.load(order_id, refund_id).await?;
        let stored = stored.ok_or_else(Problem::not_found)?;
        let refund = self.followed(stored.refund, deadline, line).await?;
        Ok(Answer::json(200, answer::refund(&refund)))
    }

    async fn approve(
        &self,
        order: &Order,
        refund_id: &RefundId,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<Answer, Problem> {
        let refund = self.refund(order, refund_id).await?;
        match refund.state {
            RefundState::Requested => {}
            RefundState::Rejected => return Err(ask::decided(&refund)),
            // Approved before: the repeat is told how far it came.
            RefundState::Reserved
            | RefundState::Processing
            | RefundState::Abnormal
            | RefundState::Closed
            | RefundState::Success { .. } => return Ok(Answer::json(200, answer::refund(&refund))),
        }
        let now = self.platform.clock.business();
        let soon = Due {
            at: now.plus_seconds(FOLLOW_UP_SECONDS),
            attempts: 0,
        };
        let mut approved = self
            .refunds
            .approve(&refund, now, Some(self.interval_seconds), soon)
            .await?;
        let mut due = soon;
        let mut claimed = true;
        if let Approved::Reserve(Reserve::SlotTaken { next_refund_at }) = approved {
            due = Due {
                at: next_refund_at,
                attempts: 0,
            };
            claimed = false;
            approved = self.refunds.approve(&refund, now, None, due).await?;
        }
        match approved {
            Approved::Reserve(Reserve::Done) => {}
            Approved::Reserve(refused) => return Err(ask::refused(refused)),
            Approved::Decided => {
                let now = self.refund(order, refund_id).await?;
                return Ok(Answer::json(200, answer::refund(&now)));
            }
        }
        let mut reserved = refund;
        reserved.state = RefundState::Reserved;
        reserved.version += 1;
        reserved.next_attempt_at = Some(due.at);
        if !claimed {
            return Ok(Answer::json(202, answer::refund(&reserved)));
        }
        let sent = self
            .sender
            .send_claimed(reserved, 0, deadline, line)
            .await?;
        Ok(sent_answer(202, sent))
    }

    async fn reject(&self, order: &Order, refund_id: &RefundId) -> Result<Answer, Problem> {
        let refund = self.refund(order, refund_id).await?;
        if refund.state == RefundState::Requested {
            // Whoever decided first decided; what stands is read again.
            let (Commit::Done | Commit::Conflict) = self.refunds.reject(&refund).await?;
        }
        let refund = self.refund(order, refund_id).await?;
        match refund.state {
            RefundState::Rejected => Ok(Answer::json(200, answer::refund(&refund))),
            RefundState::Requested
            | RefundState::Reserved
            | RefundState::Processing
            | RefundState::Abnormal
            | RefundState::Closed
            | RefundState::Success { .. } => Err(ask::decided(&refund)),
        }
    }

    /// The order whose refund the merchant decides on. A payer is not shown that such a route exists.
    async fn to_decide(
        &self,
        caller: &Caller,
        order_id: &OrderId,
        incoming: &Incoming,
    ) -> Result<Order, Problem> {
        if *caller != Caller::Merchant {
            return Err(Problem::not_found());
        }
        ask::nothing_in(incoming)?;
        Ok(self.visible(caller, order_id).await?.order)
    }

    async fn refund(&self, order: &Order, refund_id: &RefundId) -> Result<domain::Refund, Problem> {
        let stored = self.refunds.load(&order.terms.order_id, refund_id).await?;
        Ok(stored.ok_or_else(Problem::not_found)?.refund)
    }

    async fn visible(&self, caller: &Caller, order_id: &OrderId) -> Result<StoredOrder, Problem> {
        let stored = self.orders.load(order_id).await?;
        stored
            .filter(|stored| caller.may_see(&stored.order))
            .ok_or_else(Problem::not_found)
    }

    /// The order, paid on record: where the record says otherwise WeChat Pay is asked first.
    ///
    /// A payer asks at most once in [`ASK_FLOOR_SECONDS`] and otherwise reads the record, at once: no
    /// request waits for another. The merchant always asks, so that a payer's requests cannot keep a
    /// refund from being made.
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
        let floor_seconds = match caller {
            Caller::Payer { .. } => ASK_FLOOR_SECONDS,
            Caller::Merchant => 0,
        };
        let now = self.platform.clock.wall();
        let claimed = self.orders.claim_asking(order_id, now, floor_seconds);
        if claimed.await? == Commit::Conflict {
            return Err(ask::not_paid_moments_ago(ASK_FLOOR_SECONDS));
        }
        let settled = self
            .sender
            .settling_client()
            .ask_order(order_id, &incoming.deadline, line)
            .await?;
        settled
            .record()
            .map(|stored| stored.order)
            .filter(|order| order.payment_on_record().is_some())
            .ok_or_else(|| Problem::new(Code::OrderNotPaid, "the order is not paid"))
    }

    /// The refund, after WeChat Pay was asked where it knows it and may have news.
    async fn followed(
        &self,
        refund: domain::Refund,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<domain::Refund, Problem> {
        if !refund.state.is_under_way() {
            return Ok(refund);
        }
        let now: Timestamp = self.platform.clock.wall();
        if self
            .refunds
            .claim_asking(&refund, now, ASK_FLOOR_SECONDS)
            .await?
            == Commit::Conflict
        {
            return Ok(refund);
        }
        match self
            .sender
            .settling_client()
            .ask_refund(&refund, deadline, line)
            .await
        {
            Ok(settled) => Ok(settled.record().map_or(refund, |stored| stored.refund)),
            // Reserved, and not sent or not arrived so far: that is how it stands.
            Err(SettlingError::Call(CallError::Refused(refusal)))
                if refusal.status == 404 && refund.state == RefundState::Reserved =>
            {
                Ok(refund)
            }
            Err(SettlingError::Call(error)) => {
                note_call(&error, line);
                Ok(refund)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn refund_id_of(
        &self,
        caller: &Caller,
        order_id: &OrderId,
        asked: &ask::Asked,
        key: Option<&str>,
    ) -> Result<RefundId, Problem> {
        if let Some(named) = &asked.refund_id {
            return Ok(named.clone());
        }
        let key = key.ok_or_else(|| {
            Problem::new(
                Code::MalformedRequest,
                "send an Idempotency-Key or an out_refund_no",
            )
            .field("Idempotency-Key")
        })?;
        let keys = self.callers.keys().await?;
        Ok(shared::api::derived_ids::refund_id(
            &keys,
            &self.number_prefix,
            caller,
            order_id,
            key,
        )?)
    }
}

fn sent_answer(status: u16, sent: Sent) -> Answer {
    Answer::json(status, answer::refund(&sent.refund))
}

/// The refund that the path names, noted in the log line.
fn named_refund(incoming: &Incoming, line: &mut LogLine) -> Result<RefundId, Problem> {
    let refund_id = incoming.refund_id()?;
    line.field("refund.out_refund_no", refund_id.as_str());
    Ok(refund_id)
}

/// Who asks, as the record keeps it.
pub(crate) const fn party_of(caller: &Caller) -> Party {
    match caller {
        Caller::Payer { .. } => Party::Payer,
        Caller::Merchant => Party::Merchant,
    }
}
