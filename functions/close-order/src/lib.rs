//! `POST /orders/{out_trade_no}/close`: an order that is not to be paid any more.
//!
//! The intention is stored (CLOSING), WeChat Pay is asked to close, and only its signed 204 makes the
//! order CLOSED. A payer may have paid in the meantime: then the order is SUCCESS and the answer says
//! so. What stays unknown is finished by the sweep.

use serde_json::Value;
use shared::api::{Answer, Callers, Code, HttpFunction, Incoming, Problem, answer};
use shared::config::secrets::SecretError;
use shared::config::{ConfigError, Reader, Vars};
use shared::desk::{Desk, DeskError, note_call};
use shared::domain::{Order, OrderId, OrderState};
use shared::platform::Platform;
use shared::settlement::{Settled, Settlement};
use shared::store::{Orders, Refunds};
use shared::telemetry::Record;
use shared::wechatpay::CallError;

/// Closes orders.
#[derive(Debug)]
pub struct CloseOrder {
    callers: Callers,
    orders: Orders,
    desk: Desk,
    platform: Platform,
}

impl HttpFunction for CloseOrder {
    const NAME: &'static str = "close-order";

    fn from_vars(vars: &Vars, platform: &Platform) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(vars, platform);
        let merchant = reader.merchant();
        let table = reader.table();
        let orders = Orders::new(table.clone());
        let settlement = Settlement::new(orders.clone(), Refunds::new(table));
        let desk = Desk::from_reader(&mut reader, &merchant.mchid, settlement);
        let callers = Callers::from_reader(&mut reader);
        reader.finish()?;
        let desk = desk.ok_or_else(ConfigError::untold)?;
        Ok(Self {
            callers,
            orders,
            desk,
            platform: platform.clone(),
        })
    }

    fn platform(&self) -> &Platform {
        &self.platform
    }

    async fn warm_up(&self) {
        // What fails here is told by the first request.
        if self.desk.warm_up().await.is_ok() {
            let _ = self.callers.keys().await;
        }
    }

    async fn wanting(&self) -> Vec<SecretError> {
        let mut wanting = self.desk.wanting().await;
        wanting.extend(self.callers.keys().await.err());
        wanting
    }

    async fn serve(&self, incoming: &Incoming, record: &mut Record) -> Result<Answer, Problem> {
        let caller = self.callers.authenticate(incoming).await?;
        record.field("caller", caller.kind());
        incoming.query([])?;
        let segments = incoming.segments();
        let ("POST", ["orders", order_id, "close"]) =
            (incoming.method.as_str(), segments.as_slice())
        else {
            return Err(Problem::not_found());
        };
        let order_id = OrderId::parse(*order_id).map_err(|error| {
            Problem::new(Code::InvalidNumber, error.to_string()).field(error.field)
        })?;
        record.field("order.out_trade_no", order_id.as_str());
        nothing_in(incoming)?;
        let stored = self.orders.load(&order_id).await?;
        let stored = stored
            .filter(|stored| caller.may_see(&stored.order))
            .ok_or_else(Problem::not_found)?;
        match stored.order.state {
            OrderState::Success(_) | OrderState::Closed { .. } => return answered(&stored.order),
            OrderState::NotPay | OrderState::Closing { .. } => {}
        }
        self.close(&order_id, incoming, record).await
    }
}

impl CloseOrder {
    async fn close(
        &self,
        order_id: &OrderId,
        incoming: &Incoming,
        record: &mut Record,
    ) -> Result<Answer, Problem> {
        let begun = match self.desk.begin_close(order_id, record).await? {
            Settled::Changed(stored) | Settled::Unchanged(stored) => stored,
            // Another merchant's is not asked about either.
            Settled::Contradiction(stored, _) => return answered(&stored.order),
            Settled::Unknown => return Err(Problem::not_found()),
        };
        match begun.order.state {
            OrderState::Closing { .. } => {}
            OrderState::NotPay | OrderState::Closed { .. } | OrderState::Success(_) => {
                return answered(&begun.order);
            }
        }
        let closed = self.desk.close_order(order_id, &incoming.deadline, record);
        let closed = match closed.await {
            Ok(settled) => settled,
            Err(DeskError::Call(CallError::Refused(refusal))) => {
                // Paid, or closed already, or something else: WeChat Pay's record tells, not its
                // refusal.
                record.field("wechatpay.code", refusal.code);
                if let Some(request_id) = refusal.request_id {
                    record.field("wechatpay.request_id", request_id);
                }
                match self
                    .desk
                    .ask_order(order_id, &incoming.deadline, record)
                    .await
                {
                    Ok(settled) => settled,
                    Err(DeskError::Call(error)) => {
                        note_call(&error, record);
                        return answered(&begun.order);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Err(DeskError::Call(error)) => {
                note_call(&error, record);
                return answered(&begun.order);
            }
            Err(error) => return Err(error.into()),
        };
        let stored = closed.record().ok_or_else(Problem::not_found)?;
        answered(&stored.order)
    }
}

/// 200 for a closed order, 202 while that is unknown, 409 for a paid one.
fn answered(order: &Order) -> Result<Answer, Problem> {
    let body = answer::order(order);
    match order.state {
        OrderState::Closed { .. } => Ok(Answer::json(200, Value::Object(body))),
        OrderState::NotPay | OrderState::Closing { .. } => {
            Ok(Answer::json(202, Value::Object(body)))
        }
        OrderState::Success(_) => {
            let mut problem = Problem::new(
                Code::OrderPaid,
                "the order was paid before it could be closed; refund it to give the money back",
            );
            for (name, value) in body {
                problem = problem.with(&name, value);
            }
            Err(problem)
        }
    }
}

/// A close has no body, or an empty object.
fn nothing_in(incoming: &Incoming) -> Result<(), Problem> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    if incoming.body.is_empty() {
        return Ok(());
    }
    shared::api::body::read::<Nothing>(&incoming.body).map(|_| ())
}
