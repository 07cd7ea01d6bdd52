//! X.509 as Tenpay issues it (docs/simulator.md, `platform-certificates`): names, 1825 days,
//! serials of 40 hex digits, and the authority that signs them here, which is also the root of the
//! simulator's TLS.

use data_encoding::HEXUPPER;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, SanType,
    SerialNumber,
};
use time::{Duration, OffsetDateTime};

use super::error::KeyError;
use super::signature::VerifyingKey;
use crate::config::{API_HOSTS, LOGIN_HOST};

/// How long merchant and platform certificates live (docs/simulator.md, `platform-certificates`).
const LIFE: Duration = Duration::days(1825);
const AUTHORITY_LIFE: Duration = Duration::days(20 * 365);

/// What the simulator needs to know of a certificate.
#[derive(Debug, Clone)]
pub(crate) struct CertificateFacts {
    /// The serial: 40 upper-case hex digits, leading zeros kept.
    pub(crate) serial: String,
    pub(crate) not_before_ms: i64,
    pub(crate) not_after_ms: i64,
    pub(crate) key: VerifyingKey,
}

/// The authority's certificate and key, both PEM.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Authority<'a> {
    pub(crate) certificate_pem: &'a str,
    pub(crate) private_pem: &'a str,
}

impl Authority<'_> {
    /// Makes the self-signed root for a key.
    pub(crate) fn root(private_pem: &str, now_ms: i64) -> Result<String, KeyError> {
        let mut params = named(&[
            (DnType::CountryName, "CN"),
            (DnType::OrganizationName, "Tenpay.com"),
            (DnType::OrganizationalUnitName, "Tenpay.com CA Center"),
            (DnType::CommonName, "Tenpay.com Root CA"),
        ]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        live(&mut params, now_ms, AUTHORITY_LIFE);
        let key = pair(private_pem)?;
        let certificate = params
            .self_signed(&key)
            .map_err(|error| KeyError::new("make the root certificate", error))?;
        Ok(certificate.pem().replace("\r\n", "\n"))
    }
}

/// Issues a merchant API certificate (`apiclient_cert.pem`).
pub(crate) fn issue_merchant(
    authority: Authority<'_>,
    private_pem: &str,
    mchid: &str,
    serial: &[u8; 20],
    not_before_ms: i64,
) -> Result<String, KeyError> {
    let mut params = named(&[
        (DnType::CommonName, mchid),
        (DnType::OrganizationName, "WeChat Pay simulator merchant"),
        (DnType::OrganizationalUnitName, "MMPay"),
        (DnType::CountryName, "CN"),
        (DnType::LocalityName, "ShenZhen"),
    ]);
    params.key_usages = end_entity_usages();
    live(&mut params, not_before_ms, LIFE);
    issue(authority, params, private_pem, Some(serial))
}

/// Issues a platform certificate, with the names a genuine one carries.
pub(crate) fn issue_platform(
    authority: Authority<'_>,
    private_pem: &str,
    serial: &[u8; 20],
    not_before_ms: i64,
) -> Result<String, KeyError> {
    let mut params = named(&[
        (DnType::CommonName, "Tenpay.com sign"),
        (DnType::OrganizationName, "Tenpay.com"),
        (DnType::OrganizationalUnitName, "Tenpay.com CA Center"),
        (DnType::CountryName, "CN"),
        (DnType::LocalityName, "ShenZhen"),
    ]);
    params.key_usages = end_entity_usages();
    live(&mut params, not_before_ms, LIFE);
    issue(authority, params, private_pem, Some(serial))
}

/// Issues the certificate of the TLS port for the loopback names, the bound address and the
/// hosts it stands in for.
pub(crate) fn issue_tls(
    authority: Authority<'_>,
    private_pem: &str,
    host: std::net::IpAddr,
    now_ms: i64,
) -> Result<String, KeyError> {
    let mut params = named(&[(DnType::CommonName, "WeChat Pay simulator")]);
    let hosts = ["localhost", LOGIN_HOST].into_iter().chain(API_HOSTS);
    for name in hosts {
        let name = name
            .try_into()
            .map_err(|error| KeyError::new("name a host", error))?;
        params.subject_alt_names.push(SanType::DnsName(name));
    }
    for address in [
        host,
        std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::Ipv6Addr::LOCALHOST.into(),
    ] {
        params.subject_alt_names.push(SanType::IpAddress(address));
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    // Clients on some platforms refuse a TLS certificate of more than 825 days.
    live(&mut params, now_ms, Duration::days(800));
    issue(authority, params, private_pem, None)
}

/// Issues a TLS certificate for a host that the simulator is not.
pub(crate) fn issue_tls_elsewhere(
    authority: Authority<'_>,
    private_pem: &str,
    now_ms: i64,
) -> Result<String, KeyError> {
    let mut params = named(&[(DnType::CommonName, "elsewhere.example.com")]);
    let name = "elsewhere.example.com"
        .try_into()
        .map_err(|error| KeyError::new("name a host", error))?;
    params.subject_alt_names.push(SanType::DnsName(name));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    live(&mut params, now_ms, Duration::days(800));
    issue(authority, params, private_pem, None)
}

/// Reads serial, life and key of a PEM certificate.
pub(crate) fn read_certificate(pem: &str) -> Result<CertificateFacts, KeyError> {
    use rsa::pkcs8::DecodePublicKey as _;
    let step = "read a certificate";
    let (_, parsed) =
        x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(|e| KeyError::new(step, e))?;
    let certificate = parsed
        .parse_x509()
        .map_err(|error| KeyError::new(step, error))?;
    let key = rsa::PublicKey::from_public_key_der(certificate.public_key().raw)
        .map_err(|error| KeyError::new(step, error))?;
    let serial = certificate.raw_serial();
    // DER puts a zero byte before a number whose first bit is set; it is no part of the serial.
    let digits = serial.len().min(20);
    let text = HEXUPPER.encode(&serial[serial.len() - digits..]);
    Ok(CertificateFacts {
        serial: format!("{text:0>40}"),
        not_before_ms: certificate.validity().not_before.timestamp() * 1_000,
        not_after_ms: certificate.validity().not_after.timestamp() * 1_000,
        key: VerifyingKey::new(key),
    })
}

fn issue(
    authority: Authority<'_>,
    mut params: CertificateParams,
    private_pem: &str,
    serial: Option<&[u8; 20]>,
) -> Result<String, KeyError> {
    let step = "issue a certificate";
    params.serial_number = serial.map(|serial| SerialNumber::from_slice(serial));
    let issuer = Issuer::from_ca_cert_pem(authority.certificate_pem, pair(authority.private_pem)?)
        .map_err(|error| KeyError::new(step, error))?;
    let certificate = params
        .signed_by(&pair(private_pem)?, &issuer)
        .map_err(|error| KeyError::new(step, error))?;
    Ok(certificate.pem().replace("\r\n", "\n"))
}

fn pair(private_pem: &str) -> Result<KeyPair, KeyError> {
    KeyPair::from_pkcs8_pem_and_sign_algo(private_pem, &PKCS_RSA_SHA256)
        .map_err(|error| KeyError::new("read a private key", error))
}

fn named(names: &[(DnType, &str)]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (kind, value) in names {
        params
            .distinguished_name
            .push(kind.clone(), DnValue::Utf8String((*value).to_owned()));
    }
    params
}

fn end_entity_usages() -> Vec<KeyUsagePurpose> {
    vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::ContentCommitment,
        KeyUsagePurpose::KeyEncipherment,
        KeyUsagePurpose::DataEncipherment,
        KeyUsagePurpose::KeyAgreement,
    ]
}

fn live(params: &mut CertificateParams, from_ms: i64, life: Duration) {
    let from = OffsetDateTime::from_unix_timestamp(from_ms.div_euclid(1_000))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    params.not_before = from;
    params.not_after = from + life;
}
