//! API Gateway on this machine: HTTP in, an HTTP API event (payload 2.0) to the function, HTTP out.
//!
//! Routes come from the template. The event is made as API Gateway documents it, text bodies as text
//! and others in base64, and read by the function through `lambda_http` like any other.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use lambda_runtime::Context;
use serde_json::{Map, Value, json};
use shared::clock::Clock;
use time::macros::format_description;

use crate::console::Console;
use crate::functions::Invoke;
use crate::template::Function;

/// What API Gateway takes at most.
const BODY_MAX: usize = 10 << 20;

/// A function that can be invoked, with what the template says of it.
#[derive(Clone)]
pub struct Linked {
    /// Its logical id.
    pub id: String,
    /// How it is called.
    pub invoke: Invoke,
    /// How long an invocation may take.
    pub timeout: Duration,
}

/// The gateway's routes and functions.
pub struct Gateway {
    routes: Vec<Route>,
    functions: BTreeMap<String, Linked>,
    clock: Clock,
    domain_name: String,
    console: Console,
}

struct Route {
    method: String,
    path: String,
    function: String,
}

impl Gateway {
    /// A gateway for these functions, reached as `domain_name`; `console` is served at `/console`.
    pub fn new(
        declared: &BTreeMap<String, Function>,
        functions: BTreeMap<String, Linked>,
        clock: Clock,
        domain_name: String,
        console: Console,
    ) -> Self {
        let routes = declared
            .iter()
            .flat_map(|(id, function)| {
                function.routes.iter().map(|(method, path)| Route {
                    method: method.clone(),
                    path: path.clone(),
                    function: id.clone(),
                })
            })
            .collect();
        Self {
            routes,
            functions,
            clock,
            domain_name,
            console,
        }
    }

    /// The gateway as a service; it needs the callers' addresses.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new().fallback(serve).with_state(self)
    }

    /// Invokes a function with an event, as Lambda does: bounded by its timeout, a panic is an error.
    ///
    /// # Errors
    /// The function failed, did not answer in time, or there is none of that id.
    pub async fn invoke(&self, id: &str, event: Value) -> Result<Value, InvokeError> {
        let function = self
            .functions
            .get(id)
            .ok_or(InvokeError::Failed(format!("there is no {id}")))?;
        let timeout_ms = i64::try_from(function.timeout.as_millis()).unwrap_or(i64::MAX);
        let mut context = Context::default();
        context.request_id = shared::random::token();
        context.deadline = u64::try_from(self.clock.wall_millis() + timeout_ms).unwrap_or(0);
        let invocation = AssertUnwindSafe((function.invoke)(event, context)).catch_unwind();
        match tokio::time::timeout(function.timeout, invocation).await {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(error))) => Err(InvokeError::Failed(error)),
            Ok(Err(_)) => Err(InvokeError::Failed(format!("{id} panicked"))),
            Err(_) => Err(InvokeError::TimedOut),
        }
    }

    fn matching(&self, method: &str, path: &str) -> Option<(&Route, Map<String, Value>)> {
        self.routes
            .iter()
            .filter(|route| route.method == method)
            .find_map(|route| {
                let (wanted, given) = (route.path.split('/'), path.split('/'));
                if wanted.clone().count() != given.clone().count() {
                    return None;
                }
                let mut parameters = Map::new();
                for (wanted, given) in wanted.zip(given) {
                    match wanted
                        .strip_prefix('{')
                        .and_then(|name| name.strip_suffix('}'))
                    {
                        Some(_) if given.is_empty() => return None,
                        Some(name) => {
                            parameters.insert(name.to_owned(), Value::from(percent_decoded(given)));
                        }
                        None if wanted == given => {}
                        None => return None,
                    }
                }
                Some((route, parameters))
            })
    }

    async fn route(&self, source: SocketAddr, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        if parts.method == axum::http::Method::GET
            && let Some(answer) = self.console.answer(&path, &parts.headers).await
        {
            return answer;
        }
        let Some((route, parameters)) = self.matching(parts.method.as_str(), &path) else {
            return told(StatusCode::NOT_FOUND, "Not Found");
        };
        let Ok(body) = axum::body::to_bytes(body, BODY_MAX).await else {
            return told(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
        };
        let event = self.event(route, parameters, &parts, source, &body);
        match self.invoke(&route.function, event).await {
            Ok(answer) => http_answer(&answer),
            Err(InvokeError::TimedOut) => {
                told(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
            }
            Err(InvokeError::Failed(_)) => {
                told(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
            }
        }
    }

    fn event(
        &self,
        route: &Route,
        parameters: Map<String, Value>,
        parts: &axum::http::request::Parts,
        source: SocketAddr,
        body: &[u8],
    ) -> Value {
        let now_ms = self.clock.wall_millis();
        let query = parts.uri.query().unwrap_or_default();
        let mut event = json!({
            "version": "2.0",
            "routeKey": format!("{} {}", route.method, route.path),
            "rawPath": parts.uri.path(),
            "rawQueryString": query,
            "headers": joined_headers(&parts.headers),
            "requestContext": {
                "accountId": "000000000000",
                "apiId": "local",
                "domainName": self.domain_name,
                "domainPrefix": "local",
                "http": {
                    "method": parts.method.as_str(),
                    "path": parts.uri.path(),
                    "protocol": "HTTP/1.1",
                    "sourceIp": source.ip().to_string(),
                    "userAgent": parts.headers.get(header::USER_AGENT)
                        .and_then(|value| value.to_str().ok()).unwrap_or_default(),
                },
                "requestId": shared::random::token(),
                "routeKey": format!("{} {}", route.method, route.path),
                "stage": "$default",
                "time": clf_time(now_ms),
                "timeEpoch": now_ms,
            },
            "isBase64Encoded": false,
        });
        if !query.is_empty() {
            event["queryStringParameters"] = query_parameters(query);
        }
        if !parameters.is_empty() {
            event["pathParameters"] = Value::Object(parameters);
        }
        if !body.is_empty() {
            let (body, encoded) = event_body(&parts.headers, body);
            event["body"] = Value::from(body);
            event["isBase64Encoded"] = Value::from(encoded);
        }
        event
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvokeError {
    /// The function failed.
    Failed(String),
    /// The function took longer than the template allows.
    TimedOut,
}

async fn serve(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(source): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    gateway.route(source, request).await
}

fn told(status: StatusCode, message: &str) -> Response {
    (status, axum::Json(json!({"message": message}))).into_response()
}

/// A moment as the Common Log Format writes it: `25/Nov/2026:09:14:12 +0000`.
fn clf_time(unix_ms: i64) -> String {
    time::UtcDateTime::from_unix_timestamp(unix_ms / 1000)
        .ok()
        .and_then(|moment| {
            moment
                .format(format_description!(
                    "[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000"
                ))
                .ok()
        })
        .unwrap_or_default()
}

/// Names in lower case, values of one name joined by commas: payload 2.0's form.
fn joined_headers(headers: &HeaderMap) -> Value {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        joined
            .entry(name.as_str().to_owned())
            .and_modify(|known| {
                known.push(',');
                known.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    json!(joined)
}

fn query_parameters(query: &str) -> Value {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (percent_decoded(name), percent_decoded(value));
        joined
            .entry(name)
            .and_modify(|known| {
                known.push(',');
                known.push_str(&value);
            })
            .or_insert(value);
    }
    json!(joined)
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while let Some(byte) = bytes.get(index) {
        let escaped = (*byte == b'%')
            .then(|| text.get(index + 1..index + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(value) => {
                decoded.push(value);
                index += 3;
            }
            None => {
                decoded.push(*byte);
                index += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Text types as text, everything else in base64.
fn event_body(headers: &HeaderMap, body: &[u8]) -> (String, bool) {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("text/plain");
    let textual = kind.starts_with("text/")
        || [
            "application/json",
            "application/xml",
            "application/javascript",
        ]
        .iter()
        .any(|known| kind.starts_with(known));
    match std::str::from_utf8(body) {
        Ok(text) if textual => (text.to_owned(), false),
        Ok(_) | Err(_) => (STANDARD.encode(body), true),
    }
}

/// The function's answer as HTTP.
fn http_answer(answer: &Value) -> Response {
    let status = answer["statusCode"]
        .as_u64()
        .and_then(|status| u16::try_from(status).ok());
    let mut response = Response::builder().status(status.unwrap_or(500));
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        if let Some(value) = value.as_str() {
            response = response.header(name, value);
        }
    }
    for (name, values) in answer["multiValueHeaders"]
        .as_object()
        .into_iter()
        .flatten()
    {
        for value in values
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if answer["headers"].get(name).is_none() {
                response = response.header(name, value);
            }
        }
    }
    let text = answer["body"].as_str().unwrap_or_default();
    let body = if answer["isBase64Encoded"] == true {
        STANDARD.decode(text).unwrap_or_default()
    } else {
        text.as_bytes().to_vec()
    };
    response
        .body(Body::from(body))
        .unwrap_or_else(|_| told(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_time_is_written_as_api_gateway_writes_it() {
        let event = include_str!("../../events/create-order.app.json");
        assert!(event.contains("\"timeEpoch\": 1795598052333"));
        let time = super::clf_time(1_795_598_052_333);
        assert!(event.contains(&format!("\"time\": \"{time}\"")), "{time}");
    }
}
