//! What an order and a refund are, and how they change: values in, values out.
//!
//! Nothing here waits, reads a clock, draws a random number or knows a wire format; the layers
//! above hand in what they learnt and write down what comes back. Start with [`order`].

pub mod absence;
pub mod bill;
pub mod books;
pub mod certificates;
mod contradiction;
mod day;
mod event;
pub mod extras;
mod id;
mod mac;
mod money;
pub mod order;
pub mod order_request;
mod own_numbers;
pub mod paging;
pub mod reconciliation;
pub mod refund;
pub mod report;
mod schedule;
pub mod terms;
mod time;

pub use books::NotRefundable;
pub use contradiction::Contradiction;
pub use day::BeijingDay;
pub use event::{Event, EventKind, EventLog, OtherKind};
pub use id::{
    Appid, InvalidId, Mchid, Openid, OrderId, PREFIX_MAX, RefundId, TransactionId,
    WechatpayRefundId,
};
pub use mac::RecordMac;
pub use money::{FEN_MAX, Fen, InvalidFen};
pub use order::{Order, OrderState, Payment};
pub use order_request::OrderRequest;
pub use own_numbers::OwnNumbers;
pub use refund::{Refund, RefundState};
pub use report::{OrderReport, RefundReport};
pub use schedule::Due;
pub use terms::{Terms, TradeType};
pub use time::Timestamp;

#[cfg(test)]
mod tests;
