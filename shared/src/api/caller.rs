//! Who calls: a payer with a token, or the merchant's back office with an API key.
//!
//! Both are bearer credentials, verified inside each function. The openid a payer acts for comes
//! from the token alone.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::code::Code;
use super::incoming::Incoming;
use super::problem::Problem;
use crate::clock::Clock;
use crate::config::Environment;
use crate::config::secrets::{AnySecret, ApiKeys, Secret, SecretError};
use crate::domain::{Openid, Order, Timestamp};

/// How long a payer's token is good, in seconds.
///
/// Two hours outlive any checkout and end before a phone changes hands; a new one costs the
/// mini-program one silent `wx.login`.
const TOKEN_SECONDS: i64 = 2 * 60 * 60;

/// How long a credential may be, in bytes; anything longer is not one of ours.
pub const CREDENTIAL_MAX: usize = 2048;

/// Who sent a request.
#[derive(Clone, PartialEq, Eq)]
pub enum Caller {
    /// The mini-program's user.
    Payer {
        /// Who, under this app.
        openid: Openid,
    },
    /// The merchant's back office.
    Merchant,
}

impl Caller {
    /// Whether the caller may see and act on the order. What is not theirs is answered as missing.
    pub fn may_see(&self, order: &Order) -> bool {
        match self {
            Self::Payer { openid } => order.terms.openid.as_ref() == Some(openid),
            Self::Merchant => true,
        }
    }

    /// The caller as log lines name it; never the openid.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Payer { .. } => "payer",
            Self::Merchant => "merchant",
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    aud: String,
    iat: i64,
    exp: i64,
}

/// Knows callers by their credentials.
#[derive(Debug)]
pub struct Callers {
    keys: Secret<ApiKeys>,
    audience: String,
    clock: Clock,
}

impl Callers {
    /// Knows callers by `API_SECRET_ARN`, for the stack named by `TOKEN_AUDIENCE`.
    pub fn from_environment(environment: &mut Environment<'_>) -> Self {
        Self {
            keys: Secret::from_environment(environment, "API_SECRET_ARN"),
            audience: environment.required("TOKEN_AUDIENCE"),
            clock: environment.process().clock.clone(),
        }
    }

    /// The secret that callers are known by.
    pub const fn secret(&self) -> &dyn AnySecret {
        &self.keys
    }

    /// The keys, for deriving numbers.
    ///
    /// # Errors
    /// The secret is not usable.
    pub async fn keys(&self) -> Result<Arc<ApiKeys>, SecretError> {
        self.keys.get().await
    }

    /// Who sent the request.
    ///
    /// # Errors
    /// 401 without exactly one valid credential; 503 without usable keys.
    pub async fn authenticate(&self, incoming: &Incoming) -> Result<Caller, Problem> {
        let refused = || {
            Problem::new(
                Code::Unauthenticated,
                "send a valid token or API key as a bearer credential",
            )
        };
        let credential = incoming
            .header("authorization")
            .and_then(bearer)
            .filter(|credential| !credential.is_empty() && credential.len() <= CREDENTIAL_MAX)
            .ok_or_else(refused)?;
        let keys = self.keys.get().await?;
        if let Some(caller) = self.recognise(credential, &keys) {
            return Ok(caller);
        }
        // A key added a moment ago is known after one more reading, at most once a minute.
        let keys = self.keys.refreshed().await?;
        self.recognise(credential, &keys).ok_or_else(refused)
    }

    /// Makes a token for a payer, and says when it ends.
    ///
    /// # Errors
    /// The secret is not usable.
    pub async fn issue(&self, openid: &Openid) -> Result<(String, Timestamp), Problem> {
        let keys = self.keys.get().await?;
        let key = keys
            .token_keys
            .first()
            .ok_or_else(|| Problem::plain(Code::InternalError))?;
        let now = self.clock.wall();
        let expires_at = now.plus_seconds(TOKEN_SECONDS);
        let claims = Claims {
            sub: openid.as_str().to_owned(),
            aud: self.audience.clone(),
            iat: now.unix_seconds(),
            exp: expires_at.unix_seconds(),
        };
        jsonwebtoken::encode(
            &Header::new(Algorithm::HS256),
            &claims,
            &EncodingKey::from_secret(key),
        )
        .map(|token| (token, expires_at))
        .map_err(|error| Problem::plain(Code::InternalError).because(error.to_string()))
    }

    /// Who sends this credential, by these keys; `None` for one that is not ours, is over, or is of another
    /// stack.
    pub fn recognise(&self, credential: &str, keys: &ApiKeys) -> Option<Caller> {
        let digest: [u8; 32] = Sha256::digest(credential.as_bytes()).into();
        // Every hash is compared, and each in constant time.
        let known = keys.merchant_key_hashes.iter().fold(false, |known, hash| {
            known | aws_lc_rs::constant_time::verify_slices_are_equal(hash, &digest).is_ok()
        });
        if known {
            return Some(Caller::Merchant);
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["aud", "exp", "sub"]);
        // The library would ask the system for the time; it is an argument here.
        validation.validate_exp = false;
        let now = self.clock.wall().unix_seconds();
        keys.token_keys
            .iter()
            .find_map(|key| {
                jsonwebtoken::decode::<Claims>(
                    credential,
                    &DecodingKey::from_secret(key),
                    &validation,
                )
                .ok()
            })
            .filter(|token| now < token.claims.exp)
            .and_then(|token| Openid::parse(token.claims.sub).ok())
            .map(|openid| Caller::Payer { openid })
    }
}

/// The credential of a `Bearer` scheme, whose name may be in any case (RFC 9110, section 11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, credential) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("Bearer")
        .then(|| credential.trim_start_matches(' '))
}

#[cfg(test)]
mod tests;
