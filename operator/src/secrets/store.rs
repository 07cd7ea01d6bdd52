//! The secrets in Secrets Manager.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
use serde_json::{Map, Value};

use crate::aws::refused;
use crate::exit::Failure;
use crate::target::Target;

/// One of the five.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Signing,
    Wechatpay,
    Apiv3,
    App,
    Api,
}

impl Name {
    pub(super) const ALL: [Self; 5] = [
        Self::Signing,
        Self::Wechatpay,
        Self::Apiv3,
        Self::App,
        Self::Api,
    ];

    /// Its logical id in the template.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Signing => "SigningSecret",
            Self::Wechatpay => "WechatpaySecret",
            Self::Apiv3 => "Apiv3Secret",
            Self::App => "AppSecret",
            Self::Api => "ApiSecret",
        }
    }
}

/// The secrets of a stack.
#[derive(Debug)]
pub(super) struct Store<'a> {
    client: Client,
    target: &'a Target,
}

impl<'a> Store<'a> {
    pub(super) fn of(target: &'a Target) -> Self {
        Self {
            client: target.aws.secrets(),
            target,
        }
    }

    fn arn(&self, name: Name) -> Result<&str, Failure> {
        self.target
            .described
            .output(&format!("{}Arn", name.as_str()))
    }

    /// A secret's text; `None` where it has none yet.
    pub(super) async fn read(&self, name: Name) -> Result<Option<String>, Failure> {
        let read = self
            .client
            .get_secret_value()
            .secret_id(self.arn(name)?)
            .send()
            .await;
        match read {
            Ok(answer) => Ok(answer.secret_string),
            // A secret without a value is there, and has nothing to give.
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(refused("secretsmanager:GetSecretValue", error)),
        }
    }

    /// A secret's members; `None` where it has no text yet, or one that is no object.
    pub(super) async fn members(&self, name: Name) -> Result<Option<Map<String, Value>>, Failure> {
        let Some(text) = self.read(name).await? else {
            return Ok(None);
        };
        match serde_json::from_str(&text) {
            Ok(Value::Object(members)) => Ok(Some(members)),
            // Something else stands there: a key in it that must be kept could not be seen.
            Ok(_) | Err(_) => Err(Failure::Refused(format!(
                "{} holds a text that is not JSON: look at it, and empty it by hand if it is worth nothing",
                name.as_str()
            ))),
        }
    }

    pub(super) async fn write(&self, name: Name, text: &str) -> Result<(), Failure> {
        let put = self.client.put_secret_value().secret_id(self.arn(name)?);
        let put = put.secret_string(text).send().await;
        put.map_err(|error| refused("secretsmanager:PutSecretValue", error))?;
        Ok(())
    }
}
