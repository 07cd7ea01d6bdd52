//! Sealing under an APIv3 key, and opening what a client encrypted, with AWS-LC.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::KeyError;

/// Seals with AES-256-GCM under an APIv3 key (32 bytes of text); base64 of ciphertext and tag.
pub(crate) fn seal(
    apiv3_key: &str,
    nonce: &str,
    associated_data: &str,
    plaintext: &[u8],
) -> Result<String, KeyError> {
    let fail = |_| KeyError::new("seal with the APIv3 key", "it must have 32 bytes");
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, apiv3_key.as_bytes()).map_err(fail)?);
    let nonce = Nonce::try_assume_unique_for_key(nonce.as_bytes()).map_err(fail)?;
    let mut sealed = plaintext.to_vec();
    key.seal_in_place_append_tag(nonce, Aad::from(associated_data.as_bytes()), &mut sealed)
        .map_err(fail)?;
    Ok(STANDARD.encode(sealed))
}

/// Opens a sensitive field: base64 of RSAES-OAEP with SHA-1, empty label (docs/simulator.md,
/// `refund-endings`).
pub(crate) fn open_sensitive(private_pem: &str, field: &str) -> Option<String> {
    use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
    use rustls_pki_types::PrivatePkcs8KeyDer;
    use rustls_pki_types::pem::PemObject as _;
    let der = PrivatePkcs8KeyDer::from_pem_slice(private_pem.as_bytes()).ok()?;
    let key = PrivateDecryptingKey::from_pkcs8(der.secret_pkcs8_der()).ok()?;
    let key = OaepPrivateDecryptingKey::new(key).ok()?;
    let sealed = STANDARD.decode(field).ok()?;
    let mut plain = vec![0; key.key_size_bytes()];
    let opened = key
        .decrypt(&OAEP_SHA1_MGF1SHA1, &sealed, &mut plain, None)
        .ok()?;
    String::from_utf8(opened.to_vec()).ok()
}
