//! What a request is about: the order it names, by whatever number, and the key under which its
//! faults are drawn.

use serde_json::Value;

use super::request::Request;
use super::route::{Kind, Operation};
use super::{authorization, multipart};
use crate::handle::SimulatorHandle;
use crate::ledger::{OrderKey, RefundKey};

/// The longest number there is, in characters. Of a longer one only so much is kept: it may be
/// anybody's, as long as a body can be.
const NUMBER_CHARACTERS_MAX: usize = 64;

/// What a request is about, as faults and the request log name it.
#[derive(Debug, Clone)]
pub(crate) struct RequestSubject {
    pub(crate) out_trade_no: Option<String>,
    /// The merchant, the operation and the merchant's own number: nothing that is made up anew in
    /// every run, so that the dice say the same whenever and however the request comes.
    pub(crate) draw_key: String,
}

impl RequestSubject {
    /// Looks up what the ids of a request stand for; it need not be authentic yet.
    pub(crate) fn of(
        handle: &SimulatorHandle,
        operation: &Operation,
        id: &str,
        request: &Request,
    ) -> Self {
        let mchid = authorization::claimed_mchid(request).unwrap_or_default();
        // Read before anything is locked: anybody's body may be as long as a body can be.
        let numbers = BodyNumbers::of(request);
        let state = handle.lock();
        let (out_trade_no, words) = match operation.kind {
            Kind::QueryByNumber { .. } | Kind::Close { .. } => (Some(id.to_owned()), id.to_owned()),
            Kind::QueryById { .. } => {
                let number = state.payments.get(id).map(number_of);
                let words = number.clone().unwrap_or_else(|| id.to_owned());
                (number, format!("by id {words}"))
            }
            Kind::Order { .. } => {
                let words = numbers.out_trade_no.clone().unwrap_or_default();
                (numbers.out_trade_no, words)
            }
            Kind::Refund => {
                let number = numbers.out_trade_no.or_else(|| {
                    let order = state.payments.get(&numbers.transaction_id?)?;
                    Some(number_of(order))
                });
                (number, numbers.out_refund_no.unwrap_or_default())
            }
            Kind::QueryRefund => {
                let key = RefundKey {
                    mchid: mchid.clone(),
                    out_refund_no: id.to_owned(),
                };
                let refund = state.refunds.get(&key);
                (refund.map(|refund| number_of(&refund.order)), id.to_owned())
            }
            Kind::AbnormalRefund => {
                let key = state.refunds_by_id.get(id);
                let refund = key.and_then(|key| state.refunds.get(key));
                let words = key.map_or(id, |key| &key.out_refund_no);
                (
                    refund.map(|refund| number_of(&refund.order)),
                    words.to_owned(),
                )
            }
            Kind::TradeBill | Kind::FundFlowBill => (None, request.target.clone()),
            Kind::Download => {
                let token = request.parameter("token").unwrap_or_default();
                let held = state.tokens.get(&token);
                (
                    None,
                    held.map(|held| held.subject.clone()).unwrap_or_default(),
                )
            }
            Kind::Upload => (None, numbers.meta),
            Kind::Certificates | Kind::Login | Kind::StableToken | Kind::TradeManagement(_) => {
                (None, String::new())
            }
        };
        let place = state.place_of(&mchid);
        Self {
            out_trade_no,
            draw_key: format!("{place} {} {words}", operation.name),
        }
    }
}

/// What the body of a request says of what it is about.
#[derive(Debug, Default)]
struct BodyNumbers {
    out_trade_no: Option<String>,
    transaction_id: Option<String>,
    out_refund_no: Option<String>,
    /// The part of an upload that is signed.
    meta: String,
}

impl BodyNumbers {
    fn of(request: &Request) -> Self {
        if let Some(meta) = multipart::signed_part(request) {
            return Self {
                meta: String::from_utf8_lossy(&meta).into_owned(),
                ..Self::default()
            };
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        Self {
            out_trade_no: text(&body, "out_trade_no"),
            transaction_id: text(&body, "transaction_id"),
            out_refund_no: text(&body, "out_refund_no"),
            meta: String::new(),
        }
    }
}

fn text(body: &Value, name: &str) -> Option<String> {
    let text = body.get(name)?.as_str()?;
    let kept: String = text.chars().take(NUMBER_CHARACTERS_MAX).collect();
    (!kept.is_empty()).then_some(kept)
}

fn number_of(order: &OrderKey) -> String {
    order.out_trade_no.clone()
}
