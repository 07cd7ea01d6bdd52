//! An order as WeChat Pay has it: a plain record, with what can be read from it alone.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::beijing;

/// Unpaid orders are closed after this long (docs/simulator.md, `repeats` and `lifetimes`), unless
/// `time_expire` is later.
pub(crate) const UNPAID_LIFE_MS: i64 = 7 * beijing::DAY_MS;

/// How an order is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TradeType {
    Jsapi,
    Native,
    App,
    H5,
}

impl TradeType {
    pub(crate) const ALL: [Self; 4] = [Self::Jsapi, Self::Native, Self::App, Self::H5];

    /// The word of queries and notices (docs/simulator.md, `query-bodies` and `transaction-ids`).
    pub(crate) fn wire(self) -> &'static str {
        match self {
            Self::Jsapi => "JSAPI",
            Self::Native => "NATIVE",
            Self::App => "APP",
            Self::H5 => "MWEB",
        }
    }
}

/// Names an order: numbers are unique per merchant (in partner mode per partner).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct OrderKey {
    pub(crate) mchid: String,
    pub(crate) out_trade_no: String,
}

/// Who sells in partner mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Partner {
    pub(crate) sp_appid: String,
    pub(crate) sub_mchid: String,
    pub(crate) sub_appid: Option<String>,
}

/// One id handed out for paying an order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ticket {
    pub(crate) prepay_id: String,
    pub(crate) code_url: Option<String>,
    pub(crate) h5_url: Option<String>,
    pub(crate) issued_ms: i64,
    pub(crate) expires_ms: i64,
    /// A newer code replaced this one.
    pub(crate) replaced: bool,
    /// The merchant certificates whose requests were answered with this id. States written before
    /// ids knew it have none: then it is the order's.
    #[serde(default)]
    pub(crate) serials: Vec<String>,
}

/// Where an order stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum OrderState {
    NotPaid,
    Closed { at_ms: i64 },
    Paid(Payment),
}

/// What only a paid order has.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Payment {
    pub(crate) at_ms: i64,
    pub(crate) transaction_id: String,
    /// The payer under the merchant's (or partner's) appid.
    pub(crate) openid: String,
    /// The payer under the sub-merchant's appid, in partner mode.
    pub(crate) sub_openid: Option<String>,
    pub(crate) bank_type: String,
    /// What the payer paid; less than the total when a coupon was used.
    pub(crate) payer_total_fen: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The place in the ledger.
    pub(crate) entered: u64,
    pub(crate) key: OrderKey,
    pub(crate) trade_type: TradeType,
    pub(crate) partner: Option<Partner>,
    /// The app that launches the payment: `appid`, or `sub_appid` where there is one.
    pub(crate) appid: String,
    pub(crate) description: String,
    pub(crate) attach: Option<String>,
    pub(crate) notify_url: String,
    pub(crate) total_fen: i64,
    pub(crate) openid: Option<String>,
    pub(crate) device_id: Option<String>,
    /// The first request, keys sorted: what a repeat is compared with.
    pub(crate) first_request: String,
    /// The merchant certificate that signed the first request.
    pub(crate) serial_no: String,
    pub(crate) created_ms: i64,
    /// After this moment nobody can pay; the state stays.
    pub(crate) payable_until_ms: i64,
    pub(crate) tickets: Vec<Ticket>,
    pub(crate) state: OrderState,
    /// The only payer who may pay, once one tried.
    pub(crate) bound_payer: Option<String>,
    pub(crate) failed_attempts: u32,
    /// Closed before it was ever created, so that the number is burnt.
    pub(crate) burnt: bool,
}

impl Order {
    /// When an order that nobody paid is closed: after seven days, or later where `time_expire`
    /// lets it be paid longer.
    pub(crate) fn closes_ms(&self) -> i64 {
        (self.created_ms + UNPAID_LIFE_MS).max(self.payable_until_ms)
    }

    /// Whether somebody may still pay it.
    pub(crate) fn is_payable(&self, now_ms: i64) -> bool {
        matches!(self.state, OrderState::NotPaid) && self.payable_until_ms > now_ms
    }

    pub(crate) fn payment(&self) -> Option<&Payment> {
        match &self.state {
            OrderState::Paid(payment) => Some(payment),
            OrderState::NotPaid | OrderState::Closed { .. } => None,
        }
    }

    /// Whether the order says that its payer sits at the merchant's own machine.
    pub(crate) fn is_from_loopback(&self) -> bool {
        let request: Value = serde_json::from_str(&self.first_request).unwrap_or_default();
        request["scene_info"]["payer_client_ip"]
            .as_str()
            .and_then(|address| address.parse::<IpAddr>().ok())
            .is_some_and(|address| address.is_loopback())
    }

    pub(crate) fn trade_state(&self, refunded: bool) -> &'static str {
        match &self.state {
            OrderState::NotPaid => "NOTPAY",
            OrderState::Closed { .. } => "CLOSED",
            OrderState::Paid(_) if refunded => "REFUND",
            OrderState::Paid(_) => "SUCCESS",
        }
    }

    /// The row of `/_sim/ledger`.
    pub(crate) fn row(&self, refunded: bool) -> Value {
        let newest = self.tickets.last();
        let payment = self.payment();
        json!({
            "kind": "order",
            "entered": self.entered,
            "mchid": self.key.mchid,
            "appid": self.appid,
            "out_trade_no": self.key.out_trade_no,
            "trade_type": self.trade_type.wire(),
            "trade_state": self.trade_state(refunded),
            "description": self.description,
            "attach": self.attach,
            "amount": {
                "total": self.total_fen,
                "payer_total": payment.map(|payment| payment.payer_total_fen),
                "currency": "CNY",
            },
            "openid": payment.map(|payment| payment.openid.clone()).or_else(|| self.openid.clone()),
            "transaction_id": payment.map(|payment| &payment.transaction_id),
            "success_time": payment.map(|payment| beijing::rfc3339(payment.at_ms)),
            "created_at": beijing::rfc3339(self.created_ms),
            "payable_until": beijing::rfc3339(self.payable_until_ms),
            "notify_url": self.notify_url,
            "prepay_id": newest.map(|ticket| &ticket.prepay_id),
            "code_url": newest.and_then(|ticket| ticket.code_url.as_ref()),
            "h5_url": newest.and_then(|ticket| ticket.h5_url.as_ref()),
            "failed_attempts": self.failed_attempts,
            "sub_mchid": self.partner.as_ref().map(|partner| &partner.sub_mchid),
        })
    }
}
