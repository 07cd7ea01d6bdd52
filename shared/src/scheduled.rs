//! Functions that a schedule or the table's stream runs: what they implement, and how Lambda runs them.

use std::future::Future;
use std::sync::Arc;

use crate::config::{self, ConfigError, Vars};
use crate::process::Process;

/// A function run by a schedule or the table's stream.
pub trait ScheduledFunction: Send + Sync + Sized + 'static {
    /// The function's name in logs and metrics; also its crate's and binary's.
    const NAME: &'static str;

    /// Builds the function from its environment.
    ///
    /// # Errors
    /// Names every missing or malformed variable at once.
    fn from_vars(vars: &Vars, process: &Process) -> Result<Self, ConfigError>;

    /// Does what is due.
    fn handle(
        &self,
        event: lambda_runtime::LambdaEvent<serde_json::Value>,
    ) -> impl Future<Output = Result<serde_json::Value, lambda_runtime::Error>> + Send;
}

/// Runs a scheduled function as this Lambda process.
///
/// # Errors
/// The environment is incomplete, or the runtime's API went away.
pub async fn run<F: ScheduledFunction>() -> Result<(), lambda_runtime::Error> {
    let process = Process::system()?;
    let function = Arc::new(config::noted(
        F::NAME,
        &process,
        F::from_vars(&Vars::from_env(), &process),
    )?);
    lambda_runtime::run(lambda_runtime::service_fn(move |event| {
        let function = Arc::clone(&function);
        async move { function.handle(event).await }
    }))
    .await
}
