//! A stack, on AWS or on this machine, as its outputs, parameters and secrets tell of it.

use aws_sdk_secretsmanager::error::ProvideErrorMetadata as _;

use super::ask::is_loopback;
use super::subject::{Place, Secrets, Subject, Unread, WhyUnread};
use crate::target::{Target, Which};

/// What reading a secret needs.
const READ_SECRET: &str = "secretsmanager:GetSecretValue";

/// Reads a stack. What may not be read, or is not there, is told by a check.
pub(super) async fn read(which: &Which) -> Subject {
    let target = match which.find().await {
        Ok(target) => target,
        Err(failure) => {
            return Subject {
                place: Place::Unfound {
                    why: failure.to_string(),
                },
                ..Subject::default()
            };
        }
    };
    let output = |name: &str| target.described.outputs.get(name).cloned();
    let parameter = |name: &str| target.described.parameters.get(name).cloned();
    let parameter = |name: &str| parameter(name).filter(|value| !value.is_empty());
    let base_url = output("BaseUrl");
    let place = match &base_url {
        Some(address) if is_loopback(address) => Place::Local,
        Some(_) | None => Place::Aws {
            stack: target.name.clone(),
            region: target.aws.region().to_owned(),
        },
    };
    let subject = Subject {
        mchid: parameter("Mchid"),
        appid: parameter("Appid"),
        notify_url: output("NotifyUrl"),
        base_url,
        wechatpay_url: parameter("WechatpayBaseUrl"),
        wechat_api_url: parameter("WechatApiBaseUrl"),
        platform_certificates: parameter("PlatformCertificates").as_deref() == Some("on"),
        place,
        ..Subject::default()
    };
    let mut unread = Vec::new();
    let secrets = Secrets {
        signing: secret(&target, "SigningSecretArn", &mut unread).await,
        wechatpay: secret(&target, "WechatpaySecretArn", &mut unread).await,
        apiv3: secret(&target, "Apiv3SecretArn", &mut unread).await,
        app: secret(&target, "AppSecretArn", &mut unread).await,
        api: secret(&target, "ApiSecretArn", &mut unread).await,
    };
    Subject {
        unread,
        ..subject.with_secrets(secrets)
    }
}

async fn secret(target: &Target, name: &str, unread: &mut Vec<Unread>) -> Option<String> {
    let mut note = |why| {
        unread.push(Unread {
            what: name.to_owned(),
            why,
        });
    };
    let Some(arn) = target.described.outputs.get(name) else {
        note(WhyUnread::Failed {
            code: "no such output".to_owned(),
        });
        return None;
    };
    let asked = target.aws.secrets().get_secret_value().secret_id(arn);
    match asked.send().await {
        Ok(answer) => {
            if answer.secret_string().is_none() {
                note(WhyUnread::Empty);
            }
            answer.secret_string().map(str::to_owned)
        }
        Err(error) => {
            let code = error.as_service_error().and_then(|error| error.code());
            note(match code {
                Some("AccessDeniedException") => WhyUnread::Denied {
                    action: READ_SECRET,
                },
                // A secret without a value has no version.
                Some("ResourceNotFoundException") => WhyUnread::Empty,
                Some(code) => WhyUnread::Failed {
                    code: code.to_owned(),
                },
                None => WhyUnread::Failed {
                    code: "no answer".to_owned(),
                },
            });
            None
        }
    }
}
