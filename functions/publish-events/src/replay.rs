//! Tells a span of events again, from the records themselves: also what the stream has forgotten.
//!
//! Orders are found by the day on which they were placed, since nothing else lists them. An order's own
//! events come within days of that; a refund's up to a year later. So it looks back a year and more, unless
//! it is told that the orders of the span were placed later. A run that has no time left says where the
//! next one goes on.

use std::time::Duration;

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use shared::bus::{Bus, Entry, calls, note};
use shared::deadline::Deadline;
use shared::domain::paging::Row;
use shared::domain::{BeijingDay, OrderId, Timestamp};
use shared::process::Process;
use shared::rfc3339;
use shared::store::{ListIndex, OrderRecords, StoreError, StoredRecord};
use shared::telemetry::{Level, LogLine};

use crate::outgoing::told;

/// How far back orders may be placed whose events are told again, in seconds: a year, in which they can be
/// refunded, and what a payment and a refund take beside it.
const LOOK_BACK_SECONDS: i64 = 400 * 24 * 60 * 60;

/// How many orders are listed at a time.
const PAGE: usize = 100;

/// How many orders are read at once.
const AT_ONCE: usize = 10;

/// What must be left of the time for another page.
const PAGE_RESERVE: Duration = Duration::from_secs(20);

/// What is asked for, as the function's event.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    from: String,
    to: String,
    placed_from: Option<String>,
    next: Option<Place>,
}

/// Where a run goes on.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Place {
    created_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    out_trade_no: Option<String>,
}

/// What a run told, and where the next one goes on.
#[derive(Debug, Serialize)]
pub(crate) struct Replayed {
    pub(crate) events: u32,
    /// How many orders could not be read, of which nothing was told; left out where there is none.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) unreadable: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Place>,
}

/// What was told of some orders.
#[derive(Default)]
struct Told {
    events: u32,
    unreadable: u32,
}

impl Told {
    fn add(&mut self, more: Self) {
        self.events += more.events;
        self.unreadable += more.unreadable;
    }

    fn until(self, next: Option<Place>) -> Replayed {
        Replayed {
            events: self.events,
            unreadable: self.unreadable,
            next,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Tells events again.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) list: ListIndex,
    pub(crate) items: OrderRecords,
    pub(crate) bus: Bus,
    pub(crate) process: Process,
}

impl Replay {
    pub(crate) async fn run(
        &self,
        asked: Asked,
        deadline: Deadline,
        line: &mut LogLine,
    ) -> Result<Replayed, lambda_runtime::Error> {
        let span = Span::read(&asked)?;
        let (mut day, mut after) = match &asked.next {
            None => (span.first_day, None),
            Some(place) => place.read()?,
        };
        let clock = &self.process.clock;
        // Nothing was placed later than now; a moment more, since clocks differ.
        let end = span.to.min(clock.business().plus_seconds(3_600));
        let mut told = Told::default();
        while day.starts_at() < end {
            if deadline.left(clock, PAGE_RESERVE) < PAGE_RESERVE {
                let next = Some(Place {
                    created_at: day.starts_at().unix_seconds(),
                    out_trade_no: None,
                });
                return Ok(told.until(next));
            }
            loop {
                let page = self.list.orders_of(day, after.as_ref(), PAGE).await?;
                let orders: Vec<OrderId> = page.rows.iter().map(|row| row.key.clone()).collect();
                told.add(self.tell(&orders, &span, line).await?);
                let Some(last) = page.rows.last().filter(|_| page.more) else {
                    break;
                };
                if deadline.left(clock, PAGE_RESERVE) < PAGE_RESERVE {
                    let next = Some(Place {
                        created_at: last.at.unix_seconds(),
                        out_trade_no: Some(last.key.as_str().to_owned()),
                    });
                    return Ok(told.until(next));
                }
                after = Some(last.clone());
            }
            after = None;
            day = BeijingDay::of(day.ends_at());
        }
        Ok(told.until(None))
    }

    /// Tells the events of these orders and of their refunds that fall into the span.
    async fn tell(
        &self,
        orders: &[OrderId],
        span: &Span,
        line: &mut LogLine,
    ) -> Result<Told, lambda_runtime::Error> {
        let mut told = Told::default();
        let mut entries = Vec::new();
        for orders in orders.chunks(AT_ONCE) {
            let read = orders.iter().map(|order_id| self.items.of_order(order_id));
            for items in try_join_all(read).await? {
                match entries_of(&items, span) {
                    Ok(found) => entries.extend(found),
                    // It holds up no other, as on its way through the stream.
                    Err(why) => {
                        told.unreadable += 1;
                        line.field("unreadable", why).raise(Level::Error);
                    }
                }
            }
        }
        for call in calls(entries, |entry| entry) {
            self.bus.put(&call).await?;
            note(line, &call);
            told.events += u32::try_from(call.len()).unwrap_or(u32::MAX);
        }
        Ok(told)
    }
}

/// The events of an order and its refunds in the span.
fn entries_of(
    items: &[Result<StoredRecord, StoreError>],
    span: &Span,
) -> Result<Vec<Entry>, String> {
    let mut order = None;
    let mut refunds = Vec::new();
    for item in items {
        match item {
            Ok(StoredRecord::Order(stored)) => order = Some(&stored.order),
            Ok(StoredRecord::Refund(stored)) => refunds.push(stored),
            Err(error) => return Err(error.to_string()),
        }
    }
    let Some(order) = order else {
        return Ok(Vec::new());
    };
    let of_order = order.events.iter().map(|event| (event, None));
    let of_refunds = refunds.iter().flat_map(|stored| {
        let events = stored.refund.events.iter();
        events.map(move |event| (event, Some(&***stored)))
    });
    Ok(of_order
        .chain(of_refunds)
        .filter(|(event, _)| span.from <= event.at && event.at < span.to)
        .map(|(event, refund)| told(event, order, refund))
        .collect())
}

/// The span whose events are told again, and from which day on its orders were placed.
struct Span {
    from: Timestamp,
    to: Timestamp,
    first_day: BeijingDay,
}

impl Span {
    fn read(asked: &Asked) -> Result<Self, String> {
        let moment = |name: &str, text: &str| {
            rfc3339::parse(text).ok_or_else(|| {
                format!("{name} must be a moment, such as 2026-09-21T00:00:00+08:00")
            })
        };
        let (from, to) = (moment("from", &asked.from)?, moment("to", &asked.to)?);
        if to <= from {
            return Err("to must come after from".to_owned());
        }
        let placed_from = match &asked.placed_from {
            Some(text) => moment("placed_from", text)?,
            None => from.minus_seconds(LOOK_BACK_SECONDS),
        };
        Ok(Self {
            from,
            to,
            first_day: BeijingDay::of(placed_from),
        })
    }
}

impl Place {
    /// The day, and the last order of it that is done, if one is.
    fn read(&self) -> Result<(BeijingDay, Option<Row<OrderId>>), String> {
        let at = Timestamp::from_unix_seconds(self.created_at);
        let last = self.out_trade_no.as_ref().map(|number| {
            let key = OrderId::parse(number).map_err(|error| format!("next: {error}"))?;
            Ok::<_, String>(Row { at, key })
        });
        Ok((BeijingDay::of(at), last.transpose()?))
    }
}
