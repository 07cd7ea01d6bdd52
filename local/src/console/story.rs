//! What really happened, as one list: requests to the API, notifications, what WeChat Pay was asked, changes
//! of items, events. Each entry has a number, a time, and the order that it is about.

use std::collections::{HashSet, VecDeque};

use serde_json::{Value, json};

use super::{Console, image, notice};
use crate::recorder::{Call, Event, Message, Write};

/// How many entries are kept.
const KEPT_MAX: usize = 2_000;
/// How many changes of the table are read at once.
const CHANGES_MAX: usize = 1_000;
/// How long a change waits for the write that made it, in milliseconds. Whole seconds are all that the
/// stream says of its time.
const UNTOLD_MS: i64 = 2_000;
/// How many of WeChat Pay's notifications are looked at for those that were lost.
const NOTICES_LOOKED_AT: usize = 50;
/// Where WeChat Pay's notifications come to.
const NOTIFY_TARGET: &str = "/wechatpay/notify";

/// The list, and how far its sources were read.
#[derive(Debug, Default)]
pub(super) struct Story {
    entries: VecDeque<(u64, Value)>,
    last: u64,
    /// The last change of the table that was read.
    change: Option<String>,
    /// Writes whose changes were not read yet.
    writes: VecDeque<Write>,
    /// The last request that WeChat Pay numbered.
    asked: u64,
    /// Attempts of notifications that never arrived, by notification and place.
    lost: HashSet<(String, usize)>,
}

impl Story {
    /// The entries after this number, oldest first.
    pub(super) fn after(&self, after: u64) -> Value {
        let entries = self.entries.iter().filter(|(number, _)| *number > after);
        let entries: Vec<&Value> = entries.map(|(_, entry)| entry).collect();
        json!({"entries": entries, "last": self.last})
    }

    /// Reads what happened since the last time.
    ///
    /// # Errors
    /// The simulator does not answer, or the table cannot be read.
    pub(super) async fn catch_up(&mut self, console: &Console) -> Result<(), String> {
        let recorder = &console.parts.recorder;
        let mut fresh: Vec<Value> = Vec::new();
        // First what the simulator has, so that no request is older than what it led to.
        let newest = console.control("/_sim/requests?last=1").await?;
        let newest = newest["items"][0]["entered"].as_u64().unwrap_or_default();
        let unread = newest.saturating_sub(self.asked);
        if unread > 0 {
            let rows = console
                .control(&format!("/_sim/requests?last={unread}"))
                .await?;
            let rows = rows["items"].as_array().into_iter().flatten();
            fresh.extend(rows.map(wechatpay_entry));
            self.asked = newest;
        }
        let notices = format!("/_sim/notifications?last={NOTICES_LOOKED_AT}");
        let notices = console.control(&notices).await?;
        self.lost_notices(&notices, recorder.ahead_ms(), &mut fresh);
        self.changes(console, &mut fresh)?;
        let calls = recorder.take_calls().into_iter();
        fresh.extend(calls.map(|call| call_entry(&call, &console.parts.apiv3_key)));
        fresh.extend(recorder.take_events().iter().map(event_entry));
        fresh.sort_by_key(|entry| entry["at_ms"].as_i64());
        fresh.into_iter().for_each(|entry| self.push(entry));
        Ok(())
    }

    fn push(&mut self, mut entry: Value) {
        self.last += 1;
        entry["n"] = json!(self.last);
        if self.entries.len() == KEPT_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back((self.last, entry));
    }

    fn changes(&mut self, console: &Console, fresh: &mut Vec<Value>) -> Result<(), String> {
        let recorder = &console.parts.recorder;
        loop {
            let after = self.change.as_deref();
            let records = console.parts.aws.changes(after, CHANGES_MAX)?;
            self.writes.extend(recorder.take_writes());
            if records.is_empty() {
                break;
            }
            for record in records {
                let number = record["dynamodb"]["SequenceNumber"].as_str();
                let number = number.map(str::to_owned);
                let entry = change_entry(&record, &mut self.writes);
                let made_ms = entry["at_ms"].as_i64().unwrap_or_default();
                if entry["by"].is_null() && recorder.now_ms() - made_ms < UNTOLD_MS {
                    // Its write is being recorded this very moment: it is read the next time.
                    return Ok(());
                }
                fresh.push(entry);
                self.change = number;
            }
        }
        // What changed nothing has no change to be found by.
        while self.writes.len() > CHANGES_MAX {
            self.writes.pop_front();
        }
        Ok(())
    }

    /// Notifications that never arrived, which only WeChat Pay can tell of.
    /// Their times are of the business clock, which is so far ahead.
    fn lost_notices(&mut self, told: &Value, ahead_ms: i64, fresh: &mut Vec<Value>) {
        for row in told["items"].as_array().into_iter().flatten() {
            let id = row["id"].as_str().unwrap_or_default();
            let attempts = row["attempts"].as_array().into_iter().flatten();
            for (place, attempt) in attempts.enumerate() {
                if !attempt["status"].is_null() || !self.lost.insert((id.to_owned(), place)) {
                    continue;
                }
                let at_ms = attempt["at_ms"].as_i64().unwrap_or_default();
                fresh.push(json!({
                    "kind": "notice",
                    "at_ms": at_ms - ahead_ms,
                    "order": row["out_trade_no"],
                    "refund": row["out_refund_no"],
                    "event_type": row["event_type"],
                    "notice": row["entered"],
                    "attempt": place,
                    "target": row["url"],
                    "lost": attempt["verdict"],
                }));
            }
        }
    }
}

fn message(message: &Message) -> Value {
    json!({"headers": message.headers, "body": message.body})
}

/// A number in a path: what stands after this part of it.
fn in_path(target: &str, part: &str) -> Option<String> {
    let path = target.split('?').next()?;
    let rest = path.split_once(part)?.1;
    let number = rest.split('/').next()?;
    (!number.is_empty()).then(|| number.to_owned())
}

fn call_entry(call: &Call, apiv3_key: &str) -> Value {
    let mut entry = json!({
        "kind": "api",
        "at_ms": call.at_ms,
        "took_ms": call.took_ms,
        "method": call.method,
        "target": call.target,
        "function": call.function,
        "status": call.status,
        "request": message(&call.request),
        "answer": message(&call.answer),
    });
    if call.target == NOTIFY_TARGET {
        entry["kind"] = json!("notice");
        let envelope: Value = serde_json::from_str(&call.request.body).unwrap_or_default();
        entry["event_type"] = envelope["event_type"].clone();
        let opened = notice::opened(&envelope, apiv3_key);
        let resource = opened.as_deref().map(serde_json::from_str::<Value>);
        if let Some(Ok(resource)) = resource {
            entry["order"] = resource["out_trade_no"].clone();
            entry["refund"] = resource["out_refund_no"].clone();
        }
        entry["opened"] = json!(opened);
        return entry;
    }
    let asked: Value = serde_json::from_str(&call.request.body).unwrap_or_default();
    let told: Value = serde_json::from_str(&call.answer.body).unwrap_or_default();
    let order = in_path(&call.target, "/orders/");
    let order = order.or_else(|| said(&told, &asked, "out_trade_no"));
    let refund = in_path(&call.target, "/refunds/");
    let refund = refund.or_else(|| said(&told, &asked, "out_refund_no"));
    entry["order"] = json!(order);
    entry["refund"] = json!(refund);
    entry
}

/// A member of the answer, or else of what was asked.
fn said(told: &Value, asked: &Value, name: &str) -> Option<String> {
    let text = |value: &Value| value[name].as_str().map(str::to_owned);
    text(told).or_else(|| text(asked))
}

fn event_entry(event: &Event) -> Value {
    let detail = &event.envelope["detail"];
    json!({
        "kind": "event",
        "at_ms": event.at_ms,
        "name": event.envelope["detail-type"],
        "order": detail["order"]["out_trade_no"],
        "refund": detail["refund"]["out_refund_no"],
        "envelope": event.envelope,
    })
}

fn wechatpay_entry(row: &Value) -> Value {
    let mut entry = row.clone();
    entry["kind"] = json!("wechatpay");
    entry["order"] = row["out_trade_no"].clone();
    entry
}

/// A change of an item, with the write of a function that made it.
fn change_entry(record: &Value, writes: &mut VecDeque<Write>) -> Value {
    let change = &record["dynamodb"];
    let (before, after) = (
        image::plain(&change["OldImage"]),
        image::plain(&change["NewImage"]),
    );
    let key = |name: &str| change["Keys"][name]["S"].as_str().unwrap_or_default();
    let seconds = change["ApproximateCreationDateTime"].as_f64();
    let at_ms = (seconds.unwrap_or_default() * 1000.0) as i64;
    let write = take_write(writes, (key("pk"), key("sk")), at_ms);
    let item = if after.is_null() { &before } else { &after };
    let partition = key("pk").strip_prefix("ORDER#");
    let order = item["out_trade_no"].as_str().or(partition);
    json!({
        "kind": "table",
        "at_ms": write.as_ref().map_or(at_ms, |write| write.at_ms),
        "by": write.map(|write| write.caller),
        "pk": key("pk"),
        "sk": key("sk"),
        "order": order,
        "refund": item["out_refund_no"],
        "before": before,
        "after": after,
    })
}

/// The write that made a change of this key: the first one of it that was not done before the second in
/// which the change was made. A write that changed nothing has no change, and is passed over.
fn take_write(writes: &mut VecDeque<Write>, key: (&str, &str), at_ms: i64) -> Option<Write> {
    let is_it = |(pk, sk): &(String, String)| (pk.as_str(), sk.as_str()) == key;
    let found = writes
        .iter()
        .position(|write| write.at_ms >= at_ms && write.keys.iter().any(is_it))?;
    let write = writes.get_mut(found)?;
    write.keys.retain(|own| !is_it(own));
    let taken = write.clone();
    if write.keys.is_empty() {
        writes.remove(found);
    }
    Some(taken)
}

#[cfg(test)]
mod tests;
