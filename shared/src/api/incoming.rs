//! A request as a function sees it: bounded, with its deadline, and with nothing of the gateway's in
//! it that a caller could have made up.

use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt};

use super::problem::{Code, Problem};
use crate::clock::Clock;
use crate::deadline::Deadline;

/// How large a body may be, in bytes.
pub const BODY_MAX: usize = 64 * 1024;

/// A request.
#[derive(Debug)]
pub struct Incoming {
    /// The gateway's number of the request.
    pub request_id: String,
    /// The method, upper case.
    pub method: String,
    /// The body's bytes as the caller sent them.
    pub body: Vec<u8>,
    /// The caller's address, as the gateway saw it.
    pub source_ip: Option<String>,
    /// The domain name the gateway was called by.
    pub domain_name: Option<String>,
    /// When the answer has to be given.
    pub deadline: Deadline,
    path: String,
    headers: lambda_http::http::HeaderMap,
    query: Vec<(String, String)>,
}

impl Incoming {
    /// Reads a request.
    ///
    /// # Errors
    /// 413 for a body above [`BODY_MAX`].
    pub fn read(request: Request, clock: &Clock) -> Result<Self, Problem> {
        let (source_ip, domain_name, gateway_id) = match request.request_context_ref() {
            Some(RequestContext::ApiGatewayV2(context)) => (
                context.http.source_ip.clone(),
                context.domain_name.clone(),
                context.request_id.clone(),
            ),
            _ => (None, None, None),
        };
        let (deadline_ms, invocation_id) = request
            .lambda_context_ref()
            .map_or((0, String::new()), |context| {
                (context.deadline, context.request_id.clone())
            });
        let query = request
            .query_string_parameters_ref()
            .map(|parameters| {
                parameters
                    .iter()
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect()
            })
            .unwrap_or_default();
        let (parts, body) = request.into_parts();
        let body = match body {
            Body::Text(text) => text.into_bytes(),
            Body::Binary(bytes) => bytes,
            _ => Vec::new(),
        };
        if body.len() > BODY_MAX {
            return Err(Problem::new(
                Code::BodyTooLarge,
                format!("a body may be {BODY_MAX} bytes, this one is {}", body.len()),
            ));
        }
        Ok(Self {
            request_id: gateway_id.unwrap_or(invocation_id),
            method: parts.method.as_str().to_owned(),
            body,
            source_ip,
            domain_name,
            deadline: Deadline::at_ms_of_wall(deadline_ms, clock),
            path: parts.uri.path().to_owned(),
            headers: parts.headers,
            query,
        })
    }

    /// The path's segments, still percent-encoded; no number of ours needs an escape.
    pub fn segments(&self) -> Vec<&str> {
        self.path.trim_start_matches('/').split('/').collect()
    }

    /// The header's value, if it is there once and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next()?;
        if values.next().is_some() {
            return None;
        }
        first.to_str().ok()
    }

    /// Whether the header was sent, readable or not.
    pub fn has_header(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    /// The only query parameters a route knows.
    ///
    /// # Errors
    /// 400 for an unknown or repeated one.
    pub fn query<const N: usize>(&self, known: [&str; N]) -> Result<[Option<&str>; N], Problem> {
        let mut found = [None; N];
        for (name, value) in &self.query {
            let Some(place) = known.iter().position(|known| known == name) else {
                return Err(Problem::new(
                    Code::MalformedRequest,
                    format!("there is no query parameter {name:?} here"),
                ));
            };
            let Some(slot) = found.get_mut(place) else {
                continue;
            };
            if slot.replace(value.as_str()).is_some() {
                return Err(Problem::new(
                    Code::MalformedRequest,
                    format!("{name} is given twice"),
                ));
            }
        }
        Ok(found)
    }

    /// The route as logs name it: the method and the path without its numbers.
    pub fn route(&self) -> String {
        let mut route = self.method.clone();
        for (index, segment) in self.segments().into_iter().enumerate() {
            route.push_str(if index == 0 { " /" } else { "/" });
            route.push_str(match (index, segment) {
                (1 | 3, _) if self.path.starts_with("/orders/") => "{}",
                (
                    _,
                    known @ ("orders" | "sessions" | "refunds" | "close" | "approve" | "reject"
                    | "wechatpay" | "notify"),
                ) => known,
                _ => "?",
            });
        }
        route
    }
}
