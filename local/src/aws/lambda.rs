//! Lambda on this machine: the operator invokes a function, and waits for its answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// An invocation under way: the function's answer, or how it failed.
pub type Invoked = Pin<Box<dyn Future<Output = Result<Value, String>> + Send>>;

/// Invokes a function by its logical id; `None` where there is none.
pub type Invoker = Arc<dyn Fn(&str, Value) -> Option<Invoked> + Send + Sync>;

/// The function that a path invokes; `None` for a path of another kind.
pub(super) fn invoked(path: &str) -> Option<String> {
    let name = path.strip_prefix("/2015-03-31/functions/")?;
    let name = name.strip_suffix("/invocations")?;
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
    // A function is reached by its alias.
    Some(name.trim_end_matches(".Alias").to_owned())
}

/// Invokes a function, as `Invoke` with the answer waited for.
pub(super) async fn invoke(invoker: Option<&Invoker>, function: &str, payload: &Bytes) -> Response {
    let event = match serde_json::from_slice(payload) {
        Ok(event) => event,
        Err(error) => {
            let why =
                json!({"Message": format!("Could not parse request body into json: {error}")});
            return refused(
                StatusCode::BAD_REQUEST,
                "InvalidRequestContentException",
                &why,
            );
        }
    };
    match invoker.and_then(|invoker| invoker(function, event)) {
        None => {
            let why = json!({"Message": format!("Function not found: {function}")});
            refused(StatusCode::NOT_FOUND, "ResourceNotFoundException", &why)
        }
        Some(invoked) => match invoked.await {
            Ok(answer) => (StatusCode::OK, answer.to_string()).into_response(),
            Err(error) => (
                StatusCode::OK,
                [("x-amz-function-error", "Unhandled")],
                json!({"errorMessage": error}).to_string(),
            )
                .into_response(),
        },
    }
}

fn refused(status: StatusCode, kind: &'static str, why: &Value) -> Response {
    (status, [("x-amzn-errortype", kind)], why.to_string()).into_response()
}
