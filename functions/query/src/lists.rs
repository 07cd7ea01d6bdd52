//! The merchant's lists, as the record has them: WeChat Pay is not asked.

use serde_json::{Value, json};
use shared::api::{Answer, Code, Incoming, Problem, representation};
use shared::domain::paging::Row;
use shared::domain::{BeijingDay, OrderId, OrderState, RefundState};
use shared::rfc3339;
use shared::store::RefundKey;

use super::{Query, read_refund_token, read_token, strange_token};

/// How many orders or refunds a page has.
const PAGE: usize = 50;

/// How many times a page's worth of rows is read for one answer at most: a state that few orders have
/// must not make one request read a day of a hundred thousand.
const READS_MAX: usize = 4;

/// Which orders of which day, from where on.
pub(super) struct DayQuery {
    day: BeijingDay,
    trade_state: Option<String>,
    after: Option<Row<OrderId>>,
}

impl DayQuery {
    pub(super) fn parse(
        date: &str,
        trade_state: Option<&str>,
        next_token: Option<&str>,
    ) -> Result<Self, Problem> {
        let day = read_day(date)?;
        if let Some(state) = trade_state
            && !OrderState::NAMES.contains(&state)
        {
            let names = OrderState::NAMES.join(", ");
            return Err(Problem::new(
                Code::MalformedRequest,
                format!("trade_state is one of {names}"),
            )
            .field("trade_state"));
        }
        let after = next_token.map(read_token).transpose()?;
        let after = after.map(|(key, at)| Row { at, key });
        of_day(day, after.as_ref())?;
        Ok(Self {
            day,
            trade_state: trade_state.map(str::to_owned),
            after,
        })
    }
}

fn read_day(date: &str) -> Result<BeijingDay, Problem> {
    rfc3339::parse_day(date).ok_or_else(|| {
        Problem::new(Code::MalformedRequest, "date is a day, as in 2026-11-29").field("date")
    })
}

/// A list of a day goes on within that day.
fn of_day<K>(day: BeijingDay, after: Option<&Row<K>>) -> Result<(), Problem> {
    match after {
        Some(after) if BeijingDay::of(after.at) != day => Err(strange_token()),
        Some(_) | None => Ok(()),
    }
}

/// Which refunds.
enum Which {
    /// Those that wait for the merchant.
    Waiting,
    /// Those that were asked for on a day.
    OfDay(BeijingDay),
}

impl Which {
    fn parse(status: Option<&str>, date: Option<&str>) -> Result<Self, Problem> {
        match (status, date) {
            (Some("REQUESTED"), None) => Ok(Self::Waiting),
            (None, Some(date)) => read_day(date).map(Self::OfDay),
            (Some(_) | None, _) => Err(Problem::new(
                Code::MalformedRequest,
                "name those that wait (status=REQUESTED) or a day (date)",
            )
            .field("status")),
        }
    }
}

impl Query {
    /// The refunds that wait for the merchant, or those of a day, oldest first.
    pub(super) async fn listed_refunds(&self, incoming: &Incoming) -> Result<Answer, Problem> {
        let [status, date, next_token] = incoming.query(["status", "date", "next_token"])?;
        let which = Which::parse(status, date)?;
        let after = next_token.map(read_refund_token).transpose()?;
        let after = after.as_ref();
        let page = match which {
            Which::Waiting => self.list_index.refunds_waiting(after, PAGE).await?,
            Which::OfDay(day) => {
                of_day(day, after)?;
                self.list_index.refunds_of(day, after, PAGE).await?
            }
        };
        let keys: Vec<RefundKey> = page.rows.iter().map(|row| row.key.clone()).collect();
        let refunds = self.refunds.load_many(&keys).await?;
        // One that was decided a moment ago waits no more, though the index may still say so.
        let told = refunds.iter().filter(|stored| match which {
            Which::Waiting => stored.refund.state == RefundState::Requested,
            Which::OfDay(_) => true,
        });
        let items: Vec<Value> = told.map(representation::listed_refund).collect();
        let mut body = json!({"items": items});
        if let (true, Some(Row { at, key })) = (page.more, page.rows.last()) {
            let (order_id, refund_id) = key;
            body["next_token"] =
                Value::from(format!("{}.{order_id}.{refund_id}", at.unix_seconds()));
        }
        Ok(Answer::json(200, body))
    }

    /// The orders of a day, newest first. Where few have the state that is asked for, a page may have
    /// fewer than it could, none even, and still go on.
    pub(super) async fn orders_of_day(&self, asked: &DayQuery) -> Result<Answer, Problem> {
        let mut items: Vec<Value> = Vec::new();
        let mut after = asked.after.clone();
        for _ in 0..READS_MAX {
            let wanted = PAGE - items.len();
            let page = self
                .list_index
                .orders_of(asked.day, after.as_ref(), PAGE)
                .await?;
            let order_ids: Vec<OrderId> = page.rows.iter().map(|row| row.key.clone()).collect();
            let orders = self.orders.load_many(&order_ids).await?;
            let mut told = orders.iter().filter(|order| {
                let state = asked.trade_state.as_deref();
                state.is_none_or(|state| state == order.state.as_str())
            });
            let mut last_told = None;
            for order in told.by_ref().take(wanted) {
                items.push(representation::listed_order(order));
                last_told = Some(&order.terms.order_id);
            }
            // Where more fit than the answer takes, it ends at the last that it tells, else at the last
            // that was read.
            let cut = told.next().is_some();
            let last = page
                .rows
                .iter()
                .rfind(|row| !cut || Some(&row.key) == last_told);
            after = last.cloned().or(after);
            if !cut && !page.more {
                return Ok(Answer::json(200, json!({"items": items})));
            }
            if items.len() == PAGE {
                break;
            }
        }
        let mut body = json!({"items": items});
        if let Some(Row { at, key }) = after {
            body["next_token"] = Value::from(format!("{}.{key}", at.unix_seconds()));
        }
        Ok(Answer::json(200, body))
    }
}
