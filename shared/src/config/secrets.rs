//! Secrets: five, split by who needs them, so that the internet-facing webhook can never sign.
//!
//! Each is one JSON text in Secrets Manager. It is read once per execution environment, again after
//! [`FRESH_SECONDS`], and again after a failed verification. Between two tries, failed ones too, lies
//! [`REFRESH_FLOOR_SECONDS`], so that no caller can make this process hammer Secrets Manager. A reading
//! that fails or takes long leaves the last good one in force, and a line in the log says so, since no
//! request does. Several keys may be valid at once, so a rotation needs no deploy and rejects nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::Reader;
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::telemetry::{Level, Log, Metric, Record};
use crate::wechatpay::{Apiv3Keys, KeyError, MerchantKey, PlatformKeys};

/// How long a reading stays fresh, in seconds.
pub const FRESH_SECONDS: i64 = 15 * 60;

/// The least time between two tries to read while there is a good reading, in seconds.
pub const REFRESH_FLOOR_SECONDS: i64 = 60;

/// The least time between two tries to read while there was never a good reading, in seconds: short,
/// since nothing can be answered until then.
pub const FIRST_FLOOR_SECONDS: i64 = 2;

/// How long an app secret is at least, in characters; WeChat's have 32.
const APP_SECRET_MIN: usize = 16;

/// How long a request waits for a newer reading while it has a good one.
const REFRESH_WAIT: Duration = Duration::from_secs(if cfg!(test) { 20 } else { 1 });

/// The `function` of the line about a refresh: all functions that read a secret read the same one.
const REFRESH: &str = "secrets";

/// A secret that could not be had.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the {name} secret cannot be used: {problem}")]
pub struct SecretError {
    /// Which one.
    pub name: &'static str,
    /// What is wrong with it, without any of its content.
    pub problem: String,
}

impl SecretError {
    /// This one and another, told together.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.problem = format!("{}; {other}", self.problem);
        self
    }
}

/// What a secret's text is read into.
pub trait Content: Send + Sync + Sized + 'static {
    /// The secret's name in messages.
    const NAME: &'static str;

    /// Reads the text; the error names every problem and none of the content.
    ///
    /// # Errors
    /// The text is not of this secret's shape.
    fn parse(text: &str) -> Result<Self, String>;
}

/// A secret, read when first needed and kept fresh.
pub struct Secret<T> {
    client: aws_sdk_secretsmanager::Client,
    arn: String,
    clock: Clock,
    log: Log,
    reading: Mutex<Reading<T>>,
}

struct Reading<T> {
    /// The last good content, and when it was read.
    content: Option<(Arc<T>, Timestamp)>,
    /// The last try, and what it failed with where nothing good was ever read.
    tried: Option<(Timestamp, Option<SecretError>)>,
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Secret").finish_non_exhaustive()
    }
}

impl<T: Content> Secret<T> {
    /// The secret whose ARN (or name) stands in the variable.
    pub fn from_reader(reader: &mut Reader<'_>, variable: &'static str) -> Self {
        Self {
            arn: reader.required(variable),
            client: reader.secrets_client(),
            clock: reader.platform().clock.clone(),
            log: reader.platform().log.clone(),
            reading: Mutex::new(Reading {
                content: None,
                tried: None,
            }),
        }
    }

    /// The secret's content.
    ///
    /// # Errors
    /// It was never readable so far; a call after [`FIRST_FLOOR_SECONDS`] tries again.
    pub async fn get(&self) -> Result<Arc<T>, SecretError> {
        self.at_most_old(FRESH_SECONDS).await
    }

    /// The secret's content, read again unless that was tried a moment ago. For use after something
    /// failed that a newer key may mend.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn refreshed(&self) -> Result<Arc<T>, SecretError> {
        self.at_most_old(REFRESH_FLOOR_SECONDS).await
    }

    async fn at_most_old(&self, seconds: i64) -> Result<Arc<T>, SecretError> {
        let mut reading = self.reading.lock().await;
        let now = self.clock.wall();
        // A moment in the future is a clock that went back: it counts as long ago.
        let within = |at: Timestamp, seconds: i64| (0..seconds).contains(&now.seconds_since(at));
        if let Some((content, read_at)) = &reading.content {
            let tried_lately =
                matches!(&reading.tried, Some((at, _)) if within(*at, REFRESH_FLOOR_SECONDS));
            if within(*read_at, seconds) || tried_lately {
                return Ok(Arc::clone(content));
            }
        } else if let Some((at, Some(error))) = &reading.tried
            && within(*at, FIRST_FLOOR_SECONDS)
        {
            return Err(error.clone());
        }
        let read = match &reading.content {
            // Rather the old reading now than a newer one after the caller's time is over.
            Some(_) => tokio::time::timeout(REFRESH_WAIT, self.read())
                .await
                .unwrap_or_else(|_| {
                    Err(SecretError {
                        name: T::NAME,
                        problem: "Secrets Manager did not answer in time".to_owned(),
                    })
                }),
            None => self.read().await,
        };
        match (read, &reading.content) {
            (Ok(content), _) => {
                let content = Arc::new(content);
                *reading = Reading {
                    content: Some((Arc::clone(&content), now)),
                    tried: Some((now, None)),
                };
                Ok(content)
            }
            (Err(error), Some((content, read_at))) => {
                let content = Arc::clone(content);
                let old = !within(*read_at, 2 * FRESH_SECONDS);
                reading.tried = Some((now, None));
                self.not_refreshed(&error, old);
                Ok(content)
            }
            (Err(error), None) => {
                reading.tried = Some((now, Some(error.clone())));
                Err(error)
            }
        }
    }

    /// Says that the last good reading stays in force. Once per try, so at most once a minute: a
    /// rotation that went wrong is told while requests are still answered, not by the next cold start.
    /// One slow answer of Secrets Manager is no reason to call anybody; a reading that got `old` is.
    fn not_refreshed(&self, error: &SecretError, old: bool) {
        let mut record = Record::start(REFRESH, &self.clock);
        record
            .field("problems", vec![error.to_string()])
            .raise(Level::Warn);
        if old {
            record.count(Metric::NotConfigured);
        }
        record.write(&self.log, &self.clock, "not refreshed");
    }

    async fn read(&self) -> Result<T, SecretError> {
        let unusable = |problem| SecretError {
            name: T::NAME,
            problem,
        };
        let answer = self
            .client
            .get_secret_value()
            .secret_id(&self.arn)
            .send()
            .await
            .map_err(|error| {
                use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
                let code = error
                    .as_service_error()
                    .and_then(ProvideErrorMetadata::code);
                unusable(format!(
                    "Secrets Manager answered {}",
                    code.unwrap_or("nothing usable")
                ))
            })?;
        let text = answer
            .secret_string()
            .ok_or_else(|| unusable("it has no text".to_owned()))?;
        T::parse(text).map_err(unusable)
    }
}

fn shape<'de, S: Deserialize<'de>>(text: &'de str) -> Result<S, String> {
    serde_json::from_str(text).map_err(|error| {
        // serde's words may quote the content; its place does not.
        format!(
            "it is not JSON of the expected shape (line {}, column {})",
            error.line(),
            error.column()
        )
    })
}

/// What is wrong with several keys, told together; the same once.
fn together(errors: impl Iterator<Item = KeyError>) -> String {
    let mut problems: Vec<String> = errors.map(|error| error.to_string()).collect();
    problems.dedup();
    problems.join("; ")
}

/// What is wrong with each key by itself, or else with all of them together.
fn of_each(errors: impl Iterator<Item = KeyError>, all: KeyError) -> String {
    let each = together(errors);
    if each.is_empty() {
        all.to_string()
    } else {
        each
    }
}

/// `signing`: what signs requests and pay parameters.
pub struct Signing(Arc<MerchantKey>);

impl Signing {
    /// The merchant's key and its certificate's serial number.
    pub fn key(&self) -> Arc<MerchantKey> {
        Arc::clone(&self.0)
    }
}

impl Content for Signing {
    const NAME: &'static str = "signing";

    fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Text<'a> {
            #[serde(borrow)]
            serial_no: std::borrow::Cow<'a, str>,
            #[serde(borrow)]
            private_key: std::borrow::Cow<'a, str>,
        }
        let text: Text<'_> = shape(text)?;
        MerchantKey::parse(&text.serial_no, &text.private_key)
            .map(|key| Self(Arc::new(key)))
            .map_err(|error| {
                // A serial number that is none says nothing about the key beside it.
                let key = match &error {
                    KeyError::Serial => MerchantKey::parse("00", &text.private_key).err(),
                    _ => None,
                };
                together([error].into_iter().chain(key))
            })
    }
}

#[derive(Deserialize)]
struct PublicKeyText {
    public_key_id: String,
    public_key: String,
}

/// `wechatpay`: what WeChat Pay's signatures are checked with.
pub struct Wechatpay(Arc<PlatformKeys>);

impl Wechatpay {
    /// WeChat Pay's public keys by their ids.
    pub fn keys(&self) -> Arc<PlatformKeys> {
        Arc::clone(&self.0)
    }
}

impl Content for Wechatpay {
    const NAME: &'static str = "wechatpay";

    fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Text {
            public_key_id: String,
            public_key: String,
            #[serde(default)]
            also_accepted: Vec<PublicKeyText>,
        }
        let text: Text = shape(text)?;
        let mut entries = vec![(text.public_key_id.as_str(), text.public_key.as_str())];
        entries.extend(
            text.also_accepted
                .iter()
                .map(|key| (key.public_key_id.as_str(), key.public_key.as_str())),
        );
        PlatformKeys::parse(&entries)
            .map(|keys| Self(Arc::new(keys)))
            .map_err(|error| {
                let each = |entry| PlatformKeys::parse(&[entry]).err();
                of_each(entries.iter().copied().filter_map(each), error)
            })
    }
}

impl Content for Apiv3Keys {
    const NAME: &'static str = "apiv3";

    fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Text {
            apiv3_key: String,
            #[serde(default)]
            also_accepted: Vec<String>,
        }
        let text: Text = shape(text)?;
        let mut keys = vec![text.apiv3_key.as_str()];
        keys.extend(text.also_accepted.iter().map(String::as_str));
        Self::parse(&keys).map_err(|error| {
            let each = |key| Self::parse(&[key]).err();
            of_each(keys.iter().copied().filter_map(each), error)
        })
    }
}

/// `app`: what logs a payer in.
pub struct App {
    /// The app the secret belongs to.
    pub appid: String,
    secret: String,
}

impl App {
    /// The app secret, to be sent to WeChat and nowhere else.
    pub fn secret(&self) -> &str {
        &self.secret
    }
}

impl Content for App {
    const NAME: &'static str = "app";

    fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Text {
            appid: String,
            app_secret: String,
        }
        let text: Text = shape(text)?;
        let mut problems = Vec::new();
        if text.appid.is_empty() {
            problems.push("appid is empty");
        }
        if text.app_secret.len() < APP_SECRET_MIN {
            problems.push("app_secret is a placeholder");
        }
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        Ok(Self {
            appid: text.appid,
            secret: text.app_secret,
        })
    }
}

/// `api`: what callers are known by, and what numbers are derived with.
pub struct ApiKeys {
    pub(crate) token_keys: Vec<Vec<u8>>,
    pub(crate) merchant_key_hashes: Vec<[u8; 32]>,
    pub(crate) number_key: Vec<u8>,
}

impl Content for ApiKeys {
    const NAME: &'static str = "api";

    fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Text {
            token_key: String,
            #[serde(default)]
            also_accepted_token_keys: Vec<String>,
            merchant_key_hashes: Vec<String>,
            number_key: String,
        }
        let text: Text = shape(text)?;
        let mut problems = Vec::new();
        let mut token_keys = Vec::new();
        for token_key in std::iter::once(&text.token_key).chain(&text.also_accepted_token_keys) {
            match random_key("token_key", token_key) {
                Ok(key) => add(&mut token_keys, key, "a token key", &mut problems),
                Err(problem) => problems.push(problem),
            }
        }
        let mut merchant_key_hashes = Vec::new();
        for hash in &text.merchant_key_hashes {
            match key_hash(hash) {
                Ok(hash) => add(
                    &mut merchant_key_hashes,
                    hash,
                    "a merchant key hash",
                    &mut problems,
                ),
                Err(problem) => problems.push(problem.to_owned()),
            }
        }
        let number_key = random_key("number_key", &text.number_key).unwrap_or_else(|problem| {
            problems.push(problem);
            Vec::new()
        });
        if token_keys.contains(&number_key) {
            problems.push("number_key is a token key, too".to_owned());
        }
        if problems.is_empty() {
            Ok(Self {
                token_keys,
                merchant_key_hashes,
                number_key,
            })
        } else {
            Err(problems.join("; "))
        }
    }
}

/// Reads 32 random bytes in base64.
fn random_key(name: &str, text: &str) -> Result<Vec<u8>, String> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|_| format!("{name} is not base64"))?;
    if bytes.len() != 32 {
        let length = bytes.len();
        return Err(format!("{name} has {length} bytes; it must have 32"));
    }
    if bytes.windows(2).all(|pair| pair.first() == pair.last()) {
        return Err(format!("{name} is one byte 32 times"));
    }
    Ok(bytes)
}

/// Reads the SHA-256 of a merchant's key, which must not be what is left where the key was missing
/// when it was hashed.
fn key_hash(text: &str) -> Result<[u8; 32], &'static str> {
    let hash = data_encoding::HEXLOWER_PERMISSIVE
        .decode(text.as_bytes())
        .ok()
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
        .ok_or("a merchant key hash is not SHA-256 in hex")?;
    let of_nothing = |missing: &str| hash == <[u8; 32]>::from(Sha256::digest(missing));
    // `echo` leaves a line feed.
    if ["", "\n", "\r\n"].iter().any(|missing| of_nothing(missing)) {
        return Err("a merchant key hash is that of an empty key");
    }
    Ok(hash)
}

/// Adds a key that is not there yet. One that is was meant to be another.
fn add<T: PartialEq>(keys: &mut Vec<T>, key: T, what: &str, problems: &mut Vec<String>) {
    if keys.contains(&key) {
        problems.push(format!("{what} is given twice"));
    } else {
        keys.push(key);
    }
}

#[cfg(test)]
mod tests;
