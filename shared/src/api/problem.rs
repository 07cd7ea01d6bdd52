//! Problem documents (RFC 9457): a stable code and a sentence for the caller; causes stay in the log.
//!
//! `docs/api.md` lists every code with what to do; `tests/it` compares it with [`Code::ALL`].

use serde_json::{Map, Value};

use super::answer::Answer;
use crate::config::secrets::SecretError;
use crate::domain::{InvalidFen, InvalidId};
use crate::store::StoreError;
use crate::telemetry::{Level, LogLine, Metric};
use crate::wechatpay::{CallError, UnknownCause};

/// Why a request was not done; what to do about it stands in `docs/api.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The body is not JSON.
    MalformedJson,
    /// A header or query parameter is missing or malformed.
    MalformedRequest,
    /// A number in the path is not of its shape.
    InvalidNumber,
    /// No valid credential.
    Unauthenticated,
    /// WeChat did not accept the login code.
    LoginRefused,
    /// Missing, or not the caller's.
    NotFound,
    /// The number was used with other terms.
    TermsDiffer,
    /// The order is paid.
    OrderPaid,
    /// The order is not paid.
    OrderNotPaid,
    /// More than what is left to give back.
    RefundExceeds,
    /// As many refunds as one order takes.
    TooManyRefunds,
    /// The payment is too old.
    RefundTooLate,
    /// Another order's refund has this number.
    RefundNumberTaken,
    /// The refund was decided already.
    RefundDecided,
    /// The body is too large.
    BodyTooLarge,
    /// A field that does not exist.
    UnknownField,
    /// A field that this caller may not send.
    FieldNotAllowed,
    /// A field's value is not of its kind or range.
    InvalidValue,
    /// An article that is not on sale.
    UnknownSku,
    /// WeChat Pay refused.
    WechatpayRefused,
    /// WeChat Pay gave no usable answer.
    WechatpayUnavailable,
    /// The table gave no usable answer.
    StoreUnavailable,
    /// Secrets are missing or broken.
    NotConfigured,
    /// Something here is wrong.
    InternalError,
}

impl Code {
    /// All of them, in order of precedence: size, credential, path and headers, body, record. The last
    /// five end a request wherever it was.
    pub const ALL: [Self; 24] = [
        Self::BodyTooLarge,
        Self::Unauthenticated,
        Self::MalformedRequest,
        Self::InvalidNumber,
        Self::MalformedJson,
        Self::UnknownField,
        Self::FieldNotAllowed,
        Self::InvalidValue,
        Self::UnknownSku,
        Self::LoginRefused,
        Self::NotFound,
        Self::TermsDiffer,
        Self::OrderPaid,
        Self::OrderNotPaid,
        Self::RefundNumberTaken,
        Self::RefundDecided,
        Self::RefundExceeds,
        Self::TooManyRefunds,
        Self::RefundTooLate,
        Self::WechatpayRefused,
        Self::WechatpayUnavailable,
        Self::StoreUnavailable,
        Self::NotConfigured,
        Self::InternalError,
    ];

    /// The stable code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MalformedJson => "malformed_json",
            Self::MalformedRequest => "malformed_request",
            Self::InvalidNumber => "invalid_number",
            Self::Unauthenticated => "unauthenticated",
            Self::LoginRefused => "login_refused",
            Self::NotFound => "not_found",
            Self::TermsDiffer => "terms_differ",
            Self::OrderPaid => "order_paid",
            Self::OrderNotPaid => "order_not_paid",
            Self::RefundExceeds => "refund_exceeds",
            Self::TooManyRefunds => "too_many_refunds",
            Self::RefundTooLate => "refund_too_late",
            Self::RefundNumberTaken => "refund_number_taken",
            Self::RefundDecided => "refund_decided",
            Self::BodyTooLarge => "body_too_large",
            Self::UnknownField => "unknown_field",
            Self::FieldNotAllowed => "field_not_allowed",
            Self::InvalidValue => "invalid_value",
            Self::UnknownSku => "unknown_sku",
            Self::WechatpayRefused => "wechatpay_refused",
            Self::WechatpayUnavailable => "wechatpay_unavailable",
            Self::StoreUnavailable => "store_unavailable",
            Self::NotConfigured => "not_configured",
            Self::InternalError => "internal_error",
        }
    }

    /// The HTTP status, chosen by what its reader will do.
    pub const fn status(self) -> u16 {
        match self {
            Self::MalformedJson | Self::MalformedRequest | Self::InvalidNumber => 400,
            Self::Unauthenticated | Self::LoginRefused => 401,
            Self::NotFound => 404,
            Self::TermsDiffer
            | Self::OrderPaid
            | Self::OrderNotPaid
            | Self::RefundExceeds
            | Self::TooManyRefunds
            | Self::RefundTooLate
            | Self::RefundNumberTaken
            | Self::RefundDecided => 409,
            Self::BodyTooLarge => 413,
            Self::UnknownField | Self::FieldNotAllowed | Self::InvalidValue | Self::UnknownSku => {
                422
            }
            Self::InternalError => 500,
            Self::WechatpayRefused => 502,
            Self::WechatpayUnavailable | Self::StoreUnavailable | Self::NotConfigured => 503,
        }
    }

    /// What is said where nothing more precise is known.
    pub const fn title(self) -> &'static str {
        match self {
            Self::MalformedJson => "The body is not JSON",
            Self::MalformedRequest => "A header or parameter is missing or malformed",
            Self::InvalidNumber => "A number in the path is malformed",
            Self::Unauthenticated => "No valid credential",
            Self::LoginRefused => "The login code was refused",
            Self::NotFound => "Not found",
            Self::TermsDiffer => "The number was used with other terms",
            Self::OrderPaid => "The order is paid",
            Self::OrderNotPaid => "The order is not paid",
            Self::RefundExceeds => "More than what is left to give back",
            Self::TooManyRefunds => "The order has had its 50 refunds",
            Self::RefundTooLate => "The payment is older than a year",
            Self::RefundNumberTaken => "The refund number belongs to another order",
            Self::RefundDecided => "The refund was decided already",
            Self::BodyTooLarge => "The body is too large",
            Self::UnknownField => "Unknown field",
            Self::FieldNotAllowed => "Field not allowed for this caller",
            Self::InvalidValue => "Invalid value",
            Self::UnknownSku => "Not on sale",
            Self::WechatpayRefused => "WeChat Pay refused",
            Self::WechatpayUnavailable => "WeChat Pay gave no usable answer",
            Self::StoreUnavailable => "The record could not be read or written",
            Self::NotConfigured => "The service is not configured",
            Self::InternalError => "Something here is wrong",
        }
    }
}

/// A request that was not done: what the caller is told, and what the log is.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The stable code.
    pub code: Code,
    detail: String,
    more: Map<String, Value>,
    retry_after: Option<u32>,
    notes: Vec<(&'static str, String)>,
    metric: Option<Metric>,
}

impl Problem {
    /// A problem with a sentence for the caller.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            more: Map::new(),
            retry_after: None,
            notes: Vec::new(),
            metric: None,
        }
    }

    /// A problem of which nothing more is said than its title.
    pub fn plain(code: Code) -> Self {
        Self::new(code, code.title())
    }

    /// The answer for what is missing and for what is somebody else's; the same for both.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "there is nothing of this number here")
    }

    /// Names the field it is about.
    #[must_use]
    pub fn field(self, field: impl Into<String>) -> Self {
        let field: String = field.into();
        self.with("field", field)
    }

    /// Adds a member for the caller.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// Says when to try the same again, in seconds.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn because(self, cause: impl Into<String>) -> Self {
        self.noting("error", cause)
    }

    /// Keeps a field for the log.
    #[must_use]
    pub fn noting(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.notes.push((name, value.into()));
        self
    }

    /// Counts a metric when it is logged.
    #[must_use]
    pub const fn counting(mut self, metric: Metric) -> Self {
        self.metric = Some(metric);
        self
    }

    /// The document, and what the log keeps of it.
    pub fn into_answer(self, line: &mut LogLine) -> Answer {
        line.field("code", self.code.as_str());
        for (name, value) in self.notes {
            line.field(name, value);
        }
        if let Some(metric) = self.metric {
            line.count(metric);
        }
        match self.code {
            Code::InternalError | Code::NotConfigured => line.raise(Level::Error),
            Code::StoreUnavailable | Code::WechatpayUnavailable | Code::WechatpayRefused => {
                line.raise(Level::Warn)
            }
            _ => line,
        };
        let mut body = Map::new();
        body.insert(
            "type".to_owned(),
            Value::from(format!("urn:wxpay:problem:{}", self.code.as_str())),
        );
        body.insert("title".to_owned(), Value::from(self.code.title()));
        body.insert("status".to_owned(), Value::from(self.code.status()));
        body.insert("code".to_owned(), Value::from(self.code.as_str()));
        body.insert("detail".to_owned(), Value::from(self.detail));
        body.extend(self.more);
        Answer {
            status: self.code.status(),
            body: Some(Value::Object(body)),
            content_type: "application/problem+json",
            retry_after: self.retry_after,
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable { .. } => Self::new(
                Code::StoreUnavailable,
                "the record could not be read or written; send the same request again",
            )
            .retry_after(1)
            .because(error.to_string()),
            StoreError::Unreadable { .. } => {
                Self::plain(Code::InternalError).because(error.to_string())
            }
        }
    }
}

impl From<SecretError> for Problem {
    fn from(error: SecretError) -> Self {
        Self::new(
            Code::NotConfigured,
            "the service has no usable keys yet; its operator is told",
        )
        .retry_after(60)
        .because(error.to_string())
        .counting(Metric::NotConfigured)
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        match &error {
            CallError::Refused(refusal) => {
                let problem = Self::new(
                    Code::WechatpayRefused,
                    format!("WeChat Pay answered {}", refusal.code),
                )
                .with("wechatpay_code", refusal.code.clone())
                .with("wechatpay_status", refusal.status)
                .because(error.to_string())
                .counting(Metric::WechatpayErrors);
                match &refusal.request_id {
                    Some(id) => problem.noting("wechatpay.request_id", id),
                    None => problem,
                }
            }
            CallError::Unknown(cause) => {
                let metric = match cause {
                    UnknownCause::Unverified(_) => Metric::WechatpayUnverified,
                    UnknownCause::Unreachable
                    | UnknownCause::Timeout
                    | UnknownCause::Broken
                    | UnknownCause::RateLimited
                    | UnknownCause::ServerError { .. }
                    | UnknownCause::Unexpected { .. } => Metric::WechatpayErrors,
                };
                Self::new(
                    Code::WechatpayUnavailable,
                    "WeChat Pay gave no usable answer; send the same request again",
                )
                .retry_after(2)
                .because(error.to_string())
                .counting(metric)
            }
        }
    }
}

impl From<InvalidId> for Problem {
    fn from(error: InvalidId) -> Self {
        Self::new(Code::InvalidValue, error.to_string()).field(error.field)
    }
}

impl From<InvalidFen> for Problem {
    fn from(error: InvalidFen) -> Self {
        Self::new(Code::InvalidValue, error.to_string())
    }
}
