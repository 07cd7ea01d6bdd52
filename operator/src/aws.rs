//! AWS, with the operator's own credentials: as the AWS CLI finds them, profiles and single sign-on
//! included.
//!
//! DynamoDB and Secrets Manager are called by their SDKs, which the functions link as well. CloudFormation,
//! Lambda and CloudWatch Logs are one call each here, signed by the crate that the SDKs sign with: their own SDKs
//! would be minutes of compiling.

mod call;
mod lambda;
pub mod logs;
pub mod stack;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use shared::config::sdk_http_client;
use shared::process::Process;

use crate::exit::Failure;

pub use call::Called;

/// AWS as this command reaches it.
#[derive(Clone, Debug)]
pub struct Aws {
    sdk: SdkConfig,
    process: Process,
}

impl Aws {
    /// AWS by the usual chain: environment, profile, single sign-on, role.
    ///
    /// # Errors
    /// No region is named anywhere.
    pub async fn by_chain(
        region: Option<&str>,
        profile: Option<&str>,
        process: &Process,
    ) -> Result<Self, Failure> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(sdk_http_client(process.transport.clone()));
        if let Some(region) = region {
            loader = loader.region(Region::new(region.to_owned()));
        }
        if let Some(profile) = profile {
            loader = loader.profile_name(profile);
        }
        let sdk = loader.load().await;
        if sdk.region().is_none() {
            return Err(Failure::NoAccess(
                "no region: give --region, set AWS_REGION, or name one in the profile".to_owned(),
            ));
        }
        Ok(Self {
            sdk,
            process: process.clone(),
        })
    }

    /// AWS at one address, as the stack on this machine has it.
    pub fn at(endpoint: &str, region: &str, access_key: &str, process: &Process) -> Self {
        let credentials = Credentials::new(access_key, "local", None, None, "local stack");
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(sdk_http_client(process.transport.clone()))
            .region(Region::new(region.to_owned()))
            .endpoint_url(endpoint)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        Self {
            sdk,
            process: process.clone(),
        }
    }

    /// The region.
    pub fn region(&self) -> &str {
        self.sdk.region().map_or("", |region| region.as_ref())
    }

    /// Where everything is, if not where AWS has it.
    pub fn endpoint_url(&self) -> Option<&str> {
        self.sdk.endpoint_url()
    }

    /// Who asks.
    ///
    /// # Errors
    /// There are no credentials anywhere.
    pub async fn credentials(&self) -> Result<Credentials, Failure> {
        const HOW: &str = "(aws configure, aws sso login or AWS_PROFILE give some)";
        let provider = self.sdk.credentials_provider();
        let provider =
            provider.ok_or_else(|| Failure::NoAccess(format!("no AWS credentials {HOW}")))?;
        provider
            .provide_credentials()
            .await
            .map_err(|error| Failure::NoAccess(format!("no AWS credentials: {error} {HOW}")))
    }

    /// The table's client.
    pub fn table(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.sdk)
    }

    /// The secrets' client.
    pub fn secrets(&self) -> aws_sdk_secretsmanager::Client {
        aws_sdk_secretsmanager::Client::new(&self.sdk)
    }
}

/// What a call of an SDK's that failed means for whoever asked.
pub fn refused<E, R>(action: &str, error: SdkError<E, R>) -> Failure
where
    E: ProvideErrorMetadata,
{
    match error.as_service_error() {
        Some(refusal) => {
            let code = refusal.code().unwrap_or("refused");
            let said = refusal.message().unwrap_or_default();
            Failure::NoAccess(format!("{action}: {code} {said}"))
        }
        None => Failure::NoAnswer(format!("AWS did not answer {action}")),
    }
}
