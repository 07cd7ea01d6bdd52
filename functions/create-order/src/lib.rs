//! `POST /orders`: an intention becomes an order that can be paid.
//!
//! Put if absent → prepay → answer. The order item is the idempotency record: the same number with
//! the same terms is the same order, and WeChat Pay is sent the same bytes again, which it answers
//! with something payable. No refusal and no doubt moves the state here; what WeChat Pay says of a
//! paid or closed order is asked for and settled. See `terms` for what may be asked, `prepay` for
//! what repeats are answered with.

// A new state must visit each place that decides by states.
#![warn(clippy::wildcard_enum_match_arm)]

mod appids;
mod checks;
mod extras;
mod open_orders;
mod prepay;
mod terms;

use serde_json::{Map, Value, json};
use shared::api::{
    Answer, Caller, Callers, Code, HttpFunction, Incoming, Problem, derived_ids, representation,
};
use shared::config::secrets::AnySecret;
use shared::config::{ConfigError, Environment, Vars};
use shared::domain::{Mchid, Order, OrderId, OrderRequest, OwnNumbers};
use shared::process::Process;
use shared::random;
use shared::settlement::Settlement;
use shared::settling_client::{SettlingClient, SettlingError};
use shared::store::{Catalogue, Orders, PayerIndex, Placed, Refunds, StoredOrder};
use shared::telemetry::LogLine;
use shared::wechatpay::{CallError, PayParameters, PrepayRequest, Refusal};

use self::appids::Appids;

pub use self::terms::read as read_body;

/// Places orders.
#[derive(Debug)]
pub struct CreateOrder {
    callers: Callers,
    catalogue: Catalogue,
    orders: Orders,
    settling_client: SettlingClient,
    mchid: Mchid,
    appids: Appids,
    number_prefix: String,
    own_numbers: OwnNumbers,
    public_base_url: Option<String>,
    payer_index: PayerIndex,
    open_orders_max: usize,
    profit_sharing: bool,
    process: Process,
}

/// What a caller is given to pay with.
enum Pay {
    Ready(Value),
    /// The order can no longer be paid; the answer tells its state.
    NoLonger,
    /// Another request is getting it, or this one's outcome is unknown.
    Later(Problem),
}

impl HttpFunction for CreateOrder {
    const NAME: &'static str = "create-order";

    fn from_vars(vars: &Vars, process: &Process) -> Result<Self, ConfigError> {
        let mut environment = Environment::new(vars, process);
        let merchant = environment.merchant();
        let appids = Appids::from_environment(&mut environment, &merchant);
        let table = environment.table();
        let orders = Orders::new(table.clone());
        let settlement = Settlement::new(orders.clone(), Refunds::new(table.clone()));
        let settling_client =
            SettlingClient::from_environment(&mut environment, &merchant, &table, settlement);
        let callers = Callers::from_environment(&mut environment);
        let number_prefix = environment.number_prefix();
        let own_numbers = environment.own_numbers(&number_prefix);
        let public_base_url = environment.optional("PUBLIC_BASE_URL");
        let open_orders_max = environment.integer("OPEN_ORDERS_MAX", 20, 1..=100);
        let profit_sharing = environment.profit_sharing();
        environment.finish()?;
        Ok(Self {
            callers,
            payer_index: PayerIndex::new(table.clone()),
            open_orders_max: usize::try_from(open_orders_max).unwrap_or(1),
            catalogue: Catalogue::new(table),
            orders,
            settling_client,
            mchid: merchant.mchid,
            appids,
            number_prefix,
            own_numbers,
            public_base_url,
            profit_sharing,
            process: process.clone(),
        })
    }

    fn process(&self) -> &Process {
        &self.process
    }

    fn secrets(&self) -> Vec<&dyn AnySecret> {
        let [signing, platform_keys] = self.settling_client.secrets();
        vec![signing, platform_keys, self.callers.secret()]
    }

    fn prepare(&self) {
        self.settling_client.open();
    }

    async fn serve(&self, incoming: &Incoming, line: &mut LogLine) -> Result<Answer, Problem> {
        let caller = self.callers.authenticate(incoming).await?;
        line.field("caller", caller.kind());
        incoming.query([])?;
        // What is wrong with a header is told before what is wrong with the body.
        let key = match &caller {
            Caller::Payer { .. } => Some(payers_key(incoming)?),
            Caller::Merchant => None,
        };
        let request = terms::read(&caller, incoming)?;
        let order_id = match (&request, key) {
            (OrderRequest::Payer(_), Some(key)) => self.payers_number(&caller, key).await?,
            (OrderRequest::Payer(_), None) => return Err(no_key()),
            (OrderRequest::Merchant(order), _) => order.order_id.clone(),
        };
        line.field("order.out_trade_no", order_id.as_str());
        // It stands by the time that the order is in the table.
        self.settling_client.open();
        let (agreed, within_bound) = tokio::join!(
            self.agreed(&request, &order_id, incoming),
            self.within_bound(&caller)
        );
        let order = match agreed.and_then(|terms| within_bound.map(|()| terms)) {
            Ok(terms) => Order::placed(terms),
            // What is no longer on sale, or is one too many, may have been ordered before.
            Err(problem) => match self.orders.load(&order_id).await? {
                Some(stored) => {
                    return self.repeat(&request, stored, incoming, line).await;
                }
                None => return Err(problem),
            },
        };
        let attempt = random::token();
        let claim = prepay::claim(&order, &attempt, &self.process.clock);
        let due = order.due_after(order.terms.created_at, 0);
        match self
            .orders
            .place(&order, &attempt, claim.as_ref(), due)
            .await?
        {
            Placed::New => {
                line.field("placed", "new");
                let stored = StoredOrder {
                    order,
                    due,
                    code: None,
                    prepay_claim: claim,
                };
                self.pay(stored, Some(&attempt), 201, incoming, line).await
            }
            Placed::Existing(stored) => self.repeat(&request, *stored, incoming, line).await,
        }
    }
}

impl CreateOrder {
    /// The number of the order that the payer means by this key: one that was placed before the stack was given
    /// its prefix keeps the number that it has.
    async fn payers_number(&self, caller: &Caller, key: &str) -> Result<OrderId, Problem> {
        let keys = self.callers.keys().await?;
        let number = derived_ids::order_id(&keys, &self.number_prefix, caller, key)?;
        if self.number_prefix.is_empty() {
            return Ok(number);
        }
        let earlier = derived_ids::order_id(&keys, "", caller, key)?;
        let placed = self.orders.load(&earlier).await?;
        Ok(placed.map_or(number, |_| earlier))
    }

    /// The same number again: the same order if the terms are the same.
    async fn repeat(
        &self,
        request: &OrderRequest,
        stored: StoredOrder,
        incoming: &Incoming,
        line: &mut LogLine,
    ) -> Result<Answer, Problem> {
        line.field("placed", "repeat");
        if let Some(field) = request.differing_field(&stored.order.terms) {
            return Err(terms::differ(field));
        }
        self.pay(stored, None, 200, incoming, line).await
    }

    /// Gives the caller what to pay with, while the order can be paid.
    async fn pay(
        &self,
        stored: StoredOrder,
        attempt: Option<&str>,
        status: u16,
        incoming: &Incoming,
        line: &mut LogLine,
    ) -> Result<Answer, Problem> {
        if !stored.order.is_payable(self.process.clock.business()) {
            return Ok(answered(status, &stored.order, None));
        }
        let Some(request) = PrepayRequest::of(&stored.order.terms) else {
            // Placed by a newer build that was rolled back: other bytes would be refused anyway.
            return Err(Problem::plain(Code::InternalError)
                .because("the order's wire version is not this build's"));
        };
        let prepaid = self.prepaid(&stored, &request, attempt, incoming, line);
        match prepaid.await {
            Ok(Pay::Ready(pay)) => Ok(answered(status, &stored.order, Some(pay))),
            Ok(Pay::Later(problem)) => Err(problem),
            Ok(Pay::NoLonger) => self.as_it_stands(&stored.order, status).await,
            Err(SettlingError::Call(CallError::Refused(refusal))) if refusal.may_mean_settled() => {
                // Paid, closed or re-entered: the truth is asked for, never read from a refusal.
                line.field("wechatpay.code", refusal.code.clone());
                let order_id = &stored.order.terms.order_id;
                let answer = self
                    .settling_client
                    .ask_order(order_id, &incoming.deadline, line)
                    .await?;
                match answer.settled.record() {
                    Some(now) if !now.order.is_payable(self.process.clock.business()) => {
                        Ok(answered(200, &now.order, None))
                    }
                    _ => Err(refused(&refusal)),
                }
            }
            Err(SettlingError::Call(CallError::Refused(refusal))) => Err(refused(&refusal)),
            Err(error) => Err(error.into()),
        }
    }

    async fn as_it_stands(&self, order: &Order, status: u16) -> Result<Answer, Problem> {
        let now = self.orders.load(&order.terms.order_id).await?;
        let now = now.ok_or_else(|| Problem::plain(Code::InternalError))?;
        Ok(answered(status, &now.order, None))
    }
}

/// What the client is handed, as its own SDK names it.
fn handed_out(pay: &PayParameters) -> Value {
    match pay {
        PayParameters::Jsapi(parameters) => json!({
            "timeStamp": parameters.time_stamp,
            "nonceStr": parameters.nonce_str,
            "package": parameters.package,
            "signType": parameters.sign_type,
            "paySign": parameters.pay_sign,
        }),
        PayParameters::App(parameters) => json!({
            "appId": parameters.appid,
            "partnerId": parameters.partner_id,
            "prepayId": parameters.prepay_id,
            "packageValue": parameters.package_value,
            "nonceStr": parameters.nonce_str,
            "timeStamp": parameters.time_stamp,
            "sign": parameters.sign,
        }),
        PayParameters::Native { code_url } => prepay::shown(code_url),
        PayParameters::H5 { h5_url } => json!({"h5_url": h5_url}),
    }
}

/// What a payer's order is known by: the number is derived from it.
fn payers_key(incoming: &Incoming) -> Result<&str, Problem> {
    derived_ids::idempotency_key(incoming)?.ok_or_else(no_key)
}

fn no_key() -> Problem {
    Problem::new(Code::MalformedRequest, "Idempotency-Key is missing").field("Idempotency-Key")
}

/// Whose matter a refused prepay is: beside what is so of any call, what may mean that the order is
/// settled is the order's own once it is known not to be.
fn refused(refusal: &Refusal) -> Problem {
    let problem = Problem::of_refusal(refusal);
    if problem.code == Code::WechatpayRefused && refusal.may_mean_settled() {
        return Problem::refused(Code::TermsRefused, refusal);
    }
    problem
}

fn answered(status: u16, order: &Order, pay: Option<Value>) -> Answer {
    let mut body: Map<String, Value> = representation::order(order);
    if let Some(pay) = pay {
        body.insert("pay".to_owned(), pay);
    }
    Answer::json(status, Value::Object(body))
}
