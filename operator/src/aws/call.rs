//! A call to AWS that no SDK here makes: signed with Signature Version 4 and sent by the process's client.

use std::time::{Duration, UNIX_EPOCH};

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use reqwest::{Method, StatusCode};

use super::Aws;
use crate::exit::Failure;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Called<'a> {
    /// The service, as its host and its signatures name it.
    pub service: &'a str,
    /// What a person calls the operation.
    pub action: &'a str,
    /// The path, percent-encoded.
    pub path: &'a str,
    /// The headers beside those of the signature.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a str,
    /// How long the answer may take.
    pub time_max: Duration,
}

/// An answer of AWS's.
#[derive(Debug)]
pub struct Answered {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: reqwest::header::HeaderMap,
    /// Its body.
    pub body: String,
}

impl Aws {
    /// Posts a signed request.
    ///
    /// # Errors
    /// There are no credentials, or there is no answer.
    pub async fn post(&self, called: &Called<'_>) -> Result<Answered, Failure> {
        let url = format!("{}{}", self.endpoint(called.service), called.path);
        let signed = self.signed(called, &url).await?;
        let mut request = self
            .process
            .http
            .request(Method::POST, &url)
            .timeout(called.time_max)
            .body(called.body.to_owned());
        for (name, value) in called.headers {
            request = request.header(*name, *value);
        }
        for (name, value) in &signed {
            request = request.header(name, value);
        }
        let silent = |_| Failure::NoAnswer(format!("AWS did not answer {}", called.action));
        let answer = request.send().await.map_err(silent)?;
        Ok(Answered {
            status: answer.status(),
            headers: answer.headers().clone(),
            body: answer.text().await.map_err(silent)?,
        })
    }

    fn endpoint(&self, service: &str) -> String {
        match self.sdk.endpoint_url() {
            Some(given) => given.trim_end_matches('/').to_owned(),
            None => {
                let region = self.region();
                let china = if region.starts_with("cn-") { ".cn" } else { "" };
                format!("https://{service}.{region}.amazonaws.com{china}")
            }
        }
    }

    async fn signed(
        &self,
        called: &Called<'_>,
        url: &str,
    ) -> Result<Vec<(String, String)>, Failure> {
        let identity = self.credentials().await?.into();
        let seconds = u64::try_from(self.process.clock.wall().unix_seconds()).unwrap_or_default();
        let unsigned = || {
            Failure::Failed(format!(
                "the request for {} cannot be signed",
                called.action
            ))
        };
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region())
            .name(called.service)
            .time(UNIX_EPOCH + Duration::from_secs(seconds))
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| unsigned())?
            .into();
        let body = SignableBody::Bytes(called.body.as_bytes());
        let headers = called.headers.iter().copied();
        let signable = SignableRequest::new("POST", url, headers, body).map_err(|_| unsigned())?;
        let signed = sign(signable, &parameters).map_err(|_| unsigned())?;
        let (instructions, _) = signed.into_parts();
        Ok(instructions
            .headers()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }
}
