//! Problem documents (RFC 9457): a stable code and a sentence for the caller; causes stay in the log.
//!
//! `docs/api.md` lists every code with what to do; `tests/it` compares it with [`Code::ALL`].

use serde_json::{Map, Value};

use super::answer::Answer;
use crate::config::secrets::SecretError;
use crate::domain::{InvalidFen, InvalidId};
use crate::settling_client::SettlingError;
use crate::store::StoreError;
use crate::telemetry::{Level, LogLine, Metric};
use crate::wechatpay::{CallError, Refusal};

/// Declares [`Code`]: its variants, each with its status, the level of its log line, its stable code
/// and its title.
macro_rules! codes {
    ($($code:ident = $status:literal, $level:ident, $text:literal, $title:literal;)+) => {
        /// Why a request was not done; what to do about it stands in `docs/api.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $title] $code,)+
        }

        impl Code {
            /// All of them, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$code),+];

            /// The stable code.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$code => $text,)+ }
            }

            /// The HTTP status, chosen by what its reader will do.
            pub const fn status(self) -> u16 {
                match self { $(Self::$code => $status,)+ }
            }

            /// What is said where nothing more precise is known.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$code => $title,)+ }
            }

            /// How much its log line matters.
            const fn level(self) -> Level {
                match self { $(Self::$code => Level::$level,)+ }
            }
        }
    };
}

// In order of precedence: size, credential, path and headers, body, record. The last seven end a
// request wherever it was.
codes! {
    BodyTooLarge = 413, Info, "body_too_large", "The body is too large";
    Unauthenticated = 401, Info, "unauthenticated", "No valid credential";
    MalformedRequest = 400, Info, "malformed_request",
        "A header or parameter is missing or malformed";
    InvalidNumber = 400, Info, "invalid_number", "A number in the path is malformed";
    MalformedJson = 400, Info, "malformed_json", "The body is not JSON";
    UnknownField = 422, Info, "unknown_field", "Unknown field";
    FieldNotAllowed = 422, Info, "field_not_allowed", "Field not allowed for this caller";
    InvalidValue = 422, Info, "invalid_value", "Invalid value";
    UnknownSku = 422, Info, "unknown_sku", "Not on sale";
    LoginRefused = 401, Info, "login_refused", "The login code was refused";
    TooManyLogins = 429, Info, "too_many_logins", "Too many logins of this user";
    NotFound = 404, Info, "not_found", "Not found";
    TooManyOpenOrders = 429, Info, "too_many_open_orders", "Too many unpaid orders";
    TermsDiffer = 409, Info, "terms_differ", "The number was used with other terms";
    OrderPaid = 409, Info, "order_paid", "The order is paid";
    OrderNotPaid = 409, Info, "order_not_paid", "The order is not paid";
    RefundNumberTaken = 409, Info, "refund_number_taken",
        "The refund number belongs to another order";
    RefundDecided = 409, Info, "refund_decided", "The refund has already been decided";
    RefundNotAbnormal = 409, Info, "refund_not_abnormal", "The refund is not abnormal";
    RefundExceeds = 409, Info, "refund_exceeds", "Amount exceeds what can be refunded";
    TooManyRefunds = 409, Info, "too_many_refunds", "Refund limit reached (50)";
    RefundTooLate = 409, Info, "refund_too_late", "The payment is older than a year";
    TradeTypeUnavailable = 422, Warn, "trade_type_unavailable",
        "The merchant's account cannot take this trade type";
    TermsRefused = 422, Warn, "terms_refused", "WeChat Pay does not accept these terms";
    CodePending = 503, Info, "code_pending", "Another request is getting what to pay with";
    WechatpayRefused = 502, Warn, "wechatpay_refused", "WeChat Pay refused";
    WechatpayUnavailable = 503, Warn, "wechatpay_unavailable", "WeChat Pay gave no usable answer";
    ConcurrentChanges = 503, Info, "concurrent_changes", "Other requests are changing the record";
    StoreUnavailable = 503, Warn, "store_unavailable", "The record could not be read or written";
    OutOfTime = 503, Warn, "out_of_time", "The request took too long";
    NotConfigured = 503, Error, "not_configured", "The service is not configured";
    InternalError = 500, Error, "internal_error", "Internal error";
}

/// A request that was not done: what the caller reads, and what the log keeps.
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

    /// A problem whose title says everything.
    pub fn plain(code: Code) -> Self {
        Self::new(code, code.title())
    }

    /// The one answer for what does not exist and for what belongs to somebody else.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "no such order or refund")
    }

    /// Says that WeChat Pay refused, under the code of whose matter that is: what the order says, or the
    /// merchant's account lacks, is no fault of the server's, whoever sends it however often
    /// (docs/wechatpay.md, "Repeats"). The rest is our signature, and what nobody documents.
    pub fn of_refusal(refusal: &Refusal) -> Self {
        let code = match refusal.code.as_str() {
            "NO_AUTH" | "NOAUTH" | "APPID_MCHID_NOT_MATCH" | "MCH_NOT_EXISTS" => {
                Code::TradeTypeUnavailable
            }
            // Business, all of it; RULE_LIMIT, TRADE_ERROR and ACCOUNT_ERROR are documented.
            _ if refusal.status == 403 => Code::TermsRefused,
            _ => Code::WechatpayRefused,
        };
        Self::refused(code, refusal)
    }

    /// Says that WeChat Pay refused, in its own words, under this code.
    pub fn refused(code: Code, refusal: &Refusal) -> Self {
        let detail = format!("WeChat Pay answered {}", refusal.code);
        let problem = Self::new(code, detail)
            .with("wechatpay_code", refusal.code.clone())
            .with("wechatpay_status", refusal.status)
            .because(CallError::Refused(refusal.clone()).to_string())
            .counting(Metric::WechatpayErrors);
        match &refusal.request_id {
            Some(id) => problem.noting("wechatpay.request_id", id),
            None => problem,
        }
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
        line.raise(self.code.level());
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
            fresh_seconds: None,
            entity_tag: None,
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
            StoreError::Contended { .. } => Self::new(
                Code::ConcurrentChanges,
                "other requests are changing the same record; send the same request again",
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
            "the service has no usable keys yet; its operator has been notified",
        )
        .retry_after(60)
        .because(error.to_string())
        .counting(Metric::NotConfigured)
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        match &error {
            CallError::Refused(refusal) => Self::of_refusal(refusal),
            CallError::Unknown(_) => {
                let metric = if error.is_unverified() {
                    Metric::WechatpayUnverified
                } else {
                    Metric::WechatpayErrors
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

impl From<SettlingError> for Problem {
    fn from(error: SettlingError) -> Self {
        match error {
            SettlingError::Secret(error) => error.into(),
            SettlingError::Store(error) => error.into(),
            SettlingError::Call(error) => error.into(),
            SettlingError::NotAuthentic(error) => Self::plain(Code::InternalError)
                .because(error.to_string())
                .noting("not_authentic", error.as_str())
                .counting(Metric::NeedsHuman),
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
