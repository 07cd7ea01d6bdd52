//! A bucket of S3's: puts whole objects and asks whether there is one. It reads none back.
//!
//! The requests are signed by the crate that the AWS SDK signs with and sent by the process's one HTTP
//! client; S3's own SDK would bring three megabytes for two calls.

use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_dynamodb::config::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use reqwest::{Method, StatusCode};

use crate::clock::Clock;
use crate::random;
use crate::transport::Transport;

/// How often a call is made before it has failed.
const ATTEMPTS_MAX: u32 = 3;

/// How long one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);

/// The pause before another attempt, at most, in milliseconds.
const PAUSE_MS: u64 = 500;

/// A bucket and what it is reached with.
#[derive(Clone, Debug)]
pub struct Bucket {
    transport: Transport,
    clock: Clock,
    access: BucketAccess,
}

/// Where a bucket is and who asks.
#[derive(Clone, Debug)]
pub struct BucketAccess {
    /// The bucket's name.
    pub name: String,
    /// The region it is in.
    pub region: String,
    /// Where S3 is, if not where AWS has it; the bucket is then the first part of the path.
    pub endpoint: Option<String>,
    /// Who asks; never printed.
    pub credentials: Credentials,
}

/// A call to S3 that was not answered as it should be.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// S3 said no, or something that is not known.
    #[error("S3 answered {status} to {action}")]
    Answered {
        /// What was asked.
        action: &'static str,
        /// The HTTP status.
        status: u16,
    },
    /// There was no answer.
    #[error("S3 did not answer {action}")]
    NoAnswer {
        /// What was asked.
        action: &'static str,
    },
    /// The request could not be made.
    #[error("the request for {action} could not be signed")]
    Unsigned {
        /// What was asked.
        action: &'static str,
    },
}

impl Bucket {
    /// The bucket, reached with this client.
    pub const fn new(transport: Transport, clock: Clock, access: BucketAccess) -> Self {
        Self {
            transport,
            clock,
            access,
        }
    }

    /// Puts an object; one of that name becomes an earlier version of it. `key` has only letters, digits
    /// and `-_./`.
    ///
    /// # Errors
    /// It may stand nevertheless; putting it again does no harm.
    pub async fn put(
        &self,
        key: &str,
        content_type: &str,
        content: Vec<u8>,
    ) -> Result<(), BucketError> {
        let action = "PutObject";
        let headers = [("content-type", content_type)];
        match self
            .call(action, Method::PUT, key, &headers, content)
            .await?
        {
            StatusCode::OK => Ok(()),
            other => Err(answered(action, other)),
        }
    }

    /// Whether there is an object of this name.
    ///
    /// # Errors
    /// It is not known. A role that may not list the bucket is answered 403 where there is none.
    pub async fn has(&self, key: &str) -> Result<bool, BucketError> {
        let action = "HeadObject";
        match self
            .call(action, Method::HEAD, key, &[], Vec::new())
            .await?
        {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            other => Err(answered(action, other)),
        }
    }

    /// Calls until there is an answer that is not a failure of S3's own.
    async fn call(
        &self,
        action: &'static str,
        method: Method,
        key: &str,
        headers: &[(&str, &str)],
        content: Vec<u8>,
    ) -> Result<StatusCode, BucketError> {
        let url = self.url(key);
        let mut attempt = 1;
        loop {
            let signed = self.signed(action, &method, &url, headers, &content)?;
            let sent = self.transport.execute(signed).await;
            let again = match sent {
                Ok(answer) if !answer.status().is_server_error() => return Ok(answer.status()),
                Ok(answer) => answered(action, answer.status()),
                Err(_) => BucketError::NoAnswer { action },
            };
            if attempt >= ATTEMPTS_MAX {
                return Err(again);
            }
            attempt += 1;
            tokio::time::sleep(random::jitter(PAUSE_MS)).await;
        }
    }

    fn url(&self, key: &str) -> String {
        let BucketAccess { name, region, .. } = &self.access;
        match &self.access.endpoint {
            Some(endpoint) => format!("{}/{name}/{key}", endpoint.trim_end_matches('/')),
            None => {
                let china = if region.starts_with("cn-") { ".cn" } else { "" };
                format!("https://{name}.s3.{region}.amazonaws.com{china}/{key}")
            }
        }
    }

    fn signed(
        &self,
        action: &'static str,
        method: &Method,
        url: &str,
        headers: &[(&str, &str)],
        content: &[u8],
    ) -> Result<reqwest::Request, BucketError> {
        let unsigned = || BucketError::Unsigned { action };
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        // A clock before 1970 signs nothing that S3 takes.
        let seconds = u64::try_from(self.clock.wall().unix_seconds()).unwrap_or_default();
        let identity = self.access.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.access.region)
            .name("s3")
            .time(UNIX_EPOCH + Duration::from_secs(seconds))
            .settings(settings)
            .build()
            .map_err(|_| unsigned())?
            .into();
        let body = SignableBody::Bytes(content);
        let signable = SignableRequest::new(method.as_str(), url, headers.iter().copied(), body);
        let signed = sign(signable.map_err(|_| unsigned())?, &parameters);
        let (instructions, _) = signed.map_err(|_| unsigned())?.into_parts();
        let mut request = self
            .transport
            .request(method.clone(), url)
            .timeout(ATTEMPT_TIMEOUT)
            .body(content.to_vec());
        for (name, value) in headers.iter().copied().chain(instructions.headers()) {
            request = request.header(name, value);
        }
        request.build().map_err(|_| unsigned())
    }
}

fn answered(action: &'static str, status: StatusCode) -> BucketError {
    BucketError::Answered {
        action,
        status: status.as_u16(),
    }
}

#[cfg(test)]
mod tests;
