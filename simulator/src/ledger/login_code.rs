//! A `wx.login` code and whose it is: a plain record. What it is exchanged for is in
//! `api/login.rs`.

use serde::{Deserialize, Serialize};

use crate::random;

/// How the openids start that are made up here.
pub(crate) const MADE_UP: &str = "oSim";

/// A `wx.login` code.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LoginCode {
    pub(crate) code: String,
    pub(crate) appid: String,
    pub(crate) openid: String,
    pub(crate) issued_ms: i64,
    pub(crate) used_ms: Option<i64>,
}

/// Makes the code that `wx.login` would give on the phone of a user.
pub(crate) fn issue(appid: &str, openid: Option<String>, now_ms: i64) -> LoginCode {
    LoginCode {
        code: random::alphanumeric(32),
        appid: appid.to_owned(),
        openid: openid.unwrap_or_else(fresh_openid),
        issued_ms: now_ms,
        used_ms: None,
    }
}

/// A new user's openid, 28 characters as real ones.
pub(crate) fn fresh_openid() -> String {
    format!("{MADE_UP}{}", random::alphanumeric(24))
}
