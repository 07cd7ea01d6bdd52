//! The last step of an answer: it is signed, or spoilt by a fault, and gets its headers as captured
//! (fidelity points 3 and 4). The ways a fault spoils it are `signing/spoilt.rs`'s.

use std::sync::Arc;

use super::about::About;
use super::answer::{Answer, Outcome, Pace, Seal};
use super::request::{Caller, Request};
use super::route::Operation;
use crate::beijing;
use crate::faults::Target;
use crate::forged;
use crate::world::World;
use crate::{pack, random};

mod spoilt;

use spoilt::Spoilt;

/// A mebibyte of headers, far more of them than any client expects.
const PADDING_HEADERS: usize = 1_024;
const PADDING_HEADER_BYTES: usize = 1_024;

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
