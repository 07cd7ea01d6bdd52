//! Answers: a status, a JSON body, and what an order or a refund looks like in one.

use std::future::{Future, ready};
use std::pin::Pin;

use lambda_http::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use lambda_http::{Body, IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::domain::order::CURRENCY;
use crate::domain::{Order, RefundState, Timestamp};
use crate::store::StoredRefund;

/// An HTTP answer that Lambda gets as it is, since our bodies are text already.
///
/// lambda_http would make every body text by the charset of its type, and for that bring the tables
/// of all text encodings into each binary.
#[derive(Debug)]
pub struct TextResponse(pub Response<Body>);

impl IntoResponse for TextResponse {
    fn into_response(self) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> {
        Box::pin(ready(self.0))
    }
}

/// What goes back to a caller.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, none with 204.
    pub body: Option<Value>,
    /// The body's type.
    pub content_type: &'static str,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u32>,
}

impl Answer {
    /// A JSON answer.
    pub const fn json(status: u16, body: Value) -> Self {
        Self {
            status,
            body: Some(body),
            content_type: "application/json",
            retry_after: None,
        }
    }

    /// 204.
    pub const fn nothing() -> Self {
        Self {
            status: 204,
            body: None,
            content_type: "application/json",
            retry_after: None,
        }
    }

    /// The answer as HTTP.
    pub fn into_response(self) -> Response<Body> {
        let mut response = Response::builder()
            .status(self.status)
            .header(CACHE_CONTROL, "no-store");
        if let Some(seconds) = self.retry_after {
            response = response.header(RETRY_AFTER, seconds);
        }
        let built = match self.body {
            Some(body) => response
                .header(CONTENT_TYPE, self.content_type)
                .body(Body::Text(body.to_string())),
            None => response.body(Body::Empty),
        };
        built.unwrap_or_else(|_| {
            // Every part above is a valid one; this is what is left if that ever changes.
            let mut response = Response::new(Body::Empty);
            *response.status_mut() = lambda_http::http::StatusCode::INTERNAL_SERVER_ERROR;
            response
        })
    }
}

/// An order as create-order and close-order answer it.
pub fn order(order: &Order) -> Map<String, Value> {
    let terms = &order.terms;
    let mut body = Map::new();
    body.insert(
        "out_trade_no".to_owned(),
        Value::from(terms.order_id.as_str()),
    );
    body.insert(
        "trade_type".to_owned(),
        Value::from(terms.trade_type.as_str()),
    );
    body.insert("trade_state".to_owned(), Value::from(order.state.as_str()));
    body.insert(
        "amount".to_owned(),
        json!({"total": terms.total.get(), "currency": CURRENCY}),
    );
    body.insert("time_expire".to_owned(), moment(terms.time_expire));
    if let Some(payment) = order.payment_on_record() {
        body.insert(
            "transaction_id".to_owned(),
            Value::from(payment.transaction_id.as_str()),
        );
        body.insert("success_time".to_owned(), moment(payment.success_time));
    }
    body
}

/// An order as query answers it, with its refunds and whether WeChat Pay's word is fresh.
pub fn queried_order(record: &Order, refunds: &[StoredRefund], fresh: bool) -> Value {
    let mut body = order(record);
    let refunded: i64 = refunds
        .iter()
        .filter(|stored| matches!(stored.refund.state, RefundState::Success { .. }))
        .map(|stored| stored.refund.amount.get())
        .sum();
    let refundable = record
        .payment_on_record()
        .map_or(0, |payment| payment.refundable);
    body.insert("fresh".to_owned(), Value::from(fresh));
    body.insert(
        "amount".to_owned(),
        json!({
            "total": record.terms.total.get(),
            "currency": CURRENCY,
            "refunded": refunded,
            "refundable": refundable,
        }),
    );
    body.insert("refunds".to_owned(), refunds.iter().map(refund).collect());
    Value::Object(body)
}

/// A refund as every function answers it.
pub fn refund(stored: &StoredRefund) -> Value {
    let refund = &stored.refund;
    let success_time = match refund.state {
        RefundState::Success { at } => Some(rfc3339(at)),
        RefundState::Requested
        | RefundState::Reserved
        | RefundState::Processing
        | RefundState::Abnormal
        | RefundState::Closed
        | RefundState::Rejected => None,
    };
    let next_attempt_at = match refund.state {
        RefundState::Reserved => stored.due.map(|due| rfc3339(due.at)),
        RefundState::Requested
        | RefundState::Processing
        | RefundState::Abnormal
        | RefundState::Closed
        | RefundState::Success { .. }
        | RefundState::Rejected => None,
    };
    let body = RefundBody {
        out_refund_no: refund.refund_id.as_str(),
        out_trade_no: refund.order_id.as_str(),
        status: refund.state.as_str(),
        amount: RefundAmount {
            refund: refund.amount.get(),
            total: refund.total.get(),
            currency: CURRENCY,
        },
        reason: refund.reason.as_deref(),
        success_time,
        next_attempt_at,
        needs_human: refund.needs_human.is_some().then_some(true),
    };
    serde_json::to_value(body).unwrap_or(Value::Null)
}

#[derive(Serialize)]
struct RefundBody<'a> {
    out_refund_no: &'a str,
    out_trade_no: &'a str,
    status: &'static str,
    amount: RefundAmount,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    success_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    needs_human: Option<bool>,
}

#[derive(Serialize)]
struct RefundAmount {
    refund: i64,
    total: i64,
    currency: &'static str,
}

fn moment(at: Timestamp) -> Value {
    Value::from(rfc3339(at))
}

/// A moment as WeChat Pay writes it: RFC 3339 with Beijing's offset.
fn rfc3339(at: Timestamp) -> String {
    crate::rfc3339::format(at)
}
