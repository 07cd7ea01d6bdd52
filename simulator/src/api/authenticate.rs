//! Who sent a request: the checks in WeChat Pay's order (format, time, merchant, certificate,
//! signature), each with its observed 401 (docs/simulator.md, `authorization`).

use std::sync::Arc;

use serde_json::{Value, json};

use super::answer::Refusal;
use super::authorization::{self, Authorization, SCHEME, WINDOW_S, message, parse};
use super::explain;
use super::multipart;
use super::request::{Caller, Request};
use super::route::{Kind, Operation};
use crate::handle::SimulatorHandle;
use crate::keys::CertificateFacts;
use crate::merchants::{CertificateState, MerchantWithKeys};

/// The part of the signed message that a 401 repeats; where the real cut is, is not known.
const TRUNCATED_CHARACTERS: usize = 512;
/// Nonces remembered when replays are refused.
const NONCES_MAX: usize = 100_000;

/// Finds out who sent a request.
pub(crate) fn authenticate(
    handle: &Arc<SimulatorHandle>,
    request: &Request,
    operation: &Operation,
) -> Result<Caller, Refusal> {
    let authorization = request
        .header("authorization")
        .ok_or("there is no Authorization header")
        .and_then(parse)
        .map_err(|why| malformed(request, operation, why))?;
    let refuse = |message: &str| refusal(operation, message);
    let wall_s = handle.wall_ms().div_euclid(1_000);
    let timestamp = authorization::seconds(&authorization.timestamp);
    if (wall_s - timestamp).abs() > WINDOW_S {
        return Err(
            refuse("Http头Authorization中的timestamp与发起请求的时间不得超过5分钟")
                .because(explain::clock(&authorization.timestamp, wall_s)),
        );
    }
    let merchant = known_merchant(handle, &authorization, &refuse)?;
    let certificate = usable_certificate(handle, &merchant, &authorization, &refuse)?;
    // Only the meta part of an upload is signed (docs/simulator.md, `uploads`).
    let body = if operation.kind == Kind::Upload {
        multipart::signed_part(request)
    } else {
        Some(request.body.to_vec())
    };
    let body = body.unwrap_or_default();
    let message = message(request, &authorization, &body);
    if !certificate.key.verifies(&message, &authorization.signature) {
        let (explanation, client) =
            explain::signature(handle, request, &body, &authorization, &merchant);
        let text = handle.lock().behaviours.sign_mismatch_message.clone();
        return Err(refuse(&text)
            .detail(sign_information(request, &message))
            .because(explanation)
            .comparing(explain::SignedTexts::of(&message, client.as_deref())));
    }
    check_nonce(handle, &authorization, timestamp, wall_s, &refuse)?;
    Ok(Caller {
        serial_no: certificate.serial.clone(),
        merchant: Arc::clone(&merchant),
    })
}

/// The 401 of an operation.
fn refusal(operation: &Operation, message: &str) -> Refusal {
    let refusal = Refusal::new(401, "SIGN_ERROR", message)
        .unsigned()
        .number(268_443_699);
    if operation.is_transactions() {
        refusal.without_request_id()
    } else {
        refusal
    }
}

fn known_merchant(
    handle: &SimulatorHandle,
    authorization: &Authorization,
    refuse: &impl Fn(&str) -> Refusal,
) -> Result<Arc<MerchantWithKeys>, Refusal> {
    let found = handle.lock().merchants.get(&authorization.mchid).cloned();
    let Some(merchant) = found else {
        return Err(refuse("签名错误").because(format!(
            "no merchant {} is known here; merchant.json names the mchid to use",
            authorization.mchid
        )));
    };
    if merchant.record.apiv3_key.is_none() {
        return Err(refuse("商户未设置APIv3密钥。")
            .because("this merchant plays one without an APIv3 key; set one by a control call"));
    }
    if merchant.certificates.is_empty() {
        return Err(refuse("商户未申请过证书。"));
    }
    Ok(merchant)
}

fn usable_certificate<'a>(
    handle: &SimulatorHandle,
    merchant: &'a MerchantWithKeys,
    authorization: &Authorization,
    refuse: &impl Fn(&str) -> Refusal,
) -> Result<&'a CertificateFacts, Refusal> {
    let Some((certificate, state)) = merchant.certificate(&authorization.serial_no) else {
        return Err(refuse("商户证书序列号有误。请使用签名私钥匹配的证书序列号")
            .because(explain::serial(merchant, &authorization.serial_no)));
    };
    match state {
        CertificateState::Active => {}
        CertificateState::Expired => return Err(refuse("商户证书已过期")),
        CertificateState::Revoked => return Err(refuse("商户证书已作废")),
        CertificateState::Replaced => return Err(refuse("已更换证书，请使用新证书")),
    }
    if certificate.not_after_ms < handle.now_ms() {
        return Err(refuse("商户证书已过期").because(
            "the business clock is past the end of this certificate: issue another by a control call",
        ));
    }
    Ok(certificate)
}

/// What a 401 repeats of the text that should have been signed.
fn sign_information(request: &Request, message: &[u8]) -> Value {
    let sign_message: String = String::from_utf8_lossy(message)
        .chars()
        .take(TRUNCATED_CHARACTERS)
        .collect();
    json!({
        "detail": {"issue": "sign not match"},
        "field": "signature",
        "location": "authorization",
        "sign_information": {
            "method": request.method,
            "sign_message_length": message.len(),
            "truncated_sign_message": sign_message,
            "url": request.target,
        },
    })
}

/// Refuses a nonce that was used before, where the knob `refuse_replayed_nonce` says so.
fn check_nonce(
    handle: &SimulatorHandle,
    authorization: &Authorization,
    timestamp: i64,
    wall_s: i64,
    refuse: &impl Fn(&str) -> Refusal,
) -> Result<(), Refusal> {
    let mut state = handle.lock();
    if !state.behaviours.refuse_replayed_nonce {
        return Ok(());
    }
    let key = (authorization.mchid.clone(), authorization.nonce.clone());
    if state.nonces.insert(key, timestamp).is_some() {
        return Err(refuse("签名错误")
            .because("this nonce_str was used before and the knob refuse_replayed_nonce is on"));
    }
    if state.nonces.len() > NONCES_MAX {
        state
            .nonces
            .retain(|_, used_s| wall_s - *used_s <= WINDOW_S);
    }
    Ok(())
}

fn malformed(request: &Request, operation: &Operation, why: &'static str) -> Refusal {
    let scheme = request
        .header("authorization")
        .and_then(|value| value.split(' ').next());
    let other_scheme = scheme.is_some_and(|scheme| scheme != SCHEME);
    let message = if operation.is_transactions() {
        "签名信息错误，验签失败"
    } else if other_scheme {
        "HTTP头Authorization认证类型不正确"
    } else {
        "Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》"
    };
    refusal(operation, message).because(format!(
        "{why}; send: Authorization: {SCHEME} mchid=\"…\",nonce_str=\"…\",signature=\"…\",\
         timestamp=\"…\",serial_no=\"…\""
    ))
}
