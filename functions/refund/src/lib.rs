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
mod decide;
mod problems;
mod request;
mod reserve;

use shared::api::{Answer, Caller, Callers, HttpFunction, Incoming, Problem, representation};
use shared::config::secrets::AnySecret;
use shared::config::{ConfigError, Environment, Vars};
use shared::deadline::Deadline;
use shared::domain::terms::Party;
use shared::domain::{self, Due, Order, OrderId, OwnNumbers, RefundId, Timestamp};
use shared::process::Process;
use shared::refund_mac::Stage;
use shared::refund_sender::RefundSender;
use shared::settlement::Settlement;
use shared::settlement::notes::note_call;
use shared::settling_client::{Applied, SettlingClient, SettlingError};
use shared::store::{Commit, Orders, Refunds, SendSlot, StoredOrder, StoredRefund};
use shared::telemetry::LogLine;
use shared::wechatpay::CallError;

pub use self::apply::read as read_application;
pub use self::request::RefundRequest;

/// At most one question to WeChat Pay per order or refund in this time, in seconds, however many ask.
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
    own_numbers: OwnNumbers,
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
        let own_numbers = environment.own_numbers(&number_prefix);
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
            own_numbers,
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
                let (order, refund_id) = self.to_decide(&caller, &order_id, incoming, line).await?;
                self.approve(&order, &refund_id, &incoming.deadline, line)
                    .await
            }
            "POST /orders/{out_trade_no}/refunds/{out_refund_no}/reject" => {
                let (order, refund_id) = self.to_decide(&caller, &order_id, incoming, line).await?;
                self.reject(&order, &refund_id).await
            }
            "POST /orders/{out_trade_no}/refunds/{out_refund_no}/withdraw" => {
                let (order, refund_id) = self.to_decide(&caller, &order_id, incoming, line).await?;
                self.withdraw(&order, &refund_id).await
            }
            "POST /orders/{out_trade_no}/refunds/{out_refund_no}/retry" => {
                let (order, refund_id) = self.to_decide(&caller, &order_id, incoming, line).await?;
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
    /// The refund with what proves that this function wrote it.
    async fn vouched(
        &self,
        refund: domain::Refund,
        stage: Stage,
    ) -> Result<domain::Refund, Problem> {
        Ok(self.sender.settling_client().vouch(refund, stage).await?)
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
