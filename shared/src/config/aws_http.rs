//! Lends the process's transport, which is its reqwest client, to the AWS SDK.
//!
//! The SDK's own client would bring a second pool and root store (1.85 MB and 17 million
//! instructions of cold start). Timeouts and I/O failures keep their kind, so that the SDK's retries
//! work; only bodies that are in memory can be sent, which all of DynamoDB's and Secrets Manager's
//! are.

#[cfg(test)]
mod tests;

use std::time::Duration;

use aws_runtime::user_agent::UserAgentInterceptor;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::interceptors::context::BeforeSerializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{
    Intercept, disable_interceptor, dyn_dispatch_hint,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use reqwest::header::{HeaderValue, USER_AGENT};

use crate::transport::{Cause, Failure, Transport};

/// How large an answer may be, in bytes: DynamoDB and Secrets Manager send at most 16 MiB.
const ANSWER_MAX: usize = 16 << 20;

/// Who asks, where the SDK does not say it.
const AGENT: &str = concat!("wxpay-serverless/", env!("CARGO_PKG_VERSION"));

/// Spares the SDK's description of itself, machine, language and settings, which it makes anew for each
/// request and says twice in its headers: a twentieth of what a request costs. Requests carry [`AGENT`].
#[derive(Debug)]
pub(super) struct ShortAgent;

#[dyn_dispatch_hint]
impl Intercept for ShortAgent {
    fn name(&self) -> &'static str {
        "ShortAgent"
    }

    fn read_before_execution(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let disabled =
            disable_interceptor::<UserAgentInterceptor>("requests name their agent shortly");
        settings.interceptor_state().store_put(disabled);
        Ok(())
    }
}

/// This transport as the AWS SDK takes a client.
pub fn sdk_http_client(transport: Transport) -> SharedHttpClient {
    SharedHttpClient::new(LentTransport {
        transport,
        read_timeout: None,
    })
}

#[derive(Clone, Debug)]
struct LentTransport {
    transport: Transport,
    read_timeout: Option<Duration>,
}

impl HttpClient for LentTransport {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        // The connect timeout is the shared client's own.
        SharedHttpConnector::new(Self {
            transport: self.transport.clone(),
            read_timeout: settings.read_timeout(),
        })
    }
}

impl HttpConnector for LentTransport {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let lent = self.clone();
        HttpConnectorFuture::new(async move { lent.send(request).await })
    }
}

impl LentTransport {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = request
            .try_into_http1x()
            .map_err(|error| ConnectorError::user(error.into()))?;
        let (mut parts, body) = request.into_parts();
        let agent = parts.headers.entry(USER_AGENT);
        agent.or_insert(HeaderValue::from_static(AGENT));
        let bytes = body
            .bytes()
            .map(<[u8]>::to_vec)
            .ok_or_else(|| ConnectorError::user("a streaming body cannot be sent".into()))?;
        let mut request = self
            .transport
            .request(parts.method, parts.uri.to_string())
            .headers(parts.headers)
            .body(bytes);
        if let Some(timeout) = self.read_timeout {
            request = request.timeout(timeout);
        }
        let mut answer = self.transport.send(request).await.map_err(kind)?;
        let mut response = http::Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            *headers = std::mem::take(answer.headers_mut());
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| kind(error.into()))? {
            if bytes.len() + chunk.len() > ANSWER_MAX {
                return Err(ConnectorError::other(
                    "the answer is too large".into(),
                    None,
                ));
            }
            bytes.extend_from_slice(&chunk);
        }
        let response = response
            .body(SdkBody::from(bytes))
            .map_err(|error| ConnectorError::other(error.into(), None))?;
        HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
    }
}

fn kind(failure: Failure) -> ConnectorError {
    match failure.cause() {
        Cause::TimedOut => ConnectorError::timeout(failure.into()),
        Cause::Unbuildable => ConnectorError::user(failure.into()),
        Cause::Unreachable | Cause::Broken => ConnectorError::io(failure.into()),
    }
}
