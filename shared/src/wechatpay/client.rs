//! The client: signs, sends, and believes only what is signed.
//!
//! There is one retry layer and it is here: at most [`ATTEMPTS_MAX`] attempts within the caller's
//! time, each signed afresh over the same bytes, only for calls that carry their own number, which
//! all of these do. A connection that could not be made goes to the backup host at once. A refund's
//! POST is repeated only if it was never sent: its caller asks before it sends again.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use tokio::time::timeout;

use super::Signed;
use super::endpoints::Endpoints;
use super::error::{CallError, Refusal, UnknownCause};
use super::keys::{MerchantKey, PlatformKeys};
use super::sign::authorization;
use super::verify::{SignatureHeaders, verify};
use super::wire::{
    self, CloseBody, PrepaidAnswer, RefundAmountBody, RefundAnswer, RefundBody, RefusalAnswer,
    TransactionAnswer,
};
use crate::clock::Clock;
use crate::domain::order::CURRENCY;
use crate::domain::{Fen, OrderId, OrderReport, RefundId, RefundReport, TradeType, TransactionId};
use crate::random;

/// How many attempts one call makes at most.
pub const ATTEMPTS_MAX: u32 = 2;

/// How large an answer may be, in bytes; WeChat Pay's are a few kilobytes.
const ANSWER_MAX: usize = 256 * 1024;

/// The pause before a second attempt, at most, in milliseconds.
const PAUSE_MS: u64 = 200;

/// The least time worth an attempt.
const ATTEMPT_MIN: Duration = Duration::from_millis(200);

/// How long a `prepay_id` may be (DOC 4012791856).
const PREPAY_ID_MAX: usize = 64;

/// How long a `code_url` or `h5_url` may be; no limit is published, and a QR code holds more.
const URL_MAX: usize = 512;

const AGENT: &str = concat!("wxpay-serverless/", env!("CARGO_PKG_VERSION"));

/// The keys of a call; they are read anew from time to time, so each call brings its own.
#[derive(Clone, Debug)]
pub struct Keys {
    /// What signs.
    pub merchant: Arc<MerchantKey>,
    /// What answers are checked with.
    pub platform: Arc<PlatformKeys>,
}

/// What a call brings besides its question.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The keys.
    pub keys: &'a Keys,
    /// The wall clock of signatures.
    pub clock: &'a Clock,
    /// How long all attempts together may take.
    pub time_left: Duration,
}

/// What an order was answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prepaid {
    /// For `jsapi` and `app`; good for two hours.
    PrepayId(String),
    /// For `native`; good for two hours, and dead as soon as a newer one is given.
    CodeUrl(String),
    /// For `h5`; good for five minutes.
    H5Url(String),
}

/// WeChat Pay's 204 to a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// A refund as it is sent; the same fields give the same bytes.
#[derive(Clone, Copy, Debug)]
pub struct RefundRequest<'a> {
    /// The payment it gives back from.
    pub transaction_id: &'a TransactionId,
    /// Its number.
    pub refund_id: &'a RefundId,
    /// Shown to the payer.
    pub reason: Option<&'a str>,
    /// Where the notice goes.
    pub notify_url: &'a str,
    /// What is given back.
    pub refund: Fen,
    /// The order's total.
    pub total: Fen,
}

impl RefundRequest<'_> {
    /// The body's bytes.
    pub fn body(&self) -> Vec<u8> {
        wire::bytes(&RefundBody {
            transaction_id: self.transaction_id.as_str(),
            out_refund_no: self.refund_id.as_str(),
            reason: self.reason,
            notify_url: self.notify_url,
            amount: RefundAmountBody {
                refund: self.refund.get(),
                total: self.total.get(),
                currency: CURRENCY,
            },
        })
    }
}

/// Talks to WeChat Pay for one merchant.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    endpoints: Endpoints,
    mchid: String,
}

/// Whether a request whose fate is unknown may be sent again by the client itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Yes,
    IfNotSent,
}

struct Question<'a> {
    method: Method,
    target: String,
    body: &'a [u8],
    repeat: Repeat,
}

/// An answer with a 2xx whose signature held.
struct Answered {
    status: u16,
    body: Vec<u8>,
}

impl Client {
    /// A client for the merchant `mchid`.
    pub const fn new(http: reqwest::Client, endpoints: Endpoints, mchid: String) -> Self {
        Self {
            http,
            endpoints,
            mchid,
        }
    }

    /// Places an order with these bytes (`wire::PrepayRequest::body`); placing it again with the same
    /// bytes gives something payable again.
    ///
    /// # Errors
    /// A refusal does not mean that WeChat Pay does not know the order.
    pub async fn prepay(
        &self,
        call: &Call<'_>,
        trade_type: TradeType,
        body: &[u8],
    ) -> Result<Signed<Prepaid>, CallError> {
        let target = format!("/v3/pay/transactions/{}", trade_type.as_str());
        let answered = self
            .ask(
                call,
                &Question {
                    method: Method::POST,
                    target,
                    body,
                    repeat: Repeat::Yes,
                },
            )
            .await?;
        let answer: PrepaidAnswer = wire::read(answered.ok_body()?)?;
        let prepaid = match trade_type {
            TradeType::Jsapi | TradeType::App => {
                let prepay_id = parse_token(answer.prepay_id, PREPAY_ID_MAX, |byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
                });
                prepay_id.map(Prepaid::PrepayId)
            }
            TradeType::Native => {
                parse_token(answer.code_url, URL_MAX, |byte| byte.is_ascii_graphic())
                    .filter(|url| url.starts_with("weixin://"))
                    .map(Prepaid::CodeUrl)
            }
            TradeType::H5 => parse_token(answer.h5_url, URL_MAX, |byte| byte.is_ascii_graphic())
                .filter(|url| url.starts_with("https://") || url.starts_with("http://"))
                .map(Prepaid::H5Url),
        };
        prepaid
            .map(Signed)
            .ok_or(CallError::unexpected("an order's answer without its id"))
    }

    /// Asks about an order by its number.
    ///
    /// # Errors
    /// Also where the answer is about another order or merchant.
    pub async fn query_order(
        &self,
        call: &Call<'_>,
        order_id: &OrderId,
    ) -> Result<Signed<OrderReport>, CallError> {
        let path = format!("/v3/pay/transactions/out-trade-no/{order_id}");
        let report = self.transaction(call, path).await?;
        if report.get().order_id != *order_id {
            return Err(CallError::unexpected("an answer about another order"));
        }
        Ok(report)
    }

    /// Asks about a payment by WeChat Pay's number of it.
    ///
    /// # Errors
    /// Also where the answer is about another payment or merchant.
    pub async fn query_transaction(
        &self,
        call: &Call<'_>,
        transaction_id: &TransactionId,
    ) -> Result<Signed<OrderReport>, CallError> {
        let report = self
            .transaction(call, format!("/v3/pay/transactions/id/{transaction_id}"))
            .await?;
        match &report.get().state {
            crate::domain::report::TradeState::Paid(paid)
                if paid.transaction_id == *transaction_id =>
            {
                Ok(report)
            }
            crate::domain::report::TradeState::Paid(_)
            | crate::domain::report::TradeState::Unpaid
            | crate::domain::report::TradeState::Closed
            | crate::domain::report::TradeState::Unknown(_) => {
                Err(CallError::unexpected("an answer about another payment"))
            }
        }
    }

    /// Closes an unpaid order; closing it again succeeds again.
    ///
    /// # Errors
    /// Everything but a signed 204, a 202 too: that is not closed.
    pub async fn close(
        &self,
        call: &Call<'_>,
        order_id: &OrderId,
    ) -> Result<Signed<Closed>, CallError> {
        let target = format!("/v3/pay/transactions/out-trade-no/{order_id}/close");
        let body = wire::bytes(&CloseBody { mchid: &self.mchid });
        let question = Question {
            method: Method::POST,
            target,
            body: &body,
            repeat: Repeat::Yes,
        };
        let answered = self.ask(call, &question).await?;
        if answered.status == 204 {
            Ok(Signed(Closed))
        } else {
            Err(CallError::unexpected(
                "a close that was not answered with 204",
            ))
        }
    }

    /// Sends a refund; the same number with the same bytes refunds once however often it is sent.
    ///
    /// # Errors
    /// Also where the answer is about another refund, order, payment or amount.
    pub async fn refund(
        &self,
        call: &Call<'_>,
        request: &RefundRequest<'_>,
    ) -> Result<Signed<RefundReport>, CallError> {
        let body = request.body();
        let target = "/v3/refund/domestic/refunds".to_owned();
        let question = Question {
            method: Method::POST,
            target,
            body: &body,
            repeat: Repeat::IfNotSent,
        };
        let report = refund_report(&self.ask(call, &question).await?)?;
        let told = report.get();
        if told.refund_id != *request.refund_id
            || told.transaction_id != *request.transaction_id
            || told.amount != request.refund
            || told.total != request.total
        {
            return Err(CallError::unexpected("an answer about another refund"));
        }
        Ok(report)
    }

    /// Asks about a refund by its number.
    ///
    /// # Errors
    /// Also where the answer is about another refund.
    pub async fn query_refund(
        &self,
        call: &Call<'_>,
        refund_id: &RefundId,
    ) -> Result<Signed<RefundReport>, CallError> {
        let target = format!("/v3/refund/domestic/refunds/{refund_id}");
        let question = Question {
            method: Method::GET,
            target,
            body: b"",
            repeat: Repeat::Yes,
        };
        let report = refund_report(&self.ask(call, &question).await?)?;
        if report.get().refund_id != *refund_id {
            return Err(CallError::unexpected("an answer about another refund"));
        }
        Ok(report)
    }

    async fn transaction(
        &self,
        call: &Call<'_>,
        path: String,
    ) -> Result<Signed<OrderReport>, CallError> {
        let target = format!("{path}?mchid={}", self.mchid);
        let question = Question {
            method: Method::GET,
            target,
            body: b"",
            repeat: Repeat::Yes,
        };
        let answered = self.ask(call, &question).await?;
        let answer: TransactionAnswer = wire::read(answered.ok_body()?)?;
        if answer.is_partners() {
            return Err(CallError::unexpected("an answer about a partner's order"));
        }
        let report = answer.report()?;
        if report
            .mchid
            .as_ref()
            .is_some_and(|mchid| *mchid != self.mchid)
        {
            return Err(CallError::unexpected(
                "an answer about another merchant's order",
            ));
        }
        Ok(Signed(report))
    }

    /// Asks until there is an answer, the attempts are used up or the time is.
    async fn ask(&self, call: &Call<'_>, question: &Question<'_>) -> Result<Answered, CallError> {
        // A timer, not a clock reading: what is measured is how long this call takes.
        let started = tokio::time::Instant::now();
        let mut host = self.endpoints.base();
        for attempt in 1.. {
            let left = call.time_left.saturating_sub(started.elapsed());
            // The first attempt leaves time for a second one, where one may follow a silence.
            let may_follow = attempt < ATTEMPTS_MAX && question.repeat == Repeat::Yes;
            let share = if may_follow { left.mul_f64(0.6) } else { left };
            let asked = match timeout(share, self.attempt(call, question, host)).await {
                Ok(asked) => asked,
                Err(_) => Err(CallError::Unknown(UnknownCause::Timeout)),
            };
            let error = match asked {
                Ok(answered) => return Ok(answered),
                Err(error) => error,
            };
            let not_sent = matches!(error, CallError::Unknown(UnknownCause::Unreachable));
            let worth_it = match &error {
                CallError::Refused(_) => false,
                CallError::Unknown(cause) => match cause {
                    UnknownCause::Unreachable => true,
                    UnknownCause::Timeout
                    | UnknownCause::Broken
                    | UnknownCause::ServerError { .. }
                    | UnknownCause::Unverified { .. } => question.repeat == Repeat::Yes,
                    // More requests are not what helps, and a strange answer stays one.
                    UnknownCause::RateLimited | UnknownCause::Unexpected { .. } => false,
                },
            };
            let pause = if not_sent {
                Duration::ZERO
            } else {
                random::jitter(PAUSE_MS)
            };
            let left = call.time_left.saturating_sub(started.elapsed());
            if !worth_it || attempt >= ATTEMPTS_MAX || left < pause + ATTEMPT_MIN {
                return Err(error);
            }
            if not_sent {
                host = self.endpoints.backup();
            }
            tokio::time::sleep(pause).await;
        }
        Err(CallError::Unknown(UnknownCause::Timeout))
    }

    async fn attempt(
        &self,
        call: &Call<'_>,
        question: &Question<'_>,
        host: &str,
    ) -> Result<Answered, CallError> {
        let now = call.clock.wall();
        let authorization = authorization(
            &call.keys.merchant,
            &self.mchid,
            question.method.as_str(),
            &question.target,
            now,
            &random::nonce(),
            question.body,
        );
        let mut request = self
            .http
            .request(
                question.method.clone(),
                format!("{host}{}", question.target),
            )
            .header(AUTHORIZATION, authorization)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, AGENT)
            .header("Wechatpay-Serial", call.keys.platform.newest_id());
        if question.method == Method::POST {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(question.body.to_vec());
        }
        let mut answer = request
            .send()
            .await
            .map_err(|error| CallError::Unknown(cause_of(&error)))?;
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = answer
            .chunk()
            .await
            .map_err(|_| CallError::Unknown(UnknownCause::Broken))?
        {
            if body.len() + chunk.len() > ANSWER_MAX {
                return Err(CallError::unexpected("an answer that is too large"));
            }
            body.extend_from_slice(&chunk);
        }
        let header = |name: &str| {
            let mut values = answer.headers().get_all(name).iter();
            let first = values.next()?;
            if values.next().is_some() {
                None
            } else {
                first.to_str().ok()
            }
        };
        let verified = SignatureHeaders::parse(header)
            .map_err(|error| error.to_string())
            .and_then(|headers| {
                verify(&call.keys.platform, &headers, &body, call.clock.wall())
                    .map(|_| ())
                    .map_err(|error| error.to_string())
            });
        match status {
            200 | 202 | 204 => match verified {
                Ok(()) => Ok(Answered { status, body }),
                Err(reason) => Err(CallError::Unknown(UnknownCause::Unverified { reason })),
            },
            429 => Err(CallError::Unknown(UnknownCause::RateLimited)),
            400..=499 => {
                let told: Option<RefusalAnswer> = wire::read(&body).ok();
                let (code, message) = told.map_or((None, None), |told| (told.code, told.message));
                Err(CallError::Refused(Refusal {
                    status,
                    code: clean_text(code),
                    message: clean_text(message),
                    signed: verified.is_ok(),
                    request_id: header("request-id").map(|id| id.chars().take(64).collect()),
                }))
            }
            500..=599 => Err(CallError::Unknown(UnknownCause::ServerError { status })),
            _ => Err(CallError::unexpected("a status that is not known")),
        }
    }
}

impl Answered {
    /// The body of a 200; a 202 or 204 is no answer to a question.
    fn ok_body(&self) -> Result<&[u8], CallError> {
        if self.status == 200 {
            Ok(&self.body)
        } else {
            Err(CallError::unexpected("a 2xx that is not 200"))
        }
    }
}

fn refund_report(answered: &Answered) -> Result<Signed<RefundReport>, CallError> {
    let answer: RefundAnswer = wire::read(answered.ok_body()?)?;
    if answer.is_partners() {
        return Err(CallError::unexpected("an answer about a partner's refund"));
    }
    Ok(Signed(answer.report()?))
}

/// What became of a request that brought no answer.
fn cause_of(error: &reqwest::Error) -> UnknownCause {
    if error.is_connect() {
        UnknownCause::Unreachable
    } else if error.is_timeout() {
        UnknownCause::Timeout
    } else {
        UnknownCause::Broken
    }
}

fn parse_token(text: Option<String>, most: usize, legal: fn(&u8) -> bool) -> Option<String> {
    text.filter(|text| (1..=most).contains(&text.len()) && text.as_bytes().iter().all(legal))
}

fn clean_text(text: Option<String>) -> String {
    text.map(|text| {
        text.chars()
            .filter(|letter| !letter.is_control())
            .take(64)
            .collect()
    })
    .unwrap_or_default()
}
