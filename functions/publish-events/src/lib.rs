//! Tells others what became of orders and refunds: from the table's stream to the event bus.
//!
//! The record itself says which of its changes are events (`domain::event`), so nothing is decided here
//! and nothing remembered: a stream's record that comes twice, late or out of order tells the same events
//! with the same ids. What the bus does not take is reported to Lambda, which brings the records again;
//! a record that cannot be read goes to the bus as it is, for a queue of its own, and blocks nobody.

// A new state must visit each place that decides by states.
#![warn(clippy::wildcard_enum_match_arm)]

mod outgoing;
mod replay;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use lambda_runtime::LambdaEvent;
use serde_json::{Value, json};
use shared::bus::{Bus, BusError, ENTRIES_MAX, Entry, calls, note};
use shared::config::{ConfigError, Environment, Vars};
use shared::deadline::Deadline;
use shared::domain::{Order, OrderId};
use shared::process::Process;
use shared::scheduled::ScheduledFunction;
use shared::store::{Change, ListIndex, OrderRecords, Orders, StoredRecord};
use shared::telemetry::{Level, LogLine};

use outgoing::{told, unreadable};
use replay::Replay;

/// What must be left of the time for another call to the bus: longer than one takes at most.
const CALL_RESERVE: Duration = Duration::from_secs(5);

/// How many orders are read at once.
const ORDERS_MAX: usize = 100;

/// Publishes events.
#[derive(Debug)]
pub struct PublishEvents {
    orders: Orders,
    bus: Bus,
    replay: Replay,
    process: Process,
}

/// An event on its way, with the record of the batch that it comes from.
struct Outgoing {
    record: usize,
    entry: Entry,
}

impl ScheduledFunction for PublishEvents {
    const NAME: &'static str = "publish-events";

    fn from_vars(vars: &Vars, process: &Process) -> Result<Self, ConfigError> {
        let mut environment = Environment::new(vars, process);
        let table = environment.table();
        let bus = environment.bus();
        environment.finish()?;
        Ok(Self {
            orders: Orders::new(table.clone()),
            replay: Replay {
                list: ListIndex::new(table.clone()),
                items: OrderRecords::new(table),
                bus: bus.clone(),
                process: process.clone(),
            },
            bus,
            process: process.clone(),
        })
    }

    async fn handle(&self, event: LambdaEvent<Value>) -> Result<Value, lambda_runtime::Error> {
        let clock = &self.process.clock;
        let deadline = Deadline::at_ms_of_wall(event.context.deadline, clock);
        let mut line = LogLine::start(Self::NAME, clock);
        line.field("request_id", event.context.request_id);
        let Some(records) = event.payload["Records"].as_array() else {
            let asked = serde_json::from_value(event.payload);
            let asked = asked.map_err(|error| {
                format!("the event is neither the stream's nor a span {{from, to}}: {error}")
            })?;
            let replayed = Box::pin(self.replay.run(asked, deadline, &mut line)).await;
            match &replayed {
                Ok(replayed) => line
                    .field("events", replayed.events)
                    .field("unreadable_orders", replayed.unreadable),
                Err(error) => line.field("error", error.to_string()).raise(Level::Warn),
            };
            line.write(&self.process.log, clock, "replayed");
            return Ok(serde_json::to_value(replayed?)?);
        };
        // Boxed, so that the layout of the process is not one type of all its futures.
        let done = Box::pin(self.publish(records, deadline, &mut line)).await;
        if !matches!(done, Ok(None)) {
            line.raise(Level::Warn);
        }
        line.field("records", records.len());
        line.write(&self.process.log, clock, "published");
        match done {
            Ok(None) => Ok(json!({"batchItemFailures": []})),
            // Lambda brings this record again, and those after it.
            Ok(Some(record)) => {
                let number = &records[record]["dynamodb"]["SequenceNumber"];
                Ok(json!({"batchItemFailures": [{"itemIdentifier": number}]}))
            }
            Err(error) => Err(error),
        }
    }
}

impl PublishEvents {
    /// Puts the events of these records; gives the first record that has one which the bus did not take.
    async fn publish(
        &self,
        records: &[Value],
        deadline: Deadline,
        line: &mut LogLine,
    ) -> Result<Option<usize>, lambda_runtime::Error> {
        let changes: Vec<_> = records.iter().map(read).collect();
        let orders = match self.orders_of(&changes).await {
            Ok(orders) => orders,
            Err(error) => {
                line.field("error", error.to_string());
                return Err(error.into());
            }
        };
        let mut outgoing = Vec::new();
        let mut aside = 0_u32;
        for (record, change) in changes.into_iter().enumerate() {
            let entries = change.and_then(|change| entries(change.as_ref(), &orders));
            let entries = entries.unwrap_or_else(|why| {
                aside += 1;
                line.field("unreadable", why.clone()).raise(Level::Error);
                vec![unreadable(&records[record], &why)]
            });
            outgoing.extend(entries.into_iter().map(|entry| Outgoing { record, entry }));
        }
        line.field("events", outgoing.len())
            .field("put_aside", aside);
        Ok(self.send(outgoing, deadline, line).await)
    }

    /// The orders of the refunds among these changes, as they stand.
    async fn orders_of(
        &self,
        changes: &[Result<Option<Change>, String>],
    ) -> Result<BTreeMap<String, Order>, shared::store::StoreError> {
        let mut wanted: Vec<OrderId> = Vec::new();
        for change in changes.iter().flatten().flatten() {
            if let StoredRecord::Refund(stored) = &change.item
                && !change.item.events_since(change.version_before).is_empty()
                && !wanted.contains(&stored.refund.order_id)
            {
                wanted.push(stored.refund.order_id.clone());
            }
        }
        let mut found = BTreeMap::new();
        for wanted in wanted.chunks(ORDERS_MAX) {
            for order in self.orders.load_many(wanted).await? {
                found.insert(order.terms.order_id.as_str().to_owned(), order);
            }
        }
        Ok(found)
    }

    /// Puts the events in their order; gives the record of the first that was not taken.
    async fn send(
        &self,
        outgoing: Vec<Outgoing>,
        deadline: Deadline,
        line: &mut LogLine,
    ) -> Option<usize> {
        for call in calls(outgoing, |outgoing| &outgoing.entry) {
            let first = call.first()?.record;
            if deadline.left(&self.process.clock, CALL_RESERVE) < CALL_RESERVE {
                line.field("error", "there was no time left");
                return Some(first);
            }
            let entries: Vec<Entry> = call.iter().map(|sent| sent.entry.clone()).collect();
            debug_assert!(entries.len() <= ENTRIES_MAX, "a call takes no more");
            let error = match self.bus.put(&entries).await {
                Ok(()) => {
                    note(line, &entries);
                    continue;
                }
                Err(error) => error,
            };
            if let BusError::Left { places, .. } = &error {
                let placed = entries.iter().enumerate();
                let taken = placed.filter(|(place, _)| !places.contains(place));
                note(line, taken.map(|(_, entry)| entry));
            }
            line.field("error", error.to_string());
            return match error {
                BusError::Unavailable(_) => Some(first),
                BusError::Left { places, .. } => {
                    let left = places.iter().filter_map(|place| call.get(*place));
                    left.map(|left| left.record).min()
                }
            };
        }
        None
    }
}

/// Reads a record; whatever is wrong with it stays with it.
fn read(record: &Value) -> Result<Option<Change>, String> {
    let read = catch_unwind(AssertUnwindSafe(|| Change::read(record)));
    match read {
        Ok(read) => read.map_err(|error| error.to_string()),
        Err(_) => Err("reading it panicked".to_owned()),
    }
}

/// The events of a change, in the words of the merchant's answers.
fn entries(
    change: Option<&Change>,
    orders: &BTreeMap<String, Order>,
) -> Result<Vec<Entry>, String> {
    let Some(change) = change else {
        return Ok(Vec::new());
    };
    let events = change.item.events_since(change.version_before);
    let entries = match &change.item {
        StoredRecord::Order(stored) => events
            .iter()
            .map(|event| told(event, &stored.order, None))
            .collect(),
        StoredRecord::Refund(_) if events.is_empty() => Vec::new(),
        StoredRecord::Refund(stored) => {
            let order_id = stored.refund.order_id.as_str();
            let order = orders
                .get(order_id)
                .ok_or_else(|| format!("the order {order_id} of the refund is not there"))?;
            events
                .iter()
                .map(|event| told(event, order, Some(stored)))
                .collect()
        }
    };
    Ok(entries)
}
