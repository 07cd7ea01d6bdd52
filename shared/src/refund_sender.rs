//! Sends reserved refunds, and decides what an answer that is no report means.
//!
//! A reservation is never released here. What WeChat Pay may know is asked for before it is sent
//! again; what it refuses in a way that time may mend is sent again later, with the same number and
//! the same bytes; what it refuses for good waits for a person.

use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::domain::schedule::backoff_seconds;
use crate::domain::{Due, Refund, RefundState};
use crate::settlement::notes::note_call;
use crate::settling_client::{SettlingClient, SettlingError};
use crate::store::Refunds;
use crate::telemetry::{Level, LogLine, Metric};
use crate::wechatpay::{CallError, Refusal};

/// How often a refusal that time may mend is met before a person is asked to look.
const REFUSALS_MAX: u32 = 3;

/// How long to wait where the merchant's balance is short, in seconds: somebody has to top it up.
const NOT_ENOUGH_SECONDS: i64 = 60 * 60;

/// A refund after it was sent, as the record has it.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The refund.
    pub refund: Refund,
}

/// Sends refunds. Held by refund and sweep.
#[derive(Debug)]
pub struct RefundSender {
    settling_client: SettlingClient,
    refunds: Refunds,
    clock: Clock,
    interval_seconds: i64,
}

/// What a refusal of a refund means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// The outcome is unknown; WeChat Pay may have taken it.
    Unknown,
    /// The merchant's balance is short.
    NotEnough,
    /// Too early after another, or another reason that time may mend.
    Later,
    /// No repeat will change it.
    Definite,
}

impl RefundSender {
    /// Sends through this desk; `interval_seconds` lie between two refunds of an order.
    pub const fn new(
        settling_client: SettlingClient,
        refunds: Refunds,
        clock: Clock,
        interval_seconds: i64,
    ) -> Self {
        Self {
            settling_client,
            refunds,
            clock,
            interval_seconds,
        }
    }

    /// The desk.
    pub const fn settling_client(&self) -> &SettlingClient {
        &self.settling_client
    }

    /// The least time between two refunds of an order, in seconds.
    pub const fn interval_seconds(&self) -> i64 {
        self.interval_seconds
    }

    /// Sends a reserved refund whose moment was claimed, and settles the answer. Whatever becomes of
    /// it, the reservation stands and the sweep has a due time.
    ///
    /// # Errors
    /// The table or the keys are unavailable; the sweep goes on with it.
    pub async fn send_claimed(
        &self,
        refund: Refund,
        attempts: u32,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<Sent, SettlingError> {
        match self
            .settling_client
            .send_refund(&refund, deadline, line)
            .await
        {
            Ok(settled) => Ok(Sent {
                refund: settled.record().map_or(refund, |stored| stored.refund),
            }),
            Err(SettlingError::Call(error)) => self.not_sent(refund, &error, attempts, line).await,
            // The refund stands reserved, which is the answer; the sweep sends it when it can.
            Err(SettlingError::Secret(error)) => {
                line.field("error", error.to_string())
                    .count(Metric::NotConfigured)
                    .raise(Level::Error);
                Ok(Sent { refund })
            }
            Err(SettlingError::Store(error)) => {
                line.field("error", error.to_string()).raise(Level::Warn);
                Ok(Sent { refund })
            }
        }
    }

    /// Follows a refund that WeChat Pay may know: asks first, and sends it again where it does not.
    ///
    /// # Errors
    /// As [`Self::send_claimed`].
    pub async fn follow(
        &self,
        refund: Refund,
        attempts: u32,
        claim_slot: impl AsyncFnOnce() -> Result<bool, SettlingError>,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<Sent, SettlingError> {
        match self
            .settling_client
            .ask_refund(&refund, deadline, line)
            .await
        {
            Ok(settled) => Ok(Sent {
                refund: settled.record().map_or(refund, |stored| stored.refund),
            }),
            Err(SettlingError::Call(CallError::Refused(refusal)))
                if refusal.status == 404 && refund.state == RefundState::Reserved =>
            {
                line.field("wechatpay.code", refusal.code);
                // It does not know it, or not yet: the same bytes again are safe either way.
                if claim_slot().await? {
                    return self.send_claimed(refund, attempts, deadline, line).await;
                }
                Ok(Sent { refund })
            }
            Err(SettlingError::Call(error)) => {
                note_call(&error, line);
                Ok(Sent { refund })
            }
            Err(error) => Err(error),
        }
    }

    async fn not_sent(
        &self,
        mut refund: Refund,
        error: &CallError,
        attempts: u32,
        line: &mut LogLine,
    ) -> Result<Sent, SettlingError> {
        note_call(error, line);
        let meaning = match error {
            CallError::Unknown(_) => Meaning::Unknown,
            CallError::Refused(refusal) => meaning(refusal),
        };
        let now = self.clock.business();
        let refusals = refund.refusals.saturating_add(1);
        let (wait, refusals, needs_human) = match meaning {
            // The due time of the reservation, or of the sweep's claim, stands.
            Meaning::Unknown => return Ok(Sent { refund }),
            Meaning::NotEnough => (
                NOT_ENOUGH_SECONDS,
                refusals,
                Some("the merchant's balance is short".to_owned()),
            ),
            Meaning::Later if refusals < REFUSALS_MAX => (
                self.interval_seconds.max(backoff_seconds(attempts).min(60)),
                refusals,
                None,
            ),
            Meaning::Later | Meaning::Definite => {
                let code = match error {
                    CallError::Refused(refusal) => refusal.code.as_str(),
                    CallError::Unknown(_) => "",
                };
                (
                    NOT_ENOUGH_SECONDS,
                    refusals,
                    Some(format!("WeChat Pay refuses it: {code}")),
                )
            }
        };
        if needs_human.is_some() && refund.needs_human != needs_human {
            line.count(Metric::NeedsHuman).raise(Level::Error);
        }
        let due = Due {
            at: now.plus_seconds(wait),
            attempts: 0,
        };
        let needs_human = needs_human.or_else(|| refund.needs_human.clone());
        let settlement = self.settling_client.settlement();
        settlement
            .refund_refused(&refund, refusals, needs_human.clone(), Some(due))
            .await?;
        if let Some(stored) = self
            .refunds
            .load(&refund.order_id, &refund.refund_id)
            .await?
        {
            refund = stored.refund;
        }
        Ok(Sent { refund })
    }
}

/// What a refusal of a refund means (docs/wechatpay.md, "Refunds"). Texts are never read: the same
/// code has several.
fn meaning(refusal: &Refusal) -> Meaning {
    match (refusal.status, refusal.code.as_str()) {
        (403, "NOT_ENOUGH") => Meaning::NotEnough,
        // "No such order" is answered now and then for paid orders (docs/wechatpay.md, "Refunds").
        (404, _) => Meaning::Unknown,
        // Our own signature or clock; nothing about this refund.
        (401, _) => Meaning::Unknown,
        (400, "PARAM_ERROR" | "MCH_NOT_EXISTS") | (403, "NO_AUTH" | "USER_ACCOUNT_ABNORMAL") => {
            Meaning::Definite
        }
        _ => Meaning::Later,
    }
}
