//! One request or one notice with the bytes that went over the wire, and sending a notice once more.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::problem::Problem;
use crate::exchange::{Exchange, ExchangeKey};
use crate::handle::SimulatorHandle;
use crate::ledger::Notice;
use crate::schedule;

type Answer = Result<Json<Value>, Problem>;

/// `GET /_sim/requests/{entered}`.
pub(super) async fn request(
    State(handle): State<Arc<SimulatorHandle>>,
    Path(entered): Path<String>,
) -> Answer {
    let entered = number(&entered)?;
    let state = handle.lock();
    let mut rows = state.requests.iter();
    let found = rows.find(|row| row["entered"] == entered);
    let mut row = found
        .cloned()
        .ok_or_else(|| Problem::missing(format!("request {entered} is not remembered")))?;
    let exchange = state.exchanges.find(ExchangeKey::Request(entered));
    row["exchange"] = json!(exchange.map(Exchange::row));
    Ok(Json(row))
}

/// `GET /_sim/notifications/{entered}`.
pub(super) async fn notice(
    State(handle): State<Arc<SimulatorHandle>>,
    Path(entered): Path<String>,
) -> Answer {
    let entered = number(&entered)?;
    let state = handle.lock();
    let notice = state.notices.get(&entered).ok_or_else(|| none(entered))?;
    let mut row = notice.row();
    row["resource"] = json!(notice.payload);
    for (place, attempt) in row["attempts"]
        .as_array_mut()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let key = ExchangeKey::Attempt {
            notice: entered,
            place,
        };
        attempt["exchange"] = json!(state.exchanges.find(key).map(Exchange::row));
    }
    Ok(Json(row))
}

/// `POST /_sim/notifications/{entered}/resend`.
pub(super) async fn resend(
    State(handle): State<Arc<SimulatorHandle>>,
    Path(entered): Path<String>,
) -> Answer {
    let entered = number(&entered)?;
    {
        let state = handle.lock();
        let notice = state.notices.get(&entered).ok_or_else(|| none(entered))?;
        if notice.url.is_empty() {
            return Err(unsendable(notice.why.as_deref()));
        }
    }
    let sent = schedule::resend(&handle, entered);
    let state = handle.lock();
    let notice = state.notices.get(&entered).ok_or_else(|| none(entered))?;
    if sent {
        Ok(Json(Notice::row(notice)))
    } else {
        Err(unsendable(notice.why.as_deref()))
    }
}

/// The number in a path: a text that is none belongs to nothing.
fn number(text: &str) -> Result<u64, Problem> {
    let number = text.parse();
    number.map_err(|_| Problem::missing(format!("{text:?} is not the entered number of a row")))
}

fn none(entered: u64) -> Problem {
    Problem::missing(format!("there is no notice {entered}"))
}

fn unsendable(why: Option<&str>) -> Problem {
    Problem {
        status: StatusCode::CONFLICT,
        code: "NOT_SENDABLE".to_owned(),
        message: why
            .unwrap_or("the merchant has no APIv3 key: WeChat Pay sends nothing")
            .to_owned(),
    }
}
