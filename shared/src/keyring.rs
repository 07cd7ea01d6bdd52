//! What WeChat Pay's signatures are checked with: its public keys, from a secret, and the platform
//! certificates, which the sweep downloads into the table and every reader opens itself.
//!
//! Each message names its key, so that both kinds may be in use at once, as they are while a merchant
//! changes from one to the other. A certificate counts while it is valid, and not a second longer.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::clock::Clock;
use crate::config::Environment;
use crate::config::secrets::{
    AnySecret, Content, FRESH_SECONDS, Fresh, OptionalPlatformKeys, PlatformKeysSecret,
    REFRESH_FLOOR_SECONDS, Secret, SecretError, SecretProblem,
};
use crate::domain::certificates::Held;
use crate::store::{Certificates, SealedCertificates, Table};
use crate::wechatpay::{
    Apiv3Keys, CallError, CertificatesError, KeySlot, PlatformCertificates, PlatformKeys,
};

/// The keys of WeChat Pay's that are accepted.
pub struct Keyring {
    kinds: Kinds,
    clock: Clock,
    /// Whether an answer was signed with a key that is not on the ring, since somebody last asked.
    unknown_serial: AtomicBool,
}

#[expect(clippy::large_enum_variant, reason = "there is one of it in a process")]
enum Kinds {
    /// Public keys alone.
    PublicKey(Secret<PlatformKeysSecret>),
    /// Platform certificates, and a public key beside them where there is one.
    WithCertificates {
        public_keys: Secret<OptionalPlatformKeys>,
        reader: CertificateReader,
    },
}

/// Reads the certificates' item and opens it.
struct CertificateReader {
    apiv3_keys: Arc<Secret<Apiv3Keys>>,
    certificates: Certificates,
    opened: Fresh<PlatformCertificates>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Keyring").finish_non_exhaustive()
    }
}

impl Keyring {
    /// From `WECHATPAY_SECRET_ARN` and, where `PLATFORM_CERTIFICATES` is `on`, `APIV3_SECRET_ARN` and the
    /// table.
    pub fn from_environment(environment: &mut Environment<'_>, table: &Table) -> Self {
        let apiv3_keys = |environment: &mut Environment<'_>| {
            Arc::new(Secret::from_environment(environment, "APIV3_SECRET_ARN"))
        };
        Self::sharing(environment, table, apiv3_keys)
    }

    /// The same for one who holds the `apiv3` secret anyway.
    pub fn sharing<'e>(
        environment: &mut Environment<'e>,
        table: &Table,
        apiv3_keys: impl FnOnce(&mut Environment<'e>) -> Arc<Secret<Apiv3Keys>>,
    ) -> Self {
        const VARIABLE: &str = "WECHATPAY_SECRET_ARN";
        let kinds = if environment.platform_certificates() {
            Kinds::WithCertificates {
                public_keys: Secret::from_environment(environment, VARIABLE),
                reader: CertificateReader {
                    apiv3_keys: apiv3_keys(environment),
                    certificates: Certificates::new(table.clone()),
                    opened: Fresh::new(environment.process(), PlatformKeysSecret::NAME),
                },
            }
        } else {
            Kinds::PublicKey(Secret::from_environment(environment, VARIABLE))
        };
        Self {
            kinds,
            clock: environment.process().clock.clone(),
            unknown_serial: AtomicBool::new(false),
        }
    }

    /// The keys that are accepted now, the one to be used for new things first.
    ///
    /// # Errors
    /// There is none.
    pub async fn get(&self) -> Result<Arc<PlatformKeys>, SecretError> {
        self.at_most_old(Age::Fresh).await
    }

    /// The same after an answer that could not be trusted: what may have changed is read again, unless
    /// that was tried a moment ago.
    pub async fn refresh_after(&self, error: &CallError) {
        if error.is_signed_by_nobody_known() {
            self.unknown_serial.store(true, Ordering::Relaxed);
        }
        let _ = self.at_most_old(Age::Floor).await;
    }

    /// Whether an answer was signed with a key that is not on the ring, since this was last asked.
    pub fn met_an_unknown_serial(&self) -> bool {
        self.unknown_serial.swap(false, Ordering::Relaxed)
    }

    /// The keys that are accepted now, or none: for one who is about to get the first ones.
    ///
    /// # Errors
    /// The secret cannot be read.
    pub async fn get_or_none(&self) -> Result<Arc<PlatformKeys>, SecretError> {
        match &self.kinds {
            Kinds::PublicKey(secret) => Ok(secret.get().await?.keys()),
            Kinds::WithCertificates {
                public_keys,
                reader,
            } => {
                let public_keys = public_keys.get().await?.keys();
                let opened = reader.opened(Age::Fresh).await.ok();
                Ok(self.joined(public_keys, opened.as_deref()))
            }
        }
    }

    /// The APIv3 keys, where platform certificates are used.
    ///
    /// # Errors
    /// The secret cannot be read.
    pub async fn apiv3_keys(&self) -> Result<Option<Arc<Apiv3Keys>>, SecretError> {
        match &self.kinds {
            Kinds::PublicKey(_) => Ok(None),
            Kinds::WithCertificates { reader, .. } => reader.apiv3_keys.get().await.map(Some),
        }
    }

    /// Takes certificates that were downloaded just now onto the ring.
    ///
    /// # Errors
    /// The APIv3 keys cannot be read.
    pub async fn put(&self, sealed: &SealedCertificates) -> Result<(), SecretError> {
        if let Kinds::WithCertificates { reader, .. } = &self.kinds
            && let Ok(opened) = reader.open(sealed).await?
        {
            reader.opened.put(opened).await;
        }
        Ok(())
    }

    /// What is known of certificates as they lie in the table.
    ///
    /// # Errors
    /// The APIv3 keys cannot be read.
    pub async fn held(&self, sealed: &SealedCertificates) -> Result<Held, SecretError> {
        let opened = match &self.kinds {
            Kinds::PublicKey(_) => None,
            Kinds::WithCertificates { reader, .. } => reader.open(sealed).await?.ok(),
        };
        let now = self.clock.business();
        Ok(Held {
            downloaded_at: sealed.downloaded_at,
            valid_until: opened.as_ref().and_then(|opened| opened.valid_until(now)),
            current_key: opened.is_some_and(|opened| match opened.slot() {
                KeySlot::Current => true,
                KeySlot::Other => false,
            }),
        })
    }

    async fn at_most_old(&self, age: Age) -> Result<Arc<PlatformKeys>, SecretError> {
        match &self.kinds {
            Kinds::PublicKey(secret) => Ok(age.of(secret).await?.keys()),
            Kinds::WithCertificates {
                public_keys,
                reader,
            } => {
                let (public_keys, opened) = tokio::join!(age.of(public_keys), reader.opened(age));
                let public_keys = public_keys?.keys();
                let joined = self.joined(public_keys, opened.as_deref().ok());
                match opened {
                    Err(error) if joined.is_none() => Err(error),
                    Ok(_) if joined.is_none() => Err(unusable(
                        "it has no public key, and the platform certificates have all expired",
                    )),
                    Ok(_) | Err(_) => Ok(joined),
                }
            }
        }
    }

    fn joined(
        &self,
        public_keys: Option<Arc<PlatformKeys>>,
        opened: Option<&PlatformCertificates>,
    ) -> Arc<PlatformKeys> {
        let Some(opened) = opened else {
            return public_keys.unwrap_or_else(|| Arc::new(PlatformKeys::none()));
        };
        let public_keys = public_keys.map_or_else(PlatformKeys::none, Arc::unwrap_or_clone);
        Arc::new(opened.added_to(public_keys, self.clock.business()))
    }
}

impl AnySecret for Keyring {
    fn check(&self) -> Pin<Box<dyn Future<Output = Result<(), SecretError>> + Send + '_>> {
        Box::pin(async { self.get().await.map(|_| ()) })
    }
}

impl CertificateReader {
    async fn opened(&self, age: Age) -> Result<Arc<PlatformCertificates>, SecretError> {
        self.opened.at_most_old(age.seconds(), || self.read()).await
    }

    async fn read(&self) -> Result<PlatformCertificates, SecretError> {
        let sealed = match self.certificates.load().await {
            Ok(Some(sealed)) => sealed,
            Ok(None) => {
                return Err(unusable(
                    "it has no public key, and the sweep has downloaded no platform certificate yet",
                ));
            }
            Err(error) => return Err(unusable(error)),
        };
        self.open(&sealed)
            .await?
            .map_err(|error| unusable(format!("the platform certificates: {error}")))
    }

    async fn open(
        &self,
        sealed: &SealedCertificates,
    ) -> Result<Result<PlatformCertificates, CertificatesError>, SecretError> {
        let keys = self.apiv3_keys.get().await?;
        let answer = sealed.answer.as_bytes();
        if let Ok(opened) = PlatformCertificates::open(answer, &keys) {
            return Ok(Ok(opened));
        }
        // They may be sealed with a key that the secret has had for a moment only.
        let keys = self.apiv3_keys.refreshed().await?;
        Ok(PlatformCertificates::open(answer, &keys))
    }
}

/// How old a reading may be.
#[derive(Clone, Copy)]
enum Age {
    Fresh,
    Floor,
}

impl Age {
    const fn seconds(self) -> i64 {
        match self {
            Self::Fresh => FRESH_SECONDS,
            Self::Floor => REFRESH_FLOOR_SECONDS,
        }
    }

    async fn of<T: Content>(self, secret: &Secret<T>) -> Result<Arc<T>, SecretError> {
        match self {
            Self::Fresh => secret.get().await,
            Self::Floor => secret.refreshed().await,
        }
    }
}

fn unusable(what: impl ToString) -> SecretError {
    SecretError {
        name: PlatformKeysSecret::NAME,
        problem: SecretProblem::Content(what.to_string()),
    }
}
