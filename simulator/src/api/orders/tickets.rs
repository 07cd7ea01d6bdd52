//! What an order is paid with: `prepay_id`, `code_url` and `h5_url`, how long each lives, and what faults make
//! of it (docs/simulator.md, `lifetimes`).

use crate::api::context::Context;
use crate::beijing::{self, HOUR_MS, MINUTE_MS};
use crate::ledger::{Order, Ticket, TradeType};
use crate::random;

/// `prepay_id` and `code_url` live this long (docs/simulator.md, `lifetimes`).
const TICKET_LIFE_MS: i64 = 2 * HOUR_MS;
/// `h5_url` lives this long.
const H5_LIFE_MS: i64 = 5 * MINUTE_MS;
/// What the fault `prepay_long` makes of an id.
const PREPAY_ID_BYTES: usize = 10 * 1024;
/// Ids remembered per order; older ones count as expired.
const TICKETS_MAX: usize = 20;

/// Hands out an id for paying: a new one, except where a knob keeps the old one.
pub(super) fn ticket(context: &Context<'_>, order: &mut Order) -> Ticket {
    let now_ms = context.now_ms;
    let living = order
        .tickets
        .last()
        .filter(|ticket| ticket.expires_ms > now_ms);
    if let Some(ticket) = living
        && context.state.behaviours.repeat_same_prepay
        && order.trade_type != TradeType::Native
    {
        let mut ticket = ticket.clone();
        let serial_no = &context.caller.serial_no;
        if ticket.serials.is_empty() {
            ticket.serials.push(order.serial_no.clone());
        }
        if !ticket.serials.contains(serial_no) {
            ticket.serials.push(serial_no.clone());
        }
        if let Some(last) = order.tickets.last_mut() {
            last.serials.clone_from(&ticket.serials);
        }
        return ticket;
    }
    let unique = random::lower_hex(22);
    let prepay_id = format!("wx{}{unique}0000", beijing::compact_moment(now_ms));
    let life_ms = if order.trade_type == TradeType::H5 {
        H5_LIFE_MS
    } else {
        TICKET_LIFE_MS
    };
    let ticket = Ticket {
        code_url: (order.trade_type == TradeType::Native)
            .then(|| format!("weixin://wxpay/bizpayurl?pr={}", random::alphanumeric(9))),
        h5_url: (order.trade_type == TradeType::H5).then(|| {
            format!(
                "https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id={prepay_id}&package={}",
                random::digits(10)
            )
        }),
        prepay_id,
        issued_ms: now_ms,
        expires_ms: now_ms + life_ms,
        replaced: false,
        serials: vec![context.caller.serial_no.clone()],
    };
    if order.trade_type == TradeType::Native {
        for old in &mut order.tickets {
            old.replaced = true;
        }
    }
    if order.tickets.len() == TICKETS_MAX {
        order.tickets.remove(0);
    }
    order.tickets.push(ticket.clone());
    ticket
}

/// The id as it is answered: right, or what `paySign` must never be made of.
pub(super) fn prepay_id(context: &mut Context<'_>, mut prepay_id: String) -> String {
    if context.fault("prepay_empty", "order") {
        return String::new();
    }
    if context.fault("prepay_odd", "order") {
        prepay_id.insert(10, '\n');
    }
    if context.fault("prepay_long", "order") {
        prepay_id.push_str(&"0".repeat(PREPAY_ID_BYTES - prepay_id.len()));
    }
    prepay_id
}
