//! How many unpaid orders a payer may have at once.
//!
//! Each unpaid order costs the sweep several looks and WeChat Pay a query and a close, so one payer's
//! orders could keep everybody's refunds waiting. Counted are the payer's orders of the last half hour,
//! as long as a payer's order can be paid, by the payer index: one read of keys. Only where these alone
//! reach the bound are the orders themselves read, since most of them may be paid or closed. Who places
//! more than are read, and pays or closes them, waits too: there may be unpaid ones behind them. A count
//! that is exact would cost a write an order; so orders that are placed side by side are not counted
//! among each other, and as many as are under way at once may pass the bound.

use shared::api::{Caller, Code, Problem};
use shared::domain::terms::Party;

use crate::CreateOrder;
use crate::terms::DEFAULT_ORDER_SECONDS;

/// How many orders are read to count the unpaid ones, and may be placed in half an hour: what one read
/// of several items takes.
const LOOK_MAX: u16 = 100;

impl CreateOrder {
    /// Refuses a further order of a payer who has as many unpaid ones as are allowed.
    ///
    /// # Errors
    /// 429 with the count, and when the first of them ends.
    pub(crate) async fn within_bound(&self, caller: &Caller) -> Result<(), Problem> {
        let Caller::Payer { openid } = caller else {
            return Ok(());
        };
        let now = self.process.clock.business();
        let since = now.minus_seconds(DEFAULT_ORDER_SECONDS);
        let recent = self
            .payer_index
            .placed_since(openid, since, LOOK_MAX.into());
        let recent = recent.await?;
        if recent.len() < self.open_orders_max {
            return Ok(());
        }
        let mut open = self.orders.load_many(&recent).await?;
        let placed = open.iter().map(|order| order.terms.created_at).min();
        let too_many_placed = recent.len() >= usize::from(LOOK_MAX);
        open.retain(|order| order.terms.placed_by == Party::Payer && order.is_payable(now));
        let count = open.len();
        let (detail, end) = if count >= self.open_orders_max {
            let first_end = open.iter().map(|order| order.terms.time_expire).min();
            let detail = format!("{count} orders are unpaid; pay or close one of them first");
            (detail, first_end)
        } else if too_many_placed {
            let detail = format!("{LOOK_MAX} orders were placed within half an hour");
            let end = placed.map(|placed| placed.plus_seconds(DEFAULT_ORDER_SECONDS));
            (detail, end)
        } else {
            return Ok(());
        };
        let seconds = end.map_or(1, |end| end.seconds_since(now));
        Err(Problem::new(Code::TooManyOpenOrders, detail)
            .with("open_orders", count)
            .retry_after(u32::try_from(seconds).unwrap_or(1).max(1)))
    }
}
