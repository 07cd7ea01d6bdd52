//! The `signing` secret: what signs requests and pay parameters.

use std::sync::Arc;

use serde::Deserialize;

use super::content::{Content, shape, together};
use crate::wechatpay::{KeyError, MerchantKey};

/// `signing`: what signs requests and pay parameters.
pub struct SigningSecret(Arc<MerchantKey>);

impl SigningSecret {
    /// The merchant's key and its certificate's serial number.
    pub fn key(&self) -> Arc<MerchantKey> {
        Arc::clone(&self.0)
    }
}

impl Content for SigningSecret {
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
