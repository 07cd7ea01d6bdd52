//! The functions, linked in: by the name of their binary, as the template names them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use lambda_runtime::{Context, LambdaEvent};
use serde_json::Value;
use shared::api::HttpFunction;
use shared::config::secrets::{ApiKeys, AppSecret, Content, Secret, SecretError, SigningSecret};
use shared::config::{ConfigError, Environment, Vars};
use shared::keyring::Keyring;
use shared::process::Process;
use shared::scheduled::ScheduledFunction;
use shared::wechatpay::Apiv3Keys;

/// An invocation under way.
pub type Invocation = Pin<Box<dyn Future<Output = Result<Value, String>> + Send>>;

/// A function: an event and its context in, an answer or a function error out.
pub type Invoke = Arc<dyn Fn(Value, Context) -> Invocation + Send + Sync>;

/// Why a function was not built.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No function has this binary.
    #[error("template.yaml names a binary {0:?}, which is no function of this bundle")]
    Unknown(String),
    /// Its environment is incomplete.
    #[error(transparent)]
    Environment(#[from] ConfigError),
}

/// Builds the function whose binary has this name.
///
/// # Errors
/// There is none of that name, or its environment is incomplete.
// Compiled where it is called: in `proof` as fast as that is (Cargo.toml), here as quickly as all of this crate.
#[inline]
pub fn link(binary: &str, vars: &Vars, process: &Process) -> Result<Invoke, LinkError> {
    match binary {
        login::Login::NAME => http::<login::Login>(vars, process),
        create_order::CreateOrder::NAME => http::<create_order::CreateOrder>(vars, process),
        notify_callback::NotifyCallback::NAME => {
            http::<notify_callback::NotifyCallback>(vars, process)
        }
        query::Query::NAME => http::<query::Query>(vars, process),
        close_order::CloseOrder::NAME => http::<close_order::CloseOrder>(vars, process),
        refund::Refund::NAME => http::<refund::Refund>(vars, process),
        <reconcile::Reconcile as ScheduledFunction>::NAME => {
            scheduled::<reconcile::Reconcile>(vars, process)
        }
        <publish_events::PublishEvents as ScheduledFunction>::NAME => {
            scheduled::<publish_events::PublishEvents>(vars, process)
        }
        <sweep::Sweep as ScheduledFunction>::NAME => scheduled::<sweep::Sweep>(vars, process),
        other => Err(LinkError::Unknown(other.to_owned())),
    }
}

/// What is wrong with each secret that these variables name, read as a function with them reads it:
/// with its own access key, and apart from what a running one has read already.
pub async fn unusable_secrets(vars: &Vars, process: &Process) -> Vec<SecretError> {
    let mut environment = Environment::new(vars, process);
    let problems = [
        problem::<SigningSecret>(&mut environment, "SIGNING_SECRET_ARN").await,
        platform_keys_problem(&mut environment).await,
        problem::<Apiv3Keys>(&mut environment, "APIV3_SECRET_ARN").await,
        problem::<AppSecret>(&mut environment, "APP_SECRET_ARN").await,
        problem::<ApiKeys>(&mut environment, "API_SECRET_ARN").await,
    ];
    problems.into_iter().flatten().collect()
}

async fn platform_keys_problem(environment: &mut Environment<'_>) -> Option<SecretError> {
    environment.optional("WECHATPAY_SECRET_ARN")?;
    let table = environment.table();
    let keyring = Keyring::from_environment(environment, &table);
    keyring.get().await.err()
}

async fn problem<T: Content>(
    environment: &mut Environment<'_>,
    variable: &'static str,
) -> Option<SecretError> {
    environment.optional(variable)?;
    let secret = Secret::<T>::from_environment(environment, variable);
    secret.get().await.err()
}

fn http<F: HttpFunction>(vars: &Vars, process: &Process) -> Result<Invoke, LinkError> {
    let function = Arc::new(F::from_vars(vars, process)?);
    Ok(Arc::new(move |event, context| {
        let function = Arc::clone(&function);
        Box::pin(async move {
            let event = serde_json::from_value(event)
                .map_err(|error| format!("the event cannot be read: {error}"))?;
            let answer = function.handle(LambdaEvent::new(event, context)).await;
            serde_json::to_value(answer).map_err(|error| error.to_string())
        })
    }))
}

fn scheduled<F: ScheduledFunction>(vars: &Vars, process: &Process) -> Result<Invoke, LinkError> {
    let function = Arc::new(F::from_vars(vars, process)?);
    Ok(Arc::new(move |event, context| {
        let function = Arc::clone(&function);
        Box::pin(async move {
            function
                .handle(LambdaEvent::new(event, context))
                .await
                .map_err(|error| error.to_string())
        })
    }))
}
