//! RSA keys, certificates and sealing. Signatures are made and checked with the `rsa` crate,
//! sealing and key generation are AWS-LC's: the reverse of what a typical Rust client does, so that
//! one mistake cannot hide in both. Keys here are made for tests; nothing guards them.

mod certificate;
mod error;
mod sealing;
mod signature;
#[cfg(test)]
mod tests;

pub(crate) use certificate::{
    Authority, CertificateFacts, issue_merchant, issue_platform, issue_tls, issue_tls_elsewhere,
    read_certificate,
};
pub(crate) use error::KeyError;
pub(crate) use sealing::{open_sensitive, seal};
pub(crate) use signature::{SigningKey, generate};
