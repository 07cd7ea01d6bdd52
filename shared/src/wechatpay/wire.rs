//! What goes over the wire: request bodies, byte for byte the same each time, and answers.
//!
//! Requests are written by serde in the order of their fields; `wire_version` says which order and
//! set, so that an order placed by an older version is repeated as it was. Answers take unknown
//! fields and need few: WeChat Pay adds some, and leaves out what its pages promise.

use serde::{Deserialize, Serialize};

use super::error::{CallError, Refusal};
use super::extras::{DETAIL_MAX, DetailBody, StoreBody};
use crate::domain::order::CURRENCY;
use crate::domain::report::{PaidReport, RefundStatus, TradeState};
use crate::domain::terms::{Payee, SubMerchant, detail_of};
use crate::domain::{
    Appid, Fen, Mchid, Openid, OrderId, OrderReport, Refund, RefundId, RefundReport, Terms,
    TradeType, TransactionId, WechatpayRefundId,
};
use crate::rfc3339;

/// The set and order of the fields of an order that says what is paid, how, until when and by whom, and
/// nothing else. Changing either needs a new number beside the old ones: a repeat with other bytes is
/// refused by WeChat Pay.
pub const WIRE_VERSION_PLAIN: u32 = 1;

/// As [`WIRE_VERSION_PLAIN`], with what an order may carry besides, and a payer's articles as `detail`.
pub const WIRE_VERSION: u32 = 2;

/// An order's request (DOC 4012791856): the same terms give the same bytes.
#[derive(Debug)]
pub struct PrepayRequest<'a> {
    terms: &'a Terms,
    body: Vec<u8>,
}

impl<'a> PrepayRequest<'a> {
    /// The request for an order; `None` where it was placed with a set of fields that this build does
    /// not know, as by a newer one that was rolled back: other bytes would be refused.
    pub fn of(terms: &'a Terms) -> Option<Self> {
        match terms.wire_version {
            WIRE_VERSION_PLAIN | WIRE_VERSION => Some(Self {
                terms,
                body: prepay_body(terms),
            }),
            _ => None,
        }
    }

    /// The terms it was made of.
    pub const fn terms(&self) -> &'a Terms {
        self.terms
    }

    /// The body's bytes.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    pub(super) const fn trade_type(&self) -> TradeType {
        self.terms.trade_type
    }
}

#[derive(Serialize)]
struct PrepayBody<'a> {
    #[serde(flatten)]
    parties: Parties<'a>,
    description: &'a str,
    out_trade_no: &'a str,
    time_expire: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    attach: Option<&'a str>,
    notify_url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    goods_tag: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    limit_pay: Vec<&'static str>,
    #[serde(skip_serializing_if = "is_false")]
    support_fapiao: bool,
    amount: AmountBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    payer: Option<PayerBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<DetailBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scene_info: Option<SceneBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settle_info: Option<SettleBody>,
}

const fn is_false(value: &bool) -> bool {
    !*value
}

/// Who sells, and in which app.
#[derive(Serialize)]
#[serde(untagged)]
enum Parties<'a> {
    Direct {
        appid: &'a str,
        mchid: &'a str,
    },
    Partner {
        sp_appid: &'a str,
        sp_mchid: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        sub_appid: Option<&'a str>,
        sub_mchid: &'a str,
    },
}

fn parties(terms: &Terms) -> Parties<'_> {
    let (appid, mchid) = (terms.appid.as_str(), terms.mchid.as_str());
    match &terms.sub_merchant {
        None => Parties::Direct { appid, mchid },
        Some(sub) => Parties::Partner {
            sp_appid: appid,
            sp_mchid: mchid,
            sub_appid: sub.appid.as_ref().map(Appid::as_str),
            sub_mchid: sub.mchid.as_str(),
        },
    }
}

#[derive(Serialize)]
struct AmountBody {
    total: i64,
    currency: &'static str,
}

/// The payer, by the openid of the app in which they pay.
#[derive(Serialize)]
enum PayerBody<'a> {
    #[serde(rename = "openid")]
    Direct(&'a str),
    #[serde(rename = "sp_openid")]
    Partner(&'a str),
    #[serde(rename = "sub_openid")]
    SubMerchant(&'a str),
}

#[derive(Serialize)]
struct SceneBody<'a> {
    payer_client_ip: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    store_info: Option<StoreBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    h5_info: Option<H5Body>,
}

#[derive(Serialize)]
struct SettleBody {
    profit_sharing: bool,
}

#[derive(Serialize)]
struct H5Body {
    r#type: &'static str,
}

fn prepay_body(terms: &Terms) -> Vec<u8> {
    let extras = &terms.extras;
    bytes(&PrepayBody {
        parties: parties(terms),
        description: &terms.description,
        out_trade_no: terms.order_id.as_str(),
        time_expire: rfc3339::format(terms.time_expire),
        attach: terms.attach.as_deref(),
        notify_url: &terms.notify_url,
        goods_tag: extras.goods_tag.as_deref(),
        limit_pay: extras
            .limit_pay
            .iter()
            .map(|limit| limit.as_str())
            .collect(),
        support_fapiao: extras.support_fapiao,
        amount: AmountBody {
            total: terms.total.get(),
            currency: CURRENCY,
        },
        payer: payer(terms),
        detail: detail(terms),
        scene_info: terms
            .payer_client_ip
            .as_deref()
            .map(|payer_client_ip| SceneBody {
                payer_client_ip,
                store_info: extras.store.clone().map(StoreBody::from),
                h5_info: match terms.trade_type {
                    TradeType::H5 => Some(H5Body { r#type: "Wap" }),
                    TradeType::Jsapi | TradeType::Native | TradeType::App => None,
                },
            }),
        settle_info: extras.profit_sharing.then_some(SettleBody {
            profit_sharing: true,
        }),
    })
}

/// What coupons are told of the articles: what the merchant said, or what the payer ordered, without the
/// names where they make it too long.
fn detail(terms: &Terms) -> Option<DetailBody> {
    if let Some(detail) = &terms.extras.detail {
        return Some(detail.clone().into());
    }
    if terms.wire_version == WIRE_VERSION_PLAIN {
        return None;
    }
    let detail = detail_of(&terms.items)?;
    let body = DetailBody::from(detail.clone());
    if body.sent_bytes() <= DETAIL_MAX {
        return Some(body);
    }
    let body = DetailBody::from(detail.without_names());
    (body.sent_bytes() <= DETAIL_MAX).then_some(body)
}

/// The payer is fixed for `jsapi` alone; other orders may be paid by whoever is shown them.
fn payer(terms: &Terms) -> Option<PayerBody<'_>> {
    let openid = match terms.trade_type {
        TradeType::Jsapi => terms.openid.as_ref(),
        TradeType::Native | TradeType::H5 | TradeType::App => None,
    };
    let openid = openid?.as_str();
    Some(match &terms.sub_merchant {
        None => PayerBody::Direct(openid),
        Some(SubMerchant { appid: None, .. }) => PayerBody::Partner(openid),
        Some(SubMerchant { appid: Some(_), .. }) => PayerBody::SubMerchant(openid),
    })
}

#[derive(Serialize)]
#[serde(untagged)]
enum CloseBody<'a> {
    Direct {
        mchid: &'a str,
    },
    Partner {
        sp_mchid: &'a str,
        sub_mchid: &'a str,
    },
}

/// The body of a close.
pub(super) fn close_body(payee: &Payee) -> Vec<u8> {
    let mchid = payee.mchid.as_str();
    bytes(&match &payee.sub_mchid {
        None => CloseBody::Direct { mchid },
        Some(sub_mchid) => CloseBody::Partner {
            sp_mchid: mchid,
            sub_mchid: sub_mchid.as_str(),
        },
    })
}

#[derive(Serialize)]
struct RefundBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_mchid: Option<&'a str>,
    out_trade_no: &'a str,
    out_refund_no: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    notify_url: &'a str,
    amount: RefundAmountBody,
}

#[derive(Serialize)]
struct RefundAmountBody {
    refund: i64,
    total: i64,
    currency: &'static str,
}

/// The body of a refund: the same refund gives the same bytes.
///
/// It names the payment by the order's number, which is in the record's key, and not by WeChat Pay's
/// number of the payment: that one was reported, so whoever may write down reports could make it another
/// order's, and a refund of this order would go to that one's payer.
pub(super) fn refund_body(refund: &Refund) -> Vec<u8> {
    bytes(&RefundBody {
        sub_mchid: refund.sub_mchid.as_ref().map(Mchid::as_str),
        out_trade_no: refund.order_id.as_str(),
        out_refund_no: refund.refund_id.as_str(),
        reason: refund.reason.as_deref(),
        notify_url: &refund.notify_url,
        amount: RefundAmountBody {
            refund: refund.amount.get(),
            total: refund.total.get(),
            currency: CURRENCY,
        },
    })
}

pub(super) fn bytes(body: &impl Serialize) -> Vec<u8> {
    // Structs of texts and numbers with text keys: there is nothing in them that JSON cannot say.
    serde_json::to_vec(body).unwrap_or_default()
}

#[derive(Deserialize)]
struct RefusalAnswer {
    code: Option<String>,
    message: Option<String>,
}

/// What an answer of this status that says no tells, whatever its body is; by itself a hint at most.
pub fn read_refusal(status: u16, body: &[u8]) -> Refusal {
    let said: Option<RefusalAnswer> = read(body).ok();
    let (code, message) = said.map_or((None, None), |said| (said.code, said.message));
    Refusal {
        status,
        code: clean_text(code),
        message: clean_text(message),
        request_id: None,
        absence: None,
        refund_absence: None,
    }
}

/// As much of a text of a refusal's as is kept: the log may show it.
fn clean_text(text: Option<String>) -> String {
    let text = text.unwrap_or_default();
    let letters = text.chars().filter(|letter| !letter.is_control());
    letters.take(REFUSAL_TEXT_MAX).collect()
}

/// A transaction as queries and payment notices tell it. Every field but two may be missing, and an
/// empty text counts as absent (docs/wechatpay.md, "Quirks").
#[derive(Deserialize)]
pub(super) struct TransactionAnswer {
    appid: Option<String>,
    mchid: Option<String>,
    out_trade_no: String,
    transaction_id: Option<String>,
    trade_state: String,
    success_time: Option<String>,
    attach: Option<String>,
    payer: Option<PayerAnswer>,
    amount: Option<AmountAnswer>,
    // Partner mode's names.
    sp_appid: Option<String>,
    sp_mchid: Option<String>,
    sub_appid: Option<String>,
    sub_mchid: Option<String>,
}

#[derive(Deserialize)]
struct PayerAnswer {
    openid: Option<String>,
    sp_openid: Option<String>,
    sub_openid: Option<String>,
}

#[derive(Deserialize)]
struct AmountAnswer {
    total: Option<i64>,
    currency: Option<String>,
    payer_total: Option<i64>,
}

/// How much of a refusal's code and of its message is kept, in characters.
const REFUSAL_TEXT_MAX: usize = 64;

/// How much of a state that is not known is told, in characters.
const STATE_MAX: usize = 32;

/// A text that could not be read as what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A part is missing, or not of its shape.
    #[error("{0} cannot be read")]
    Field(&'static str),
    /// An order's total is a number and no amount: zero, negative or beyond every bound.
    #[error("amount.total is no amount")]
    Amount,
    /// A merchant is named both as a direct one and as a partner, or a partner without its sub-merchant.
    #[error("the merchant is named in two ways, or by half")]
    Parties,
}

impl From<Unreadable> for CallError {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Field(what) => Self::unexpected(what),
            Unreadable::Amount => Self::unexpected("amount.total"),
            Unreadable::Parties => Self::unexpected("whose it is"),
        }
    }
}

/// Reads a JSON object in UTF-8; anything else that serde would take for one is refused, and so are
/// stray bytes inside fields that are skipped.
pub(super) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Unreadable> {
    if bytes.first() != Some(&b'{') {
        return Err(Unreadable::Field("the body"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Unreadable::Field("the body"))?;
    serde_json::from_str(text).map_err(|_| Unreadable::Field("the body"))
}

/// A state that is not known, as far as it is told.
pub(super) fn cut(state: &str) -> String {
    state.chars().take(STATE_MAX).collect()
}

fn present(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// Whose an answer is: the merchant, or the partner and the sub-merchant. Nothing else than one of the two
/// ways of naming them is read, so that no order of one mode is taken for one of the other.
fn payee(
    mchid: Option<String>,
    sp_mchid: Option<String>,
    sub_mchid: Option<String>,
) -> Result<(Option<Mchid>, Option<Mchid>), Unreadable> {
    let parsed = |mchid: String| Mchid::parse(mchid).map_err(|_| Unreadable::Field("mchid"));
    match (present(mchid), present(sp_mchid), present(sub_mchid)) {
        (mchid, None, None) => Ok((mchid.map(parsed).transpose()?, None)),
        (None, partner, Some(sub)) => Ok((partner.map(parsed).transpose()?, Some(parsed(sub)?))),
        (Some(_), _, _) | (None, Some(_), None) => Err(Unreadable::Parties),
    }
}

fn appid(appid: Option<String>) -> Result<Option<Appid>, Unreadable> {
    let parsed = present(appid).map(Appid::parse).transpose();
    parsed.map_err(|_| Unreadable::Field("appid"))
}

impl PayerAnswer {
    /// The payer's openid in the app in which the order was paid. A text that is none of an openid's shape
    /// names nobody.
    fn openid(self, names_sub_app: bool) -> Option<Openid> {
        let openid = if names_sub_app {
            self.sub_openid
        } else {
            self.openid.or(self.sp_openid)
        };
        Openid::parse(openid?).ok()
    }
}

impl TransactionAnswer {
    /// Whose it is: who signed for the order, and the sub-merchant.
    pub(super) fn named(&self) -> [Option<&str>; 2] {
        let mchid = self.mchid.as_deref().or(self.sp_mchid.as_deref());
        [mchid, self.sub_mchid.as_deref()]
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
        let names_sub_app = self
            .sub_appid
            .as_ref()
            .is_some_and(|appid| !appid.is_empty());
        let (mchid, sub_mchid) = payee(self.mchid, self.sp_mchid, self.sub_mchid)?;
        let state = match self.trade_state.as_str() {
            // USERPAYING belongs to code payment; it means that nothing is settled yet.
            "NOTPAY" | "USERPAYING" => TradeState::Unpaid,
            "CLOSED" => TradeState::Closed,
            "SUCCESS" | "REFUND" => TradeState::Paid(PaidReport {
                transaction_id: present(self.transaction_id)
                    .and_then(|text| TransactionId::parse(text).ok())
                    .ok_or(Unreadable::Field("transaction_id"))?,
                success_time: present(self.success_time).and_then(|text| rfc3339::parse(&text)),
                payer_total: amount.payer_total,
                openid: self.payer.and_then(|payer| payer.openid(names_sub_app)),
                attach: present(self.attach),
                refunded: self.trade_state == "REFUND",
            }),
            unknown => TradeState::Unknown(cut(unknown)),
        };
        Ok(OrderReport {
            order_id: OrderId::parse(self.out_trade_no)
                .map_err(|_| Unreadable::Field("out_trade_no"))?,
            mchid,
            appid: appid(match sub_mchid {
                None => self.appid,
                Some(_) => self.sp_appid,
            })?,
            sub_mchid,
            sub_appid: appid(self.sub_appid)?,
            total: amount
                .total
                .map(Fen::new)
                .transpose()
                .map_err(|_| Unreadable::Amount)?,
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
    sub_mchid: Option<String>,
}

#[derive(Deserialize)]
struct RefundAmountAnswer {
    total: i64,
    refund: i64,
}

impl RefundAnswer {
    /// As [`TransactionAnswer::named`].
    pub(super) fn named(&self) -> [Option<&str>; 2] {
        let mchid = self.mchid.as_deref().filter(|mchid| !mchid.is_empty());
        [
            mchid.or(self.sp_mchid.as_deref()),
            self.sub_mchid.as_deref(),
        ]
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
                at: self.success_time.as_deref().and_then(rfc3339::parse),
            },
            "CLOSED" => RefundStatus::Closed,
            "ABNORMAL" => RefundStatus::Abnormal,
            "" => return Err(Unreadable::Field("status")),
            unknown => RefundStatus::Unknown(cut(unknown)),
        };
        let (mchid, sub_mchid) = payee(self.mchid, self.sp_mchid, self.sub_mchid)?;
        Ok(RefundReport {
            refund_id: RefundId::parse(self.out_refund_no)
                .map_err(|_| Unreadable::Field("out_refund_no"))?,
            order_id: OrderId::parse(self.out_trade_no)
                .map_err(|_| Unreadable::Field("out_trade_no"))?,
            mchid,
            sub_mchid,
            transaction_id: TransactionId::parse(self.transaction_id)
                .map_err(|_| Unreadable::Field("transaction_id"))?,
            wechatpay_refund_id: WechatpayRefundId::parse(self.refund_id)
                .map_err(|_| Unreadable::Field("refund_id"))?,
            amount: Fen::new(self.amount.refund).map_err(|_| Unreadable::Field("amount.refund"))?,
            total: Fen::new(self.amount.total).map_err(|_| Unreadable::Field("amount.total"))?,
            status,
        })
    }
}
