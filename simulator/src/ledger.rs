//! What WeChat Pay has on record. Plain records, a file each; the rules that change them are in
//! `api/` (what a merchant may ask), `phone.rs` (what a payer does) and `refund_ending.rs` (what
//! time does).

mod bill_token;
mod distortion;
mod login_code;
mod notice;
mod order;
mod refund;
mod timer;

pub(crate) use bill_token::BillToken;
pub(crate) use distortion::Distortion;
pub(crate) use login_code::{LoginCode, MADE_UP, fresh_openid, issue};
pub(crate) use notice::{Attempt, Copy, Notice, Progress};
pub(crate) use order::{
    Order, OrderKey, OrderState, Partner, Payment, Ticket, TradeType, UNPAID_LIFE_MS,
};
pub(crate) use refund::{Refund, RefundKey, RefundStatus};
pub(crate) use timer::Timer;
