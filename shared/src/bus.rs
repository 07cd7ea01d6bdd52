//! The event bus: what others hear of orders, of refunds and of the books goes here.
//!
//! An event is put at least once, and its id in `detail` says which it is. EventBridge answers for each
//! event by itself, so a call that went through can still have left some behind.

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;

use serde::Deserialize;
use serde_json::json;

use crate::domain::Timestamp;
use crate::telemetry::LogLine;

/// How many events one call takes.
pub const ENTRIES_MAX: usize = 10;

/// How large the details of one call may be together, in bytes: EventBridge takes 256 KB, with what stands
/// around them.
pub const DETAILS_MAX: usize = 240_000;

/// How many events a log line names.
const NAMED_MAX: usize = 100;

/// Who sends the events of this bundle, as rules name it.
pub const SOURCE: &str = "wxpay";

/// One event on its way to the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who sends it: [`SOURCE`], or a name below it.
    pub source: &'static str,
    /// What happened, such as `order.paid`.
    pub detail_type: String,
    /// When it happened.
    pub at: Timestamp,
    /// What is told of it: a JSON object of at most [`DETAILS_MAX`] bytes.
    pub detail: String,
}

/// Cuts a list into calls that the bus takes, in its order.
pub fn calls<T>(list: Vec<T>, entry: impl Fn(&T) -> &Entry) -> Vec<Vec<T>> {
    let mut calls: Vec<Vec<T>> = Vec::new();
    let mut bytes = 0;
    for next in list {
        let size = entry(&next).detail.len();
        match calls.last_mut() {
            Some(call) if call.len() < ENTRIES_MAX && bytes + size <= DETAILS_MAX => {
                bytes += size;
                call.push(next);
            }
            _ => {
                bytes = size;
                calls.push(vec![next]);
            }
        }
    }
    calls
}

/// What a log line says of an event: nothing of what it tells about a payer.
#[derive(Deserialize)]
struct Name {
    id: String,
    occurred_at: String,
}

/// Names events that the bus took in the field `told` of a log line, which is how somebody who looks at the log sees
/// them go by. A line names a hundred at most.
pub fn note<'a>(line: &mut LogLine, taken: impl IntoIterator<Item = &'a Entry>) {
    for entry in taken {
        // What could not be read has no id: it is no event.
        let Ok(name) = serde_json::from_str::<Name>(&entry.detail) else {
            continue;
        };
        let named = json!({
            "detail_type": entry.detail_type,
            "id": name.id,
            "occurred_at": name.occurred_at,
        });
        line.list("told", named, NAMED_MAX);
    }
}

/// Why events were not put.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The bus did not answer, or took none: any of them may have been put all the same.
    #[error("the bus did not take the events: {0}")]
    Unavailable(String),
    /// The bus took the others.
    #[error("the bus did not take {} of the events: {why}", .places.len())]
    Left {
        /// Which, by their place in the call.
        places: Vec<usize>,
        /// The first's code.
        why: String,
    },
}

/// Puts events.
#[derive(Clone, Debug)]
pub struct Bus {
    client: Client,
    name: String,
}

impl Bus {
    /// The bus of this name or ARN.
    pub const fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// Puts at most [`ENTRIES_MAX`] events of [`DETAILS_MAX`] bytes together. To put one again is harmless: it has the same id.
    ///
    /// # Errors
    /// The bus took none of them, or not all.
    pub async fn put(&self, entries: &[Entry]) -> Result<(), BusError> {
        let entry = |entry: &Entry| {
            PutEventsRequestEntry::builder()
                .event_bus_name(&self.name)
                .source(entry.source)
                .detail_type(&entry.detail_type)
                .time(DateTime::from_secs(entry.at.unix_seconds()))
                .detail(&entry.detail)
                .build()
        };
        let answer = self
            .client
            .put_events()
            .set_entries(Some(entries.iter().map(entry).collect()))
            .send()
            .await
            .map_err(|error| BusError::Unavailable(code(&error)))?;
        if answer.failed_entry_count() == 0 {
            return Ok(());
        }
        let mut left = answer
            .entries()
            .iter()
            .enumerate()
            .filter_map(|(place, entry)| Some((place, entry.error_code()?.to_owned())))
            .peekable();
        let why = left.peek().map(|(_, why)| why.clone());
        let places: Vec<usize> = left.map(|(place, _)| place).collect();
        Err(match why {
            Some(why) => BusError::Left { places, why },
            // It says that some failed and not which.
            None => BusError::Unavailable("some failed".to_owned()),
        })
    }
}

/// The service's code, or the kind of transport failure; never the request, which holds personal data.
fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    match error {
        SdkError::ConstructionFailure(_) => "the request could not be built".to_owned(),
        SdkError::TimeoutError(_) => "timeout".to_owned(),
        SdkError::DispatchFailure(_) => "no connection".to_owned(),
        SdkError::ResponseError(_) => "an unreadable answer".to_owned(),
        SdkError::ServiceError(service) => service.err().code().unwrap_or("no code").to_owned(),
        _ => "an error of an unknown kind".to_owned(),
    }
}

#[cfg(test)]
mod tests;
