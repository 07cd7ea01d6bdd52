//! WeChat Pay's platform certificates: opened with the APIv3 key, and read into keys.
//!
//! Their authenticity is the seal's: WeChat Pay and the merchant alone know the APIv3 key, and no chain of
//! issuers is looked at, as the official SDKs do it. What a certificate adds to its key is a serial
//! number and a term.

use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use serde::Deserialize;
use x509_cert::der::{Decode, Encode};
use x509_cert::time::Time;

use super::keys::{Apiv3Keys, KeyError, KeyId, PlatformKey, PlatformKeys};
use super::seal::{KeySlot, OpenError, SealedResource, open};
use crate::domain::Timestamp;

/// An answer that holds no usable certificates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificatesError {
    /// Not an answer of certificates.
    #[error("this is no list of certificates")]
    Shape,
    /// It is empty.
    #[error("the list has no certificate")]
    Empty,
    /// One of them does not open.
    #[error("a certificate is {0}")]
    Sealed(#[from] OpenError),
    /// What one holds is no X.509 certificate.
    #[error("what is sealed is no certificate")]
    NotX509,
    /// One bears another serial number than it is listed under.
    #[error("a certificate bears another serial number than it is listed under")]
    Serial,
    /// The key of one cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

#[derive(Deserialize)]
struct Listed {
    data: Vec<ListedCertificate>,
}

#[derive(Deserialize)]
struct ListedCertificate {
    serial_no: String,
    encrypt_certificate: SealedResource,
}

/// A certificate's key and its term.
struct Certificate {
    key: Arc<PlatformKey>,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Certificate {
    fn is_valid(&self, now: Timestamp) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

/// Platform certificates, opened.
pub struct PlatformCertificates {
    /// Those that came into force last come first.
    certificates: Vec<Certificate>,
    slot: KeySlot,
}

impl PlatformCertificates {
    /// Opens every certificate of an answer to `GET /v3/certificates`, as it came. One that cannot be
    /// used makes all of them unusable: what is not understood in whole is not trusted in part.
    ///
    /// # Errors
    /// Says what is wrong, and nothing of the content.
    pub fn open(answer: &[u8], keys: &Apiv3Keys) -> Result<Self, CertificatesError> {
        let listed: Listed =
            serde_json::from_slice(answer).map_err(|_| CertificatesError::Shape)?;
        let mut certificates = Vec::with_capacity(listed.data.len());
        let mut slot = KeySlot::Current;
        for one in &listed.data {
            let (pem, opened_with) = open(keys, &one.encrypt_certificate)?;
            if opened_with == KeySlot::Other {
                slot = KeySlot::Other;
            }
            certificates.push(certificate(&one.serial_no, &pem)?);
        }
        if certificates.is_empty() {
            return Err(CertificatesError::Empty);
        }
        certificates.sort_by_key(|certificate| std::cmp::Reverse(certificate.not_before));
        Ok(Self { certificates, slot })
    }

    /// Which APIv3 key opened them; [`KeySlot::Other`] where one needed another than the current.
    pub const fn slot(&self) -> KeySlot {
        self.slot
    }

    /// How long one of those that are valid now will be, at the longest; `None` where none is.
    pub fn valid_until(&self, now: Timestamp) -> Option<Timestamp> {
        let valid = self.certificates.iter();
        let valid = valid.filter(|certificate| certificate.is_valid(now));
        valid.map(|certificate| certificate.not_after).max()
    }

    /// The public keys, and behind them those of the certificates that are valid now, the newest first.
    pub fn added_to(&self, public_keys: PlatformKeys, now: Timestamp) -> PlatformKeys {
        let valid = self.certificates.iter();
        let valid = valid.filter(|certificate| certificate.is_valid(now));
        public_keys.with(valid.map(|certificate| Arc::clone(&certificate.key)))
    }
}

impl std::fmt::Debug for PlatformCertificates {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let serials = self.certificates.iter().map(|one| one.key.id.as_str());
        formatter.debug_list().entries(serials).finish()
    }
}

fn certificate(listed_as: &str, pem: &[u8]) -> Result<Certificate, CertificatesError> {
    let not_x509 = || CertificatesError::NotX509;
    let der = CertificateDer::from_pem_slice(pem).map_err(|_| not_x509())?;
    let read = x509_cert::Certificate::from_der(&der).map_err(|_| not_x509())?;
    let read = read.tbs_certificate();
    // In hexadecimal with its leading zeros, as messages name it. DER puts a zero byte before a number
    // whose first bit is set.
    let serial = read.serial_number().as_bytes().iter();
    let serial = serial.skip_while(|byte| **byte == 0);
    let serial: String = serial.map(|byte| format!("{byte:02X}")).collect();
    let id = KeyId::parse(listed_as)?;
    if !id.as_str().eq_ignore_ascii_case(&format!("{serial:0>40}")) {
        return Err(CertificatesError::Serial);
    }
    let public_key = read.subject_public_key_info();
    let public_key = public_key.to_der().map_err(|_| not_x509())?;
    let validity = read.validity();
    Ok(Certificate {
        key: Arc::new(PlatformKey::of(
            id,
            SubjectPublicKeyInfoDer::from(public_key),
        )?),
        not_before: moment(validity.not_before)?,
        not_after: moment(validity.not_after)?,
    })
}

fn moment(time: Time) -> Result<Timestamp, CertificatesError> {
    let seconds = time.to_unix_duration().as_secs();
    i64::try_from(seconds)
        .map(Timestamp::from_unix_seconds)
        .map_err(|_| CertificatesError::NotX509)
}
