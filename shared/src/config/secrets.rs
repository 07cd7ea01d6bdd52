//! Secrets: five, split by who needs them, so that the internet-facing webhook can never sign.
//!
//! Each is one JSON text in Secrets Manager. It is read once per execution environment, again after
//! [`FRESH_SECONDS`], and again after a failed verification. Between two tries, failed ones too, lies
//! [`REFRESH_FLOOR_SECONDS`], so that no caller can make this process hammer Secrets Manager. A reading
//! that fails or takes long leaves the last good one in force, and a line in the log says so, since no
//! request does. Several keys may be valid at once, so a rotation needs no deploy and rejects nothing.

mod api;
mod apiv3;
mod app;
mod content;
mod fresh;
mod platform_keys;
mod signing;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

pub use self::api::ApiKeys;
pub use self::app::AppSecret;
pub use self::content::Content;
pub(crate) use self::fresh::Fresh;
pub use self::platform_keys::{OptionalPlatformKeys, PlatformKeysSecret};
pub use self::signing::SigningSecret;
use super::Environment;

/// How long a reading stays fresh, in seconds.
pub const FRESH_SECONDS: i64 = 15 * 60;

/// The least time between two tries to read while there is a good reading, in seconds.
pub const REFRESH_FLOOR_SECONDS: i64 = 60;

/// The least time between two tries to read while there was never a good reading, in seconds: short,
/// since nothing can be answered until then.
pub const FIRST_FLOOR_SECONDS: i64 = 2;

/// A secret that could not be had.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the {name} secret cannot be used: {problem}")]
pub struct SecretError {
    /// Which one.
    pub name: &'static str,
    /// What is wrong with it.
    #[source]
    pub problem: SecretProblem,
}

/// What is wrong with a secret; none of its content stands in it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SecretProblem {
    /// Secrets Manager was silent for as long as there is time to wait.
    #[error("Secrets Manager did not answer in time")]
    Timeout,
    /// Secrets Manager refused, or gave nothing that can be read.
    #[error("Secrets Manager answered {}", .code.as_deref().unwrap_or("nothing usable"))]
    Refused {
        /// The service's error code, if it gave one.
        code: Option<String>,
    },
    /// It holds bytes, or nothing.
    #[error("it has no text")]
    NoText,
    /// Its text is not of its shape: every problem in it.
    #[error("{0}")]
    Content(String),
    /// This, and another secret that cannot be used.
    #[error("{0}; {1}")]
    And(Box<Self>, Box<SecretError>),
}

impl SecretError {
    /// This one and another, said together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            name: self.name,
            problem: SecretProblem::And(Box::new(self.problem), Box::new(other)),
        }
    }
}

/// A secret, read when first needed and kept fresh.
pub struct Secret<T> {
    client: aws_sdk_secretsmanager::Client,
    arn: String,
    fresh: Fresh<T>,
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Secret").finish_non_exhaustive()
    }
}

/// A secret, whatever it holds: read ahead of the first request, or to say what is wrong with it.
pub trait AnySecret: fmt::Debug + Send + Sync {
    /// Reads it where that is due.
    fn check(&self) -> Pin<Box<dyn Future<Output = Result<(), SecretError>> + Send + '_>>;
}

impl<T: Content> AnySecret for Secret<T> {
    fn check(&self) -> Pin<Box<dyn Future<Output = Result<(), SecretError>> + Send + '_>> {
        Box::pin(async { self.get().await.map(|_| ()) })
    }
}

/// Reads a function's secrets before its first request: one after the other, so that they come over
/// one connection (docs/performance.md, "What the numbers rest on"). It stops at the first that
/// cannot be read: the first request reads that one again, and reports it.
pub async fn warm_up(secrets: &[&dyn AnySecret]) {
    for secret in secrets {
        if secret.check().await.is_err() {
            return;
        }
    }
}

/// What is wrong with each secret that cannot be used.
pub async fn unusable(secrets: &[&dyn AnySecret]) -> Vec<SecretError> {
    let mut errors = Vec::new();
    for secret in secrets {
        errors.extend(secret.check().await.err());
    }
    errors
}

impl<T: Content> Secret<T> {
    /// The secret whose ARN (or name) stands in the variable.
    pub fn from_environment(environment: &mut Environment<'_>, variable: &'static str) -> Self {
        Self {
            arn: environment.required(variable),
            client: environment.secrets_client(),
            fresh: Fresh::new(environment.process(), T::NAME),
        }
    }

    /// The secret's content.
    ///
    /// # Errors
    /// It was never readable so far; a call after [`FIRST_FLOOR_SECONDS`] tries again.
    pub async fn get(&self) -> Result<Arc<T>, SecretError> {
        self.fresh.at_most_old(FRESH_SECONDS, || self.read()).await
    }

    /// The secret's content, read again unless that was tried a moment ago. For use after something
    /// failed that a newer key may mend.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn refreshed(&self) -> Result<Arc<T>, SecretError> {
        self.fresh
            .at_most_old(REFRESH_FLOOR_SECONDS, || self.read())
            .await
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
                let code = code.map(str::to_owned);
                unusable(SecretProblem::Refused { code })
            })?;
        let text = answer.secret_string();
        let text = text.ok_or_else(|| unusable(SecretProblem::NoText))?;
        T::parse(text).map_err(|problems| unusable(SecretProblem::Content(problems)))
    }
}

#[cfg(test)]
mod tests;
