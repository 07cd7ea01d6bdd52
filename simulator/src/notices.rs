//! Notices to the merchant: what they say, when they are sent, and what is made of the answer.

mod announcement;
mod delivery;
mod dispatch;
mod held;
mod message;
mod resource;

pub(crate) use announcement::{announce_payment, announce_refund};
pub(crate) use delivery::deliver;
pub(crate) use dispatch::{Dispatch, prepare};
