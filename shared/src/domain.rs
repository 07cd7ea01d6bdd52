//! What an order and a refund are, and how they change: values in, values out.
//!
//! Nothing here waits, reads a clock, draws a random number or knows a wire format; the layers
//! above hand in what they learnt and write down what comes back. Start with [`order`].

// A new state must visit each place that decides by states.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod absence;
pub mod asked;
pub mod bill;
pub mod books;
pub mod certificates;
pub mod contradiction;
pub mod day;
pub mod event;
pub mod id;
pub mod list;
pub mod mac;
pub mod money;
pub mod order;
pub mod own_numbers;
pub mod reconciliation;
pub mod refund;
pub mod report;
pub mod schedule;
pub mod terms;
pub mod time;

pub use asked::Asked;
pub use books::NotRefundable;
pub use contradiction::Contradiction;
pub use day::BeijingDay;
pub use event::{Event, EventKind, EventLog};
pub use id::{
    Appid, InvalidId, Mchid, Openid, OrderId, RefundId, TransactionId, WechatpayRefundId,
};
pub use mac::RecordMac;
pub use money::{FEN_MAX, Fen, InvalidFen};
pub use order::{Order, OrderState, Payment};
pub use own_numbers::OwnNumbers;
pub use refund::{Refund, RefundState};
pub use report::{OrderReport, RefundReport};
pub use schedule::Due;
pub use terms::{Terms, TradeType};
pub use time::Timestamp;
