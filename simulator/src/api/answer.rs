//! Answers: their bodies, their headers as captured (fidelity points 3 and 4), who signs them and who
//! does not (§3.6). The ways a fault spoils them are `answer/spoilt.rs`'s.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::about::About;
use super::explain::SignedTexts;
use super::route::Operation;
use super::{Caller, Request};
use crate::beijing;
use crate::canonical;
use crate::faults::Target;
use crate::forged;
use crate::world::World;
use crate::{pack, random};

mod spoilt;

use spoilt::Spoilt;

/// How long the `slow` fault waits: longer than a client should.
pub(crate) const SLOW: Duration = Duration::from_secs(6);
/// How long after its connection dropped a `request_late` request is applied.
pub(crate) const LATE: Duration = Duration::from_secs(2);
/// The pause between two pieces of a dripping body.
pub(crate) const DRIP: Duration = Duration::from_millis(200);
/// A mebibyte of headers, far more of them than any client expects.
const PADDING_HEADERS: usize = 1_024;
const PADDING_HEADER_BYTES: usize = 1_024;

/// Whether an answer carries a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seal {
    Signed,
    Unsigned,
}

/// What a request is answered with, before it is signed.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) content_type: &'static str,
    pub(crate) seal: Seal,
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

impl Answer {
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
            seal: Seal::Unsigned,
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
    fn success(&self) -> Option<Value> {
        if self.status != 200 || self.seal != Seal::Signed {
            return None;
        }
        let body: Option<Value> = serde_json::from_slice(&self.body).ok();
        body.filter(Value::is_object)
    }

    fn signed(mut self) -> Self {
        self.seal = Seal::Signed;
        self
    }

    pub(crate) fn because(mut self, explanation: impl Into<String>) -> Self {
        self.explanation = Some(explanation.into());
        self
    }

    fn retry_after_a_day(mut self) -> Self {
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
    seal: Seal,
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
            seal: Seal::Signed,
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
        self.0.seal = Seal::Unsigned;
        self
    }

    pub(crate) fn sealed(mut self, seal: Seal) -> Self {
        self.0.seal = seal;
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

impl From<Refusal> for Answer {
    fn from(Refusal(refusal): Refusal) -> Self {
        let mut body = json!({"code": refusal.code, "message": refusal.message});
        if let Some(detail) = refusal.detail {
            body["detail"] = detail;
        }
        Self {
            body: canonical::sorted(&body).into_bytes(),
            seal: refusal.seal,
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
pub(crate) enum Outcome {
    Send {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
        pace: Pace,
    },
    Drop,
}

type Spoiler = fn(&Request) -> Answer;

/// Faults that answer instead of applying.
pub(crate) const FAULTS_INSTEAD: [(&str, Spoiler); 7] = [
    ("rate_limited", |_| limited()),
    ("rate_limited_day", |_| limited().retry_after_a_day()),
    ("server_error", |_| busy()),
    ("html_error", html),
    ("response_html", |_| portal()),
    ("unavailable", |_| unavailable()),
    ("redirected", |_| redirected()),
];

/// Faults that hide that the request was applied.
pub(crate) const FAULTS_AFTER: [(&str, Spoiler); 3] = [
    ("rate_limited_applied", |_| limited()),
    ("server_error_applied", |_| busy()),
    ("accepted", |_| Answer {
        verdict: "accepted, not finished".to_owned(),
        ..Answer::empty(202).signed()
    }),
];

fn limited() -> Answer {
    Refusal::new(429, "FREQUENCY_LIMITED", "频率超限")
        .number(268_447_840)
        .into()
}

/// The 500 of fidelity point 33.
pub(crate) fn busy() -> Answer {
    Refusal::new(500, "SYSTEM_ERROR", "系统繁忙，请稍后重试").into()
}

fn html(request: &Request) -> Answer {
    let echo = request.header("authorization").unwrap_or_default();
    let page = format!(
        "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad \
         Gateway</h1></center>\r\n<!-- {echo} -->\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    );
    Answer::plain(502, "text/html", page)
}

fn unavailable() -> Answer {
    let answer: Answer = Refusal::new(503, "SERVICE_UNAVAILABLE", "系统繁忙，请稍后重试")
        .unsigned()
        .into();
    answer.retry_after_a_day()
}

/// What a network answers in WeChat Pay's place until somebody has logged in to it.
fn portal() -> Answer {
    let page = "<!DOCTYPE html>\r\n<html>\r\n<head><title>Welcome</title></head>\r\n<body>\r\n\
                <form method=\"post\" action=\"/login\"><p>Log in to use this network.</p>\
                <input name=\"code\"></form>\r\n</body>\r\n</html>\r\n";
    Answer::plain(200, "text/html", page.to_owned())
}

fn redirected() -> Answer {
    let mut answer = Answer::plain(302, "text/html", String::new());
    answer.headers.push((
        "Location",
        "http://169.254.169.254/latest/meta-data/".to_owned(),
    ));
    answer
}

/// Signs an answer, or spoils it, and sets the headers.
pub(crate) fn seal(
    world: &Arc<World>,
    request: &Request,
    operation: &Operation,
    caller: Option<&Caller>,
    about: &About,
    mut answer: Answer,
) -> Outcome {
    let identity = format!(
        "{} {} {}",
        request.method,
        request.target,
        String::from_utf8_lossy(&request.body)
    );
    let asked = request.header("wechatpay-serial");
    // Read before anything is locked.
    let success = answer.success();
    let mut spoilt = Spoilt::default();
    let mut signer = None;
    {
        let mut state = world.lock();
        if answer.status >= 500 && !state.knobs.sign_server_errors {
            answer.seal = Seal::Unsigned;
        }
        if let (Seal::Signed, Some(caller)) = (answer.seal, caller) {
            // Thrown only where it decides something: during a rotation.
            let throw = if caller.merchant.platform_certificates.len() > 1 {
                state.faults.throw("answer certificate", &about.subject)
            } else {
                0.0
            };
            signer = caller.merchant.answer_signer(asked, throw);
        }
        if answer.seal == Seal::Signed {
            let target = Target {
                operation: operation.name(),
                out_trade_no: about.out_trade_no.as_deref(),
                subject: &about.subject,
            };
            // The retry of a probed request is never probed (fidelity point 12).
            let spared = state.probed.remove(&identity);
            let mut strikes = |name| state.faults.strikes(name, target);
            if signer.is_some() {
                spoilt.draw_signature(spared, &mut strikes);
            }
            spoilt.draw_body(&answer, success.as_ref(), operation, &mut strikes);
            if spoilt.probe {
                state.probed.insert(identity);
            }
        }
    }
    if let Some(success) = success {
        spoilt.rewrite(&mut answer, success);
    }
    let mut headers = common_headers(&answer);
    if let Some((serial, key)) = signer
        && !spoilt.unsigned
    {
        let nonce = random::lower_hex(32);
        let timestamp =
            World::wall_ms().div_euclid(1_000) - if spoilt.stale { forged::STALE_S } else { 0 };
        let signed = |body: &[u8]| {
            let mut message = format!("{timestamp}\n{nonce}\n").into_bytes();
            message.extend_from_slice(body);
            message.push(b'\n');
            key.sign(&message)
        };
        let signature = if spoilt.probe {
            forged::probe()
        } else if spoilt.bad_signature {
            signed(b"{}")
        } else {
            signed(&answer.body)
        };
        let serial = if spoilt.unknown_serial {
            forged::unknown_serial()
        } else {
            serial.to_owned()
        };
        headers.push(("Wechatpay-Nonce", nonce));
        headers.push(("Wechatpay-Signature", signature));
        headers.push(("Wechatpay-Timestamp", timestamp.to_string()));
        headers.push(("Wechatpay-Serial", serial));
        headers.push((
            "Wechatpay-Signature-Type",
            "WECHATPAY2-SHA256-RSA2048".to_owned(),
        ));
    }
    if spoilt.endless_headers {
        let padding = "0".repeat(PADDING_HEADER_BYTES);
        headers.extend(vec![("X-Padding", padding); PADDING_HEADERS]);
    }
    let mut body = answer.body;
    if spoilt.altered {
        let at = body.len() / 2;
        body[at] = if body[at] == b'0' { b'1' } else { b'0' };
    }
    if spoilt.bomb {
        body = pack::bomb(&body);
        headers.push(("Content-Encoding", "gzip".to_owned()));
    } else if spoilt.compressed {
        body = pack::deflate(&body);
        headers.push(("Content-Encoding", "deflate".to_owned()));
    }
    set_length(&mut headers, body.len());
    Outcome::Send {
        status: answer.status,
        headers,
        body,
        pace: spoilt.pace,
    }
}

/// An empty answer without any WeChat header.
pub(crate) fn bare(answer: Answer) -> Outcome {
    let headers = vec![
        ("Server", "nginx".to_owned()),
        ("Date", beijing::http_date(World::wall_ms())),
        ("Content-Length", "0".to_owned()),
        ("Connection", "keep-alive".to_owned()),
        ("Keep-Alive", "timeout=8".to_owned()),
    ];
    Outcome::Send {
        status: answer.status,
        headers,
        body: Vec::new(),
        pace: Pace::AtOnce,
    }
}

fn common_headers(answer: &Answer) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        ("Server", "nginx".to_owned()),
        ("Date", beijing::http_date(World::wall_ms())),
        ("Content-Type", answer.content_type.to_owned()),
        ("Content-Length", String::new()),
        ("Connection", "keep-alive".to_owned()),
        ("Keep-Alive", "timeout=8".to_owned()),
        ("Cache-Control", "no-cache, must-revalidate".to_owned()),
        ("X-Content-Type-Options", "nosniff".to_owned()),
    ];
    if let Some(number) = answer.request_id {
        headers.push((
            "Request-ID",
            format!("08{}-{number}", random::lower_hex(38).to_uppercase()),
        ));
    }
    headers.push(("Content-Language", "zh-CN".to_owned()));
    headers.extend(answer.headers.iter().cloned());
    headers
}

fn set_length(headers: &mut [(&'static str, String)], length: usize) {
    for (name, value) in headers {
        if *name == "Content-Length" {
            *value = length.to_string();
        }
    }
}
