//! Merchants as WeChat Pay knows them: numbers, keys, certificates, what they may sell. Also the
//! folder that hands a merchant its half: `merchant.json` and the PEM files under WeChat's names.
//!
//! The simulator keeps both halves of every key, because a tester wants to play either side.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::beijing;
use crate::config::Mode;
use crate::keys::{
    self, Authority, CertificateFacts, KeyError, SigningKey, issue_merchant, issue_platform,
    read_certificate,
};
use crate::ledger::TradeType;
use crate::random;

/// At most this many merchant certificates are usable at a time (docs/simulator.md,
/// `merchant-certificates`).
pub(crate) const USABLE_CERTIFICATES_MAX: usize = 3;
const FIRST_MCHID: &str = "1900000109";
const FIRST_APPID: &str = "wxd678efh567hg6787";
const MERCHANTS_FILE: &str = "state/merchants.json";

/// What `merchant.json` holds: everything a client needs, beside the PEM files in its folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MerchantFile {
    /// Where the API is: in place of `https://api.mch.weixin.qq.com` and
    /// `https://api.weixin.qq.com`.
    pub base_url: String,
    /// Where the phone and the control calls are.
    pub control_url: String,
    /// The merchant's number.
    pub mchid: String,
    /// The mini-program's id, bound to the merchant.
    pub appid: String,
    /// The mini-program's secret, for `jscode2session`.
    pub app_secret: String,
    /// The serial of `apiclient_cert.pem`.
    pub serial_no: String,
    /// The APIv3 key: 32 letters and digits.
    pub apiv3_key: String,
    /// The id of `pub_key.pem`.
    pub public_key_id: String,
    /// `public-key`, `certificate` or `both`.
    pub mode: String,
    /// A second base URL with the same state.
    pub backup_url: String,
    /// The path of the root certificate that the TLS port chains to.
    pub ca_file: String,
    /// The API over TLS, when it is served.
    pub tls_url: Option<String>,
}

/// An app bound to a merchant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct App {
    pub(crate) appid: String,
    pub(crate) app_secret: String,
}

/// Where a merchant API certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CertificateState {
    Active,
    Expired,
    Revoked,
    Replaced,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MerchantCertificate {
    pub(crate) certificate_pem: String,
    pub(crate) private_pem: String,
    pub(crate) state: CertificateState,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlatformCertificate {
    pub(crate) certificate_pem: String,
    pub(crate) private_pem: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PublicKey {
    pub(crate) id: String,
    pub(crate) private_pem: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SubMerchant {
    pub(crate) sub_mchid: String,
    pub(crate) sub_appid: Option<String>,
}

/// Whether a merchant's apps owe WeChat shipping information (小程序发货信息管理).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TradeManagement {
    /// They do not.
    #[default]
    Free,
    /// They do, and the administrator has not confirmed it yet.
    Unconfirmed,
    /// They do, and the administrator has confirmed it.
    Confirmed,
    /// The service is not open to them: nothing about it can be asked.
    NotOpen,
}

/// A merchant as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Merchant {
    pub(crate) mchid: String,
    pub(crate) apps: Vec<App>,
    /// `None` plays a merchant who never set one: no notices, 401 on every call.
    pub(crate) apiv3_key: Option<String>,
    pub(crate) mode: Mode,
    pub(crate) certificates: Vec<MerchantCertificate>,
    /// Oldest first; the last one signs.
    pub(crate) public_keys: Vec<PublicKey>,
    /// Oldest first; one, or two during a rotation.
    pub(crate) platform_certificates: Vec<PlatformCertificate>,
    /// In `both` mode: the share of notices the public key signs.
    pub(crate) public_key_share: f64,
    /// During a rotation: the share of messages the newest platform certificate signs.
    pub(crate) new_certificate_share: f64,
    pub(crate) products: Vec<TradeType>,
    /// What can be refunded before `NOT_ENOUGH`; `None` is without limit.
    pub(crate) balance_fen: Option<i64>,
    /// The refund notice URL set on the merchant platform, used when a refund names none.
    pub(crate) refund_notify_url: Option<String>,
    pub(crate) sub_merchants: Vec<SubMerchant>,
    #[serde(default)]
    pub(crate) trade_management: TradeManagement,
    /// Whether the caller's address is on the app's IP allow list (IP白名单), without which there is no token.
    #[serde(default = "yes")]
    pub(crate) ip_listed: bool,
}

const fn yes() -> bool {
    true
}

impl Merchant {
    /// The secret of an app: of one of its own, or of a sub-merchant's, which has the secret of the
    /// partner's first app (docs/simulator.md, after the table of facts).
    pub(crate) fn app_secret(&self, appid: &str) -> Option<&str> {
        let own = self.apps.iter().find(|app| app.appid == appid);
        let of_sub = |sub: &SubMerchant| sub.sub_appid.as_deref() == Some(appid);
        let app = match own {
            Some(app) => app,
            None if self.sub_merchants.iter().any(of_sub) => self.apps.first()?,
            None => return None,
        };
        Some(&app.app_secret)
    }
}

/// Everything `state/merchants.json` holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Registry {
    pub(crate) root_certificate_pem: String,
    pub(crate) root_private_pem: String,
    pub(crate) merchants: Vec<Merchant>,
}

/// A merchant with its keys parsed.
#[derive(Debug)]
pub(crate) struct MerchantWithKeys {
    pub(crate) record: Merchant,
    pub(crate) certificates: Vec<(CertificateFacts, CertificateState)>,
    pub(crate) public_keys: Vec<(String, SigningKey)>,
    pub(crate) platform_certificates: Vec<(CertificateFacts, SigningKey)>,
}

impl MerchantWithKeys {
    /// Parses a merchant's keys.
    pub(crate) fn new(record: Merchant) -> Result<Self, KeyError> {
        let mut certificates = Vec::new();
        for held in &record.certificates {
            certificates.push((read_certificate(&held.certificate_pem)?, held.state));
        }
        let mut public_keys = Vec::new();
        for key in &record.public_keys {
            public_keys.push((key.id.clone(), SigningKey::from_pem(&key.private_pem)?));
        }
        let mut platform_certificates = Vec::new();
        for held in &record.platform_certificates {
            platform_certificates.push((
                read_certificate(&held.certificate_pem)?,
                SigningKey::from_pem(&held.private_pem)?,
            ));
        }
        Ok(Self {
            record,
            certificates,
            public_keys,
            platform_certificates,
        })
    }

    /// The same, with keys that sign quickly.
    pub(crate) fn quick(mut self) -> Result<Self, KeyError> {
        for (_, key) in &mut self.public_keys {
            *key = key.clone().quick()?;
        }
        for (_, key) in &mut self.platform_certificates {
            *key = key.clone().quick()?;
        }
        Ok(self)
    }

    /// The certificate of a serial, compared without case.
    pub(crate) fn certificate(
        &self,
        serial: &str,
    ) -> Option<&(CertificateFacts, CertificateState)> {
        self.certificates
            .iter()
            .find(|(facts, _)| facts.serial.eq_ignore_ascii_case(serial))
    }

    /// The private key a `Wechatpay-Serial` names, for opening sensitive fields.
    pub(crate) fn platform_private(&self, serial: &str) -> Option<&str> {
        let key = self
            .record
            .public_keys
            .iter()
            .find(|key| key.id.eq_ignore_ascii_case(serial));
        if let Some(key) = key {
            return Some(&key.private_pem);
        }
        let index = self
            .platform_certificates
            .iter()
            .position(|(facts, _)| facts.serial.eq_ignore_ascii_case(serial))?;
        Some(&self.record.platform_certificates[index].private_pem)
    }

    /// Whether a signature is WeChat Pay's over this message, by the key that it names.
    pub(crate) fn has_signed(&self, serial: &str, message: &[u8], signature: &str) -> bool {
        let public = self.public_keys.iter().map(|(id, key)| (id, key));
        let certified = self.platform_certificates.iter();
        let certified = certified.map(|(facts, key)| (&facts.serial, key));
        public
            .chain(certified)
            .find(|(name, _)| name.eq_ignore_ascii_case(serial))
            .is_some_and(|(_, key)| key.verifying().verifies(message, signature))
    }

    /// The newest WeChat Pay public key, SPKI PEM.
    pub(crate) fn public_pem(&self) -> Option<String> {
        let (_, key) = self.public_keys.last()?;
        key.verifying().to_pem().ok()
    }

    /// The newest usable merchant certificate.
    pub(crate) fn newest_certificate(&self) -> Option<&CertificateFacts> {
        self.certificates
            .iter()
            .rev()
            .find(|(_, state)| *state == CertificateState::Active)
            .map(|(facts, _)| facts)
    }

    /// Chooses who signs an answer: the public key or a platform certificate (docs/simulator.md,
    /// `signing-keys`), with `throw` deciding between two certificates during a rotation.
    pub(crate) fn answer_signer(
        &self,
        asked: Option<&str>,
        throw: f64,
    ) -> Option<(&str, &SigningKey)> {
        match self.record.mode {
            Mode::PublicKey => self.public_signer(),
            Mode::Certificate => self.certificate_signer(throw),
            Mode::Both => match asked {
                Some(serial) if serial.starts_with("PUB_KEY_ID_") => self.public_signer(),
                Some(_) | None => self.certificate_signer(throw),
            },
        }
    }

    /// Chooses who signs a notice; in `both` mode the ratio decides.
    pub(crate) fn notice_signer(
        &self,
        by_public_key: f64,
        throw: f64,
    ) -> Option<(&str, &SigningKey)> {
        match self.record.mode {
            Mode::PublicKey => self.public_signer(),
            Mode::Certificate => self.certificate_signer(throw),
            Mode::Both if by_public_key < self.record.public_key_share => self.public_signer(),
            Mode::Both => self.certificate_signer(throw),
        }
    }

    fn public_signer(&self) -> Option<(&str, &SigningKey)> {
        self.public_keys.last().map(|(id, key)| (id.as_str(), key))
    }

    fn certificate_signer(&self, throw: f64) -> Option<(&str, &SigningKey)> {
        let newest = self.platform_certificates.len().checked_sub(1)?;
        let chosen = if throw < self.record.new_certificate_share {
            newest
        } else {
            newest.saturating_sub(1)
        };
        let (facts, key) = &self.platform_certificates[chosen];
        Some((facts.serial.as_str(), key))
    }
}

impl Registry {
    /// Reads the registry of a data folder; `None` when there is none yet.
    pub(crate) fn read(folder: &Path) -> io::Result<Option<Self>> {
        match std::fs::read(folder.join(MERCHANTS_FILE)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a registry with one merchant and fresh keys.
    pub(crate) fn generate(mode: Mode, now_ms: i64) -> Result<Self, KeyError> {
        // Four keys, each a fraction of a second on one core.
        let [root, merchant, public, platform] = generate_all()?;
        let root_certificate_pem = Authority::root(&root, now_ms)?;
        let mut registry = Self {
            root_certificate_pem,
            root_private_pem: root,
            merchants: Vec::new(),
        };
        let made = registry.merchant(
            FIRST_MCHID.to_owned(),
            FIRST_APPID.to_owned(),
            mode,
            [merchant, public, platform],
            now_ms,
        )?;
        registry.merchants.push(made);
        Ok(registry)
    }

    /// Makes a merchant from three private keys: its own, the public key's and the platform
    /// certificate's.
    pub(crate) fn merchant(
        &self,
        mchid: String,
        appid: String,
        mode: Mode,
        [own, public, platform]: [String; 3],
        now_ms: i64,
    ) -> Result<Merchant, KeyError> {
        let certificate = self.merchant_certificate(&mchid, own, now_ms)?;
        let platform = self.platform_certificate(platform, now_ms)?;
        Ok(Merchant {
            apps: vec![App {
                appid,
                app_secret: random::lower_hex(32),
            }],
            apiv3_key: Some(random::alphanumeric(32)),
            mode,
            certificates: vec![certificate],
            public_keys: vec![PublicKey {
                id: public_key_id(&mchid, now_ms),
                private_pem: public,
            }],
            platform_certificates: vec![platform],
            public_key_share: 0.5,
            new_certificate_share: 0.0,
            products: TradeType::ALL.to_vec(),
            balance_fen: None,
            refund_notify_url: None,
            sub_merchants: vec![SubMerchant {
                sub_mchid: "1900000110".to_owned(),
                sub_appid: Some("wxd678efh567hg6788".to_owned()),
            }],
            trade_management: TradeManagement::default(),
            ip_listed: yes(),
            mchid,
        })
    }

    pub(crate) fn merchant_certificate(
        &self,
        mchid: &str,
        private_pem: String,
        now_ms: i64,
    ) -> Result<MerchantCertificate, KeyError> {
        let certificate_pem = issue_merchant(
            self.authority(),
            &private_pem,
            mchid,
            &random::serial(),
            now_ms,
        )?;
        Ok(MerchantCertificate {
            certificate_pem,
            private_pem,
            state: CertificateState::Active,
        })
    }

    pub(crate) fn platform_certificate(
        &self,
        private_pem: String,
        now_ms: i64,
    ) -> Result<PlatformCertificate, KeyError> {
        let certificate_pem =
            issue_platform(self.authority(), &private_pem, &random::serial(), now_ms)?;
        Ok(PlatformCertificate {
            certificate_pem,
            private_pem,
        })
    }

    pub(crate) fn authority(&self) -> Authority<'_> {
        Authority {
            certificate_pem: &self.root_certificate_pem,
            private_pem: &self.root_private_pem,
        }
    }

    /// Replaces the registry file in one step, so that a crash leaves the old or the new one.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        if folder.as_os_str().is_empty() {
            // A simulator without a folder keeps nothing.
            return Ok(());
        }
        write_atomically(
            &folder.join(MERCHANTS_FILE),
            &serde_json::to_vec_pretty(self)?,
        )
    }

    /// Writes the files that a merchant would have: `merchant.json` and the PEM files.
    pub(crate) fn hand_out(
        &self,
        folder: &Path,
        file: &MerchantFile,
        merchant: &MerchantWithKeys,
    ) -> io::Result<()> {
        if folder.as_os_str().is_empty() {
            return Ok(());
        }
        let missing = || io::Error::other("the merchant has no key of this kind");
        let record = &merchant.record;
        let own = record
            .certificates
            .iter()
            .rev()
            .find(|held| held.state == CertificateState::Active)
            .or(record.certificates.last())
            .ok_or_else(missing)?;
        let public = record.public_keys.last().ok_or_else(missing)?;
        let (_, public_signing) = merchant.public_keys.last().ok_or_else(missing)?;
        // The certificate that signs: during a rotation the old one, until the change has begun.
        let platform = if record.new_certificate_share > 0.0 {
            record.platform_certificates.last()
        } else {
            record.platform_certificates.first()
        };
        let platform = platform.ok_or_else(missing)?;
        let signing = match record.mode {
            Mode::PublicKey | Mode::Both => &public.private_pem,
            Mode::Certificate => &platform.private_pem,
        };
        let public_pem = public_signing
            .verifying()
            .to_pem()
            .map_err(io::Error::other)?;
        let mut files: BTreeMap<&str, &[u8]> = BTreeMap::new();
        files.insert("apiclient_key.pem", own.private_pem.as_bytes());
        files.insert("apiclient_cert.pem", own.certificate_pem.as_bytes());
        files.insert("pub_key.pem", public_pem.as_bytes());
        files.insert("platform_cert.pem", platform.certificate_pem.as_bytes());
        files.insert("platform_key.pem", signing.as_bytes());
        files.insert("platform_cert_key.pem", platform.private_pem.as_bytes());
        files.insert("ca_cert.pem", self.root_certificate_pem.as_bytes());
        for (name, bytes) in files {
            let path = folder.join(name);
            // Unchanged files keep their time, so that watchers see only real changes.
            if std::fs::read(&path).ok().as_deref() != Some(bytes) {
                write_atomically(&path, bytes)?;
            }
        }
        write_atomically(
            &folder.join("merchant.json"),
            &serde_json::to_vec_pretty(file)?,
        )
    }
}

/// The id of a WeChat Pay public key: `01`, the mchid, the day, 14 digits (docs/simulator.md,
/// `signing-keys`).
pub(crate) fn public_key_id(mchid: &str, now_ms: i64) -> String {
    format!(
        "PUB_KEY_ID_01{mchid:0>10}{}{}",
        beijing::compact_day(now_ms),
        random::digits(14)
    )
}

/// Makes several keys at once, on as many threads.
pub(crate) fn generate_all<const COUNT: usize>() -> Result<[String; COUNT], KeyError> {
    let made: Vec<Result<String, KeyError>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..COUNT).map(|_| scope.spawn(keys::generate)).collect();
        let lost = |_| Err(KeyError::new("make a private key", "the thread died"));
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(lost))
            .collect()
    });
    let keys: Vec<String> = made.into_iter().collect::<Result<_, _>>()?;
    keys.try_into()
        .map_err(|_| KeyError::new("make private keys", "some are missing"))
}

/// Writes beside the target and renames, so that readers see the old file or the new one.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, bytes)?;
    std::fs::rename(&beside, path)
}
