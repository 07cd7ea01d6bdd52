//! The `apiv3` secret: what opens what WeChat Pay seals.

use serde::Deserialize;

use super::content::{Content, LETTERS, is_drawn, of_each, shape};
use crate::wechatpay::Apiv3Keys;

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
        let parsed = Self::parse(&keys).map_err(|error| {
            let each = |key| Self::parse(&[key]).err();
            of_each(keys.iter().copied().filter_map(each), error)
        })?;
        if keys.iter().all(|key| is_drawn(key)) {
            Ok(parsed)
        } else {
            Err(format!("an APIv3 key is not {LETTERS}"))
        }
    }
}
