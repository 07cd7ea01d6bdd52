//! The last step of an answer: it is signed, or spoilt by a fault, and gets its headers as captured
//! (fidelity points 3 and 4). The ways a fault spoils it are `signing/distortions.rs`'s.

use std::sync::Arc;

use super::answer::{Draft, Pace, Response, Signing};
use super::request::{Caller, Request};
use super::route::Operation;
use super::subject::RequestSubject;
use crate::beijing;
use crate::faults::Target;
use crate::forgeries;
use crate::handle::SimulatorHandle;
use crate::{compression, random};

mod distortions;

use distortions::AnswerDistortions;

/// A mebibyte of headers, far more of them than any client expects.
const PADDING_HEADERS: usize = 1_024;
const PADDING_HEADER_BYTES: usize = 1_024;

/// Signs an answer, or spoils it, and sets the headers.
pub(crate) fn sign(
    handle: &Arc<SimulatorHandle>,
    request: &Request,
    operation: &Operation,
    caller: Option<&Caller>,
    subject: &RequestSubject,
    mut answer: Draft,
) -> Response {
    let identity = format!(
        "{} {} {}",
        request.method,
        request.target,
        String::from_utf8_lossy(&request.body)
    );
    let asked = request.header("wechatpay-serial");
    // Read before anything is locked.
    let success = answer.success();
    let mut distortions = AnswerDistortions::default();
    let mut signer = None;
    {
        let mut state = handle.lock();
        if answer.status >= 500 && !state.behaviours.sign_server_errors {
            answer.signing = Signing::Unsigned;
        }
        if let (Signing::Signed, Some(caller)) = (answer.signing, caller) {
            // Thrown only where it decides something: during a rotation.
            let throw = if caller.merchant.platform_certificates.len() > 1 {
                state.faults.throw("answer certificate", &subject.draw_key)
            } else {
                0.0
            };
            signer = caller.merchant.answer_signer(asked, throw);
        }
        if answer.signing == Signing::Signed {
            let target = Target {
                operation: operation.name(),
                out_trade_no: subject.out_trade_no.as_deref(),
                subject: &subject.draw_key,
            };
            // The retry of a probed request is never probed (fidelity point 12).
            let spared = state.probed.remove(&identity);
            let mut strikes = |name| state.faults.strikes(name, target);
            if signer.is_some() {
                distortions.draw_signature(spared, &mut strikes);
            }
            distortions.draw_body(&answer, success.as_ref(), operation, &mut strikes);
            if distortions.probe {
                state.probed.insert(identity);
            }
        }
    }
    if let Some(success) = success {
        distortions.rewrite(&mut answer, success);
    }
    let mut headers = common_headers(&answer);
    if let Some((serial, key)) = signer
        && !distortions.unsigned
    {
        let nonce = random::lower_hex(32);
        let timestamp = SimulatorHandle::wall_ms().div_euclid(1_000)
            - if distortions.stale {
                forgeries::STALE_S
            } else {
                0
            };
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
            signed(&answer.body)
        };
        let serial = if distortions.unknown_serial {
            forgeries::unknown_serial()
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
    if distortions.endless_headers {
        let padding = "0".repeat(PADDING_HEADER_BYTES);
        headers.extend(vec![("X-Padding", padding); PADDING_HEADERS]);
    }
    let mut body = answer.body;
    if distortions.altered {
        let at = body.len() / 2;
        body[at] = if body[at] == b'0' { b'1' } else { b'0' };
    }
    if distortions.bomb {
        body = compression::bomb(&body);
        headers.push(("Content-Encoding", "gzip".to_owned()));
    } else if distortions.compressed {
        body = compression::deflate(&body);
        headers.push(("Content-Encoding", "deflate".to_owned()));
    }
    set_length(&mut headers, body.len());
    Response::Send {
        status: answer.status,
        headers,
        body,
        pace: distortions.pace,
    }
}

/// An empty answer without any WeChat header.
pub(crate) fn bare(answer: Draft) -> Response {
    let headers = vec![
        ("Server", "nginx".to_owned()),
        ("Date", beijing::http_date(SimulatorHandle::wall_ms())),
        ("Content-Length", "0".to_owned()),
        ("Connection", "keep-alive".to_owned()),
        ("Keep-Alive", "timeout=8".to_owned()),
    ];
    Response::Send {
        status: answer.status,
        headers,
        body: Vec::new(),
        pace: Pace::AtOnce,
    }
}

fn common_headers(answer: &Draft) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        ("Server", "nginx".to_owned()),
        ("Date", beijing::http_date(SimulatorHandle::wall_ms())),
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
