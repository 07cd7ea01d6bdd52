//! What the demo talks to: the API, and the phone at the simulator's control port.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

/// How long to wait for something that must happen, at most.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Where everything is, and how far the demo came.
pub(super) struct Shop {
    pub(super) http: reqwest::Client,
    pub(super) api_url: String,
    pub(super) control_url: String,
    pub(super) merchant_api_key: String,
    pub(super) appid: String,
    pub(super) certificate: Vec<u8>,
    /// The stack's data folder.
    pub(super) folder: PathBuf,
    pub(super) step: u32,
}

impl Shop {
    pub(super) fn report(&mut self, step: &str, verified: &str) {
        self.step += 1;
        println!("{:>3}. {step:<22} {verified}", self.step);
    }

    pub(super) async fn control(&self, path: &str, body: Value) -> Result<Value, String> {
        let url = format!("{}/_sim/{path}", self.control_url);
        let answer = self
            .http
            .post(&url)
            .timeout(PATIENCE)
            .json(&body)
            .send()
            .await
            .map_err(|error| format!("the simulator does not answer: {error}"))?;
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        if !status.is_success() {
            return Err(format!("the simulator refused {path}: {status} {text}"));
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    pub(super) async fn get(&self, url: &str) -> Result<Value, String> {
        let answer = self
            .http
            .get(url)
            .timeout(PATIENCE)
            .send()
            .await
            .map_err(|error| error.to_string())?;
        answer.json().await.map_err(|error| error.to_string())
    }

    pub(super) async fn api(
        &self,
        method: Method,
        path: &str,
        credential: Option<&str>,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<Answer, String> {
        let asked = format!("{method} {path}");
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.api_url))
            .timeout(PATIENCE);
        if let Some(credential) = credential {
            request = request.bearer_auth(credential);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request
            .send()
            .await
            .map_err(|error| format!("the API does not answer: {error}"))?;
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap_or_default();
        Ok(Answer {
            asked,
            status,
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        })
    }
}

pub(super) struct Answer {
    asked: String,
    status: u16,
    body: Value,
}

impl Answer {
    pub(super) fn expect(self, status: u16) -> Result<Value, String> {
        if self.status == status {
            return Ok(self.body);
        }
        Err(format!(
            "{} answered {} instead of {status}: {}",
            self.asked, self.status, self.body
        ))
    }
}
