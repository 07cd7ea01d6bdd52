//! `…/refunds`: money goes back, never more than was paid.
//!
//! Policy → reserve → call → observe. A payer's request waits for the merchant unless policy approves
//! it; a reservation takes the amount from the order in one transaction with the bound in the write;
//! whatever WeChat Pay then answers or fails to answer, the same number with the same bytes goes out
//! again until its end is known. Only a signed CLOSED gives the amount back. See
//! `shared::refund_sender` for what becomes of a refusal.

// A new state must visit each place that decides by states.
#![warn(clippy::wildcard_enum_match_arm)]

mod apply;
mod ask;

use shared::api::{Answer, Caller, Callers, Code, HttpFunction, Incoming, Problem, representation};
use shared::config::secrets::AnySecret;
use shared::config::{ConfigError, Environment, Vars};
use shared::deadline::Deadline;
use shared::domain::books::not_refundable;
use shared::domain::refund::{Decision, RefundTerms, RefundableChange, approves_itself};
use shared::domain::terms::Party;
use shared::domain::{self, Due, NotRefundable, Order, OrderId, RefundId, Timestamp};
use shared::process::Process;
use shared::refund_mac::Stage;
use shared::refund_sender::{RefundSender, Sending};
use shared::settlement::Settlement;
use shared::settlement::notes::note_call;
use shared::settling_client::{Applied, SettlingClient, SettlingError};
use shared::store::{
    Approval, Commit, Orders, RefundCommit, Refunds, Reserve, SendSlot, StoredOrder, StoredRefund,
};
use shared::telemetry::LogLine;
use shared::wechatpay::CallError;

pub use self::apply::read as read_application;
pub use self::ask::Asked;

/// At most one question to WeChat Pay per order or refund in this time, in seconds, however many ask.
const ASK_FLOOR_SECONDS: i64 = 2;

/// How long after a reservation the sweep looks, in seconds, if this invocation dies in the middle.
const FOLLOW_UP_SECONDS: i64 = 30;

/// How often a decision is taken again because the refund changed meanwhile.
const DECISIONS_MAX: u32 = 3;

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
    process: Process,
}

impl HttpFunction for Refund {
    const NAME: &'static str = "refund";

    fn from_vars(vars: &Vars, process: &Process) -> Result<Self, ConfigError> {
        let mut environment = Environment::new(vars, process);
        let merchant = environment.merchant();
        let table = environment.table();
        let (orders, refunds) = (Orders::new(table.clone()), Refunds::new(table.clone()));
        let settlement = Settlement::new(orders.clone(), refunds.clone());
        let settling_client =
            SettlingClient::from_environment(&mut environment, &merchant, &table, settlement);
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
                process.clock.clone(),
                interval_seconds,
            ),
            refunds,
            number_prefix,
            public_base_url,
            auto_approve_seconds: auto_approve_hours * 60 * 60,
            process: process.clone(),
        })
    }

    fn process(&self) -> &Process {
        &self.process
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
            "POST /orders/{out_trade_no}/refunds/{out_refund_no}/withdraw" => {
                let refund_id = named_refund(incoming, line)?;
                let order = self.to_decide(&caller, &order_id, incoming).await?;
                self.withdraw(&order, &refund_id).await
            }
            "POST /orders/{out_trade_no}/refunds/{out_refund_no}/retry" => {
                let refund_id = named_refund(incoming, line)?;
                let order = self.to_decide(&caller, &order_id, incoming).await?;
                self.retry(&order, &refund_id, &incoming.deadline, line)
                    .await
            }
            "POST /orders/{out_trade_no}/refunds/{out_refund_no}/abnormal" => {
                let refund_id = named_refund(incoming, line)?;
                self.apply(&caller, &order_id, &refund_id, incoming, line)
                    .await
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
                .repeat(caller, &asked, known, &incoming.deadline, line)
                .await;
        }
        if *caller == Caller::Merchant && asked.names_a_payers() {
            return Err(ask::payers_number());
        }
        let order = self.paid(caller, stored, incoming, line).await?;
        let payment = order
            .payment_on_record()
            .ok_or_else(|| ask::refused(NotRefundable::NotPaid))?;
        let now = self.process.clock.business();
        let terms = RefundTerms {
            refund_id,
            amount: asked.amount,
            reason: asked.reason.clone(),
            notify_url: shared::api::notify_url(self.public_base_url.as_deref(), incoming)?,
            asked_by: party_of(caller),
        };
        let names_number = asked.refund_id.is_some();
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
                .reserve_and_send(refund, caller, &asked, incoming, line)
                .await;
        }
        // What cannot be given is refused now; what can is bounded again when it is approved.
        if let Some(refused) = not_refundable(payment, asked.amount, now) {
            return Err(ask::refused(refused));
        }
        let refund = domain::Refund::requested(terms, &order, payment, now);
        let refund = self.vouched(refund, Stage::Requested).await?;
        match self.refunds.request(&refund).await? {
            Reserve::Done => Ok(answered(202, &StoredRefund { refund, due: None })),
            other @ (Reserve::Exists(_)
            | Reserve::NumberTaken
            | Reserve::Refused(_)
            | Reserve::SlotTaken { .. }) => {
                self.not_reserved(other, caller, &asked, &incoming.deadline, line)
                    .await
            }
        }
    }

    /// The refund with what proves that this function wrote it.
    async fn vouched(
        &self,
        refund: domain::Refund,
        stage: Stage,
    ) -> Result<domain::Refund, Problem> {
        Ok(self.sender.settling_client().vouch(refund, stage).await?)
    }

    /// Takes the amount and sends the refund, now if the order's minute allows it.
    async fn reserve_and_send(
        &self,
        refund: domain::Refund,
        caller: &Caller,
        asked: &ask::Asked,
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
                self.not_reserved(other, caller, asked, &incoming.deadline, line)
                    .await
            }
        }
    }

    /// Sends what was reserved, if its turn is now, and answers how it stands.
    async fn sent(
        &self,
        reserved: StoredRefund,
        sent_now: bool,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<Answer, Problem> {
        line.field("reserved", if sent_now { "now" } else { "later" });
        let stored = if sent_now {
            self.sender.send_claimed(reserved, deadline, line).await?
        } else {
            reserved
        };
        Ok(answered(202, &stored))
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
            Reserve::Exists(stored) => self.repeat(caller, asked, *stored, deadline, line).await,
            Reserve::NumberTaken => Err(ask::number_taken()),
            Reserve::Refused(refused) => Err(ask::refused(refused)),
            // These are dealt with by whoever reserves; a new one between two tries is tried again.
            Reserve::Done | Reserve::SlotTaken { .. } => Err(ask::changed_meanwhile()),
        }
    }

    /// The same number again: the same refund if its terms are the same.
    async fn repeat(
        &self,
        caller: &Caller,
        asked: &ask::Asked,
        stored: StoredRefund,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<Answer, Problem> {
        let reason = asked.reason.as_deref();
        let repeated = stored
            .refund
            .repeated(party_of(caller), asked.amount, reason);
        repeated.map_err(ask::other_terms)?;
        line.field("placed", "repeat");
        Ok(answered(200, &self.followed(stored, deadline, line).await?))
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
        Ok(answered(200, &self.followed(stored, deadline, line).await?))
    }

    async fn approve(
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
                    .authenticate(&stored.refund, Stage::Requested)
                    .await?;
                self.vouched(*reserved, Stage::Approved).await?
            }
            // Approved before: the repeat is told how far it came.
            Decision::Repeat => return Ok(answered(200, &stored)),
            Decision::TooLate => return Err(ask::decided(&stored.refund)),
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
            Approval::NumberTaken => Err(ask::number_taken()),
            Approval::Refused(refused) => Err(ask::refused(refused)),
            Approval::SlotTaken { .. } => Err(ask::changed_meanwhile()),
        }
    }

    async fn reject(&self, order: &Order, refund_id: &RefundId) -> Result<Answer, Problem> {
        let now = self.process.clock.business();
        let decide = |refund: &domain::Refund| refund.reject(now);
        let (_, stored) = self.decided(order, refund_id, decide, |_| None).await?;
        Ok(answered(200, &stored))
    }

    /// Takes back a refund that WeChat Pay has not taken: the sweep finds out that it never did.
    async fn withdraw(&self, order: &Order, refund_id: &RefundId) -> Result<Answer, Problem> {
        let now = self.process.clock.business();
        let decide = |refund: &domain::Refund| refund.withdraw(now);
        let due = |withdrawing: &domain::Refund| withdrawing.due_after(now, 0);
        let (decided, stored) = self.decided(order, refund_id, decide, due).await?;
        Ok(answered(if decided { 202 } else { 200 }, &stored))
    }

    /// Sends a refund again that WeChat Pay refused, now if the order's minute allows it.
    async fn retry(
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

    /// Applies to WeChat Pay for an abnormal refund's money to go to a bank card. What names the payer or
    /// the card is encrypted for WeChat Pay and kept nowhere.
    async fn apply(
        &self,
        caller: &Caller,
        order_id: &OrderId,
        refund_id: &RefundId,
        incoming: &Incoming,
        line: &mut LogLine,
    ) -> Result<Answer, Problem> {
        if *caller != Caller::Merchant {
            return Err(Problem::not_found());
        }
        let application = apply::read(incoming)?;
        let order = self.visible(caller, order_id).await?.order;
        let stored = self.refund(&order, refund_id).await?;
        if !stored.refund.may_be_abnormal() {
            return Err(apply::not_abnormal(&stored.refund));
        }
        let client = self.sender.settling_client();
        let applied = client.apply_abnormal(stored, &application, &incoming.deadline, line);
        match applied.await.map_err(apply::not_taken)? {
            Applied::Now(stored) => Ok(answered(202, &stored)),
            Applied::Already(stored) => Ok(answered(200, &stored)),
            Applied::NotAbnormal(stored) => Err(apply::not_abnormal(&stored.refund)),
        }
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
                Decision::TooLate => return Err(ask::decided(&stored.refund)),
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
        Err(ask::changed_meanwhile())
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

    async fn refund(&self, order: &Order, refund_id: &RefundId) -> Result<StoredRefund, Problem> {
        let stored = self.refunds.load(&order.terms.order_id, refund_id).await?;
        stored.ok_or_else(Problem::not_found)
    }

    /// When the sweep looks, if this invocation dies in the middle.
    const fn soon(&self, now: Timestamp) -> Due {
        Due::first(now.plus_seconds(FOLLOW_UP_SECONDS))
    }

    const fn slot(&self) -> SendSlot {
        SendSlot::Now {
            interval_seconds: self.sender.interval_seconds(),
        }
    }

    async fn visible(&self, caller: &Caller, order_id: &OrderId) -> Result<StoredOrder, Problem> {
        let stored = self.orders.load(order_id).await?;
        stored
            .filter(|stored| caller.may_see(&stored.order))
            .ok_or_else(Problem::not_found)
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
            return Err(ask::not_paid_moments_ago(ASK_FLOOR_SECONDS));
        }
        let asked = self
            .sender
            .settling_client()
            .ask_order(order_id, &incoming.deadline, line)
            .await?;
        asked
            .settled
            .record()
            .map(|stored| stored.order)
            .filter(|order| order.payment_on_record().is_some())
            .ok_or_else(|| ask::refused(NotRefundable::NotPaid))
    }

    /// The refund, after WeChat Pay was asked where it knows it and may have news.
    async fn followed(
        &self,
        stored: StoredRefund,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<StoredRefund, Problem> {
        let refund = &stored.refund;
        if !refund.state.is_under_way() {
            return Ok(stored);
        }
        let now: Timestamp = self.process.clock.wall();
        if self
            .refunds
            .claim_asking(refund, now, ASK_FLOOR_SECONDS)
            .await?
            == Commit::Conflict
        {
            return Ok(stored);
        }
        match self
            .sender
            .settling_client()
            .ask_refund(refund, deadline, line)
            .await
        {
            Ok(settled) => Ok(settled.record().unwrap_or(stored)),
            // Reserved, and not sent or not arrived so far: that is how it stands.
            Err(SettlingError::Call(CallError::Refused(refusal)))
                if refusal.status == 404 && !refund.state.is_taken() =>
            {
                Ok(stored)
            }
            Err(SettlingError::Call(error)) => {
                note_call(&error, line);
                Ok(stored)
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
            return match caller {
                Caller::Payer { .. } => ask::payers_own(named),
                Caller::Merchant => Ok(named.clone()),
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
        Ok(shared::api::derived_ids::refund_id(
            &keys,
            &self.number_prefix,
            caller,
            order_id,
            key,
        )?)
    }
}

fn answered(status: u16, stored: &StoredRefund) -> Answer {
    Answer::json(status, representation::refund(stored))
}

/// The refund that the path names, noted in the log line.
fn named_refund(incoming: &Incoming, line: &mut LogLine) -> Result<RefundId, Problem> {
    let refund_id = incoming.refund_id()?;
    line.field("refund.out_refund_no", refund_id.as_str());
    Ok(refund_id)
}

/// Who asks, as the record keeps it.
const fn party_of(caller: &Caller) -> Party {
    match caller {
        Caller::Payer { .. } => Party::Payer,
        Caller::Merchant => Party::Merchant,
    }
}
