//! The `app` secret: what logs a payer in.

use serde::Deserialize;

use super::content::{Content, shape};

/// How long an app secret is at least, in characters; WeChat's have 32.
const APP_SECRET_MIN: usize = 16;

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
