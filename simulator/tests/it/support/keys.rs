//! Keys, signatures and seals, with AWS-LC.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use serde_json::Value;

/// WeChat Pay's public key, SPKI DER.
pub struct PublicKey(Vec<u8>);

impl PublicKey {
    pub fn of_pem(pem: &[u8]) -> Self {
        let key = SubjectPublicKeyInfoDer::from_pem_slice(pem).unwrap();
        Self(key.as_ref().to_vec())
    }

    pub fn of_certificate(pem: &str) -> Self {
        let (_, parsed) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
        Self(parsed.parse_x509().unwrap().public_key().raw.to_vec())
    }

    pub fn verifies(&self, timestamp: &str, nonce: &str, body: &[u8], signature: &str) -> bool {
        let mut message = format!("{timestamp}\n{nonce}\n").into_bytes();
        message.extend_from_slice(body);
        message.push(b'\n');
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.0);
        STANDARD
            .decode(signature)
            .is_ok_and(|signature| key.verify(&message, &signature).is_ok())
    }

    pub fn der(&self) -> &[u8] {
        &self.0
    }
}

pub fn private_key(pem: &str) -> KeyPair {
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    KeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap()
}

pub fn sign(key: &KeyPair, message: &[u8]) -> String {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        message,
        &mut signature,
    )
    .unwrap();
    STANDARD.encode(signature)
}

/// Opens what was sealed under an APIv3 key.
pub fn open(apiv3_key: &str, resource: &Value) -> Option<Vec<u8>> {
    let text = |name: &str| resource[name].as_str().unwrap_or_default().to_owned();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, apiv3_key.as_bytes()).unwrap());
    let nonce = Nonce::try_assume_unique_for_key(text("nonce").as_bytes()).ok()?;
    let mut sealed = STANDARD.decode(text("ciphertext")).ok()?;
    let opened = key
        .open_in_place(
            nonce,
            Aad::from(text("associated_data").as_bytes()),
            &mut sealed,
        )
        .ok()?;
    Some(opened.to_vec())
}

/// Encrypts a sensitive field: RSAES-OAEP with SHA-1, base64.
pub fn seal_field(public: &PublicKey, text: &str) -> String {
    use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
    let key = PublicEncryptingKey::from_der(public.der()).unwrap();
    let key = OaepPublicEncryptingKey::new(key).unwrap();
    let mut sealed = vec![0; key.ciphertext_size()];
    let sealed = key
        .encrypt(&OAEP_SHA1_MGF1SHA1, text.as_bytes(), &mut sealed, None)
        .unwrap();
    STANDARD.encode(sealed)
}
