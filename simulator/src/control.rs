//! The control API: plays payers, banks, time and failures, and shows what the simulator saw. JSON, on
//! a port of its own, without authentication: it listens on loopback unless told otherwise, and
//! `guard.rs` keeps other web pages out. `page.rs` shows all of it to a person.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::behaviours::Behaviours;
use crate::faults::Active;
use crate::handle::SimulatorHandle;
use crate::ledger::{self, Notice, Order, Refund, RefundStatus};
use crate::merchant_platform::{self, MerchantPlatformError};
use crate::phone::{self, AttemptOutcome, PaymentAttempt};
use crate::refund_ending;
use crate::schedule;
use crate::state;

mod exchanges;
mod guard;
mod page;
mod problem;
mod whole;

use problem::Problem;

/// How long a clock call waits for notices when `wait` is true.
const WAIT_MAX: Duration = Duration::from_secs(30);
const WAIT_STEP: Duration = Duration::from_millis(2);

type Shared = State<Arc<SimulatorHandle>>;

/// The query of a list.
type Filter = Query<HashMap<String, String>>;

type Answer = Result<Json<Value>, Problem>;

/// Everything the control port serves when it is bound to `host`: the page, every control call, and
/// what a larger stack adds.
pub(crate) fn router(handle: Arc<SimulatorHandle>, host: IpAddr, more: Router) -> Router {
    Router::new()
        .merge(page::files())
        .route("/_sim/events", get(page::events))
        .route("/_sim/healthz", get(healthz))
        .route("/_sim/codes", post(codes))
        .route("/_sim/orders/{out_trade_no}", get(order))
        .route("/_sim/orders/{out_trade_no}/code.svg", get(page::code))
        .route("/_sim/orders/{out_trade_no}/pay", post(pay))
        .route("/_sim/orders/{out_trade_no}/fail", post(fail))
        .route("/_sim/orders/{out_trade_no}/cancel", post(cancel))
        .route("/_sim/refunds/{out_refund_no}/complete", post(complete))
        .route("/_sim/refunds/{out_refund_no}/close", post(close))
        .route("/_sim/refunds/{out_refund_no}/abnormal", post(abnormal))
        .route(
            "/_sim/faults",
            get(faults).post(switch_on).delete(switch_off),
        )
        .route("/_sim/faults/{name}", axum::routing::delete(switch_off_one))
        .route("/_sim/hostility", post(hostility))
        .route("/_sim/clock", get(clock).post(advance))
        .route("/_sim/notifications", get(notifications))
        .route("/_sim/notifications/{entered}", get(exchanges::notice))
        .route(
            "/_sim/notifications/{entered}/resend",
            post(exchanges::resend),
        )
        .route("/_sim/violations", get(violations))
        .route("/_sim/ledger", get(ledger))
        .route("/_sim/requests", get(requests))
        .route("/_sim/requests/{entered}", get(exchanges::request))
        .route("/_sim/knobs", get(behaviours).post(set_behaviours))
        .route("/_sim/merchants", get(merchants).post(add_merchant))
        .route(
            "/_sim/merchants/{mchid}",
            get(merchant).post(change_merchant),
        )
        .route(
            "/_sim/merchants/{mchid}/certificates",
            post(add_certificate),
        )
        .route(
            "/_sim/merchants/{mchid}/certificates/{serial}",
            post(mark_certificate),
        )
        .route("/_sim/merchants/{mchid}/rotate", post(rotate))
        .with_state(handle)
        .merge(more)
        .layer(middleware::from_fn_with_state(
            guard::Guard::of(host),
            guard::watch,
        ))
        // The last layer is the first to see a request: whoever refuses it has its body.
        .layer(middleware::from_fn(whole::whole))
}

async fn healthz(State(handle): Shared) -> Answer {
    let broken = handle.lock().journal.broken.clone();
    Ok(Json(json!({
        "status": if broken.is_some() { "broken" } else { "ok" },
        "note": "a simulator; it is not WeChat Pay",
        "journal": broken,
        "base_url": handle.urls().map(|urls| &urls.base),
        "offset_s": handle.offset_seconds(),
        "speed": handle.speed(),
    })))
}

async fn codes(State(handle): Shared, body: Bytes) -> Answer {
    let wanted: Value = read(&body)?;
    let text = |name: &str| wanted.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut state = handle.lock();
    let appid = match text("appid") {
        Some(appid) => appid,
        None => state
            .registry
            .merchants
            .first()
            .and_then(|merchant| merchant.apps.first())
            .map(|app| app.appid.clone())
            .unwrap_or_default(),
    };
    let code = ledger::issue(&appid, text("openid"), handle.now_ms());
    let answer = json!({"code": code.code, "appid": code.appid, "openid": code.openid});
    state.put_code(code);
    Ok(Json(answer))
}

async fn order(State(handle): Shared, Path(out_trade_no): Path<String>) -> Answer {
    let state = handle.lock();
    let order = state
        .find_order(&out_trade_no, None)
        .ok_or_else(|| Problem::missing(format!("WeChat Pay has no order {out_trade_no}")))?;
    let mut row = order.row(state.refunded(&order.key));
    let refunds: Vec<Value> = state.refunds_of(&order.key).map(Refund::row).collect();
    row["refunds"] = json!(refunds);
    Ok(Json(row))
}

async fn pay(State(handle): Shared, Path(number): Path<String>, body: Bytes) -> Answer {
    attempt(&handle, &number, &body, AttemptOutcome::Paid)
}

async fn fail(State(handle): Shared, Path(number): Path<String>, body: Bytes) -> Answer {
    attempt(&handle, &number, &body, AttemptOutcome::Failed)
}

async fn cancel(State(handle): Shared, Path(number): Path<String>, body: Bytes) -> Answer {
    attempt(&handle, &number, &body, AttemptOutcome::Cancelled)
}

fn attempt(
    handle: &Arc<SimulatorHandle>,
    number: &str,
    body: &Bytes,
    outcome: AttemptOutcome,
) -> Answer {
    let wanted: PaymentAttempt = read(body)?;
    phone::play(handle, number, &wanted, outcome)
        .map(Json)
        .map_err(|refused| Problem {
            status: StatusCode::from_u16(refused.status).unwrap_or(StatusCode::CONFLICT),
            code: refused.code.to_owned(),
            message: refused.message,
        })
}

async fn complete(State(handle): Shared, Path(number): Path<String>, body: Bytes) -> Answer {
    end_refund(&handle, &number, &body, RefundStatus::Success)
}

async fn close(State(handle): Shared, Path(number): Path<String>, body: Bytes) -> Answer {
    end_refund(&handle, &number, &body, RefundStatus::Closed)
}

async fn abnormal(State(handle): Shared, Path(number): Path<String>, body: Bytes) -> Answer {
    end_refund(&handle, &number, &body, RefundStatus::Abnormal)
}

fn end_refund(
    handle: &Arc<SimulatorHandle>,
    number: &str,
    body: &Bytes,
    outcome: RefundStatus,
) -> Answer {
    let wanted: Value = read(body)?;
    let row = {
        let mut state = handle.lock();
        let refund = state
            .find_refund(number, wanted.get("mchid").and_then(Value::as_str))
            .ok_or_else(|| Problem::missing(format!("WeChat Pay has no refund {number}")))?
            .clone();
        if refund.status == outcome {
            return Ok(Json(refund.row()));
        }
        match refund.status {
            RefundStatus::Processing | RefundStatus::Abnormal => {}
            RefundStatus::Success | RefundStatus::Closed => {
                return Err(Problem {
                    status: StatusCode::CONFLICT,
                    code: "REFUND_ENDED".to_owned(),
                    message: format!("the refund is {} already", refund.status.wire()),
                });
            }
        }
        refund_ending::end_refund(handle, &mut state, refund, outcome).row()
    };
    schedule::settle_due(handle);
    Ok(Json(row))
}

async fn faults(State(handle): Shared) -> Answer {
    Ok(Json(handle.lock().faults.list()))
}

async fn switch_on(State(handle): Shared, body: Bytes) -> Answer {
    let active: Active = read(&body)?;
    handle
        .lock()
        .faults
        .switch_on(active)
        .map_err(Problem::bad)?;
    faults(State(handle)).await
}

async fn switch_off(State(handle): Shared) -> Answer {
    handle.lock().faults.switch_off(None);
    faults(State(handle)).await
}

async fn switch_off_one(State(handle): Shared, Path(name): Path<String>) -> Answer {
    handle.lock().faults.switch_off(Some(&name));
    faults(State(handle)).await
}

async fn hostility(State(handle): Shared, body: Bytes) -> Answer {
    let wanted: Value = read(&body)?;
    let hostility = wanted
        .get("hostility")
        .and_then(Value::as_f64)
        .filter(|hostility| (0.0..=1.0).contains(hostility))
        .ok_or_else(|| Problem::bad("hostility is between 0 and 1"))?;
    handle.lock().faults.set_hostility(hostility);
    faults(State(handle)).await
}

async fn clock(State(handle): Shared) -> Answer {
    Ok(Json(json!({
        "offset_s": handle.offset_seconds(),
        "business_time": crate::beijing::rfc3339(handle.now_ms()),
        "real_time": crate::beijing::rfc3339(handle.wall_ms()),
        "speed": handle.speed(),
    })))
}

async fn advance(State(handle): Shared, body: Bytes) -> Answer {
    let wanted: Value = read(&body)?;
    let seconds = wanted
        .get("advance_s")
        .and_then(Value::as_i64)
        .filter(|seconds| *seconds >= 0)
        .ok_or_else(|| Problem::bad("advance_s is a number of seconds, 0 or more"))?;
    if !schedule::advance(&handle, seconds) {
        return Err(Problem::bad(
            "business time may be a century ahead of real time, and no further",
        ));
    }
    if wanted.get("wait").and_then(Value::as_bool).unwrap_or(false) {
        let waited = async {
            while !handle.quiet() {
                tokio::time::sleep(WAIT_STEP).await;
            }
        };
        // A merchant that never answers must not hold the call for ever.
        let _ = tokio::time::timeout(WAIT_MAX, waited).await;
    }
    clock(State(handle)).await
}

async fn notifications(State(handle): Shared, Query(filter): Filter) -> Answer {
    let state = handle.lock();
    let wanted = filter.get("out_trade_no");
    let rows = state
        .notices
        .values()
        .filter(|notice| wanted.is_none_or(|wanted| notice.out_trade_no == *wanted));
    list(rows, Notice::row, &filter)
}

async fn violations(State(handle): Shared, Query(filter): Filter) -> Answer {
    list(handle.lock().violations.iter(), Value::clone, &filter)
}

async fn ledger(State(handle): Shared, Query(filter): Filter) -> Answer {
    let state = handle.lock();
    let now_ms = handle.now_ms();
    let wanted: fn(&Entry<'_>, i64) -> bool = match filter.get("open").map(String::as_str) {
        None => |_, _| true,
        Some("orders") => |entry, now_ms| entry.is_payable(now_ms),
        Some("refunds") => |entry, _| entry.is_open_refund(),
        Some(_) => {
            return Err(Problem::bad(
                "open is orders that can be paid, or refunds that have not ended",
            ));
        }
    };
    let mut entries = entries(&state);
    entries.retain(|entry| wanted(entry, now_ms));
    list(entries.iter(), |entry| entry.row(&state), &filter)
}

/// The rows of the whole ledger, oldest first.
pub(crate) fn whole_ledger(state: &state::State) -> Vec<Value> {
    let entries = entries(state);
    entries.iter().map(|entry| entry.row(state)).collect()
}

/// A row of the ledger to be.
enum Entry<'a> {
    Order(&'a Order),
    Refund(&'a Refund),
}

impl Entry<'_> {
    fn entered(&self) -> u64 {
        match self {
            Self::Order(order) => order.entered,
            Self::Refund(refund) => refund.entered,
        }
    }

    fn is_payable(&self, now_ms: i64) -> bool {
        match self {
            Self::Order(order) => order.is_payable(now_ms),
            Self::Refund(_) => false,
        }
    }

    fn is_open_refund(&self) -> bool {
        match self {
            Self::Order(_) => false,
            Self::Refund(refund) => refund.is_open(),
        }
    }

    fn row(&self, state: &state::State) -> Value {
        match self {
            Self::Order(order) => order.row(state.refunded(&order.key)),
            Self::Refund(refund) => refund.row(),
        }
    }
}

fn entries(state: &state::State) -> Vec<Entry<'_>> {
    let orders = state.orders.values().filter(|order| !order.burnt);
    let refunds = state.refunds.values().map(Entry::Refund);
    let mut entries: Vec<Entry<'_>> = orders.map(Entry::Order).chain(refunds).collect();
    entries.sort_by_key(Entry::entered);
    entries
}

async fn requests(State(handle): Shared, Query(filter): Filter) -> Answer {
    let state = handle.lock();
    let wanted = filter.get("out_trade_no");
    let rows = state
        .requests
        .iter()
        .filter(|row| wanted.is_none_or(|wanted| row["out_trade_no"] == *wanted));
    list(rows, Value::clone, &filter)
}

/// A list, newest last: the newest `last` of the `total` there are, or all.
fn list<T>(
    things: impl Iterator<Item = T>,
    row: impl Fn(T) -> Value,
    filter: &HashMap<String, String>,
) -> Answer {
    let things: Vec<T> = things.collect();
    let total = things.len();
    let last = match filter.get("last") {
        None => total,
        Some(last) => last
            .parse()
            .map_err(|_| Problem::bad("last is how many of the newest to list"))?,
    };
    let rows = things.into_iter().skip(total.saturating_sub(last));
    let items: Vec<Value> = rows.map(row).collect();
    Ok(Json(json!({"items": items, "total": total})))
}

async fn behaviours(State(handle): Shared) -> Answer {
    Ok(Json(json!(handle.lock().behaviours)))
}

async fn set_behaviours(State(handle): Shared, body: Bytes) -> Answer {
    let wanted: Value = read(&body)?;
    let mut state = handle.lock();
    let mut merged = json!(state.behaviours);
    for (name, value) in wanted.as_object().into_iter().flatten() {
        let Some(knob) = merged.get_mut(name) else {
            return Err(Problem::bad(format!(
                "there is no knob named {name:?}; GET /_sim/knobs lists them"
            )));
        };
        *knob = value.clone();
    }
    let behaviours: Behaviours = serde_json::from_value(merged)
        .map_err(|error| Problem::bad(format!("these knobs do not fit: {error}")))?;
    if behaviours.time_expire_days_max == 0 || behaviours.native_time_expire_days_max == 0 {
        return Err(Problem::bad("an order lives a day or longer"));
    }
    state.put_behaviours(behaviours);
    Ok(Json(json!(state.behaviours)))
}

async fn merchants(State(handle): Shared) -> Answer {
    Ok(Json(merchant_platform::list(&handle)?))
}

async fn merchant(State(handle): Shared, Path(mchid): Path<String>) -> Answer {
    Ok(Json(merchant_platform::one(&handle, &mchid)?))
}

async fn add_merchant(State(handle): Shared, body: Bytes) -> Answer {
    let wanted: Value = read(&body)?;
    off_thread(move || merchant_platform::add_merchant(&handle, &wanted)).await
}

async fn change_merchant(State(handle): Shared, Path(mchid): Path<String>, body: Bytes) -> Answer {
    Ok(Json(merchant_platform::change_merchant(
        &handle,
        &mchid,
        &read(&body)?,
    )?))
}

async fn add_certificate(State(handle): Shared, Path(mchid): Path<String>) -> Answer {
    off_thread(move || merchant_platform::add_certificate(&handle, &mchid, None)).await
}

async fn mark_certificate(
    State(handle): Shared,
    Path((mchid, serial)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    Ok(Json(merchant_platform::mark_certificate(
        &handle,
        &mchid,
        &serial,
        &read(&body)?,
    )?))
}

async fn rotate(State(handle): Shared, Path(mchid): Path<String>, body: Bytes) -> Answer {
    let wanted: Value = read(&body)?;
    off_thread(move || merchant_platform::rotate(&handle, &mchid, &wanted)).await
}

/// Runs what makes keys off the threads that answer requests.
async fn off_thread(
    work: impl FnOnce() -> Result<Value, MerchantPlatformError> + Send + 'static,
) -> Answer {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(Json(done?)),
        Err(_) => Err(Problem::bad("the work was interrupted")),
    }
}

/// Reads a JSON body; none at all counts as an empty object.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    let bytes: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(bytes).map_err(|error| Problem::bad(format!("the body: {error}")))
}
