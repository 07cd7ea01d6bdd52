//! What WeChat Pay's refusal of a refund leads to.

use super::Refund;
use crate::domain::schedule::backoff_seconds;
use crate::domain::{Due, Timestamp};

/// How often a refusal that may pass is met before a person is asked to look.
pub const REFUSALS_MAX: u32 = 3;

/// How long to wait where a person has to mend what WeChat Pay refuses, in seconds.
pub const REFUSED_SECONDS: i64 = 60 * 60;

/// For how long what is refused is sent again by itself, in seconds: a day, in which a balance can be
/// topped up. Afterwards the merchant has it tried again, or withdraws it.
pub const RESENT_SECONDS_MAX: i64 = 24 * 60 * 60;

/// What WeChat Pay's refusal of a refund means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The merchant's balance is short.
    NotEnough,
    /// WeChat Pay does not find the order, which it says of paid ones, too.
    Passing {
        /// WeChat Pay's code, for a person.
        code: String,
    },
    /// Either too soon after another refund of the order, for which no code is documented, or for good.
    Doubtful {
        /// WeChat Pay's code, for a person.
        code: String,
    },
    /// No repeat will change it.
    Definite {
        /// WeChat Pay's code, for a person.
        code: String,
    },
}

impl RefusalKind {
    /// What a refusal of a refund by HTTP `status` and WeChat Pay's `code` means (docs/wechatpay.md,
    /// "Refunds"); `None` where the outcome is unknown. Texts are never read: the same code has several. A
    /// 429 or 5xx is no refusal: no call ends in one of these.
    pub fn of(status: u16, code: &str) -> Option<Self> {
        let code = code.to_owned();
        Some(match (status, code.as_str()) {
            // A 401 is about our own signature or clock, and says nothing about this refund.
            (401, _) => return None,
            (403, "NOT_ENOUGH") => Self::NotEnough,
            (
                _,
                "PARAM_ERROR"
                | "MCH_NOT_EXISTS"
                | "NO_AUTH"
                | "USER_ACCOUNT_ABNORMAL"
                | "TRADE_OVERDUE"
                | "REFUND_FEE_MISMATCH",
            ) => Self::Definite { code },
            // "No such order" is answered now and then for paid orders, and for unpaid ones for ever.
            (404, _) => Self::Passing { code },
            (_, _) => Self::Doubtful { code },
        })
    }
}

/// How long until a refund whose record is not authentic is looked at again, in seconds: a day.
const DISTRUSTED_SECONDS: i64 = 24 * 60 * 60;

impl Refund {
    /// Decides what WeChat Pay's refusal means, after `attempts` looks without a change: how it stands
    /// afterwards, and when it is sent again; `None` where it is not sent again by itself. Nothing is
    /// released. `interval_seconds` lie between two refunds of an order.
    pub fn refused(
        &self,
        kind: &RefusalKind,
        attempts: u32,
        now: Timestamp,
        interval_seconds: i64,
    ) -> (Self, Option<Due>) {
        let refusals = self.refusals.saturating_add(1);
        let since = self.refused_since.unwrap_or(now);
        let over = now.seconds_since(since) >= RESENT_SECONDS_MAX;
        let (wait, needs_human) = match kind {
            RefusalKind::NotEnough if over => (
                None,
                Some("the merchant's balance was short for a day".to_owned()),
            ),
            RefusalKind::NotEnough => (
                Some(REFUSED_SECONDS),
                Some("the merchant's balance is short".to_owned()),
            ),
            RefusalKind::Passing { .. } | RefusalKind::Doubtful { .. }
                if refusals < REFUSALS_MAX =>
            {
                let wait = interval_seconds.max(backoff_seconds(attempts).min(60));
                (Some(wait), None)
            }
            RefusalKind::Passing { code } if over => (
                None,
                Some(format!("WeChat Pay refused it for a day: {code}")),
            ),
            RefusalKind::Passing { code } => (
                Some(REFUSED_SECONDS),
                Some(format!("WeChat Pay refuses it: {code}")),
            ),
            RefusalKind::Doubtful { code } | RefusalKind::Definite { code } => {
                (None, Some(format!("WeChat Pay refuses it: {code}")))
            }
        };
        let refund = Self {
            refusals,
            refused_since: Some(since),
            needs_human: needs_human.or_else(|| self.needs_human.clone()),
            ..self.clone()
        };
        let due = wait.map(|seconds| Due::first(now.plus_seconds(seconds)));
        (self.next(refund, now), due)
    }

    /// Decides what becomes of a reserved refund whose record is not authentic: it is not sent, a
    /// person has to look, and it is due again in a day, when a key that was missing may be back.
    pub fn distrusted(&self, now: Timestamp) -> (Self, Due) {
        let refund = Self {
            needs_human: Some("its record is not authentic".to_owned()),
            ..self.clone()
        };
        let refund = self.next(refund, now);
        (refund, Due::first(now.plus_seconds(DISTRUSTED_SECONDS)))
    }
}
