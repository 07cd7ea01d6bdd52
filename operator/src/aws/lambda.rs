//! Functions invoked by hand: what no route and no schedule does.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::Aws;
use super::call::Called;
use crate::exit::Failure;
use crate::output::text;

/// How long a function may take: Lambda's own bound, and a little.
const TIME_MAX: Duration = Duration::from_secs(910);

impl Aws {
    /// Invokes a function, and gives its answer.
    ///
    /// # Errors
    /// It is not there or may not be invoked, or it failed: its own words.
    pub async fn invoke(&self, function: &str, event: &Value) -> Result<Value, Failure> {
        let name = utf8_percent_encode(function, NON_ALPHANUMERIC);
        let answered = self
            .post(&Called {
                service: "lambda",
                action: "lambda:InvokeFunction",
                path: &format!("/2015-03-31/functions/{name}/invocations"),
                headers: &[("content-type", "application/json")],
                body: &event.to_string(),
                time_max: TIME_MAX,
            })
            .await?;
        let body: Value = serde_json::from_str(&answered.body).unwrap_or(Value::Null);
        let status = answered.status;
        if status.is_server_error() || status.as_u16() == 429 {
            return Err(Failure::NoAnswer(format!("Lambda answers {status}")));
        }
        if !status.is_success() {
            let said = text(&body["Message"]);
            return Err(Failure::NoAccess(format!(
                "{function} was not invoked: {status} {said}"
            )));
        }
        if answered.headers.contains_key("x-amz-function-error") {
            return Err(Failure::Failed(text(&body["errorMessage"])));
        }
        Ok(body)
    }
}
