//! `GET /orders/{out_trade_no}`, `GET /orders?transaction_id=`, `GET /orders`: reads orders, and asks
//! WeChat Pay first where the record is not final. `GET /orders?date=`, `GET /refunds`: the merchant's
//! lists, as the record has them. `GET /articles`: what is on sale, for anybody.
//!
//! A final order is answered from the table. For any other WeChat Pay is asked, at most once per order
//! in `ASK_FLOOR_SECONDS`, and its answer is settled as a notification is; whoever may not ask yet, or
//! gets no usable answer, reads the record with `"fresh": false`.

// A new state must visit each place that decides by states.
#![warn(clippy::wildcard_enum_match_arm)]

mod articles;
mod lists;

use serde_json::{Value, json};
use shared::api::{
    Answer, Caller, Callers, Code, HttpFunction, Incoming, Problem, malformed_id, representation,
};
use shared::config::secrets::AnySecret;
use shared::config::{ConfigError, Environment, Vars};
use shared::domain::books::books_balance;
use shared::domain::paging::Row;
use shared::domain::{Openid, Order, OrderId, RefundId, Timestamp, TransactionId};
use shared::process::Process;
use shared::settlement::Settlement;
use shared::settlement::notes::note_call;
use shared::settling_client::{SettlingClient, SettlingError};
use shared::store::{
    Catalogue, Commit, ListIndex, Orders, PayerIndex, RefundKey, Refunds, StoredOrder, StoredRefund,
};
use shared::telemetry::{Level, LogLine, Metric};
use shared::wechatpay::CallError;

/// At most one question to WeChat Pay per order in this time, in seconds, however many ask.
const ASK_FLOOR_SECONDS: i64 = 2;

/// How many refunds of an order one request asks about; the sweep asks about the others.
const REFUNDS_ASKED_MAX: usize = 3;

/// How often an order and its refunds are read until they are from one moment.
const READS_MAX: u32 = 3;

/// How many orders a page has.
const PAGE: i32 = 20;

/// Answers what became of orders.
#[derive(Debug)]
pub struct Query {
    callers: Callers,
    orders: Orders,
    refunds: Refunds,
    payer_index: PayerIndex,
    list_index: ListIndex,
    catalogue: Catalogue,
    last_articles: articles::LastRead,
    settling_client: SettlingClient,
    process: Process,
}

/// What asking about an order's refunds came to.
struct RefundsLooked {
    /// WeChat Pay told something of one, so the record may have changed.
    any_settled: bool,
    /// Each that is under way was asked about, and its answer is in the record.
    all_told: bool,
}

impl HttpFunction for Query {
    const NAME: &'static str = "query";

    fn from_vars(vars: &Vars, process: &Process) -> Result<Self, ConfigError> {
        let mut environment = Environment::new(vars, process);
        let merchant = environment.merchant();
        let table = environment.table();
        let (orders, refunds) = (Orders::new(table.clone()), Refunds::new(table.clone()));
        let settlement = Settlement::new(orders.clone(), refunds.clone());
        let settling_client =
            SettlingClient::from_environment(&mut environment, &merchant, &table, settlement);
        let callers = Callers::from_environment(&mut environment);
        environment.finish()?;
        Ok(Self {
            callers,
            orders,
            refunds,
            list_index: ListIndex::new(table.clone()),
            catalogue: Catalogue::new(table.clone()),
            last_articles: articles::LastRead::default(),
            payer_index: PayerIndex::new(table),
            settling_client,
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

    async fn serve(&self, incoming: &Incoming, line: &mut LogLine) -> Result<Answer, Problem> {
        if incoming.route() == "GET /articles" {
            return self.listed_articles(incoming).await;
        }
        let caller = self.callers.authenticate(incoming).await?;
        line.field("caller", caller.kind());
        match incoming.route() {
            "GET /orders" => match &caller {
                Caller::Payer { openid } => self.own(openid, incoming).await,
                Caller::Merchant => self.merchants(incoming, line).await,
            },
            "GET /refunds" => match &caller {
                // Not a payer's route, as the merchant's decisions are not.
                Caller::Payer { .. } => Err(Problem::not_found()),
                Caller::Merchant => self.listed_refunds(incoming).await,
            },
            "GET /orders/{out_trade_no}" => {
                incoming.query([])?;
                let order_id = incoming.order_id()?;
                line.field("order.out_trade_no", order_id.as_str());
                self.by_number(&caller, &order_id, incoming, line).await
            }
            _ => Err(Problem::not_found()),
        }
    }
}

impl Query {
    async fn by_number(
        &self,
        caller: &Caller,
        order_id: &OrderId,
        incoming: &Incoming,
        line: &mut LogLine,
    ) -> Result<Answer, Problem> {
        let stored = self.orders.load(order_id).await?;
        let stored = stored
            .filter(|stored| caller.may_see(&stored.order))
            .ok_or_else(Problem::not_found)?;
        let (order, fresh) = self.refreshed(stored, incoming, line).await?;
        self.respond(caller, order, fresh, incoming, line).await
    }

    /// The order, after WeChat Pay was asked where that could tell something; and whether what it
    /// says is as fresh as it can be.
    async fn refreshed(
        &self,
        stored: StoredOrder,
        incoming: &Incoming,
        line: &mut LogLine,
    ) -> Result<(Order, bool), Problem> {
        if stored.order.is_settled() {
            return Ok((stored.order, true));
        }
        let order_id = stored.order.terms.order_id.clone();
        let now = self.process.clock.wall();
        if self
            .orders
            .claim_asking(&order_id, now, ASK_FLOOR_SECONDS)
            .await?
            == Commit::Conflict
        {
            return Ok((stored.order, false));
        }
        match self
            .settling_client
            .ask_order(&order_id, &incoming.deadline, line)
            .await
        {
            Ok(answer) => {
                let fits = answer.settled.fits();
                let order = answer
                    .settled
                    .record()
                    .map_or(stored.order, |now| now.order);
                Ok((order, fits))
            }
            Err(SettlingError::Call(error)) => {
                note_call(&error, line);
                Ok((stored.order, false))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Adds the refunds; those under way are asked about, which keeps the sweep's minute out of the
    /// caller's sight.
    async fn respond(
        &self,
        caller: &Caller,
        order: Order,
        mut fresh: bool,
        incoming: &Incoming,
        line: &mut LogLine,
    ) -> Result<Answer, Problem> {
        let answer = |order: &Order, refunds: &[StoredRefund], fresh| {
            let body = representation::queried_order(caller, order, refunds, fresh);
            Ok(Answer::json(200, body))
        };
        if order.payment_on_record().is_none() {
            return answer(&order, &[], fresh);
        }
        let refunds = self.refunds.of_order(&order.terms.order_id).await?;
        let looked = self.look_at_refunds(&refunds, incoming, line).await?;
        fresh &= looked.all_told;
        if !looked.any_settled && books_balance(&order, refunds.iter().map(|stored| &stored.refund))
        {
            return answer(&order, &refunds, fresh);
        }
        let (order, refunds) = self.balanced(order, refunds).await?;
        if !books_balance(&order, refunds.iter().map(|stored| &stored.refund)) {
            // Two readings of one moment that do not add up: they are no truth to build on.
            fresh = false;
            line.count(Metric::BooksUnbalanced).raise(Level::Error);
        }
        answer(&order, &refunds, fresh)
    }

    /// Asks about the refunds that are under way, of which the first few are asked about.
    async fn look_at_refunds(
        &self,
        refunds: &[StoredRefund],
        incoming: &Incoming,
        line: &mut LogLine,
    ) -> Result<RefundsLooked, Problem> {
        let under_way: Vec<&StoredRefund> = refunds
            .iter()
            .filter(|stored| stored.refund.state.is_under_way())
            .collect();
        let mut looked = RefundsLooked {
            any_settled: false,
            all_told: under_way.len() <= REFUNDS_ASKED_MAX,
        };
        for stored in under_way.into_iter().take(REFUNDS_ASKED_MAX) {
            let refund = &stored.refund;
            let now = self.process.clock.wall();
            if self
                .refunds
                .claim_asking(refund, now, ASK_FLOOR_SECONDS)
                .await?
                == Commit::Conflict
            {
                looked.all_told = false;
                continue;
            }
            match self
                .settling_client
                .ask_refund(refund, &incoming.deadline, line)
                .await
            {
                Ok(settled) => {
                    looked.any_settled = true;
                    looked.all_told &= settled.fits();
                }
                // Reserved, and not sent or not arrived so far: that is how it stands.
                Err(SettlingError::Call(CallError::Refused(refusal)))
                    if refusal.status == 404 && !refund.state.is_taken() => {}
                Err(SettlingError::Call(error)) => {
                    note_call(&error, line);
                    looked.all_told = false;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(looked)
    }

    /// The order and its refunds from one moment. They are separate items, and a refund that is
    /// reserved or given back between two reads shows as books that do not balance.
    async fn balanced(
        &self,
        mut order: Order,
        mut refunds: Vec<StoredRefund>,
    ) -> Result<(Order, Vec<StoredRefund>), Problem> {
        for _ in 0..READS_MAX {
            refunds = self.refunds.of_order(&order.terms.order_id).await?;
            if let Some(stored) = self.orders.load(&order.terms.order_id).await? {
                order = stored.order;
            }
            if books_balance(&order, refunds.iter().map(|stored| &stored.refund)) {
                break;
            }
        }
        Ok((order, refunds))
    }

    /// The merchant names a payment or a day.
    async fn merchants(&self, incoming: &Incoming, line: &mut LogLine) -> Result<Answer, Problem> {
        let [transaction_id, date, trade_state, next_token] =
            incoming.query(["transaction_id", "date", "trade_state", "next_token"])?;
        match (transaction_id, date) {
            (Some(transaction_id), None) if trade_state.is_none() && next_token.is_none() => {
                self.by_transaction(transaction_id, incoming, line).await
            }
            (None, Some(date)) => {
                self.orders_of_day(&lists::DayQuery::parse(date, trade_state, next_token)?)
                    .await
            }
            (None, None) => Err(Problem::new(
                Code::MalformedRequest,
                "as the merchant, name a day (date) or a payment (transaction_id)",
            )
            .field("date")),
            (Some(_), _) => Err(Problem::new(
                Code::MalformedRequest,
                "transaction_id names one order; it goes with no other parameter",
            )
            .field("transaction_id")),
        }
    }

    /// By WeChat Pay's number of a payment: WeChat Pay is asked, and the number in its answer read.
    async fn by_transaction(
        &self,
        transaction_id: &str,
        incoming: &Incoming,
        line: &mut LogLine,
    ) -> Result<Answer, Problem> {
        let transaction_id = TransactionId::parse(transaction_id).map_err(malformed_id)?;
        match self
            .settling_client
            .ask_transaction(&transaction_id, &incoming.deadline, line)
            .await
        {
            Ok(settled) => {
                let fits = settled.fits();
                let stored = settled.record().ok_or_else(Problem::not_found)?;
                let payee = self.settling_client.payee();
                if payee.differing_field(&stored.order.terms).is_some() {
                    return Err(Problem::not_found());
                }
                line.field("order.out_trade_no", stored.order.terms.order_id.as_str());
                self.respond(&Caller::Merchant, stored.order, fits, incoming, line)
                    .await
            }
            // 404, and 400 for a number that was never one of its own.
            Err(SettlingError::Call(CallError::Refused(refusal)))
                if matches!(refusal.status, 400 | 404) =>
            {
                Err(Problem::not_found())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The payer's own orders, newest first, as the table has them.
    async fn own(&self, openid: &Openid, incoming: &Incoming) -> Result<Answer, Problem> {
        let [next_token, date, trade_state] =
            incoming.query(["next_token", "date", "trade_state"])?;
        for (field, value) in [("date", date), ("trade_state", trade_state)] {
            if value.is_some() {
                return Err(Problem::new(
                    Code::FieldNotAllowed,
                    format!("{field} is of the merchant's lists; a payer gets their own orders"),
                )
                .field(field));
            }
        }
        let after = next_token.map(read_token).transpose()?;
        let page = self.payer_index.page(openid, after, PAGE).await?;
        let orders = self.orders.load_many(&page.order_ids).await?;
        let items: Vec<Value> = orders
            .iter()
            .filter(|order| order.terms.openid.as_ref() == Some(openid))
            .map(|order| Value::Object(representation::order(order)))
            .collect();
        let mut body = json!({"items": items});
        if let Some((order_id, created_at)) = page.next {
            body["next_token"] = Value::from(format!("{}.{order_id}", created_at.unix_seconds()));
        }
        Ok(Answer::json(200, body))
    }
}

/// Where a page starts: the moment and the number of the order before it. It grants nothing: the
/// index is asked for the caller's own openid, or by the merchant, whatever it says.
fn read_token(token: &str) -> Result<(OrderId, Timestamp), Problem> {
    let (created_at, order_id) = token.split_once('.').ok_or_else(strange_token)?;
    let created_at = created_at.parse().map_err(|_| strange_token())?;
    let order_id = OrderId::parse(order_id).map_err(|_| strange_token())?;
    Ok((order_id, Timestamp::from_unix_seconds(created_at)))
}

/// The same of a refund: its order's number, then its own. Neither has a dot.
fn read_refund_token(token: &str) -> Result<Row<RefundKey>, Problem> {
    let (rest, refund_id) = token.rsplit_once('.').ok_or_else(strange_token)?;
    let (order_id, at) = read_token(rest)?;
    let refund_id = RefundId::parse(refund_id).map_err(|_| strange_token())?;
    let key = (order_id, refund_id);
    Ok(Row { at, key })
}

fn strange_token() -> Problem {
    Problem::new(
        Code::MalformedRequest,
        "next_token was not issued by this API for this list",
    )
    .field("next_token")
}
