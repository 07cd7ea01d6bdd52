//! What a call to WeChat Pay can end in, other than a signed answer: a refusal, or not knowing.
//!
//! The difference is the one that matters: a refusal is an answer, not knowing is none, and after it
//! only the same request may be sent again.

use super::bare_answers::{Absence, RefundAbsence};
use super::verify::{HeaderError, Signed, VerifyError};

/// WeChat Pay answered 4xx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// WeChat Pay's code, as sent (at most 64 characters); empty where the body had none.
    pub code: String,
    /// WeChat Pay's text for people; never branched on.
    pub message: String,
    /// WeChat Pay's number of the request, which its support asks for.
    pub request_id: Option<String>,
    pub(super) absence: Option<Signed<Absence>>,
    pub(super) refund_absence: Option<Signed<RefundAbsence>>,
}

impl Refusal {
    /// A signed "no such order", in answer to a question about one.
    pub const fn absence(&self) -> Option<Signed<Absence>> {
        self.absence
    }

    /// A signed "no such refund", in answer to a question about one.
    pub const fn refund_absence(&self) -> Option<Signed<RefundAbsence>> {
        self.refund_absence
    }

    /// Whether a refused order may be paid, closed or known with other terms: worth a query.
    ///
    /// Sources disagree about codes and even texts of these cases (docs/wechatpay.md, "Repeats"), so
    /// every 400 and the one 403 that is about the number count.
    pub fn may_mean_settled(&self) -> bool {
        self.status == 400 || self.code == "OUT_TRADE_NO_USED"
    }
}

/// Why an answer is to be treated as forged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnverifiedCause {
    /// A header that carries the signature is missing or malformed.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The signature is not trusted.
    #[error(transparent)]
    Signature(#[from] VerifyError),
}

/// Why the outcome of a call is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownCause {
    /// No connection could be made; the request was not sent.
    #[error("no connection could be made")]
    Unreachable,
    /// The answer did not come in time.
    #[error("no answer came in time")]
    Timeout,
    /// The connection broke before the answer was whole.
    #[error("the connection broke before the answer was whole")]
    Broken,
    /// 429: too many requests; this one may have been taken nevertheless.
    #[error("answered 429")]
    RateLimited,
    /// 5xx.
    #[error("answered {status}")]
    ServerError {
        /// The HTTP status.
        status: u16,
    },
    /// A 2xx without a signature that holds: to be treated as forged.
    #[error("an answer that cannot be trusted: {0}")]
    Unverified(#[source] UnverifiedCause),
    /// A status, body or number that does not belong to the question.
    #[error("an answer that does not fit: {what}")]
    Unexpected {
        /// What, without any of the body.
        what: &'static str,
    },
}

/// A call that brought no signed answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// WeChat Pay said no.
    #[error("refused with {} {} (request {})", .0.status, .0.code, .0.request_id.as_deref().unwrap_or("-"))]
    Refused(Refusal),
    /// Nobody knows what became of it.
    #[error("of unknown outcome: {0}")]
    Unknown(#[source] UnknownCause),
}

impl CallError {
    /// An answer that does not belong to the question.
    pub const fn unexpected(what: &'static str) -> Self {
        Self::Unknown(UnknownCause::Unexpected { what })
    }

    /// A signed "no such order", in answer to a question about one.
    pub const fn absence(&self) -> Option<Signed<Absence>> {
        match self {
            Self::Refused(refusal) => refusal.absence(),
            Self::Unknown(_) => None,
        }
    }

    /// A signed "no such refund", in answer to a question about one.
    pub const fn refund_absence(&self) -> Option<Signed<RefundAbsence>> {
        match self {
            Self::Refused(refusal) => refusal.refund_absence(),
            Self::Unknown(_) => None,
        }
    }

    /// A 2xx whose signature does not hold.
    pub const fn is_unverified(&self) -> bool {
        matches!(self, Self::Unknown(UnknownCause::Unverified(_)))
    }

    /// A 2xx that was signed with a key that is not held.
    pub const fn is_signed_by_nobody_known(&self) -> bool {
        matches!(
            self,
            Self::Unknown(UnknownCause::Unverified(UnverifiedCause::Signature(
                VerifyError::UnknownSerial
            )))
        )
    }

    /// A refusal of our own signature: key, serial number or clock.
    pub const fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Refused(Refusal { status: 401, .. }))
    }
}
