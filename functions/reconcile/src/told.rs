//! What others hear of a day: each difference, and that the day is done.
//!
//! An id is made of the day and of what differs, so it is the same in each run of that day. What was
//! settled is found no more by a later run: so differences are told before anything is asked, and a bus
//! that does not take them leaves all of it to the next run.

use serde_json::{Map, Value, json};
use shared::bus::{BusError, Entry, SOURCE, calls, note};
use shared::deadline::Deadline;
use shared::domain::reconciliation::{Difference, DifferenceKind};
use shared::rfc3339;
use shared::telemetry::LogLine;

use crate::Reconcile;
use crate::error::ReconcileError;
use crate::report::Report;

/// A difference between the bills of a day and the record.
const DIFFERENCE: &str = "reconcile.difference";

/// A day is compared, and what its bill proves is asked about.
const DONE: &str = "reconcile.done";

/// How often what the bus left behind is put again by one run.
const ROUNDS: usize = 3;

impl Reconcile {
    /// Puts these events; those that the bus leaves behind once more, since it took the others.
    pub(crate) async fn tell(
        &self,
        mut entries: Vec<Entry>,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<(), ReconcileError> {
        let mut last = None;
        for _ in 0..ROUNDS {
            let mut left = Vec::new();
            for call in calls(entries, |entry| entry) {
                self.in_time(deadline)?;
                match self.bus.put(&call).await {
                    Ok(()) => note(line, &call),
                    Err(BusError::Left { places, why }) => {
                        let placed = call.iter().enumerate();
                        let taken = placed.filter(|(place, _)| !places.contains(place));
                        note(line, taken.map(|(_, entry)| entry));
                        left.extend(places.iter().filter_map(|place| call.get(*place)).cloned());
                        last = Some(BusError::Left { places, why });
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            if left.is_empty() {
                return Ok(());
            }
            entries = left;
        }
        last.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// An event for each difference that the report lists.
pub(crate) fn differences(report: &Report) -> Vec<Entry> {
    let findings = report.findings.iter();
    findings
        .map(|finding| difference(report, &finding.difference))
        .collect()
}

fn difference(report: &Report, difference: &Difference) -> Entry {
    let Difference {
        kind,
        order_no,
        refund_no,
        recorded,
        billed,
    } = difference;
    let date = rfc3339::format_day(report.day);
    let kind = kind.as_str();
    // Of an order and its refund may both be told, and a merchant may give them one number.
    let number = match refund_no {
        None => order_no.clone(),
        Some(refund_no) => format!("{order_no}:{refund_no}"),
    };
    let mut detail = json!({
        "id": format!("reconcile:{date}:{kind}:{number}"),
        "date": date,
        "occurred_at": rfc3339::format(report.made_at),
        "kind": kind,
        "recorded": recorded,
        "billed": billed,
    });
    if !order_no.is_empty() {
        detail["out_trade_no"] = Value::from(order_no.clone());
    }
    if let Some(refund_no) = refund_no {
        detail["out_refund_no"] = Value::from(refund_no.clone());
    }
    entry(report, DIFFERENCE, &detail)
}

/// The event that the day is done.
pub(crate) fn done(report: &Report) -> Entry {
    let date = rfc3339::format_day(report.day);
    let counts = DifferenceKind::ALL.iter().map(|kind| {
        let count = report.counts.get(kind).copied().unwrap_or_default();
        (kind.as_str().to_owned(), Value::from(count))
    });
    let detail = json!({
        "id": format!("reconcile:{date}:done"),
        "date": date,
        "occurred_at": rfc3339::format(report.made_at),
        "difference_count": report.count(),
        "counts": counts.collect::<Map<_, _>>(),
    });
    entry(report, DONE, &detail)
}

fn entry(report: &Report, detail_type: &str, detail: &Value) -> Entry {
    Entry {
        source: SOURCE,
        detail_type: detail_type.to_owned(),
        at: report.made_at,
        detail: detail.to_string(),
    }
}
