//! The `app` secret: what logs a payer in.

use serde::Deserialize;

use super::content::{Content, LETTERS, is_drawn, shape};

/// `app`: what logs a payer in.
pub struct AppSecret {
    /// The app the secret belongs to.
    pub appid: String,
    secret: String,
}

impl AppSecret {
    /// The app secret, to be sent to WeChat and nowhere else.
    pub fn secret(&self) -> &str {
        &self.secret
    }
}

impl Content for AppSecret {
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
            problems.push("appid is empty".to_owned());
        }
        if !is_drawn(&text.app_secret) {
            problems.push(format!("app_secret is not {LETTERS}"));
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
