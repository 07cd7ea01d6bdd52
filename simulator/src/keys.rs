//! RSA keys, certificates and sealing. Signatures are made and checked with the `rsa` crate,
//! sealing and key generation are AWS-LC's: the reverse of what a typical Rust client does, so that
//! one mistake cannot hide in both. Keys here are made for tests; nothing guards them.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs1v15::{Signature, SigningKey as Pkcs1Signing, VerifyingKey as Pkcs1Verifying};
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding as _, Signer as _, Verifier as _};
use rsa::traits::PublicKeyParts as _;
use rsa::{BoxedUint, PrivateKey, PublicKey};

mod certificate;
#[cfg(test)]
mod tests;

pub(crate) use certificate::{
    Authority, CertificateFacts, issue_merchant, issue_platform, issue_tls, issue_tls_elsewhere,
    read_certificate,
};

/// A key or certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step}: {reason}")]
pub(crate) struct KeyError {
    step: &'static str,
    reason: String,
}

impl KeyError {
    pub(crate) fn new(step: &'static str, reason: impl std::fmt::Display) -> Self {
        Self {
            step,
            reason: reason.to_string(),
        }
    }
}

/// A private key that signs as WeChat Pay or as a merchant.
#[derive(Debug, Clone)]
pub(crate) struct SigningKey(Pkcs1Signing<Sha256>);

impl SigningKey {
    /// Reads a PKCS#8 PEM.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let key = PrivateKey::from_pkcs8_pem(pem)
            .map_err(|error| KeyError::new("read a private key", error))?;
        Ok(Self(Pkcs1Signing::new(key)))
    }

    /// Signs with RSASSA-PKCS1-v1_5 and SHA-256; base64, 344 characters for 2048 bits.
    pub(crate) fn sign(&self, message: &[u8]) -> String {
        // PKCS#1 v1.5 over a key of 2048 bits cannot fail; an empty signature would be refused by
        // every verifier, which is the right outcome if it ever does.
        self.0.try_sign(message).map_or_else(
            |_| String::new(),
            |signature| STANDARD.encode(signature.to_bytes()),
        )
    }

    /// The public half.
    pub(crate) fn verifying(&self) -> VerifyingKey {
        let private: &PrivateKey = self.0.as_ref();
        VerifyingKey::new(private.to_public_key())
    }
}

/// A public key that checks signatures.
#[derive(Debug, Clone)]
pub(crate) struct VerifyingKey {
    key: PublicKey,
    pkcs1: Pkcs1Verifying<Sha256>,
}

impl VerifyingKey {
    pub(crate) fn new(key: PublicKey) -> Self {
        Self {
            pkcs1: Pkcs1Verifying::new(key.clone()),
            key,
        }
    }

    /// Tells whether a base64 signature is this key's over the message.
    pub(crate) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        STANDARD
            .decode(signature)
            .ok()
            .and_then(|bytes| Signature::try_from(bytes.as_slice()).ok())
            .is_some_and(|signature| self.pkcs1.verify(message, &signature).is_ok())
    }

    /// Opens a signature with the public key and returns what is inside, for explanations only.
    pub(crate) fn open(&self, signature: &[u8]) -> Option<Vec<u8>> {
        let number = BoxedUint::from_be_slice(signature, self.key.n_bits_precision()).ok()?;
        let opened = rsa::hazmat::rsa_encrypt(&self.key, &number).ok()?;
        Some(opened.to_be_bytes().into_vec())
    }

    /// The SPKI PEM, as `pub_key.pem` has it.
    pub(crate) fn to_pem(&self) -> Result<String, KeyError> {
        use rsa::pkcs8::EncodePublicKey as _;
        self.key
            .to_public_key_pem(rsa::pkcs8::LineEnding::LF)
            .map_err(|error| KeyError::new("write a public key", error))
    }
}

/// Makes a fresh RSA key of 2048 bits, PKCS#8 PEM.
pub(crate) fn generate() -> Result<String, KeyError> {
    rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)
        .map(|pair| pair.serialize_pem().replace("\r\n", "\n"))
        .map_err(|error| KeyError::new("make a private key", error))
}

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

/// Opens a sensitive field: base64 of RSAES-OAEP with SHA-1, empty label (fidelity point 24).
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
