//! What an order is paid with: asked for by one caller at a time, and kept for repeats.
//!
//! WeChat Pay answers a repeated Native order with a new `code_url`, and the old one, which may be on a
//! screen already, stops working (docs/wechatpay.md, "Repeats"). So a code is stored and repeated while
//! it is good. Of the other trade types each repeat gives something payable, and costs a call; so what
//! one repeat was given answers the others for two seconds. A first order stores nothing of this: most
//! are never repeated.

use std::time::Duration;

use fast_qr::convert::svg::SvgBuilder;
use fast_qr::qr::QRBuilder;
use serde_json::{Value, json};
use shared::api::{Code, Incoming, Problem, sealed};
use shared::clock::Clock;
use shared::domain::{Order, OrderId, TradeType};
use shared::random;
use shared::settling_client::SettlingError;
use shared::store::{Commit, KeptPrepay, PrepayClaim, StoredOrder};
use shared::telemetry::LogLine;
use shared::wechatpay::{CallError, PayParameters, PrepayRequest, UnknownCause};

use crate::{CreateOrder, Pay, handed_out};

/// How long a request waits for another one's answer from WeChat Pay, at most.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// How often the table is looked at while waiting, in milliseconds.
const LOOK_EVERY_MS: u64 = 150;

/// How long what WeChat Pay gave is repeated, in seconds. Its codes are good for two hours, and whoever
/// is shown one still needs minutes to pay. Of the others two seconds are enough to make a burst of
/// repeats cheap, and short enough for a repeat to find out that the order was paid.
const fn good_seconds(trade_type: TradeType) -> i64 {
    match trade_type {
        TradeType::Native => 110 * 60,
        TradeType::Jsapi | TradeType::H5 | TradeType::App => 2,
    }
}

/// How long a claim holds, in seconds. Of a code: longer than this function may run, so that it ends
/// only when its holder is gone, since a second asker would kill the first one's code. Of the others a
/// second asker costs a call and nothing else.
const fn claim_seconds(trade_type: TradeType) -> i64 {
    match trade_type {
        TradeType::Native => 12,
        TradeType::Jsapi | TradeType::H5 | TradeType::App => 2,
    }
}

/// The claim that goes into the table with a new order: with a code's alone, so that the first order of
/// another trade type costs no write more.
pub(crate) fn claim(order: &Order, attempt: &str, clock: &Clock) -> Option<PrepayClaim> {
    match order.terms.trade_type {
        TradeType::Native => Some(claim_of(TradeType::Native, attempt, clock)),
        TradeType::Jsapi | TradeType::H5 | TradeType::App => None,
    }
}

fn claim_of(trade_type: TradeType, token: &str, clock: &Clock) -> PrepayClaim {
    PrepayClaim {
        token: token.to_owned(),
        until: clock.wall().plus_seconds(claim_seconds(trade_type)),
    }
}

/// The code as it is handed out: its text, and as a picture.
pub(crate) fn shown(code_url: &str) -> Value {
    // A code_url has at most 512 characters (checked when read), far below what a QR code holds.
    let svg = QRBuilder::new(code_url)
        .build()
        .map(|code| SvgBuilder::default().to_str(&code));
    json!({"code_url": code_url, "qr_svg": svg.unwrap_or_default()})
}

impl CreateOrder {
    /// What the order is paid with: what is kept while that is good, else new, asked for by one caller
    /// at a time. `attempt` is given where this request has just placed the order.
    pub(crate) async fn prepaid(
        &self,
        stored: &StoredOrder,
        request: &PrepayRequest<'_>,
        attempt: Option<&str>,
        incoming: &Incoming,
        line: &mut LogLine,
    ) -> Result<Pay, SettlingError> {
        match (attempt, &stored.prepay_claim) {
            (Some(attempt), Some(claim)) if claim.token == attempt => {
                self.ask_and_keep(request, claim, incoming).await
            }
            (Some(_), None) => {
                let pay = self.settling_client.prepay(request, &incoming.deadline);
                Ok(Pay::Ready(handed_out(&pay.await?)))
            }
            (Some(_), Some(_)) | (None, _) => self.repeated(stored, request, incoming, line).await,
        }
    }

    /// What a repeat is answered with.
    async fn repeated(
        &self,
        stored: &StoredOrder,
        request: &PrepayRequest<'_>,
        incoming: &Incoming,
        line: &mut LogLine,
    ) -> Result<Pay, SettlingError> {
        let clock = &self.process.clock;
        let terms = request.terms();
        let mut latest = stored.clone();
        let wait = incoming.deadline.left(clock, WAIT_MAX);
        let mut waited = Duration::ZERO;
        loop {
            if !latest.order.is_payable(clock.business()) {
                return Ok(Pay::NoLonger);
            }
            let good_since = clock
                .business()
                .minus_seconds(good_seconds(terms.trade_type));
            if let Some(kept) = latest.code.take()
                && kept.at > good_since
                && let Some(given) = self.opened(&terms.order_id, terms.trade_type, kept).await?
            {
                line.field("code", "stored");
                let pay = self.settling_client.pay_again(terms, given).await?;
                return Ok(Pay::Ready(handed_out(&pay)));
            }
            let claim = claim_of(terms.trade_type, &random::token(), clock);
            let now = clock.wall();
            let claimed = self.orders.claim_prepay(
                &terms.order_id,
                terms.trade_type,
                &claim,
                good_since,
                now,
            );
            if claimed.await? == Commit::Done {
                return self.ask_and_keep(request, &claim, incoming).await;
            }
            if waited >= wait {
                return Ok(self.pending(latest.prepay_claim.as_ref()));
            }
            let pause = random::jitter(LOOK_EVERY_MS);
            tokio::time::sleep(pause).await;
            waited += pause;
            match self.orders.load(&terms.order_id).await? {
                Some(now) => latest = now,
                None => return Ok(Pay::NoLonger),
            }
        }
    }

    /// Asks WeChat Pay under the claim, and keeps what it gives for repeats.
    async fn ask_and_keep(
        &self,
        request: &PrepayRequest<'_>,
        claim: &PrepayClaim,
        incoming: &Incoming,
    ) -> Result<Pay, SettlingError> {
        let terms = request.terms();
        let asked_at = self.process.clock.business();
        let prepay = self.settling_client.prepay(request, &incoming.deadline);
        let pay = match prepay.await {
            Ok(pay) => pay,
            Err(SettlingError::Call(error)) if may_still_arrive(&error) => {
                // A code may still come to be, and would kill the next one. The claim ends by itself
                // when that can no longer happen.
                return Ok(match terms.trade_type {
                    TradeType::Native => {
                        Pay::Later(Problem::from(error).retry_after(self.seconds_of(claim)))
                    }
                    TradeType::Jsapi | TradeType::H5 | TradeType::App => Pay::Later(error.into()),
                });
            }
            Err(error) => {
                // Nothing was given that anybody could come to hold. Where even this write fails the
                // claim ends by itself, and the answer is still about WeChat Pay.
                let _ = self.orders.release_prepay(&terms.order_id, claim).await;
                return Err(error);
            }
        };
        let Some(text) = self
            .kept_text(&terms.order_id, terms.trade_type, &pay)
            .await?
        else {
            return Ok(Pay::Ready(handed_out(&pay)));
        };
        let kept = KeptPrepay { text, at: asked_at };
        let keeping = self
            .orders
            .keep_prepay(&terms.order_id, terms.trade_type, claim, &kept);
        match (keeping.await?, terms.trade_type) {
            (Commit::Done, _)
            // Somebody else's is kept; both can be paid.
            | (Commit::Conflict, TradeType::Jsapi | TradeType::H5 | TradeType::App) => {
                Ok(Pay::Ready(handed_out(&pay)))
            }
            // The claim ran out and somebody else's code stands: ours is the dead one.
            (Commit::Conflict, TradeType::Native) => {
                let stored = self.orders.load(&terms.order_id).await?;
                let (code, claim) = stored.map_or((None, None), |it| (it.code, it.prepay_claim));
                Ok(code.map_or_else(
                    || self.pending(claim.as_ref()),
                    |newer| Pay::Ready(shown(&newer.text)),
                ))
            }
        }
    }

    /// The text as the table keeps it: a code as it is, since it hangs on a screen for all to see; else
    /// sealed, so that nobody who reads the table can pay with it.
    async fn kept_text(
        &self,
        order_id: &OrderId,
        trade_type: TradeType,
        pay: &PayParameters,
    ) -> Result<Option<String>, SettlingError> {
        match trade_type {
            TradeType::Native => Ok(Some(pay.given().to_owned())),
            TradeType::Jsapi | TradeType::H5 | TradeType::App => {
                let keys = self.callers.keys().await?;
                Ok(sealed::seal(&keys, order_id, pay.given()))
            }
        }
    }

    /// What the table kept; `None` where it is not of this stack's key, and then no use.
    async fn opened(
        &self,
        order_id: &OrderId,
        trade_type: TradeType,
        kept: KeptPrepay,
    ) -> Result<Option<String>, SettlingError> {
        match trade_type {
            TradeType::Native => Ok(Some(kept.text)),
            TradeType::Jsapi | TradeType::H5 | TradeType::App => {
                let keys = self.callers.keys().await?;
                Ok(sealed::open(&keys, order_id, &kept.text))
            }
        }
    }

    /// Says that another request is getting what to pay with, and when its claim ends at the latest.
    fn pending(&self, claim: Option<&PrepayClaim>) -> Pay {
        let problem = Problem::new(
            Code::CodePending,
            "another request is asking WeChat Pay for this order; send the same request again",
        );
        Pay::Later(problem.retry_after(claim.map_or(1, |claim| self.seconds_of(claim))))
    }

    /// How long the claim still holds, in seconds, at least one.
    fn seconds_of(&self, claim: &PrepayClaim) -> u32 {
        let left = claim.until.seconds_since(self.process.clock.wall());
        u32::try_from(left).unwrap_or(1).max(1)
    }
}

/// Whether the request may be under way still: no answer came, and it may have been sent.
const fn may_still_arrive(error: &CallError) -> bool {
    match error {
        CallError::Unknown(UnknownCause::Timeout | UnknownCause::Broken) => true,
        CallError::Unknown(
            UnknownCause::Unreachable
            | UnknownCause::RateLimited
            | UnknownCause::ServerError { .. }
            | UnknownCause::Unverified(_)
            | UnknownCause::Unexpected { .. },
        )
        | CallError::Refused(_) => false,
    }
}
