//! A request as a function sees it: bounded, with its deadline; what API Gateway vouches for is taken
//! from its context, never from a header that a caller could have made up.

use lambda_http::aws_lambda_events::query_map::QueryMap;
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt};

use super::code::Code;
use super::problem::Problem;
use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::domain::{InvalidId, OrderId, RefundId};

/// How large a body may be, in bytes.
const BODY_MAX: usize = 64 * 1024;

/// A request.
#[derive(Debug)]
pub struct Incoming {
    /// The gateway's number of the request.
    pub request_id: String,
    /// The body's bytes as the caller sent them.
    pub body: Vec<u8>,
    /// The caller's address, as the gateway saw it.
    pub source_ip: Option<String>,
    /// The domain name the gateway was called by.
    pub domain_name: Option<String>,
    /// When the answer has to be given.
    pub deadline: Deadline,
    route_key: String,
    path_parameters: Vec<(String, String)>,
    headers: lambda_http::http::HeaderMap,
    query: Vec<(String, String)>,
}

impl Incoming {
    /// Reads a request.
    ///
    /// # Errors
    /// 413 for a body above 64 KiB.
    pub fn read(request: Request, clock: &Clock) -> Result<Self, Problem> {
        let (source_ip, domain_name, gateway_id, route_key) = match request.request_context_ref() {
            Some(RequestContext::ApiGatewayV2(context)) => (
                context.http.source_ip.clone(),
                context.domain_name.clone(),
                context.request_id.clone(),
                context.route_key.clone().unwrap_or_default(),
            ),
            _ => (None, None, None, String::new()),
        };
        let (deadline_ms, invocation_id) = request
            .lambda_context_ref()
            .map_or((0, String::new()), |context| {
                (context.deadline, context.request_id.clone())
            });
        let query = pairs(request.query_string_parameters_ref());
        let path_parameters = pairs(request.path_parameters_ref());
        let (parts, body) = request.into_parts();
        let body = match body {
            Body::Text(text) => text.into_bytes(),
            Body::Binary(bytes) => bytes,
            Body::Empty | _ => Vec::new(),
        };
        if body.len() > BODY_MAX {
            return Err(Problem::new(
                Code::BodyTooLarge,
                format!(
                    "the body has {} bytes, at most {BODY_MAX} are allowed",
                    body.len()
                ),
            ));
        }
        Ok(Self {
            request_id: gateway_id.unwrap_or(invocation_id),
            body,
            source_ip,
            domain_name,
            deadline: Deadline::at_ms_of_wall(deadline_ms, clock),
            route_key,
            path_parameters,
            headers: parts.headers,
            query,
        })
    }

    /// The route that API Gateway chose, as `template.yaml` writes it:
    /// `GET /orders/{out_trade_no}`.
    pub fn route(&self) -> &str {
        &self.route_key
    }

    /// What stands in the path for this placeholder of the route, decoded; empty where the route has
    /// no such placeholder, and then no id.
    pub fn path_parameter(&self, name: &str) -> &str {
        let known = self.path_parameters.iter().find(|(known, _)| known == name);
        known.map_or("", |(_, value)| value)
    }

    /// The order that the path names.
    ///
    /// # Errors
    /// 400 `invalid_number` where it is not of an id's length and alphabet.
    pub fn order_id(&self) -> Result<OrderId, Problem> {
        OrderId::parse(self.path_parameter("out_trade_no")).map_err(malformed_id)
    }

    /// The refund that the path names.
    ///
    /// # Errors
    /// 400 `invalid_number` where it is not of an id's length and alphabet.
    pub fn refund_id(&self) -> Result<RefundId, Problem> {
        RefundId::parse(self.path_parameter("out_refund_no")).map_err(malformed_id)
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
                    format!("unknown query parameter {name:?}"),
                ));
            };
            let Some(slot) = found.get_mut(place) else {
                continue;
            };
            if slot.replace(value.as_str()).is_some() {
                return Err(Problem::new(
                    Code::MalformedRequest,
                    format!("the query parameter {name} is repeated"),
                ));
            }
        }
        Ok(found)
    }
}

fn pairs(parameters: Option<&QueryMap>) -> Vec<(String, String)> {
    let pairs = parameters.into_iter().flat_map(QueryMap::iter);
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// An id outside a body is a malformed request; inside one it is an invalid value.
pub fn malformed_id(error: InvalidId) -> Problem {
    Problem::new(Code::InvalidNumber, error.to_string()).field(error.field)
}
