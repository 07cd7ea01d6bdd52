//! What goes over the wire: request bodies, byte for byte the same each time, and answers.
//!
//! Requests are written by serde in the order of their fields; `wire_version` says which order and
//! set, so that an order placed by an older version is repeated as it was. Answers take unknown
//! fields and need few: WeChat Pay adds some, and leaves out what its pages promise.

use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset, macros::offset};

use super::error::CallError;
use crate::domain::order::CURRENCY;
use crate::domain::report::{PaidReport, RefundStatus, TradeState};
use crate::domain::{Fen, OrderId, OrderReport, RefundId, RefundReport, Timestamp, TransactionId};

/// The set and order of an order's fields that this version writes. Changing either needs a new
/// number beside the old one: a repeat with other bytes is refused by WeChat Pay.
pub const WIRE_VERSION: u32 = 1;

const BEIJING: UtcOffset = offset!(+8);

/// The moment as WeChat Pay writes it: RFC 3339 with `+08:00`.
pub fn rfc3339(at: Timestamp) -> String {
    formatted(at, BEIJING)
}

/// The moment as RFC 3339 in UTC.
pub fn rfc3339_utc(at: Timestamp) -> String {
    formatted(at, UtcOffset::UTC)
}

/// The moment written as RFC 3339 with any offset and `T` (or `t`) between date and time; `None` for
/// anything else.
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    // The library takes any character there.
    if !matches!(text.as_bytes().get(10), Some(b'T' | b't')) {
        return None;
    }
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some(Timestamp::from_unix_seconds(moment.unix_timestamp()))
}

/// The Beijing day of a moment, `yyyymmdd`.
pub fn beijing_day(at: Timestamp) -> String {
    let day = moment(at, BEIJING).date();
    format!(
        "{:04}{:02}{:02}",
        day.year(),
        u8::from(day.month()),
        day.day()
    )
}

fn formatted(at: Timestamp, offset: UtcOffset) -> String {
    // What `moment` gives has a year of four digits, which can always be written.
    moment(at, offset).format(&Rfc3339).unwrap_or_default()
}

/// The moment in an offset, held within the years that four digits can write: the year 1970 to the
/// day before the last of 9999, so that no offset leads out.
fn moment(at: Timestamp, offset: UtcOffset) -> OffsetDateTime {
    const LAST: i64 = 253_402_214_400;
    OffsetDateTime::from_unix_timestamp(at.unix_seconds().clamp(0, LAST))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
        .to_offset(offset)
}

/// An order's fields as they go to WeChat Pay (DOC 4012791856).
#[derive(Clone, Debug)]
pub struct PrepayRequest<'a> {
    /// Which set and order of fields.
    pub wire_version: u32,
    /// The app.
    pub appid: &'a str,
    /// The merchant.
    pub mchid: &'a str,
    /// Shown in the payer's bill.
    pub description: &'a str,
    /// The order's number.
    pub out_trade_no: &'a OrderId,
    /// The last moment it can be paid.
    pub time_expire: Timestamp,
    /// The merchant's note.
    pub attach: Option<&'a str>,
    /// Where the notice goes.
    pub notify_url: &'a str,
    /// What is to be paid.
    pub total: Fen,
    /// The payer, for `jsapi` alone.
    pub openid: Option<&'a str>,
    /// The payer's address, for `h5` alone.
    pub payer_client_ip: Option<&'a str>,
}

#[derive(Serialize)]
struct PrepayBody<'a> {
    appid: &'a str,
    mchid: &'a str,
    description: &'a str,
    out_trade_no: &'a str,
    time_expire: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    attach: Option<&'a str>,
    notify_url: &'a str,
    amount: AmountBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    payer: Option<PayerBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scene_info: Option<SceneBody<'a>>,
}

#[derive(Serialize)]
struct AmountBody {
    total: i64,
    currency: &'static str,
}

#[derive(Serialize)]
struct PayerBody<'a> {
    openid: &'a str,
}

#[derive(Serialize)]
struct SceneBody<'a> {
    payer_client_ip: &'a str,
    h5_info: H5Body,
}

#[derive(Serialize)]
struct H5Body {
    r#type: &'static str,
}

impl PrepayRequest<'_> {
    /// The body's bytes; the same fields give the same bytes.
    pub fn body(&self) -> Vec<u8> {
        let body = PrepayBody {
            appid: self.appid,
            mchid: self.mchid,
            description: self.description,
            out_trade_no: self.out_trade_no.as_str(),
            time_expire: rfc3339(self.time_expire),
            attach: self.attach,
            notify_url: self.notify_url,
            amount: AmountBody {
                total: self.total.get(),
                currency: CURRENCY,
            },
            payer: self.openid.map(|openid| PayerBody { openid }),
            scene_info: self.payer_client_ip.map(|payer_client_ip| SceneBody {
                payer_client_ip,
                h5_info: H5Body { r#type: "Wap" },
            }),
        };
        bytes(&body)
    }
}

#[derive(Serialize)]
pub(super) struct CloseBody<'a> {
    pub(super) mchid: &'a str,
}

#[derive(Serialize)]
pub(super) struct RefundBody<'a> {
    pub(super) transaction_id: &'a str,
    pub(super) out_refund_no: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'a str>,
    pub(super) notify_url: &'a str,
    pub(super) amount: RefundAmountBody,
}

#[derive(Serialize)]
pub(super) struct RefundAmountBody {
    pub(super) refund: i64,
    pub(super) total: i64,
    pub(super) currency: &'static str,
}

pub(super) fn bytes(body: &impl Serialize) -> Vec<u8> {
    // Structs of texts and numbers with text keys: there is nothing in them that JSON cannot say.
    serde_json::to_vec(body).unwrap_or_default()
}

#[derive(Deserialize)]
pub(super) struct PrepaidAnswer {
    pub(super) prepay_id: Option<String>,
    pub(super) code_url: Option<String>,
    pub(super) h5_url: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct RefusalAnswer {
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
}

/// A transaction as queries and payment notices tell it. Every field but two may be missing, and an
/// empty text is as good as none (docs/wechatpay.md, "Quirks").
#[derive(Deserialize)]
pub(super) struct TransactionAnswer {
    appid: Option<String>,
    mchid: Option<String>,
    out_trade_no: String,
    transaction_id: Option<String>,
    trade_state: String,
    success_time: Option<String>,
    payer: Option<PayerAnswer>,
    amount: Option<AmountAnswer>,
    // Partner mode's names: an answer with them is not about a direct merchant's order.
    sp_mchid: Option<String>,
}

#[derive(Deserialize)]
struct PayerAnswer {
    openid: Option<String>,
}

#[derive(Deserialize)]
struct AmountAnswer {
    total: Option<i64>,
    currency: Option<String>,
    payer_total: Option<i64>,
}

/// How much of a state that is not known is told, in characters.
const STATE_MAX: usize = 32;

/// A text that could not be read as what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} cannot be read")]
pub struct Unreadable(pub &'static str);

/// A total that is a number and no amount of an order's: zero, negative or beyond every bound.
pub(super) const NO_AMOUNT: Unreadable = Unreadable("amount.total");

impl From<Unreadable> for CallError {
    fn from(unreadable: Unreadable) -> Self {
        Self::unexpected(unreadable.0)
    }
}

/// Reads a JSON object in UTF-8; anything else that serde would take for one is refused, and so are
/// stray bytes inside fields that are skipped.
pub(super) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Unreadable> {
    if bytes.first() != Some(&b'{') {
        return Err(Unreadable("the body"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Unreadable("the body"))?;
    serde_json::from_str(text).map_err(|_| Unreadable("the body"))
}

/// A state that is not known, as far as it is told.
pub(super) fn cut(state: &str) -> String {
    state.chars().take(STATE_MAX).collect()
}

fn present(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

impl TransactionAnswer {
    pub(super) fn is_partners(&self) -> bool {
        self.sp_mchid.is_some()
    }

    pub(super) fn mchid(&self) -> Option<&str> {
        self.mchid.as_deref()
    }

    pub(super) fn out_trade_no(&self) -> &str {
        &self.out_trade_no
    }

    pub(super) fn trade_state(&self) -> &str {
        &self.trade_state
    }

    pub(super) fn report(self) -> Result<OrderReport, Unreadable> {
        let amount = self.amount.unwrap_or(AmountAnswer {
            total: None,
            currency: None,
            payer_total: None,
        });
        let state = match self.trade_state.as_str() {
            // USERPAYING belongs to code payment; it means that nothing is settled yet.
            "NOTPAY" | "USERPAYING" => TradeState::Unpaid,
            "CLOSED" => TradeState::Closed,
            "SUCCESS" | "REFUND" => TradeState::Paid(PaidReport {
                transaction_id: present(self.transaction_id)
                    .and_then(|text| TransactionId::parse(text).ok())
                    .ok_or(Unreadable("transaction_id"))?,
                success_time: present(self.success_time).and_then(|text| parse_rfc3339(&text)),
                payer_total: amount.payer_total,
                openid: self.payer.and_then(|payer| present(payer.openid)),
                refunded: self.trade_state == "REFUND",
            }),
            unknown => TradeState::Unknown(cut(unknown)),
        };
        Ok(OrderReport {
            order_id: OrderId::parse(self.out_trade_no).map_err(|_| Unreadable("out_trade_no"))?,
            mchid: present(self.mchid),
            appid: present(self.appid),
            total: amount
                .total
                .map(Fen::new)
                .transpose()
                .map_err(|_| NO_AMOUNT)?,
            // Unpaid orders name the payer's currency only.
            currency: present(amount.currency),
            state,
        })
    }
}

/// A refund as answers (`status`) and notices (`refund_status`) tell it.
#[derive(Deserialize)]
pub(super) struct RefundAnswer {
    mchid: Option<String>,
    out_refund_no: String,
    out_trade_no: String,
    transaction_id: String,
    refund_id: String,
    status: Option<String>,
    refund_status: Option<String>,
    success_time: Option<String>,
    amount: RefundAmountAnswer,
    sp_mchid: Option<String>,
}

#[derive(Deserialize)]
struct RefundAmountAnswer {
    total: i64,
    refund: i64,
}

impl RefundAnswer {
    pub(super) fn is_partners(&self) -> bool {
        self.sp_mchid.is_some()
    }

    pub(super) fn mchid(&self) -> Option<&str> {
        self.mchid.as_deref()
    }

    pub(super) fn out_trade_no(&self) -> &str {
        &self.out_trade_no
    }

    pub(super) fn out_refund_no(&self) -> &str {
        &self.out_refund_no
    }

    pub(super) fn status(&self) -> &str {
        self.status
            .as_deref()
            .or(self.refund_status.as_deref())
            .unwrap_or("")
    }

    pub(super) fn report(self) -> Result<RefundReport, Unreadable> {
        let status = match self.status() {
            "PROCESSING" => RefundStatus::Processing,
            "SUCCESS" => RefundStatus::Success {
                at: self.success_time.as_deref().and_then(parse_rfc3339),
            },
            "CLOSED" => RefundStatus::Closed,
            "ABNORMAL" => RefundStatus::Abnormal,
            "" => return Err(Unreadable("status")),
            unknown => RefundStatus::Unknown(cut(unknown)),
        };
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if self.refund_id.is_empty()
            || self.refund_id.len() > 64
            || !self.refund_id.bytes().all(legal)
        {
            return Err(Unreadable("refund_id"));
        }
        Ok(RefundReport {
            refund_id: RefundId::parse(self.out_refund_no)
                .map_err(|_| Unreadable("out_refund_no"))?,
            order_id: OrderId::parse(self.out_trade_no).map_err(|_| Unreadable("out_trade_no"))?,
            mchid: self.mchid,
            transaction_id: TransactionId::parse(self.transaction_id)
                .map_err(|_| Unreadable("transaction_id"))?,
            wechatpay_refund_id: self.refund_id,
            amount: Fen::new(self.amount.refund).map_err(|_| Unreadable("amount.refund"))?,
            total: Fen::new(self.amount.total).map_err(|_| Unreadable("amount.total"))?,
            status,
        })
    }
}
