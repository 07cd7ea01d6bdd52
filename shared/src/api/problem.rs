//! Problem documents (RFC 9457): a stable code and a sentence for the caller; causes stay in the log.

mod chinese;

use serde_json::{Map, Value};

use super::answer::Answer;
use super::code::Code;
use super::language::Language;
use crate::config::secrets::SecretError;
use crate::domain::{InvalidFen, InvalidId};
use crate::settling_client::SettlingError;
use crate::store::StoreError;
use crate::telemetry::{LogLine, Metric};
use crate::wechatpay::{CallError, Refusal};

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
    language: Language,
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
            language: Language::default(),
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

    /// Tells its title and detail in this language; everything else stays as it is.
    #[must_use]
    pub const fn told_in(mut self, language: Language) -> Self {
        self.language = language;
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
        let (title, detail) = match self.language {
            Language::English => (self.code.title(), self.detail),
            Language::Chinese => chinese::told(self.code, &self.detail, &self.more),
        };
        let mut body = Map::new();
        body.insert(
            "type".to_owned(),
            Value::from(format!("urn:wxpay:problem:{}", self.code.as_str())),
        );
        body.insert("title".to_owned(), Value::from(title));
        body.insert("status".to_owned(), Value::from(self.code.status()));
        body.insert("code".to_owned(), Value::from(self.code.as_str()));
        body.insert("detail".to_owned(), Value::from(detail));
        body.extend(self.more);
        Answer {
            status: self.code.status(),
            body: Some(Value::Object(body)),
            content_type: "application/problem+json",
            retry_after: self.retry_after,
            fresh_seconds: None,
            entity_tag: None,
            language: Some(self.language).filter(|language| *language != Language::default()),
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
