//! What goes to the bus: an event's detail, and what cannot be read as it is.

use serde_json::{Value, json};
use shared::api::representation;
use shared::bus::{DETAILS_MAX, Entry, SOURCE};
use shared::domain::{Event, Order, Timestamp};
use shared::rfc3339;
use shared::store::StoredRefund;

/// Who sends what could not be read, as the rule of its queue names it.
const UNREADABLE: &str = "wxpay.unreadable";

/// An event of an order, or of a refund of it. Its id is made of the record's number and of the version
/// that the change gave it, so it is the same however often the event is sent.
pub(crate) fn told(event: &Event, order: &Order, refund: Option<&StoredRefund>) -> Entry {
    let order_id = order.terms.order_id.as_str();
    let of = refund.map_or("order", |stored| stored.refund.refund_id.as_str());
    let mut detail = json!({
        "id": format!("{order_id}:{of}:{}", event.version),
        "version": event.version,
        "occurred_at": rfc3339::format(event.at),
        "order": representation::told_order(order),
    });
    if let Some(stored) = refund {
        detail["refund"] = representation::refund(stored);
    }
    Entry {
        source: SOURCE,
        detail_type: event.kind.as_str().to_owned(),
        at: event.at,
        detail: detail.to_string(),
    }
}

/// A record of the stream that cannot be read, whole; without its images where it is too large for the
/// bus.
pub(crate) fn unreadable(record: &Value, why: &str) -> Entry {
    let changed_at = &record["dynamodb"]["ApproximateCreationDateTime"];
    let at = changed_at.as_f64().unwrap_or_default() as i64;
    let mut detail = json!({"why": why, "record": record}).to_string();
    if detail.len() > DETAILS_MAX {
        let mut keys = record.clone();
        if let Some(change) = keys["dynamodb"].as_object_mut() {
            change.retain(|name, _| name != "NewImage" && name != "OldImage");
        }
        detail = json!({"why": why, "record": keys}).to_string();
    }
    Entry {
        source: UNREADABLE,
        detail_type: "record.unreadable".to_owned(),
        at: Timestamp::from_unix_seconds(at),
        detail,
    }
}
