//! The `signing` secret: what signs requests and pay parameters, and what makes refunds' records
//! authentic. Whoever holds it can send money back.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;

use super::content::{Content, shape};
use crate::refund_mac::RefundMacKeys;
use crate::wechatpay::{KeyError, MerchantKey};

/// A serial number for looking at a key whose own serial number is none.
const NO_SERIAL: &str = "0000000000000000000000000000000000000000";

/// `signing`: what signs requests and pay parameters, and vouches for refunds.
pub struct SigningSecret {
    key: Arc<MerchantKey>,
    refund_mac_keys: Arc<RefundMacKeys>,
}

impl SigningSecret {
    /// The merchant's key and its certificate's serial number.
    pub fn key(&self) -> Arc<MerchantKey> {
        Arc::clone(&self.key)
    }

    /// The keys that vouch for what a refund's record says.
    pub fn refund_mac_keys(&self) -> Arc<RefundMacKeys> {
        Arc::clone(&self.refund_mac_keys)
    }
}

#[derive(Deserialize)]
struct Text<'a> {
    #[serde(borrow)]
    serial_no: Cow<'a, str>,
    #[serde(borrow)]
    private_key: Cow<'a, str>,
    #[serde(borrow)]
    record_key: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    also_accepted_record_keys: Vec<Cow<'a, str>>,
}

impl Content for SigningSecret {
    const NAME: &'static str = "signing";

    fn parse(text: &str) -> Result<Self, String> {
        let text: Text<'_> = shape(text)?;
        let key = MerchantKey::parse(&text.serial_no, &text.private_key);
        let refund_mac_keys =
            RefundMacKeys::parse(text.record_key.as_deref(), &text.also_accepted_record_keys);
        let (key, refund_mac_keys) = match (key, refund_mac_keys) {
            (Ok(key), Ok(refund_mac_keys)) => (key, refund_mac_keys),
            (key, refund_mac_keys) => {
                let mut problems = key_problems(key.err(), &text.private_key);
                let of_refund_mac = refund_mac_keys.err().into_iter().flatten();
                problems.extend(of_refund_mac.map(|problem| problem.to_string()));
                return Err(problems.join("; "));
            }
        };
        Ok(Self {
            key: Arc::new(key),
            refund_mac_keys: Arc::new(refund_mac_keys),
        })
    }
}

fn key_problems(error: Option<KeyError>, private_key: &str) -> Vec<String> {
    // A serial number that is none says nothing about the key beside it.
    let beside = match &error {
        Some(KeyError::Serial) => MerchantKey::parse(NO_SERIAL, private_key).err(),
        Some(_) | None => None,
    };
    let problems = error.into_iter().chain(beside);
    problems.map(|problem| problem.to_string()).collect()
}
