//! The API port: from raw request bytes to signed answer bytes, in the order WeChat Pay works
//! (docs/simulator.md, `hosts` to `forged-answers`): path, header check, authentication, business,
//! signing. Faults strike between these steps. What a request means is in the modules below.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::beijing;
use crate::exchange;
use crate::faults::Target;
use crate::handle::SimulatorHandle;

pub(crate) mod answer;
mod authenticate;
mod authorization;
mod bills;
mod body;
mod certificates;
mod context;
mod errcode;
mod explain;
mod login;
mod multipart;
mod orders;
mod queries;
mod refunds;
pub(crate) mod request;
mod route;
mod schema;
mod sensitive;
mod signing;
mod stand_in;
mod subject;
mod trade_management;
mod upload;
mod wire;

use answer::{Draft, Refusal, Response};
use context::Context;
use request::{Caller, Request};
use route::{Kind, Operation, Route};
use subject::RequestSubject;

/// The part of a refusal's body that the request log repeats.
const ANSWER_CHARACTERS: usize = 2_000;

/// What the port does with a request in the end, and how long it waits before.
#[derive(Debug)]
pub(crate) struct Delayed {
    pub(crate) after: Duration,
    pub(crate) response: Response,
}

impl From<Response> for Delayed {
    fn from(response: Response) -> Self {
        Self {
            after: Duration::ZERO,
            response,
        }
    }
}

/// Answers one request. All of it happens before this returns, so that a client who does not wait
/// for a slow answer changes nothing of what was applied and noted.
pub(crate) fn serve(handle: &Arc<SimulatorHandle>, request: Request) -> Delayed {
    if request.method == "GET" && request.path() == "/" {
        return signing::bare(greeting(handle), handle.wall_ms()).into();
    }
    let (operation, id) = match route::route(&request.method, request.path()) {
        Route::Found(operation, id) => (operation, id),
        Route::Unknown => {
            return finish_bare(handle, &request, 404, "no API has this path").into();
        }
        Route::WrongMethod => {
            return finish_bare(handle, &request, 405, "this path takes another method").into();
        }
    };
    let subject = RequestSubject::of(handle, operation, &id, &request);
    let mut call = Call {
        handle,
        request,
        operation,
        id,
        subject,
        slow: false,
    };
    if let Some(answer) = call.of_mini_program() {
        return call.finish(None, answer).into();
    }
    if call.operation.requires_user_agent
        && (call.request.header("user-agent").is_none_or(str::is_empty)
            || call.request.header("accept").is_none_or(str::is_empty))
    {
        let refusal = Refusal::new(400, "INVALID_REQUEST", "Http头缺少Accept或User-Agent")
            .unsigned()
            .because("send the headers User-Agent and Accept: application/json with every request");
        return call.finish(None, refusal.into()).into();
    }
    call.slow = call.strikes("slow");
    let after = if call.slow {
        answer::SLOW
    } else {
        Duration::ZERO
    };
    let response = call.answer();
    Delayed { after, response }
}

/// What a person reads who opens the API's address in a browser.
fn greeting(handle: &SimulatorHandle) -> Draft {
    let control = handle.urls().map_or("", |urls| urls.control.as_str());
    let text = format!(
        "This is the API of a WeChat Pay simulator. It is not WeChat Pay, and no money moves. \
         The payer's phone and all that the simulator saw are at {control}/\n"
    );
    Draft::plain(200, "text/plain; charset=utf-8", text)
}

/// Refuses a request whose body was too large to be kept.
pub(crate) fn too_large(handle: &Arc<SimulatorHandle>, request: &Request) -> Delayed {
    finish_bare(handle, request, 413, "the body is too large: 4 MiB at most").into()
}

/// A request that has a meaning, on its way to its answer.
struct Call<'a> {
    handle: &'a Arc<SimulatorHandle>,
    request: Request,
    operation: &'static Operation,
    /// The id in the path, empty where it holds none.
    id: String,
    subject: RequestSubject,
    /// Whether its client has to wait.
    slow: bool,
}

impl Call<'_> {
    /// The answer of the mini-program platform, which signs nothing and asks for no signature.
    fn of_mini_program(&self) -> Option<Draft> {
        let (handle, request) = (self.handle, &self.request);
        match self.operation.kind {
            Kind::Login => Some(login::answer(handle, request)),
            Kind::StableToken => Some(trade_management::stable_token(handle, request)),
            Kind::TradeManagement(question) => {
                Some(trade_management::answer(handle, request, question))
            }
            Kind::Certificates
            | Kind::Order { .. }
            | Kind::QueryByNumber { .. }
            | Kind::QueryById { .. }
            | Kind::Close { .. }
            | Kind::Refund
            | Kind::QueryRefund
            | Kind::AbnormalRefund
            | Kind::TradeBill
            | Kind::FundFlowBill
            | Kind::Download
            | Kind::Upload => None,
        }
    }

    fn answer(self) -> Response {
        if self.strikes("request_lost") {
            return self.dropped("request_lost: dropped before it was applied");
        }
        if self.strikes("request_late") {
            let response = self.dropped("request_late: dropped, applied 2 s later");
            self.apply_later();
            return response;
        }
        let caller = match authenticate::authenticate(self.handle, &self.request, self.operation) {
            Ok(caller) => caller,
            Err(refusal) => return self.finish(None, refusal.into()),
        };
        for (name, fault) in stand_in::FAULTS_INSTEAD {
            if self.strikes(name) {
                return self.finish(Some(&caller), fault(&self.request).fault(name));
            }
        }
        let answer = self.apply(&caller);
        if answer.status < 300 && answer.fault.is_none() {
            for (name, fault) in stand_in::FAULTS_AFTER {
                if self.strikes(name) {
                    return self.finish(Some(&caller), fault(&self.request).fault(name));
                }
            }
            if self.strikes("response_lost") {
                return self.dropped("response_lost: applied, then dropped");
            }
        }
        self.finish(Some(&caller), answer)
    }

    fn strikes(&self, name: &'static str) -> bool {
        let target = Target {
            operation: self.operation.name,
            out_trade_no: self.subject.out_trade_no.as_deref(),
            subject: &self.subject.draw_key,
        };
        self.handle.lock().faults.strikes(name, target)
    }

    /// Applies a request whose connection is gone, so nothing of its answer is anybody's.
    fn apply_later(self) {
        let handle = Arc::clone(self.handle);
        let (request, operation) = (self.request, self.operation);
        let (id, subject) = (self.id, self.subject);
        tokio::spawn(async move {
            tokio::time::sleep(answer::LATE).await;
            if handle.is_stopping() {
                return;
            }
            let call = Call {
                handle: &handle,
                request,
                operation,
                id,
                subject,
                slow: false,
            };
            if let Ok(caller) = authenticate::authenticate(&handle, &call.request, call.operation) {
                let mut answer = call.apply(&caller);
                let row = call.row(&mut answer);
                call.note(row, &Response::Drop);
            }
        });
    }

    /// Applies an authenticated request to the state.
    fn apply(&self, caller: &Caller) -> Draft {
        let (handle, operation, id) = (self.handle, self.operation, self.id.as_str());
        let mut state = handle.lock();
        let mut context = Context {
            handle,
            state: &mut state,
            caller,
            request: &self.request,
            now_ms: handle.now_ms(),
            subject: &self.subject,
        };
        if let Some(refusal) = rate_limit(&mut context, operation) {
            return refusal.into();
        }
        let result = match operation.kind {
            Kind::Certificates => certificates::list(&mut context),
            Kind::Order {
                partner,
                trade_type,
            } => orders::create(&mut context, partner, trade_type),
            Kind::QueryByNumber { partner } => queries::by_number(&mut context, partner, id),
            Kind::QueryById { partner } => queries::by_transaction(&mut context, partner, id),
            Kind::Close { partner } => orders::close(&mut context, partner, id),
            Kind::Refund => refunds::create(&mut context),
            Kind::QueryRefund => refunds::query(&mut context, id),
            Kind::AbnormalRefund => refunds::abnormal(&mut context, id),
            Kind::TradeBill => bills::trade(&mut context),
            Kind::FundFlowBill => bills::fund_flow(&mut context),
            Kind::Download => bills::download(&mut context),
            Kind::Upload => Ok(upload::upload(&self.request)),
            // Answered before anybody is authenticated.
            Kind::Login | Kind::StableToken | Kind::TradeManagement(_) => {
                Err(Refusal::new(404, "RESOURCE_NOT_EXISTS", ""))
            }
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
                let second = handle.wall_ms().div_euclid(1_000);
                state
                    .window(caller.mchid(), operation.name, second)
                    .failures += 1;
                refusal.into()
            }
        }
    }

    /// Signs, notes down and hands over an answer.
    fn finish(&self, caller: Option<&Caller>, mut answer: Draft) -> Response {
        let row = self.row(&mut answer);
        let response = signing::sign(
            self.handle,
            &self.request,
            self.operation,
            caller,
            &self.subject,
            answer,
        );
        self.note(row, &response);
        response
    }

    fn dropped(&self, why: &str) -> Response {
        let mut answer = Draft::empty(0).because(why);
        answer.verdict = "dropped".to_owned();
        let row = self.row(&mut answer);
        self.note(row, &Response::Drop);
        Response::Drop
    }

    fn row(&self, answer: &mut Draft) -> Value {
        if self.slow && answer.fault.is_none() {
            answer.fault = Some("slow");
        }
        let number = self.subject.out_trade_no.as_deref();
        let at_ms = self.handle.wall_ms();
        row(&self.request, self.operation.name, number, answer, at_ms)
    }

    fn note(&self, row: Value, response: &Response) {
        let exchange = wire::exchange(&self.request, Some(self.operation.kind), response);
        self.handle.lock().request(row, exchange);
    }
}

/// Refuses more calls than a merchant may make in a second of real time (docs/simulator.md,
/// `rate-limits`).
fn rate_limit(context: &mut Context<'_>, operation: &Operation) -> Option<Refusal> {
    if !context.state.behaviours.rate_limits {
        return None;
    }
    let (calls_max, failures_max) = (operation.calls_per_second, operation.failures_per_second);
    let second = context.handle.wall_ms().div_euclid(1_000);
    let window = context
        .state
        .window(context.caller.mchid(), operation.name, second);
    window.calls += 1;
    let limited = window.calls > calls_max || window.failures >= failures_max;
    limited.then(|| {
        Refusal::new(429, "FREQUENCY_LIMITED", "频率超限").number(268_447_840).because(format!(
            "this API takes {calls_max} calls and {failures_max} failing calls per second from a \
             merchant: back off, and query before sending a refund again"
        ))
    })
}

fn finish_bare(
    handle: &Arc<SimulatorHandle>,
    request: &Request,
    status: u16,
    why: &str,
) -> Response {
    let answer = Draft::empty(status).because(why);
    let row = row(request, "unknown", None, &answer, handle.wall_ms());
    let response = signing::bare(answer, handle.wall_ms());
    let exchange = wire::exchange(request, None, &response);
    handle.lock().request(row, exchange);
    response
}

/// The row of `/_sim/requests`.
fn row(
    request: &Request,
    operation: &str,
    out_trade_no: Option<&str>,
    answer: &Draft,
    at_ms: i64,
) -> Value {
    let target = exchange::without_secret(&request.target);
    json!({
        "at": beijing::rfc3339(at_ms),
        "at_ms": at_ms,
        "method": request.method,
        "path": request.path(),
        "query": target.split_once('?').map(|(_, query)| query),
        "operation": operation,
        "status": answer.status,
        "out_trade_no": out_trade_no,
        "verdict": answer.verdict,
        "explanation": answer.explanation,
        "signed_texts": answer.signed_texts,
        "answer": (answer.status >= 300)
            .then(|| String::from_utf8_lossy(&answer.body).chars().take(ANSWER_CHARACTERS).collect::<String>()),
        "fault": answer.fault,
        "serial_no": authorization::claimed_serial(request),
    })
}

#[cfg(test)]
mod tests;
