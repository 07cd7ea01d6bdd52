//! RSA keys and the signatures they make and check, with the `rsa` crate.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs1v15::{Signature, SigningKey as Pkcs1Signing, VerifyingKey as Pkcs1Verifying};
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding as _, Signer as _, Verifier as _};
use rsa::traits::PublicKeyParts as _;
use rsa::{BoxedUint, PrivateKey, PublicKey};

use super::error::KeyError;

/// A private key that signs as WeChat Pay or as a merchant.
#[derive(Debug, Clone)]
pub(crate) struct SigningKey {
    key: Pkcs1Signing<Sha256>,
    quick: Option<Arc<RsaKeyPair>>,
}

impl SigningKey {
    /// Reads a PKCS#8 PEM.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let key = PrivateKey::from_pkcs8_pem(pem)
            .map_err(|error| KeyError::new("read a private key", error))?;
        Ok(Self {
            key: Pkcs1Signing::new(key),
            quick: None,
        })
    }

    /// The same key, whose signatures AWS-LC makes: the same bytes in a seventh of the time, for whoever runs
    /// thousands of worlds. Everybody else meets another library than the one that the functions sign with.
    pub(crate) fn quick(self) -> Result<Self, KeyError> {
        let private: &PrivateKey = self.key.as_ref();
        let der = private
            .to_pkcs8_der()
            .map_err(|error| KeyError::new("write a private key", error))?;
        let pair = RsaKeyPair::from_pkcs8(der.as_bytes())
            .map_err(|error| KeyError::new("read a private key", error))?;
        Ok(Self {
            quick: Some(Arc::new(pair)),
            ..self
        })
    }

    /// Signs with RSASSA-PKCS1-v1_5 and SHA-256; base64, 344 characters for 2048 bits.
    pub(crate) fn sign(&self, message: &[u8]) -> String {
        // PKCS#1 v1.5 over a key of 2048 bits cannot fail; an empty signature would be refused by
        // every verifier, which is the right outcome if it ever does.
        if let Some(pair) = &self.quick {
            let mut signature = vec![0; pair.public_modulus_len()];
            let signed = pair.sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            );
            return signed.map_or_else(|_| String::new(), |()| STANDARD.encode(&signature));
        }
        self.key.try_sign(message).map_or_else(
            |_| String::new(),
            |signature| STANDARD.encode(signature.to_bytes()),
        )
    }

    /// The public half.
    pub(crate) fn verifying(&self) -> VerifyingKey {
        let private: &PrivateKey = self.key.as_ref();
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
