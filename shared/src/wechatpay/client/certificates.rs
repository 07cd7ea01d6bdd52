//! Platform certificates: downloaded, and believed by a rule of their own.

use reqwest::Method;

use super::{AsksFor, Call, Client, Question, Repeat};
use crate::domain::certificates::Trust;
use crate::wechatpay::certificates::PlatformCertificates;
use crate::wechatpay::{Apiv3Keys, CallError, Signed};

impl Client {
    /// Downloads WeChat Pay's platform certificates; gives the answer as it came, with its seals. It is
    /// believed where one of the call's keys signed it or, at the first use, one of the certificates in
    /// it that open with an APIv3 key and are valid now.
    ///
    /// # Errors
    /// Also where a certificate cannot be used, or none is valid now.
    pub async fn certificates(
        &self,
        call: &Call<'_>,
        apiv3_keys: &Apiv3Keys,
        trust: Trust,
    ) -> Result<Signed<String>, CallError> {
        let question = Question {
            method: Method::GET,
            target: "/v3/certificates".to_owned(),
            body: b"",
            repeat: Repeat::Yes,
            asks_for: AsksFor::Nothing,
            first_use: match trust {
                Trust::FirstUse => Some(apiv3_keys),
                Trust::HeldKeys => None,
            },
        };
        let now = call.clock.business();
        self.ask(call, &question).await?.read(|body| {
            let unusable = CallError::unexpected("certificates that cannot be used");
            match PlatformCertificates::open(body, apiv3_keys) {
                Ok(opened) if opened.valid_until(now).is_some() => {
                    String::from_utf8(body.to_vec()).map_err(|_| unusable)
                }
                Ok(_) | Err(_) => Err(unusable),
            }
        })
    }
}
