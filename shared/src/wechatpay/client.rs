//! The client: signs, sends, and believes only what is signed.
//!
//! There is one retry layer and it is here: at most two attempts within the caller's time, each
//! signed afresh over the same bytes, only for calls that carry their own number, which all of these
//! do. A connection that could not be made goes to the backup host at once. After a long silence the
//! second attempt goes out beside the first, since WeChat Pay may be slow, or the connection dead: the
//! earlier answer counts, and a refusal only where neither brings one. A refund's POST is repeated only
//! if it was never sent: its caller asks before it sends again.

mod bill;
mod certificates;

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::select;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, USER_AGENT};
use tokio::time::{Instant, timeout};

use super::abnormal::AbnormalRefund;
use super::bare_answers::{Absence, Closed, RefundAbsence};
use super::certificates::PlatformCertificates;
use super::endpoints::Endpoints;
use super::error::{CallError, Refusal, UnknownCause, UnverifiedCause};
use super::keys::{Apiv3Keys, MerchantKey, PlatformKeys};
use super::prepaid::Prepaid;
use super::sign::authorization;
use super::verify::{SignatureHeaders, Signed, Verified, verify};
use super::wire::{self, PrepayRequest, RefundAnswer, TransactionAnswer};
use crate::clock::Clock;
use crate::domain::report::TradeState;
use crate::domain::terms::Payee;
use crate::domain::{
    Mchid, OrderId, OrderReport, Refund, RefundId, RefundReport, Timestamp, TradeType,
    TransactionId, WechatpayRefundId,
};
use crate::random;
use crate::transport::{Cause, Failure, POOL_IDLE, Transport};

pub use bill::{BillKind, BillOffer, DOWNLOAD_MAX, DownloadError, NoBill};

/// After which share of the caller's time a second attempt goes out beside a silent first one.
const SILENCE_SHARE: f64 = 0.6;

/// How large an answer may be, in bytes; WeChat Pay's are a few kilobytes.
const ANSWER_MAX: usize = 256 * 1024;

/// The pause before a second attempt, at most, in milliseconds.
const PAUSE_MS: u64 = 200;

/// The least time worth an attempt.
const ATTEMPT_MIN: Duration = Duration::from_millis(200);

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

/// Talks to WeChat Pay for one merchant, or for one sub-merchant of a partner.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Transport,
    endpoints: Endpoints,
    payee: Payee,
    /// When a connection was last opened or used; it is kept for a while.
    connected: Arc<Mutex<Option<Instant>>>,
}

/// Whether a request whose outcome is unknown may be sent again by the client itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Yes,
    /// Not after silence: what was sent may still arrive, and its answer would outdo the repeat's.
    IfAnswered,
    IfNotSent,
}

struct Question<'a> {
    method: Method,
    target: String,
    body: &'a [u8],
    repeat: Repeat,
    asks_for: AsksFor,
    /// Opens certificates whose own signature is believed besides the keys that are held.
    first_use: Option<&'a Apiv3Keys>,
}

/// What a question asks for by its number: an absence answers this and nothing else.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AsksFor {
    Order,
    Refund,
    Nothing,
}

/// An answer as it came over the wire.
struct Response {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// An answer with a 2xx whose signature held.
struct Answered {
    status: u16,
    verified: Verified<Vec<u8>>,
}

impl Client {
    /// A client for this merchant.
    pub fn new(transport: Transport, endpoints: Endpoints, payee: Payee) -> Self {
        Self {
            transport,
            endpoints,
            payee,
            connected: Arc::default(),
        }
    }

    /// Begins to open a connection, for who will ask soon and has something else to do before; nobody waits
    /// for it. Nothing is done while an earlier connection is kept.
    pub fn open(&self) {
        if !self.connected().is_some_and(|at| at.elapsed() < POOL_IDLE) {
            *self.connected() = Some(Instant::now());
            self.transport.open(self.endpoints.base());
        }
    }

    fn connected(&self) -> MutexGuard<'_, Option<Instant>> {
        let connected = self.connected.lock();
        connected.unwrap_or_else(PoisonError::into_inner)
    }

    /// Places an order; placing it again sends the same bytes and gives something payable again.
    ///
    /// # Errors
    /// A refusal does not mean that WeChat Pay does not know the order.
    pub async fn prepay(
        &self,
        call: &Call<'_>,
        request: &PrepayRequest<'_>,
    ) -> Result<Signed<Prepaid>, CallError> {
        let trade_type = request.trade_type();
        let is_partners = request.terms().sub_merchant.is_some();
        let question = Question {
            method: Method::POST,
            target: format!("{}/{}", transactions(is_partners), trade_type.as_str()),
            body: request.body(),
            // A Native code dies as soon as WeChat Pay makes a newer one, also one that nobody gets.
            repeat: match trade_type {
                TradeType::Native => Repeat::IfAnswered,
                TradeType::Jsapi | TradeType::H5 | TradeType::App => Repeat::Yes,
            },
            asks_for: AsksFor::Nothing,
            first_use: None,
        };
        let answered = self.ask(call, &question).await?;
        answered.read(|body| Prepaid::read(trade_type, body))
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
        let report = self
            .transaction(call, format!("out-trade-no/{order_id}"))
            .await?;
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
            .transaction(call, format!("id/{transaction_id}"))
            .await?;
        match &report.get().state {
            TradeState::Paid(paid) if paid.transaction_id == *transaction_id => Ok(report),
            TradeState::Paid(_)
            | TradeState::Unpaid
            | TradeState::Closed
            | TradeState::Unknown(_) => {
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
        let body = wire::close_body(&self.payee);
        let transactions = transactions(self.payee.sub_mchid.is_some());
        let question = Question {
            method: Method::POST,
            target: format!("{transactions}/out-trade-no/{order_id}/close"),
            body: &body,
            repeat: Repeat::Yes,
            asks_for: AsksFor::Nothing,
            first_use: None,
        };
        let answered = self.ask(call, &question).await?;
        if answered.status == 204 {
            answered.verified.read(|_| Ok(Closed))
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
        refund: &Refund,
    ) -> Result<Signed<RefundReport>, CallError> {
        let target = "/v3/refund/domestic/refunds".to_owned();
        let body = wire::refund_body(refund);
        self.send_refund(call, refund, target, &body).await
    }

    /// Applies for the end of an abnormal refund, by WeChat Pay's own number of it. WeChat Pay takes one
    /// application only, since the refund is not abnormal afterwards.
    ///
    /// # Errors
    /// As [`Self::refund`]; also where a text is too long for the key that encrypts it.
    pub async fn apply_abnormal(
        &self,
        call: &Call<'_>,
        refund: &Refund,
        known_as: &WechatpayRefundId,
        application: &AbnormalRefund,
    ) -> Result<Signed<RefundReport>, CallError> {
        let body = application
            .body(refund, &call.keys.platform)
            .map_err(|_| CallError::unexpected("a key that cannot encrypt the application"))?;
        let known_as = known_as.as_str();
        let target = format!("/v3/refund/domestic/refunds/{known_as}/apply-abnormal-refund");
        self.send_refund(call, refund, target, &body).await
    }

    /// Sends what moves a refund's money: never again once it may have arrived.
    async fn send_refund(
        &self,
        call: &Call<'_>,
        refund: &Refund,
        target: String,
        body: &[u8],
    ) -> Result<Signed<RefundReport>, CallError> {
        let question = Question {
            method: Method::POST,
            target,
            body,
            repeat: Repeat::IfNotSent,
            asks_for: AsksFor::Nothing,
            first_use: None,
        };
        let report = self.ask(call, &question).await?.read(refund_report)?;
        let reported = report.get();
        if reported.refund_id != refund.refund_id
            || reported.transaction_id != refund.transaction_id
            || reported.amount != refund.amount
            || reported.total != refund.total
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
        sub_mchid: Option<&Mchid>,
    ) -> Result<Signed<RefundReport>, CallError> {
        let whose = match sub_mchid {
            None => String::new(),
            Some(sub_mchid) => format!("?sub_mchid={sub_mchid}"),
        };
        let question = Question {
            method: Method::GET,
            target: format!("/v3/refund/domestic/refunds/{refund_id}{whose}"),
            body: b"",
            repeat: Repeat::Yes,
            asks_for: AsksFor::Refund,
            first_use: None,
        };
        let report = self.ask(call, &question).await?.read(refund_report)?;
        if report.get().refund_id != *refund_id {
            return Err(CallError::unexpected("an answer about another refund"));
        }
        Ok(report)
    }

    async fn transaction(
        &self,
        call: &Call<'_>,
        named: String,
    ) -> Result<Signed<OrderReport>, CallError> {
        let Payee { mchid, sub_mchid } = &self.payee;
        let transactions = transactions(sub_mchid.is_some());
        let whose = match sub_mchid {
            None => format!("mchid={mchid}"),
            Some(sub_mchid) => format!("sp_mchid={mchid}&sub_mchid={sub_mchid}"),
        };
        let question = Question {
            method: Method::GET,
            target: format!("{transactions}/{named}?{whose}"),
            body: b"",
            repeat: Repeat::Yes,
            asks_for: AsksFor::Order,
            first_use: None,
        };
        let report = self.ask(call, &question).await?.read(order_report)?;
        let reported = report.get();
        let other_merchant = reported.mchid.as_ref().is_some_and(|said| said != mchid);
        let other_sub = (reported.mchid.is_some() || reported.sub_mchid.is_some())
            && reported.sub_mchid != *sub_mchid;
        if other_merchant || other_sub {
            return Err(CallError::unexpected(
                "an answer about another merchant's order",
            ));
        }
        Ok(report)
    }

    /// Asks until there is an answer, the second attempt failed or the time is over.
    async fn ask(&self, call: &Call<'_>, question: &Question<'_>) -> Result<Answered, CallError> {
        let mut refused = None;
        let attempts = self.attempts(call, question, &mut refused);
        let asked = timeout(call.time_left, attempts).await;
        let timed_out = CallError::Unknown(UnknownCause::Timeout);
        asked.unwrap_or_else(|_| Err(refused.unwrap_or(timed_out)))
    }

    /// What one attempt is refused stands in `refused` while another may still bring an answer.
    async fn attempts(
        &self,
        call: &Call<'_>,
        question: &Question<'_>,
        refused: &mut Option<CallError>,
    ) -> Result<Answered, CallError> {
        // A timer, not a clock reading: what is measured is how long this call takes.
        let started = Instant::now();
        let base = self.endpoints.base();
        let mut first = pin!(self.attempt(call, question, base));
        let silence = call.time_left.mul_f64(SILENCE_SHARE);
        let asked = if question.repeat == Repeat::Yes && call.time_left >= silence + ATTEMPT_MIN {
            match timeout(silence, first.as_mut()).await {
                Ok(asked) => asked,
                // A connection that died unnoticed stays silent for ever, a slow answer still comes.
                Err(_) => {
                    let second = pin!(self.attempt(call, question, base));
                    return either(first, second, refused).await;
                }
            }
        } else {
            first.await
        };
        let error = match asked {
            Ok(answered) => return Ok(answered),
            Err(error) => error,
        };
        let (host, pause) = if matches!(error, CallError::Unknown(UnknownCause::Unreachable)) {
            (self.endpoints.backup(), Duration::ZERO)
        } else {
            (base, random::jitter(PAUSE_MS))
        };
        let left = call.time_left.saturating_sub(started.elapsed());
        if !is_worth_another(&error, question.repeat) || left < pause + ATTEMPT_MIN {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        self.attempt(call, question, host).await
    }

    async fn attempt(
        &self,
        call: &Call<'_>,
        question: &Question<'_>,
        host: &str,
    ) -> Result<Answered, CallError> {
        let response = self.send(call, question, host).await?;
        let (keys, now) = (&call.keys.platform, call.clock.wall());
        let own = question.first_use.and_then(|apiv3_keys| {
            // What does not open is judged by the keys that are held, as everything else.
            let opened = PlatformCertificates::open(&response.body, apiv3_keys).ok()?;
            Some(opened.added_to(PlatformKeys::clone(keys), call.clock.business()))
        });
        judged(
            response,
            question.asks_for,
            own.as_ref().unwrap_or(keys),
            now,
        )
    }

    async fn send(
        &self,
        call: &Call<'_>,
        question: &Question<'_>,
        host: &str,
    ) -> Result<Response, CallError> {
        let authorization = authorization(
            &call.keys.merchant,
            &self.payee.mchid,
            question.method.as_str(),
            &question.target,
            call.clock.wall(),
            &random::nonce(),
            question.body,
        );
        let url = format!("{host}{}", question.target);
        let mut request = self
            .transport
            .request(question.method.clone(), url)
            .header(AUTHORIZATION, authorization)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, AGENT);
        if !call.keys.platform.is_none() {
            request = request.header("Wechatpay-Serial", call.keys.platform.newest_id());
        }
        if question.method == Method::POST {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(question.body.to_vec());
        }
        let unknown = |failure| CallError::Unknown(cause_of(&failure));
        let mut answer = self.transport.send(request).await.map_err(unknown)?;
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
        *self.connected() = Some(Instant::now());
        Ok(Response {
            status: answer.status().as_u16(),
            headers: std::mem::take(answer.headers_mut()),
            body,
        })
    }
}

impl Response {
    /// A header that was sent exactly once.
    fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next()?;
        if values.next().is_some() {
            None
        } else {
            first.to_str().ok()
        }
    }

    fn verified(
        self,
        keys: &PlatformKeys,
        now: Timestamp,
    ) -> Result<Verified<Vec<u8>>, UnverifiedCause> {
        let headers = SignatureHeaders::parse(|name| self.header(name))?;
        Ok(verify(keys, &headers, self.body, now)?)
    }
}

impl Answered {
    /// Reads the body of a 200; a 202 or 204 is no answer to a question.
    fn read<T>(
        &self,
        read: impl FnOnce(&[u8]) -> Result<T, CallError>,
    ) -> Result<Signed<T>, CallError> {
        if self.status == 200 {
            self.verified.read(read)
        } else {
            Err(CallError::unexpected("a 2xx that is not 200"))
        }
    }
}

/// The answer of the earlier of two attempts that has one, else what one of them is refused. A refusal
/// waits for the other attempt: an order that was placed may be refused a moment later, and "no such
/// order" is answered now and then of orders that are there.
async fn either<A>(
    first: A,
    second: A,
    refused: &mut Option<CallError>,
) -> Result<Answered, CallError>
where
    A: Future<Output = Result<Answered, CallError>> + Unpin,
{
    let (asked, other) = select(first, second).await.factor_first();
    match asked {
        Ok(answered) => return Ok(answered),
        Err(CallError::Unknown(_)) => {}
        Err(error @ CallError::Refused(_)) => *refused = Some(error),
    }
    other.await.map_err(|error| refused.take().unwrap_or(error))
}

/// Whether a call that brought no answer is made again.
fn is_worth_another(error: &CallError, repeat: Repeat) -> bool {
    match error {
        CallError::Refused(_) => false,
        CallError::Unknown(cause) => match cause {
            UnknownCause::Unreachable => true,
            UnknownCause::Timeout | UnknownCause::Broken => repeat == Repeat::Yes,
            UnknownCause::ServerError { .. } | UnknownCause::Unverified(_) => {
                repeat != Repeat::IfNotSent
            }
            // More requests are not what helps, and a strange answer stays one.
            UnknownCause::RateLimited | UnknownCause::Unexpected { .. } => false,
        },
    }
}

/// What an answer amounts to: something said, a refusal, or nothing that can be believed.
fn judged(
    response: Response,
    asks_for: AsksFor,
    keys: &PlatformKeys,
    now: Timestamp,
) -> Result<Answered, CallError> {
    let status = response.status;
    match status {
        200 | 202 | 204 => match response.verified(keys, now) {
            Ok(verified) => Ok(Answered { status, verified }),
            Err(cause) => Err(CallError::Unknown(UnknownCause::Unverified(cause))),
        },
        429 => Err(CallError::Unknown(UnknownCause::RateLimited)),
        400..=499 => Err(CallError::Refused(refusal(response, asks_for, keys, now))),
        500..=599 => Err(CallError::Unknown(UnknownCause::ServerError { status })),
        _ => Err(CallError::unexpected("a status that is not known")),
    }
}

/// A refusal is a hint at most; only a signed one can be an absence.
fn refusal(response: Response, asks_for: AsksFor, keys: &PlatformKeys, now: Timestamp) -> Refusal {
    let status = response.status;
    let request_id = response
        .header("request-id")
        .map(|id| id.chars().take(64).collect());
    let said = wire::read_refusal(status, &response.body);
    let signed = response.verified(keys, now).ok();
    let (absence, refund_absence) = match (&signed, asks_for) {
        (Some(signed), AsksFor::Order) => (Absence::read(signed, status, &said.code), None),
        (Some(signed), AsksFor::Refund) => (None, RefundAbsence::read(signed, status, &said.code)),
        (Some(_), AsksFor::Nothing) | (None, _) => (None, None),
    };
    Refusal {
        request_id,
        absence,
        refund_absence,
        ..said
    }
}

/// The path of orders, in the mode of their merchant.
const fn transactions(is_partners: bool) -> &'static str {
    if is_partners {
        "/v3/pay/partner/transactions"
    } else {
        "/v3/pay/transactions"
    }
}

fn order_report(body: &[u8]) -> Result<OrderReport, CallError> {
    let answer: TransactionAnswer = wire::read(body)?;
    Ok(answer.report()?)
}

fn refund_report(body: &[u8]) -> Result<RefundReport, CallError> {
    let answer: RefundAnswer = wire::read(body)?;
    Ok(answer.report()?)
}

/// What became of a request that brought no answer.
fn cause_of(failure: &Failure) -> UnknownCause {
    match failure.cause() {
        Cause::Unreachable => UnknownCause::Unreachable,
        Cause::TimedOut => UnknownCause::Timeout,
        Cause::Broken | Cause::Unbuildable => UnknownCause::Broken,
    }
}
