//! The API port: from raw request bytes to signed answer bytes, in the order WeChat Pay works
//! (fidelity points 1 to 13): path, header check, authentication, business, signing.
//! Faults strike between these steps. What a request means is in the modules below.

use std::sync::Arc;

use hyper::HeaderMap;
use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::beijing;
use crate::faults::Target;
use crate::merchants::Loaded;
use crate::state::State;
use crate::world::World;

pub(crate) mod answer;
mod authenticate;
mod bills;
mod certificates;
mod explain;
pub(crate) mod orders;
mod queries;
mod refunds;
mod route;
mod schema;
mod upload;

use answer::{Answer, Outcome, Refusal};
use route::{Operation, Route};

/// The part of a refusal's body that the request log repeats.
const ANSWER_CHARACTERS: usize = 2_000;

/// A request as it came: nothing decoded, nothing normalised.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query as they were on the wire.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.target
            .split_once('?')
            .map_or(self.target.as_str(), |(path, _)| path)
    }

    pub(crate) fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// A query parameter, percent-decoded.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        self.query()?.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key == name).then(|| route::decode(value))
        })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The merchant who signed a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) merchant: Arc<Loaded>,
    pub(crate) serial_no: String,
}

impl Caller {
    pub(crate) fn mchid(&self) -> &str {
        &self.merchant.record.mchid
    }
}

/// What a handler works with; the lock is held.
pub(crate) struct Context<'a> {
    pub(crate) world: &'a Arc<World>,
    pub(crate) state: &'a mut State,
    pub(crate) caller: &'a Caller,
    pub(crate) request: &'a Request,
    pub(crate) now_ms: i64,
    /// The order a request is about, once known, for faults and the request log.
    pub(crate) subject: Option<&'a str>,
}

impl Context<'_> {
    /// Whether a fault strikes this request.
    pub(crate) fn fault(&mut self, name: &'static str, operation: &str) -> bool {
        let subject = format!("{} {}", self.request.method, self.request.target);
        let target = Target {
            operation,
            out_trade_no: self.subject,
            subject: &subject,
        };
        self.state.faults.strikes(name, target)
    }
}

/// Answers one request.
pub(crate) async fn serve(world: &Arc<World>, request: Request) -> Outcome {
    let operation = match route::route(&request.method, request.path()) {
        Route::Found(operation) => operation,
        Route::Unknown => {
            return finish_bare(world, &request, 404, "no API has this path");
        }
        Route::WrongMethod => {
            return finish_bare(world, &request, 405, "this path takes another method");
        }
    };
    if operation == Operation::Login {
        let answer = crate::login::answer(world, &request);
        return finish(world, &request, &operation, None, answer);
    }
    if operation.checks_user_agent()
        && (request.header("user-agent").is_none_or(str::is_empty)
            || request.header("accept").is_none_or(str::is_empty))
    {
        let refusal = Refusal::new(400, "INVALID_REQUEST", "Http头缺少Accept或User-Agent")
            .unsigned()
            .because("send the headers User-Agent and Accept: application/json with every request");
        return finish(world, &request, &operation, None, refusal.into());
    }
    let number = subject(&operation, &request);
    let strikes = |name: &'static str| {
        let subject = format!("{} {}", request.method, request.target);
        let target = Target {
            operation: operation.name(),
            out_trade_no: number.as_deref(),
            subject: &subject,
        };
        world.lock().faults.strikes(name, target)
    };
    if strikes("slow") {
        tokio::time::sleep(answer::SLOW).await;
    }
    if strikes("request_lost") {
        return dropped(
            world,
            &request,
            &operation,
            "request_lost: dropped before it was applied",
        );
    }
    if strikes("request_late") {
        let (world_later, request_later) = (Arc::clone(world), request.clone());
        let operation_later = operation.clone();
        tokio::spawn(async move {
            tokio::time::sleep(answer::LATE).await;
            let caller = authenticate::authenticate(&world_later, &request_later, &operation_later);
            if let Ok(caller) = caller {
                let answer = apply(&world_later, &request_later, &operation_later, &caller);
                finish(
                    &world_later,
                    &request_later,
                    &operation_later,
                    Some(&caller),
                    answer,
                );
            }
        });
        return dropped(
            world,
            &request,
            &operation,
            "request_late: dropped, applied 2 s later",
        );
    }
    let caller = match authenticate::authenticate(world, &request, &operation) {
        Ok(caller) => caller,
        Err(refusal) => return finish(world, &request, &operation, None, refusal.into()),
    };
    for (name, fault) in answer::FAULTS_INSTEAD {
        if strikes(name) {
            let answer = fault(&request).fault(name);
            return finish(world, &request, &operation, Some(&caller), answer);
        }
    }
    let mut answer = apply(world, &request, &operation, &caller);
    if answer.status < 300 {
        for (name, fault) in answer::FAULTS_AFTER {
            if strikes(name) {
                answer = fault(&request).fault(name);
                break;
            }
        }
        if strikes("response_lost") {
            return dropped(
                world,
                &request,
                &operation,
                "response_lost: applied, then dropped",
            );
        }
    }
    finish(world, &request, &operation, Some(&caller), answer)
}

/// Applies an authenticated request to the state.
fn apply(world: &Arc<World>, request: &Request, operation: &Operation, caller: &Caller) -> Answer {
    let number = subject(operation, request);
    let mut state = world.lock();
    let mut context = Context {
        world,
        state: &mut state,
        caller,
        request,
        now_ms: world.now_ms(),
        subject: number.as_deref(),
    };
    if let Some(refusal) = rate_limit(&mut context, operation) {
        return refusal.into();
    }
    let result = match operation {
        Operation::Certificates => certificates::list(&mut context),
        Operation::Order {
            partner,
            trade_type,
        } => orders::create(&mut context, *partner, *trade_type),
        Operation::QueryByNumber {
            partner,
            out_trade_no,
        } => queries::by_number(&mut context, *partner, out_trade_no),
        Operation::QueryById {
            partner,
            transaction_id,
        } => queries::by_transaction(&mut context, *partner, transaction_id),
        Operation::Close {
            partner,
            out_trade_no,
        } => orders::close(&mut context, *partner, out_trade_no),
        Operation::Refund => refunds::create(&mut context),
        Operation::QueryRefund { out_refund_no } => refunds::query(&mut context, out_refund_no),
        Operation::AbnormalRefund { refund_id } => refunds::abnormal(&mut context, refund_id),
        Operation::TradeBill => bills::trade(&mut context),
        Operation::FundFlowBill => bills::fund_flow(&mut context),
        Operation::Download => bills::download(&mut context),
        Operation::Upload => Ok(upload::upload(request)),
        Operation::Login => Err(Refusal::new(404, "RESOURCE_NOT_EXISTS", "")),
    };
    if let Some(reason) = &state.journal.broken {
        return Refusal::new(500, "SYSTEM_ERROR", "系统繁忙，请稍后重试")
            .because(format!(
                "the simulator cannot write its state any more: {reason}"
            ))
            .into();
    }
    match result {
        Ok(answer) => answer,
        Err(refusal) => {
            let second = World::wall_ms().div_euclid(1_000);
            state
                .window(caller.mchid(), operation.name(), second)
                .failures += 1;
            refusal.into()
        }
    }
}

/// The limits of fidelity point 33, per merchant and second of real time.
fn rate_limit(context: &mut Context<'_>, operation: &Operation) -> Option<Refusal> {
    if !context.state.knobs.rate_limits {
        return None;
    }
    let (calls_max, failures_max) = operation.limits();
    let second = World::wall_ms().div_euclid(1_000);
    let window = context
        .state
        .window(context.caller.mchid(), operation.name(), second);
    window.calls += 1;
    let limited = window.calls > calls_max || window.failures >= failures_max;
    limited.then(|| {
        Refusal::new(429, "FREQUENCY_LIMITED", "频率超限").number(268_447_840).because(format!(
            "this API takes {calls_max} calls and {failures_max} failing calls per second from a \
             merchant: back off, and query before sending a refund again"
        ))
    })
}

/// The order or refund number a request is about.
fn subject(operation: &Operation, request: &Request) -> Option<String> {
    match operation {
        Operation::QueryByNumber { out_trade_no, .. } | Operation::Close { out_trade_no, .. } => {
            Some(out_trade_no.clone())
        }
        Operation::Order { .. } | Operation::Refund => {
            let body: Value = serde_json::from_slice(&request.body).ok()?;
            Some(body.get("out_trade_no")?.as_str()?.to_owned())
        }
        Operation::QueryRefund { .. }
        | Operation::QueryById { .. }
        | Operation::AbnormalRefund { .. }
        | Operation::Certificates
        | Operation::TradeBill
        | Operation::FundFlowBill
        | Operation::Download
        | Operation::Upload
        | Operation::Login => None,
    }
}

/// Signs, notes down and hands over an answer.
fn finish(
    world: &Arc<World>,
    request: &Request,
    operation: &Operation,
    caller: Option<&Caller>,
    answer: Answer,
) -> Outcome {
    let number = subject(operation, request);
    note(world, request, operation.name(), number.as_deref(), &answer);
    answer::seal(world, request, operation, caller, number.as_deref(), answer)
}

fn finish_bare(world: &Arc<World>, request: &Request, status: u16, why: &str) -> Outcome {
    let answer = Answer::empty(status).because(why);
    note(world, request, "unknown", None, &answer);
    answer::bare(answer)
}

fn dropped(world: &Arc<World>, request: &Request, operation: &Operation, why: &str) -> Outcome {
    let mut answer = Answer::empty(0).because(why);
    answer.verdict = "dropped".to_owned();
    let number = subject(operation, request);
    note(world, request, operation.name(), number.as_deref(), &answer);
    Outcome::Drop
}

fn note(
    world: &Arc<World>,
    request: &Request,
    operation: &str,
    out_trade_no: Option<&str>,
    answer: &Answer,
) {
    let row = json!({
        "at": beijing::rfc3339(World::wall_ms()),
        "method": request.method,
        "path": request.path(),
        "query": request.query(),
        "operation": operation,
        "status": answer.status,
        "out_trade_no": out_trade_no,
        "verdict": answer.verdict,
        "explanation": answer.explanation,
        "signed_texts": answer.signed_texts,
        "answer": (answer.status >= 300)
            .then(|| String::from_utf8_lossy(&answer.body).chars().take(ANSWER_CHARACTERS).collect::<String>()),
        "fault": answer.fault,
        "serial_no": authenticate::claimed_serial(request),
    });
    world.lock().request(row);
}
