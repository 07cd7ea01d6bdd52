//! Requests and answers: from an API Gateway event to a function's decision and back.
//!
//! A function implements [`HttpFunction::serve`]; everything around it (bounds, the deadline, the
//! log line, problem documents) is here, once.

mod answer;
mod caller;
mod code;
pub mod derived_ids;
mod gateway_event;
mod incoming;
mod language;
mod problem;
pub mod representation;
pub mod request_body;
pub mod sealed;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use lambda_http::LambdaEvent;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;

pub use answer::Answer;
pub use caller::{CREDENTIAL_MAX, Caller, Callers};
pub use code::Code;
pub use gateway_event::Event;
pub use incoming::{Incoming, malformed_id};
pub use language::Language;
pub use problem::Problem;

use crate::config::secrets::{self, AnySecret, SecretError};
use crate::config::{self, ConfigError, Vars};
use crate::panics::{Panicked, contained, contained_future};
use crate::process::Process;
use crate::telemetry::{LogLine, Metric};

/// How long to spend listing the other unusable secrets once one is.
const UNUSABLE_SECRETS_WAIT: Duration = Duration::from_secs(1);

/// How long a request may be served, whatever time Lambda gives: an HTTP API waits 30 seconds.
const SERVE_MAX: Duration = Duration::from_secs(29);

/// A function behind the HTTP API.
pub trait HttpFunction: Send + Sync + Sized + 'static {
    /// The function's name in logs and metrics; also its crate's and binary's.
    const NAME: &'static str;

    /// Builds the function from its environment.
    ///
    /// # Errors
    /// Names every missing or malformed variable at once.
    fn from_vars(vars: &Vars, process: &Process) -> Result<Self, ConfigError>;

    /// The process it runs in.
    fn process(&self) -> &Process;

    /// The secrets that it holds: all are read before its first request, and all that cannot be used
    /// are named once a request fails for one of them.
    fn secrets(&self) -> Vec<&dyn AnySecret>;

    /// Begins what takes a while and the first request will need; nobody waits for it.
    fn prepare(&self) {}

    /// Decides a request.
    fn serve(
        &self,
        incoming: &Incoming,
        line: &mut LogLine,
    ) -> impl Future<Output = Result<Answer, Problem>> + Send;

    /// Answers a request that was refused before it was read; the webhook has its own dialect.
    fn refused_unread(&self, problem: Problem, line: &mut LogLine) -> Answer {
        problem.into_answer(line)
    }

    /// Answers a request whose time is over; the webhook has its own dialect.
    fn out_of_time(&self, problem: Problem, line: &mut LogLine) -> Answer {
        problem.into_answer(line)
    }

    /// Answers an event, whatever stands in it; never fails, and writes one log line.
    fn handle(
        &self,
        event: LambdaEvent<Event>,
    ) -> impl Future<Output = ApiGatewayV2httpResponse> + Send {
        async move {
            let process = self.process();
            let mut line = LogLine::start(Self::NAME, &process.clock);
            let LambdaEvent { payload, context } = event;
            line.field("request_id", context.request_id.clone());
            let mut language = Language::default();
            let read = contained(|| {
                let request = payload.into_request(context)?;
                language = Language::wanted(request.headers());
                Incoming::read(request, &process.clock)
            });
            let answer = match read {
                Ok(Ok(incoming)) => {
                    line.field("request_id", incoming.request_id.clone());
                    line.field("route", incoming.route());
                    let left = incoming.deadline.left(&process.clock, SERVE_MAX);
                    // Stopping is as safe as a crash at that moment, and unlike a crash it answers and
                    // keeps the keys that this process has read.
                    match tokio::time::timeout(left, served(self, &incoming, &mut line)).await {
                        Ok(Ok(answer)) => answer,
                        Ok(Err(problem)) => problem.told_in(language).into_answer(&mut line),
                        Err(_) => self.out_of_time(too_late().told_in(language), &mut line),
                    }
                }
                Ok(Err(problem)) => self.refused_unread(problem.told_in(language), &mut line),
                Err(Panicked) => mistake().into_answer(&mut line),
            };
            line.field("status", answer.status);
            line.write(&process.log, &process.clock, "request");
            answer.into_response()
        }
    }
}

/// Runs an HTTP function as this Lambda process.
///
/// # Errors
/// The environment is incomplete, or the runtime's API went away.
pub async fn run_http<F: HttpFunction>() -> Result<(), lambda_http::Error> {
    let process = Process::system()?;
    let function = Arc::new(config::noted(
        F::NAME,
        &process,
        F::from_vars(&Vars::from_env(), &process),
    )?);
    function.prepare();
    secrets::warm_up(&function.secrets()).await;
    lambda_runtime::run(lambda_runtime::service_fn(move |event| {
        let function = Arc::clone(&function);
        async move { Ok::<_, lambda_runtime::Error>(function.handle(event).await) }
    }))
    .await
}

/// Where WeChat Pay sends its notifications: below `PUBLIC_BASE_URL`, or below the name the gateway was
/// called by, which is the gateway's own and not the caller's to choose.
///
/// # Errors
/// Neither is known.
pub fn notify_url(public_base_url: Option<&str>, incoming: &Incoming) -> Result<String, Problem> {
    let base = match (public_base_url, &incoming.domain_name) {
        (Some(base), _) => base.trim_end_matches('/').to_owned(),
        (None, Some(domain_name)) => format!("https://{domain_name}"),
        (None, None) => {
            return Err(Problem::plain(Code::NotConfigured)
                .because("neither PUBLIC_BASE_URL nor the request says what the API's host is")
                .counting(Metric::NotConfigured));
        }
    };
    Ok(format!("{base}/wechatpay/notify"))
}

/// Serves a request; where a secret is unusable, notes every one that is. A panic is a problem
/// like others.
async fn served<F: HttpFunction>(
    function: &F,
    incoming: &Incoming,
    line: &mut LogLine,
) -> Result<Answer, Problem> {
    let served = contained_future(function.serve(incoming, line)).await;
    let served = served.unwrap_or_else(|Panicked| Err(mistake()));
    if let Err(problem) = &served
        && problem.code == Code::NotConfigured
    {
        // The problem itself names one of them, and the caller waits for an answer.
        let held = function.secrets();
        if let Ok(unusable) =
            tokio::time::timeout(UNUSABLE_SECRETS_WAIT, secrets::unusable(&held)).await
        {
            note_unusable_secrets(&unusable, line);
        }
    }
    served
}

/// What is answered where the time was over.
fn too_late() -> Problem {
    let detail = "the request took too long; send the same request again";
    Problem::new(Code::OutOfTime, detail).retry_after(1)
}

/// What is answered where a function panicked.
fn mistake() -> Problem {
    Problem::plain(Code::InternalError).because("the function panicked")
}

/// Notes what is wrong with each secret in a list, so that no text grows too long for the line.
pub fn note_unusable_secrets(errors: &[SecretError], line: &mut LogLine) {
    let problems: Vec<String> = errors.iter().map(ToString::to_string).collect();
    if !problems.is_empty() {
        line.field("problems", problems);
    }
}
