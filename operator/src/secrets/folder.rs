//! The folder with WeChat's download, and whether its files belong together.

use std::collections::BTreeMap;
use std::path::Path;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use data_encoding::{BASE64, HEXLOWER, HEXUPPER};
use sha2::{Digest, Sha256};
use shared::domain::Timestamp;
use shared::wechatpay::{Apiv3Keys, MerchantKey, PlatformKeys};
use x509_parser::prelude::{FromDer, Pem, X509Certificate};

use crate::exit::Failure;
use crate::prompt;

/// The files whose content is asked for where they are not there.
const ASKED_FOR: [&str; 3] = ["pub_key_id.txt", "apiv3.txt", "appsecret.txt"];

/// What is signed to see that key and certificate are a pair.
const PROBE: &[u8] = b"wxpay secrets put";

/// All that the secrets need of WeChat.
pub(super) struct Folder {
    pub(super) serial_no: String,
    pub(super) private_key: String,
    pub(super) public_key_id: String,
    pub(super) public_key: String,
    pub(super) apiv3_key: String,
    pub(super) appid: String,
    pub(super) app_secret: String,
}

/// What a certificate says.
struct Certificate {
    serial_no: String,
    mchid: Option<String>,
    public_key: Vec<u8>,
    not_before: i64,
    not_after: i64,
}

impl Folder {
    /// Reads the folder and asks for what is missing; `parameters` are the stack's.
    ///
    /// # Errors
    /// Names everything that is wrong; none of it is shown.
    pub(super) fn read(
        folder: &Path,
        parameters: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let parameter = |name: &str| parameters.get(name).map(String::as_str).unwrap_or_default();
        let private_key = pem(folder, "apiclient_key.pem")?;
        let certificate = pem(folder, "apiclient_cert.pem")?;
        let public_key = pem(folder, "pub_key.pem")?;
        let read = Self {
            public_key_id: given(folder, "pub_key_id.txt", || {
                prompt::line("The public key's id (PUB_KEY_ID_…)", || absent(folder))
            })?,
            apiv3_key: given(folder, "apiv3.txt", || {
                prompt::secret("The APIv3 key", || absent(folder))
            })?,
            app_secret: given(folder, "appsecret.txt", || {
                prompt::secret("The mini-program's AppSecret", || absent(folder))
            })?,
            appid: parameter("Appid").to_owned(),
            serial_no: String::new(),
            private_key,
            public_key,
        };
        let (serial_no, problems) = problems(&read, &certificate, parameter("Mchid"), now);
        if problems.is_empty() {
            return Ok(Self { serial_no, ..read });
        }
        Err(Failure::Refused(format!(
            "nothing was written\n  {}",
            problems.join("\n  ")
        )))
    }
}

/// Everything that is wrong with what was read, and the certificate's serial number.
fn problems(
    read: &Folder,
    certificate: &str,
    mchid: &str,
    now: Timestamp,
) -> (String, Vec<String>) {
    let mut problems = Vec::new();
    let mut serial_no = String::new();
    match parse(certificate) {
        Err(why) => problems.push(format!("apiclient_cert.pem: {why}")),
        Ok(certificate) => {
            serial_no.clone_from(&certificate.serial_no);
            problems.extend(of_certificate(&certificate, mchid, now));
            problems.extend(of_pair(&certificate, &read.private_key));
        }
    }
    if read.private_key.contains("BEGIN CERTIFICATE") {
        problems.push("apiclient_key.pem holds a certificate and no key".to_owned());
    }
    let key = (read.public_key_id.as_str(), read.public_key.as_str());
    if let Err(error) = PlatformKeys::parse(&[key]) {
        problems.push(format!("pub_key.pem and its id: {error}"));
    }
    if let Err(error) = Apiv3Keys::parse(&[&read.apiv3_key]) {
        problems.push(format!("the APIv3 key: {error}"));
    }
    let drawn =
        |text: &str| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !drawn(&read.app_secret) {
        problems.push("the AppSecret is not 32 letters and digits".to_owned());
    }
    if read.app_secret == read.apiv3_key {
        problems.push(
            "AppSecret and APIv3 key are the same: one of them is meant to be another".to_owned(),
        );
    }
    (serial_no, problems)
}

fn of_certificate(certificate: &Certificate, mchid: &str, now: Timestamp) -> Vec<String> {
    let mut problems = Vec::new();
    let now = now.unix_seconds();
    if now < certificate.not_before || certificate.not_after < now {
        problems.push(
            "apiclient_cert.pem is not valid now: it expired, or this clock is wrong".to_owned(),
        );
    }
    if let Some(named) = certificate.mchid.as_deref().filter(|named| *named != mchid) {
        problems.push(format!(
            "apiclient_cert.pem is of merchant {named}, and the stack is of {mchid}"
        ));
    }
    problems
}

/// What the key signs, the certificate must verify.
fn of_pair(certificate: &Certificate, private_key: &str) -> Option<String> {
    let key = match MerchantKey::parse(&certificate.serial_no, private_key) {
        Ok(key) => key,
        Err(error) => return Some(format!("apiclient_key.pem: {error}")),
    };
    let signature = BASE64
        .decode(key.sign(PROBE).as_bytes())
        .unwrap_or_default();
    let certified = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &certificate.public_key);
    let fits = certified.verify(PROBE, &signature).is_ok();
    (!fits).then(|| "apiclient_key.pem is not the key of apiclient_cert.pem".to_owned())
}

fn parse(text: &str) -> Result<Certificate, String> {
    let unreadable = || "it is not PEM of a certificate".to_owned();
    let pem = Pem::iter_from_buffer(text.as_bytes()).next();
    let pem = pem.and_then(Result::ok).ok_or_else(unreadable)?;
    if pem.label != "CERTIFICATE" {
        return Err(format!("it holds {} and no certificate", pem.label));
    }
    let (_, parsed) = X509Certificate::from_der(&pem.contents).map_err(|_| unreadable())?;
    let name = parsed.subject().iter_common_name().next();
    let name = name.and_then(|name| name.as_str().ok()).map(str::to_owned);
    let is_number = |name: &String| name.bytes().all(|byte| byte.is_ascii_digit());
    // DER puts a zero before a number whose first bit is set.
    let serial = parsed.raw_serial();
    let serial = serial.strip_prefix(&[0]).unwrap_or(serial);
    Ok(Certificate {
        serial_no: HEXUPPER.encode(serial),
        mchid: name.filter(is_number),
        public_key: parsed.public_key().subject_public_key.data.to_vec(),
        not_before: parsed.validity().not_before.timestamp(),
        not_after: parsed.validity().not_after.timestamp(),
    })
}

/// A PEM file as its readers take it: without what Windows editors add.
fn pem(folder: &Path, name: &str) -> Result<String, Failure> {
    let file = folder.join(name);
    let text = std::fs::read_to_string(&file)
        .map_err(|error| Failure::Refused(format!("{} cannot be read: {error}", file.display())))?;
    Ok(text.trim_start_matches('\u{feff}').replace("\r\n", "\n"))
}

/// What stands in a file of the folder, or else what somebody says.
fn given(
    folder: &Path,
    name: &str,
    ask: impl FnOnce() -> Result<String, Failure>,
) -> Result<String, Failure> {
    let text = match std::fs::read_to_string(folder.join(name)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => ask()?,
        Err(error) => return Err(Failure::Refused(format!("{name} cannot be read: {error}"))),
    };
    Ok(text.trim_start_matches('\u{feff}').trim().to_owned())
}

/// The files that are not in the folder, all at once.
fn absent(folder: &Path) -> String {
    let absent = ASKED_FOR.iter().filter(|name| !folder.join(name).exists());
    let absent: Vec<&str> = absent.copied().collect();
    format!(
        "not in the folder, and nobody can be asked here: {}",
        absent.join(", ")
    )
}

/// SHA-256 in hexadecimal, as `merchant_key_hashes` has it.
pub(super) fn sha256(text: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(text.as_bytes()))
}

/// Base64, as the keys of our own are written.
pub(super) fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}
