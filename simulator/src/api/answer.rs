//! Answers before they are signed: status and body, who signs them and who does not
//! (docs/simulator.md, `signed-answers`), and how they leave.

use std::time::Duration;

use serde_json::{Value, json};

use super::explain::SignedTexts;
use crate::canonical;

/// How long the `slow` fault waits: longer than a client should.
pub(crate) const SLOW: Duration = Duration::from_secs(6);
/// How long after its connection dropped a `request_late` request is applied.
pub(crate) const LATE: Duration = Duration::from_secs(2);
/// The pause between two pieces of a dripping body.
pub(crate) const DRIP: Duration = Duration::from_millis(200);

/// Whether an answer carries a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signing {
    Signed,
    Unsigned,
}

/// What a request is answered with, before it is signed.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) content_type: &'static str,
    pub(crate) signing: Signing,
    /// The number at the end of `Request-ID`; `None` leaves the header out.
    pub(crate) request_id: Option<u64>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) verdict: String,
    pub(crate) explanation: Option<String>,
    /// Where a signature did not fit: the two texts, for a person to compare.
    pub(crate) signed_texts: Option<SignedTexts>,
    pub(crate) fault: Option<&'static str>,
}

const JSON_TYPE: &str = "application/json; charset=utf-8";

impl Draft {
    /// A signed 200 whose keys are sorted.
    pub(crate) fn ok(body: &Value) -> Self {
        Self {
            body: canonical::sorted(body).into_bytes(),
            ..Self::empty(200).signed()
        }
    }

    /// A signed 204.
    pub(crate) fn no_content() -> Self {
        Self::empty(204).signed()
    }

    /// An unsigned answer without a body.
    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status,
            body: Vec::new(),
            content_type: JSON_TYPE,
            signing: Signing::Unsigned,
            request_id: Some(0),
            headers: Vec::new(),
            verdict: if status < 300 { "accepted" } else { "refused" }.to_owned(),
            explanation: None,
            signed_texts: None,
            fault: None,
        }
    }

    /// An unsigned file, as bills are downloaded.
    pub(crate) fn file(bytes: Vec<u8>) -> Self {
        Self {
            body: bytes,
            content_type: "application/octet-stream",
            request_id: None,
            ..Self::empty(200)
        }
    }

    /// An answer of another API, unsigned JSON in the given order.
    pub(crate) fn plain(status: u16, content_type: &'static str, body: String) -> Self {
        Self {
            body: body.into_bytes(),
            content_type,
            request_id: None,
            ..Self::empty(status)
        }
    }

    /// The members of a signed body that says that all went well.
    pub(super) fn success(&self) -> Option<Value> {
        if self.status != 200 || self.signing != Signing::Signed {
            return None;
        }
        let body: Option<Value> = serde_json::from_slice(&self.body).ok();
        body.filter(Value::is_object)
    }

    pub(super) fn signed(mut self) -> Self {
        self.signing = Signing::Signed;
        self
    }

    pub(crate) fn because(mut self, explanation: impl Into<String>) -> Self {
        self.explanation = Some(explanation.into());
        self
    }

    pub(super) fn retry_after_a_day(mut self) -> Self {
        self.headers.push(("Retry-After", "86400".to_owned()));
        self
    }

    pub(crate) fn fault(mut self, name: &'static str) -> Self {
        self.fault = Some(name);
        self.verdict = format!("fault {name}");
        self
    }
}

/// A refusal as WeChat Pay words it, with the reason for a person beside it.
#[derive(Debug, Clone)]
pub(crate) struct Refusal(Box<Wording>);

#[derive(Debug, Clone)]
struct Wording {
    status: u16,
    code: String,
    message: String,
    detail: Option<Value>,
    number: Option<u64>,
    signing: Signing,
    explanation: Option<String>,
    signed_texts: Option<SignedTexts>,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self(Box::new(Wording {
            status,
            code: code.to_owned(),
            message: message.into(),
            detail: None,
            number: Some(268_435_461),
            signing: Signing::Signed,
            explanation: None,
            signed_texts: None,
        }))
    }

    pub(crate) fn detail(mut self, detail: Value) -> Self {
        self.0.detail = Some(detail);
        self
    }

    pub(crate) fn number(mut self, number: u64) -> Self {
        self.0.number = Some(number);
        self
    }

    pub(crate) fn without_request_id(mut self) -> Self {
        self.0.number = None;
        self
    }

    pub(crate) fn unsigned(mut self) -> Self {
        self.0.signing = Signing::Unsigned;
        self
    }

    pub(crate) fn signing(mut self, signing: Signing) -> Self {
        self.0.signing = signing;
        self
    }

    pub(crate) fn because(mut self, explanation: impl Into<String>) -> Self {
        self.0.explanation = Some(explanation.into());
        self
    }

    pub(crate) fn comparing(mut self, texts: SignedTexts) -> Self {
        self.0.signed_texts = Some(texts);
        self
    }
}

impl From<Refusal> for Draft {
    fn from(Refusal(refusal): Refusal) -> Self {
        let mut body = json!({"code": refusal.code, "message": refusal.message});
        if let Some(detail) = refusal.detail {
            body["detail"] = detail;
        }
        Self {
            body: canonical::sorted(&body).into_bytes(),
            signing: refusal.signing,
            request_id: refusal.number,
            verdict: format!("{} {}", refusal.code, refusal.message),
            explanation: refusal.explanation,
            signed_texts: refusal.signed_texts,
            ..Self::empty(refusal.status)
        }
    }
}

/// How the body leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    AtOnce,
    Drip,
    /// Stops half-way and drops the connection.
    Truncated,
}

/// What the port does in the end.
#[derive(Debug)]
pub(crate) enum Response {
    Send {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
        pace: Pace,
    },
    Drop,
}
