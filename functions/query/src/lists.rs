//! The merchant's lists, as the record has them: WeChat Pay is not asked.

use serde_json::{Value, json};
use shared::api::{Answer, Code, Problem, answer};
use shared::domain::list::Row;
use shared::domain::{BeijingDay, OrderId, OrderState};
use shared::rfc3339;

use super::{Query, read_token, strange_token};

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
        let day = rfc3339::parse_day(date).ok_or_else(|| {
            Problem::new(Code::MalformedRequest, "date is a day, as in 2026-11-29").field("date")
        })?;
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
        if after
            .as_ref()
            .is_some_and(|after| BeijingDay::of(after.at) != day)
        {
            return Err(strange_token());
        }
        Ok(Self {
            day,
            trade_state: trade_state.map(str::to_owned),
            after,
        })
    }
}

impl Query {
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
                items.push(answer::listed_order(order));
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
