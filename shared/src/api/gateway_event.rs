//! The HTTP API's event as Lambda hands it over, and the request in it.
//!
//! `lambda_http` would build a URL out of `Host`, `X-Forwarded-Proto`, the path and the query, and
//! panic where they make none; it also panics at a body that is not base64, and an event with a
//! header that is none would end the invocation. Callers choose all of these, so that the request is
//! put together here, without a URL, and whatever is no request is a [`Problem`].

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_http::request::RequestContext;
use lambda_http::{Body, Context, Request, RequestExt};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::code::Code;
use super::problem::Problem;

/// An event, which may be none of the HTTP API's: reading it never fails, so that it is answered.
#[derive(Debug)]
pub struct Event(Option<Box<ApiGatewayV2httpRequest>>);

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let event = Box::<RawValue>::deserialize(deserializer)?;
        // The error may quote a header, and so a credential: nothing is kept of it.
        Ok(Self(serde_json::from_str(event.get()).ok()))
    }
}

impl Event {
    /// The request, with what `lambda_http` keeps beside it.
    ///
    /// # Errors
    /// 400 for an event that is none of the HTTP API's, with a header that is none, or with a body
    /// that is said to be base64 and is not.
    pub fn into_request(self, context: Context) -> Result<Request, Problem> {
        let Some(event) = self.0 else {
            return Err(malformed(
                "this is not a request, or a header of it is not one",
            ));
        };
        let body = match event.body {
            None => Body::Empty,
            Some(text) if event.is_base64_encoded => {
                let decoded = STANDARD.decode(text);
                Body::Binary(decoded.map_err(|_| malformed("the body is not base64"))?)
            }
            Some(text) => Body::Text(text),
        };
        // API Gateway joins the values of one name by commas; the caller's own text keeps them apart.
        let query = match event.raw_query_string.as_deref().map(str::parse) {
            Some(Ok(query)) => query,
            None => event.query_string_parameters,
        };
        let mut request = Request::new(body)
            .with_path_parameters(event.path_parameters)
            .with_query_string_parameters(query)
            .with_lambda_context(context);
        *request.method_mut() = event.request_context.http.method.clone();
        *request.headers_mut() = event.headers;
        Ok(request.with_request_context(RequestContext::ApiGatewayV2(event.request_context)))
    }
}

fn malformed(why: &str) -> Problem {
    Problem::new(Code::MalformedRequest, why)
}
