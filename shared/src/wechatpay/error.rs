//! What a call to WeChat Pay can end in, other than a signed answer: a refusal, or not knowing.
//!
//! The difference is the one that matters: a refusal is an answer, not knowing is none, and after it
//! only the same request may be sent again.

/// WeChat Pay answered 4xx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// WeChat Pay's code, as sent (at most 64 characters); empty where the body had none.
    pub code: String,
    /// WeChat Pay's text for people; never branched on.
    pub message: String,
    pub(super) signed: bool,
    /// WeChat Pay's number of the request, which its support asks for.
    pub request_id: Option<String>,
}

impl Refusal {
    /// Whether the refusal carried a signature that held; only the client says so. An unsigned one
    /// is a hint at most.
    pub const fn is_signed(&self) -> bool {
        self.signed
    }

    /// A signed "no such order" (`ORDER_NOT_EXIST`, DOC 4012791858); the old spelling is an alias.
    pub fn is_signed_absence(&self) -> bool {
        self.signed
            && self.status == 404
            && matches!(self.code.as_str(), "ORDER_NOT_EXIST" | "ORDERNOTEXIST")
    }

    /// Whether a refused order may be paid, closed or known with other terms: worth a query.
    ///
    /// Sources disagree about codes and even texts of these cases (docs/wechatpay.md, "Repeats"), so
    /// every 400 and the one 403 that is about the number count.
    pub fn may_mean_settled(&self) -> bool {
        self.status == 400 || self.code == "OUT_TRADE_NO_USED"
    }
}

/// Why the outcome of a call is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnknownCause {
    /// No connection could be made; the request was not sent.
    Unreachable,
    /// The answer did not come in time.
    Timeout,
    /// The connection broke before the answer was whole.
    Broken,
    /// 429: too many requests; this one may have been taken nevertheless.
    RateLimited,
    /// 5xx.
    ServerError {
        /// The HTTP status.
        status: u16,
    },
    /// A 2xx without a signature that holds: to be treated as forged.
    Unverified {
        /// Which header is missing, or why the signature is not trusted.
        reason: String,
    },
    /// A status, body or number that does not belong to the question.
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
    #[error("of unknown outcome: {0:?}")]
    Unknown(UnknownCause),
}

impl CallError {
    /// An answer that does not belong to the question.
    pub const fn unexpected(what: &'static str) -> Self {
        Self::Unknown(UnknownCause::Unexpected { what })
    }

    /// A 2xx whose signature does not hold.
    pub const fn is_unverified(&self) -> bool {
        matches!(self, Self::Unknown(UnknownCause::Unverified { .. }))
    }

    /// A refusal of our own signature: key, serial number or clock.
    pub const fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Refused(Refusal { status: 401, .. }))
    }
}
