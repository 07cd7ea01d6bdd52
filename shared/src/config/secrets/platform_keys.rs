//! The `wechatpay` secret: what WeChat Pay's signatures are checked with.

use std::sync::Arc;

use serde::Deserialize;

use super::content::{Content, of_each, shape};
use crate::wechatpay::PlatformKeys;

#[derive(Deserialize)]
struct PublicKeyText {
    public_key_id: String,
    public_key: String,
}

/// `wechatpay`: what WeChat Pay's signatures are checked with.
pub struct PlatformKeysSecret(Arc<PlatformKeys>);

impl PlatformKeysSecret {
    /// WeChat Pay's public keys by their ids.
    pub fn keys(&self) -> Arc<PlatformKeys> {
        Arc::clone(&self.0)
    }
}

impl Content for PlatformKeysSecret {
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

/// `wechatpay` where platform certificates are used: it may hold no public key yet, or none any more,
/// as `{}`.
pub struct OptionalPlatformKeys(Option<PlatformKeysSecret>);

impl OptionalPlatformKeys {
    /// WeChat Pay's public keys by their ids, if there are any.
    pub fn keys(&self) -> Option<Arc<PlatformKeys>> {
        self.0.as_ref().map(PlatformKeysSecret::keys)
    }
}

impl Content for OptionalPlatformKeys {
    const NAME: &'static str = PlatformKeysSecret::NAME;

    fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}
        if serde_json::from_str::<Nothing>(text).is_ok() {
            return Ok(Self(None));
        }
        PlatformKeysSecret::parse(text).map(|keys| Self(Some(keys)))
    }
}
