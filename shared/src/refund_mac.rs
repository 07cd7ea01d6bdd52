//! What makes a refund's record authentic by itself: a MAC over its terms and how far it was decided.
//!
//! The webhook's role may write to the partition that holds refunds, and IAM cannot limit which items
//! there. So what is sent to WeChat Pay must have been written by somebody who holds a key that the
//! webhook does not: HMAC-SHA-256 over every term of the refund, made when it is asked for, reserved
//! or approved, and checked before it is approved and before it is sent.
//!
//! Several keys may be valid at once: the first makes MACs, all of them are accepted.

use std::fmt;

use crate::domain::{RecordMac, Refund};
use crate::random::{KEY_BYTES, NoKey, read_key};
use aws_lc_rs::hmac;

/// What the MAC is about and how it is written: another set or order of terms needs another name.
const PURPOSE: &str = "wxpay-serverless refund 1";

/// How far a refund was decided when its MAC was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A payer asked for it; it may not be sent.
    Requested,
    /// The merchant approved it, or policy did; it may be sent.
    Approved,
}

impl Stage {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Approved => "approved",
        }
    }
}

/// A record key that cannot be used; says nothing of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordKeyError {
    /// There is none.
    #[error("record_key is missing")]
    Missing,
    /// Not the bytes of a key.
    #[error("{name} {why}")]
    Malformed {
        /// The member that holds it.
        name: &'static str,
        /// What is wrong with it.
        why: NoKey,
    },
    /// The same key twice: taking the old one away would take the new one, too.
    #[error("also_accepted_record_keys has a key twice, or record_key itself")]
    Twice,
}

/// The keys of MACs, the one for new ones first.
pub struct RefundMacKeys {
    current: hmac::Key,
    also_accepted: Vec<hmac::Key>,
}

impl fmt::Debug for RefundMacKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RefundMacKeys")
            .finish_non_exhaustive()
    }
}

impl RefundMacKeys {
    /// Reads keys as a secret holds them: base64 of 32 random bytes each.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn parse(
        record_key: Option<&str>,
        also_accepted: &[impl AsRef<str>],
    ) -> Result<Self, Vec<RecordKeyError>> {
        let mut problems = Vec::new();
        let current = match record_key {
            Some(text) => key_of("record_key", text),
            None => Err(RecordKeyError::Missing),
        };
        let mut keys = Vec::new();
        for key in std::iter::once(current).chain(
            also_accepted
                .iter()
                .map(|text| key_of("also_accepted_record_keys", text.as_ref())),
        ) {
            match key {
                Ok(key) if keys.contains(&key) => problems.push(RecordKeyError::Twice),
                Ok(key) => keys.push(key),
                Err(problem) => problems.push(problem),
            }
        }
        problems.dedup();
        let mut keys = keys
            .iter()
            .map(|key| hmac::Key::new(hmac::HMAC_SHA256, key));
        match keys.next() {
            Some(current) if problems.is_empty() => Ok(Self {
                current,
                also_accepted: keys.collect(),
            }),
            Some(_) | None => Err(problems),
        }
    }

    /// The refund with the MAC of its terms at this stage.
    #[must_use]
    pub fn vouch(&self, refund: Refund, stage: Stage) -> Refund {
        let tag = hmac::sign(&self.current, &message(&refund, stage));
        Refund {
            mac: RecordMac::from_slice(tag.as_ref()),
            ..refund
        }
    }

    /// Whether the refund's MAC was made with one of these keys, over these terms, at this stage.
    pub fn vouches(&self, refund: &Refund, stage: Stage) -> bool {
        let Some(mac) = &refund.mac else {
            return false;
        };
        let message = message(refund, stage);
        let mut keys = std::iter::once(&self.current).chain(&self.also_accepted);
        keys.any(|key| hmac::verify(key, &message, mac.as_bytes()).is_ok())
    }
}

fn key_of(name: &'static str, text: &str) -> Result<[u8; KEY_BYTES], RecordKeyError> {
    read_key(text).map_err(|why| RecordKeyError::Malformed { name, why })
}

/// Everything that is sent for the refund, each part behind its length, so that no two refunds have
/// the same bytes. A reason that is absent is not an empty one.
fn message(refund: &Refund, stage: Stage) -> Vec<u8> {
    let [amount, total] = [refund.amount, refund.total].map(|fen| fen.get().to_be_bytes());
    let (has_reason, reason) = match &refund.reason {
        Some(reason) => ("reason", reason.as_str()),
        None => ("no reason", ""),
    };
    let mut parts: Vec<&[u8]> = vec![
        PURPOSE.as_bytes(),
        stage.as_str().as_bytes(),
        refund.refund_id.as_str().as_bytes(),
        refund.order_id.as_str().as_bytes(),
        refund.transaction_id.as_str().as_bytes(),
        &amount,
        &total,
        has_reason.as_bytes(),
        reason.as_bytes(),
        refund.notify_url.as_bytes(),
        refund.asked_by.as_str().as_bytes(),
    ];
    // One more part in partner mode alone: elsewhere the bytes are those of earlier builds.
    if let Some(sub_mchid) = &refund.sub_mchid {
        parts.push(sub_mchid.as_str().as_bytes());
    }
    let mut message = Vec::new();
    for part in parts {
        message.extend_from_slice(&(part.len() as u64).to_be_bytes());
        message.extend_from_slice(part);
    }
    message
}

#[cfg(test)]
mod tests;
