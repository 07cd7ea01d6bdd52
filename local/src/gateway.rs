//! API Gateway on this machine: HTTP in, an HTTP API event (payload 2.0) to the function, HTTP out.
//!
//! Routes come from the template. A path is decoded before its route is looked for, as AWS does it:
//! `/orders/f4%2D1234` is the order `f4-1234`, and an escaped slash is a slash.

mod answer;
mod event;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{ACCEPT, CONNECTION};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use futures_util::{FutureExt, StreamExt};
use lambda_runtime::Context;
use serde_json::{Map, Value};
use shared::clock::Clock;

use crate::console::{Asked, Console};
use crate::functions::Invoke;
use crate::loopback::{self, Pages};
use crate::recorder::{Call, Message, Recorder};
use crate::template::Function;
use answer::{failed, headers_of, http_answer, message};
use event::Called;

/// What API Gateway takes at most.
const BODY_MAX: usize = 10 << 20;

/// What is still read of a body that is refused, so that its connection can be used again.
const DISCARDED_MAX: usize = 4 * BODY_MAX;

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
    routes: matchit::Router<BTreeMap<String, Route>>,
    functions: BTreeMap<String, Linked>,
    clock: Clock,
    domain_name: String,
    console: Console,
    recorder: Arc<Recorder>,
}

/// Where requests of one method and path go.
#[derive(Clone, Debug)]
struct Route {
    /// As AWS names it: `GET /orders/{out_trade_no}`.
    key: String,
    function: String,
}

impl Gateway {
    /// A gateway for these functions, reached as `domain_name`; `console` is served at `/console`, and what
    /// the functions are asked and answer is told to the recorder.
    ///
    /// # Errors
    /// Names a path of the template that cannot stand beside the others.
    pub fn new(
        declared: &BTreeMap<String, Function>,
        functions: BTreeMap<String, Linked>,
        clock: Clock,
        domain_name: String,
        console: Console,
        recorder: Arc<Recorder>,
    ) -> Result<Self, String> {
        Ok(Self {
            routes: router(declared)?,
            functions,
            clock,
            domain_name,
            console,
            recorder,
        })
    }

    /// The gateway as a service; it needs the callers' addresses.
    pub fn router(self: Arc<Self>) -> Router {
        let guard = axum::middleware::from_fn_with_state(Pages::Developed, loopback::guard);
        Router::new().fallback(serve).with_state(self).layer(guard)
    }

    /// Whether there is a function of this id.
    pub fn has(&self, id: &str) -> bool {
        self.functions.contains_key(id)
    }

    /// Invokes a function with an event, as Lambda does: bounded by its timeout, a panic is an error.
    ///
    /// # Errors
    /// The function failed, did not answer in time, or there is none of that id.
    pub async fn invoke(&self, id: &str, event: Value) -> Result<Value, InvokeError> {
        self.invoke_within(id, event, Duration::MAX).await
    }

    /// As [`Self::invoke`], with this time or the function's own, whichever is shorter.
    ///
    /// # Errors
    /// As [`Self::invoke`].
    pub async fn invoke_within(
        &self,
        id: &str,
        event: Value,
        time: Duration,
    ) -> Result<Value, InvokeError> {
        let function = self
            .functions
            .get(id)
            .ok_or(InvokeError::Failed(format!("there is no {id}")))?;
        let timeout = time.min(function.timeout);
        let timeout_ms = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        let mut context = Context::default();
        context.request_id = shared::random::token();
        context.deadline = u64::try_from(self.clock.wall_millis() + timeout_ms).unwrap_or(0);
        let invocation = AssertUnwindSafe((function.invoke)(event, context)).catch_unwind();
        match tokio::time::timeout(timeout, invocation).await {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(error))) => Err(InvokeError::Failed(error)),
            Ok(Err(_)) => Err(InvokeError::Failed(format!("{id} panicked"))),
            Err(_) => Err(InvokeError::TimedOut),
        }
    }

    /// The route of a decoded path, and what the path holds for its parameters.
    fn matching(&self, method: &str, path: &str) -> Option<(&Route, Map<String, Value>)> {
        let found = self.routes.at(path).ok()?;
        let parameters = found.params.iter();
        let parameters = parameters.map(|(name, value)| (name.to_owned(), Value::from(value)));
        Some((found.value.get(method)?, parameters.collect()))
    }

    async fn route(&self, source: SocketAddr, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        // First of all, whatever the answer will be: a connection on which a body is left unread
        // cannot be used again.
        let body = match read(body).await {
            Read::Whole(body) => body,
            Read::TooLarge => {
                return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
            }
            Read::Unread => return closing(),
        };
        let path = event::decoded_path(&parts.uri);
        let leads = path == "/console/" || path == "/" && accepts_html(&parts.headers);
        if leads && matches!(parts.method, Method::GET | Method::HEAD) {
            return Redirect::temporary("/console").into_response();
        }
        let asked = Asked {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
            body: &body,
        };
        if let Some(answer) = self.console.answer(&path, asked).await {
            return answer;
        }
        let Some((route, parameters)) = self.matching(parts.method.as_str(), &path) else {
            return message(StatusCode::NOT_FOUND, "Not Found");
        };
        let began_ms = self.clock.wall_millis();
        let event = event::of(&Called {
            route_key: &route.key,
            path: &path,
            parameters,
            parts: &parts,
            source,
            body: &body,
            domain_name: &self.domain_name,
            now_ms: began_ms,
        });
        let answer = match self.invoke(&route.function, event).await {
            Ok(answer) => answer,
            Err(InvokeError::TimedOut) => failed(503, "Service Unavailable"),
            Err(InvokeError::Failed(_)) => failed(500, "Internal Server Error"),
        };
        self.record(&route.function, &parts, &body, &answer, began_ms);
        http_answer(&answer)
    }

    fn record(&self, function: &str, parts: &Parts, body: &[u8], answer: &Value, began_ms: i64) {
        let target = parts.uri.path_and_query();
        let headers = parts.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.as_str().to_owned(), value.into_owned())
        });
        let status = answer["statusCode"].as_u64().unwrap_or_default();
        let told = answer["body"].as_str().unwrap_or_default();
        self.recorder.call(Call {
            at_ms: began_ms,
            took_ms: self.clock.wall_millis() - began_ms,
            method: parts.method.as_str().to_owned(),
            target: target.map_or(String::new(), |target| target.as_str().to_owned()),
            function: function.to_owned(),
            request: Message::of(headers, body),
            status: u16::try_from(status).unwrap_or_default(),
            answer: Message::of(headers_of(answer), told.as_bytes()),
        });
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

fn router(
    declared: &BTreeMap<String, Function>,
) -> Result<matchit::Router<BTreeMap<String, Route>>, String> {
    let mut by_path: BTreeMap<&str, BTreeMap<String, Route>> = BTreeMap::new();
    for (id, function) in declared {
        for (method, path) in &function.routes {
            let route = Route {
                key: format!("{method} {path}"),
                function: id.clone(),
            };
            let methods = by_path.entry(path).or_default();
            if methods.insert(method.clone(), route).is_some() {
                return Err(format!("the route {method} {path} leads to two functions"));
            }
        }
    }
    let mut routes = matchit::Router::new();
    for (path, methods) in by_path {
        routes
            .insert(path, methods)
            .map_err(|error| format!("the path {path} cannot be routed: {error}"))?;
    }
    Ok(routes)
}

async fn serve(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(source): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    gateway.route(source, request).await
}

enum Read {
    /// All of it.
    Whole(Bytes),
    /// It is larger than [`BODY_MAX`], and was read to its end nevertheless.
    TooLarge,
    /// It was not read to its end.
    Unread,
}

async fn read(body: Body) -> Read {
    let mut chunks = body.into_data_stream();
    let (mut kept, mut length) = (Vec::new(), 0);
    while let Some(chunk) = chunks.next().await {
        let Ok(chunk) = chunk else {
            return Read::Unread;
        };
        length += chunk.len();
        if length > DISCARDED_MAX {
            return Read::Unread;
        }
        if length <= BODY_MAX {
            kept.extend_from_slice(&chunk);
        }
    }
    if length > BODY_MAX {
        Read::TooLarge
    } else {
        Read::Whole(kept.into())
    }
}

/// The answer to a body that is not read to its end.
fn closing() -> Response {
    let mut answer = message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(CONNECTION, close);
    answer
}

/// Whether a page is asked for, as browsers do.
fn accepts_html(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(ACCEPT).iter();
    accepted.any(|value| {
        value
            .to_str()
            .is_ok_and(|value| value.to_ascii_lowercase().contains("text/html"))
    })
}
