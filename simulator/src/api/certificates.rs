//! `GET /v3/certificates`: platform certificates, sealed under the APIv3 key (docs/simulator.md,
//! `platform-certificates`).

use serde_json::{Value, json};

use super::answer::{Draft, Refusal};
use super::context::Context;
use crate::beijing;
use crate::config::Mode;
use crate::keys;
use crate::random;

/// Answers every usable certificate, or 404 to a merchant who has only the public key.
pub(crate) fn list(context: &mut Context<'_>) -> Result<Draft, Refusal> {
    let merchant = &context.caller.merchant;
    let message = "无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥。可查看指引https://pay.weixin.qq.com/docs/merchant/products/platform-certificate/wxp-pub-key-guide.html";
    if merchant.record.mode == Mode::PublicKey {
        return Err(Refusal::new(404, "RESOURCE_NOT_EXISTS", message).because(
            "this merchant has the WeChat Pay public key only (pub_key.pem): verify with it and do \
             not download certificates, or start the simulator with --mode certificate or both",
        ));
    }
    let apiv3_key = merchant.record.apiv3_key.as_deref().unwrap_or_default();
    let mut data: Vec<Value> = Vec::new();
    for ((facts, _), held) in merchant
        .platform_certificates
        .iter()
        .zip(&merchant.record.platform_certificates)
    {
        let nonce = random::lower_hex(12);
        // The plaintext has no newline at its end.
        let plaintext = held.certificate_pem.trim_end();
        let ciphertext = keys::seal(apiv3_key, &nonce, "certificate", plaintext.as_bytes())
            .map_err(|error| {
                Refusal::new(500, "SYSTEM_ERROR", "系统错误").because(error.to_string())
            })?;
        data.push(json!({
            "effective_time": beijing::rfc3339(facts.not_before_ms),
            "encrypt_certificate": {
                "algorithm": "AEAD_AES_256_GCM",
                "associated_data": "certificate",
                "ciphertext": ciphertext,
                "nonce": nonce,
            },
            "expire_time": beijing::rfc3339(facts.not_after_ms),
            "serial_no": facts.serial,
        }));
    }
    Ok(Draft::ok(&json!({"data": data})))
}
