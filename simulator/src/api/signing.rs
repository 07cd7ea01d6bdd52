//! The last step of an answer: it is signed, or spoilt by a fault, and gets its headers as captured
//! (docs/simulator.md, `answer-headers` and `sorted-json`). The ways a fault spoils it are
//! `signing/distortions.rs`'s.

use std::sync::Arc;

use serde_json::Value;

use super::answer::{Draft, Pace, Response, Signing};
use super::request::{Caller, Request};
use super::route::Operation;
use super::subject::RequestSubject;
use crate::beijing;
use crate::faults::Target;
use crate::forgeries;
use crate::handle::SimulatorHandle;
use crate::keys::SigningKey;
use crate::{compression, random};

mod distortions;

use distortions::AnswerDistortions;

/// A mebibyte of headers, far more of them than any client expects.
const PADDING_HEADERS: usize = 1_024;
const PADDING_HEADER_BYTES: usize = 1_024;

/// Signs an answer, or distorts it, and sets the headers.
pub(crate) fn sign(
    handle: &Arc<SimulatorHandle>,
    request: &Request,
    operation: &Operation,
    caller: Option<&Caller>,
    subject: &RequestSubject,
    mut answer: Draft,
) -> Response {
    // Read before anything is locked.
    let success = answer.success();
    let drawn = draw(
        handle,
        request,
        operation,
        caller,
        subject,
        &mut answer,
        success.as_ref(),
    );
    let (distortions, signer) = drawn;
    if let Some(success) = success {
        distortions.rewrite(&mut answer, success);
    }
    let mut headers = common_headers(&answer, handle.wall_ms());
    if let Some((serial, key)) = signer
        && !distortions.unsigned
    {
        let wall_ms = handle.wall_ms();
        headers.extend(signature_headers(
            serial,
            key,
            &answer.body,
            &distortions,
            wall_ms,
        ));
    }
    if distortions.endless_headers {
        let padding = "0".repeat(PADDING_HEADER_BYTES);
        headers.extend(vec![("X-Padding", padding); PADDING_HEADERS]);
    }
    let (body, encoding) = encode(answer.body, &distortions);
    headers.extend(encoding.map(|encoding| ("Content-Encoding", encoding.to_owned())));
    set_length(&mut headers, body.len());
    Response::Send {
        status: answer.status,
        headers,
        body,
        pace: distortions.pace,
    }
}

type Signer<'a> = Option<(&'a str, &'a SigningKey)>;

/// Draws what is wrong with an answer on purpose, and who signs it.
fn draw<'a>(
    handle: &SimulatorHandle,
    request: &Request,
    operation: &Operation,
    caller: Option<&'a Caller>,
    subject: &RequestSubject,
    answer: &mut Draft,
    success: Option<&Value>,
) -> (AnswerDistortions, Signer<'a>) {
    let identity = format!(
        "{} {} {}",
        request.method,
        request.target,
        String::from_utf8_lossy(&request.body)
    );
    let mut distortions = AnswerDistortions::default();
    let mut state = handle.lock();
    if answer.status >= 500 && !state.behaviours.sign_server_errors {
        answer.signing = Signing::Unsigned;
    }
    if answer.signing == Signing::Unsigned {
        return (distortions, None);
    }
    let signer = caller.and_then(|caller| {
        // Thrown only where it decides something: during a rotation.
        let throw = if caller.merchant.platform_certificates.len() > 1 {
            state.faults.throw("answer certificate", &subject.draw_key)
        } else {
            0.0
        };
        let asked = request.header("wechatpay-serial");
        caller.merchant.answer_signer(asked, throw)
    });
    let target = Target {
        operation: operation.name,
        out_trade_no: subject.out_trade_no.as_deref(),
        subject: &subject.draw_key,
    };
    // The retry of a probed request is never probed (docs/simulator.md, `probes`).
    let spared = state.probed.remove(&identity);
    let mut strikes = |name| state.faults.strikes(name, target);
    if signer.is_some() {
        distortions.draw_signature(spared, &mut strikes);
    }
    distortions.draw_body(answer, success, operation, &mut strikes);
    if distortions.probe {
        state.probed.insert(identity);
    }
    (distortions, signer)
}

fn signature_headers(
    serial: &str,
    key: &SigningKey,
    body: &[u8],
    distortions: &AnswerDistortions,
    wall_ms: i64,
) -> [(&'static str, String); 5] {
    let nonce = random::lower_hex(32);
    let age_s = if distortions.stale {
        forgeries::STALE_S
    } else {
        0
    };
    let timestamp = wall_ms.div_euclid(1_000) - age_s;
    let signed = |body: &[u8]| {
        let mut message = format!("{timestamp}\n{nonce}\n").into_bytes();
        message.extend_from_slice(body);
        message.push(b'\n');
        key.sign(&message)
    };
    let signature = if distortions.probe {
        forgeries::probe()
    } else if distortions.bad_signature {
        signed(b"{}")
    } else {
        signed(body)
    };
    let serial = if distortions.unknown_serial {
        forgeries::unknown_serial()
    } else {
        serial.to_owned()
    };
    let kind = "WECHATPAY2-SHA256-RSA2048".to_owned();
    [
        ("Wechatpay-Nonce", nonce),
        ("Wechatpay-Signature", signature),
        ("Wechatpay-Timestamp", timestamp.to_string()),
        ("Wechatpay-Serial", serial),
        ("Wechatpay-Signature-Type", kind),
    ]
}

/// The body as it goes over the wire, after it was signed, and its encoding.
fn encode(mut body: Vec<u8>, distortions: &AnswerDistortions) -> (Vec<u8>, Option<&'static str>) {
    if distortions.altered {
        let at = body.len() / 2;
        body[at] = if body[at] == b'0' { b'1' } else { b'0' };
    }
    if distortions.bomb {
        (compression::bomb(&body), Some("gzip"))
    } else if distortions.compressed {
        (compression::deflate(&body), Some("deflate"))
    } else {
        (body, None)
    }
}

/// An answer without any WeChat header: an empty one, or a text for a person.
pub(crate) fn bare(answer: Draft, wall_ms: i64) -> Response {
    let mut headers = vec![
        ("Server", "nginx".to_owned()),
        ("Date", beijing::http_date(wall_ms)),
        ("Content-Length", answer.body.len().to_string()),
        ("Connection", "keep-alive".to_owned()),
        ("Keep-Alive", "timeout=8".to_owned()),
    ];
    if !answer.body.is_empty() {
        headers.push(("Content-Type", answer.content_type.to_owned()));
    }
    Response::Send {
        status: answer.status,
        headers,
        body: answer.body,
        pace: Pace::AtOnce,
    }
}

fn common_headers(answer: &Draft, wall_ms: i64) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        ("Server", "nginx".to_owned()),
        ("Date", beijing::http_date(wall_ms)),
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
