//! `POST /orders/{out_trade_no}/close`: closes an order, so that nobody can pay it any more.
//!
//! The intention is stored (CLOSING), WeChat Pay is asked to close, and only its signed 204 makes the
//! order CLOSED. A payer may have paid in the meantime: then the order is SUCCESS and the answer says
//! so. What stays unknown is finished by the sweep.

// A new state must visit each place that decides by states.
#![warn(clippy::wildcard_enum_match_arm)]

use serde_json::Value;
use shared::api::{Answer, Callers, Code, HttpFunction, Incoming, Problem, representation};
use shared::config::secrets::AnySecret;
use shared::config::{ConfigError, Environment, Vars};
use shared::domain::{Order, OrderId, OrderState};
use shared::process::Process;
use shared::settlement::notes::note_call;
use shared::settlement::{Settled, Settlement};
use shared::settling_client::{SettlingClient, SettlingError};
use shared::store::{Orders, Refunds};
use shared::telemetry::LogLine;
use shared::wechatpay::CallError;

/// Closes orders.
#[derive(Debug)]
pub struct CloseOrder {
    callers: Callers,
    orders: Orders,
    settling_client: SettlingClient,
    process: Process,
}

impl HttpFunction for CloseOrder {
    const NAME: &'static str = "close-order";

    fn from_vars(vars: &Vars, process: &Process) -> Result<Self, ConfigError> {
        let mut environment = Environment::new(vars, process);
        let merchant = environment.merchant();
        let table = environment.table();
        let orders = Orders::new(table.clone());
        let settlement = Settlement::new(orders.clone(), Refunds::new(table.clone()));
        let settling_client =
            SettlingClient::from_environment(&mut environment, &merchant, &table, settlement);
        let callers = Callers::from_environment(&mut environment);
        environment.finish()?;
        Ok(Self {
            callers,
            orders,
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
        let caller = self.callers.authenticate(incoming).await?;
        line.field("caller", caller.kind());
        incoming.query([])?;
        let order_id = incoming.order_id()?;
        line.field("order.out_trade_no", order_id.as_str());
        nothing_in(incoming)?;
        let stored = self.orders.load(&order_id).await?;
        let stored = stored
            .filter(|stored| caller.may_see(&stored.order))
            .ok_or_else(Problem::not_found)?;
        match stored.order.state {
            OrderState::Success(_) | OrderState::Closed { .. } => return answered(&stored.order),
            OrderState::NotPay | OrderState::Closing { .. } => {}
        }
        self.close(&order_id, incoming, line).await
    }
}

impl CloseOrder {
    async fn close(
        &self,
        order_id: &OrderId,
        incoming: &Incoming,
        line: &mut LogLine,
    ) -> Result<Answer, Problem> {
        let begun = match self.settling_client.begin_close(order_id, line).await? {
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
        let closed = self
            .settling_client
            .close_order(order_id, &incoming.deadline, line);
        let closed = match closed.await {
            Ok(settled) => settled,
            Err(SettlingError::Call(CallError::Refused(refusal))) => {
                // Paid, or closed already, or something else: WeChat Pay's record tells, not its
                // refusal.
                line.field("wechatpay.code", refusal.code);
                if let Some(request_id) = refusal.request_id {
                    line.field("wechatpay.request_id", request_id);
                }
                match self
                    .settling_client
                    .ask_order(order_id, &incoming.deadline, line)
                    .await
                {
                    Ok(asked) => asked.settled,
                    Err(SettlingError::Call(error)) => {
                        note_call(&error, line);
                        return answered(&begun.order);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Err(SettlingError::Call(error)) => {
                note_call(&error, line);
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
    let body = representation::order(order);
    match order.state {
        OrderState::Closed { .. } => Ok(Answer::json(200, Value::Object(body))),
        OrderState::NotPay | OrderState::Closing { .. } => {
            Ok(Answer::json(202, Value::Object(body)))
        }
        OrderState::Success(_) => {
            let mut problem = Problem::new(
                Code::OrderPaid,
                "the order was paid before it could be closed; refund it to return the money",
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
    shared::api::request_body::read::<Nothing>(&incoming.body).map(|_| ())
}
