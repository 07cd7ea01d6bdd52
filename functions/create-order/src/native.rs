//! Native: one QR code at a time.
//!
//! WeChat Pay answers a repeated Native order with a new `code_url`, and the old one, which may be
//! on a screen already, stops working (docs/wechatpay.md, "Repeats"). So the code is stored, repeated
//! while it is good, and only one caller at a time may ask for one; the others wait for it at the
//! table.

use std::time::Duration;

use fast_qr::convert::svg::SvgBuilder;
use fast_qr::qr::QRBuilder;
use serde_json::{Value, json};
use shared::api::Incoming;
use shared::clock::Clock;
use shared::domain::{Order, TradeType};
use shared::random;
use shared::settling_client::SettlingError;
use shared::store::{CodeClaim, Commit, NativeCode, StoreError, StoredOrder};
use shared::telemetry::LogLine;
use shared::wechatpay::{CallError, PayParameters, PrepayRequest};

use crate::{CreateOrder, Pay, handed_out};

/// How long a code is repeated, in seconds: WeChat Pay's are good for two hours, and whoever is shown
/// one still needs minutes to pay.
const CODE_GOOD_SECONDS: i64 = 110 * 60;

/// How long a claim holds, in seconds: longer than this function may run, so that it ends only when
/// its holder is gone.
const CLAIM_SECONDS: i64 = 12;

/// How long to wait for another caller's code, at most.
const WAIT_MAX: Duration = Duration::from_millis(5_000);

/// How often the table is looked at while waiting, in milliseconds.
const LOOK_EVERY_MS: u64 = 150;

/// The claim that goes into the table with a new Native order.
pub(crate) fn claim(order: &Order, attempt: &str, clock: &Clock) -> Option<CodeClaim> {
    match order.terms.trade_type {
        TradeType::Native => Some(CodeClaim {
            token: attempt.to_owned(),
            until: clock.wall().plus_seconds(CLAIM_SECONDS),
        }),
        TradeType::Jsapi | TradeType::H5 | TradeType::App => None,
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
    /// The order's code: the stored one while it is good, else a new one, asked for by one caller at
    /// a time.
    pub(crate) async fn native_code(
        &self,
        stored: &StoredOrder,
        request: &PrepayRequest<'_>,
        attempt: Option<&str>,
        incoming: &Incoming,
        line: &mut LogLine,
    ) -> Result<Pay, SettlingError> {
        let clock = &self.platform.clock;
        let order_id = &stored.order.terms.order_id;
        if let (Some(attempt), Some(claim)) = (attempt, &stored.code_claim)
            && claim.token == attempt
        {
            return self.ask_for_code(request, claim, incoming).await;
        }
        let mut latest = stored.clone();
        let until_left = incoming.deadline.left(clock, WAIT_MAX);
        let mut waited = Duration::ZERO;
        loop {
            if !latest.order.is_payable(clock.business()) {
                return Ok(Pay::NoLonger);
            }
            if let Some(code) = &latest.code
                && clock.business().seconds_since(code.at) < CODE_GOOD_SECONDS
            {
                line.field("code", "stored");
                return Ok(Pay::Ready(shown(&code.code_url)));
            }
            let claim = CodeClaim {
                token: random::token(),
                until: clock.wall().plus_seconds(CLAIM_SECONDS),
            };
            let stale = clock.business().minus_seconds(CODE_GOOD_SECONDS);
            if self
                .orders
                .claim_code(order_id, &claim, stale, clock.wall())
                .await?
                == Commit::Done
            {
                return self.ask_for_code(request, &claim, incoming).await;
            }
            if waited >= until_left {
                return Err(StoreError::Unavailable {
                    action: "wait for a code",
                    cause: "another caller is still asking for it".to_owned(),
                }
                .into());
            }
            let pause = random::jitter(LOOK_EVERY_MS);
            tokio::time::sleep(pause).await;
            waited += pause;
            match self.orders.load(order_id).await? {
                Some(now) => latest = now,
                None => return Ok(Pay::NoLonger),
            }
        }
    }

    async fn ask_for_code(
        &self,
        request: &PrepayRequest<'_>,
        claim: &CodeClaim,
        incoming: &Incoming,
    ) -> Result<Pay, SettlingError> {
        let order_id = &request.terms().order_id;
        let asked_at = self.platform.clock.business();
        let pay = match self
            .settling_client
            .prepay(request, &incoming.deadline)
            .await
        {
            Ok(pay) => pay,
            Err(error) => {
                // A definite refusal gave no code, and without keys nothing was asked. After anything
                // else a code may still come to be, and the claim runs out by itself when that can no
                // longer disturb a new one.
                if matches!(
                    error,
                    SettlingError::Call(CallError::Refused(_)) | SettlingError::Secret(_)
                ) {
                    self.orders.release_code(order_id, claim).await?;
                }
                return Err(error);
            }
        };
        let PayParameters::Native { code_url } = pay else {
            // Only a code dies when a newer one is given; nothing else is kept.
            return Ok(Pay::Ready(handed_out(&pay)));
        };
        let code = NativeCode {
            code_url,
            at: asked_at,
        };
        match self.orders.keep_code(order_id, claim, &code).await? {
            Commit::Done => Ok(Pay::Ready(shown(&code.code_url))),
            // The claim ran out and somebody else's code stands: ours is the dead one.
            Commit::Conflict => match self.orders.load(order_id).await? {
                Some(StoredOrder {
                    code: Some(newer), ..
                }) => Ok(Pay::Ready(shown(&newer.code_url))),
                Some(_) | None => Err(StoreError::Unavailable {
                    action: "keep a code",
                    cause: "another caller is asking for a newer one".to_owned(),
                }
                .into()),
            },
        }
    }
}
