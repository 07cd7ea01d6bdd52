//! What a notification says, for a person: its resource, opened. Nothing is decided by it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// The resource of this envelope under this APIv3 key; none where it does not open.
pub(super) fn opened(envelope: &Value, apiv3_key: &str) -> Option<String> {
    let resource = &envelope["resource"];
    let key = UnboundKey::new(&AES_256_GCM, apiv3_key.as_bytes()).ok()?;
    let nonce = resource["nonce"].as_str()?.as_bytes();
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let associated = resource["associated_data"].as_str().unwrap_or_default();
    let mut sealed = STANDARD.decode(resource["ciphertext"].as_str()?).ok()?;
    let plain = LessSafeKey::new(key).open_in_place(nonce, Aad::from(associated), &mut sealed);
    String::from_utf8(plain.ok()?.to_vec()).ok()
}
