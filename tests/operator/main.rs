//! The operator's commands: the real `wxpay` against a running stack.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]
#![allow(missing_docs, unreachable_pub, reason = "these are tests")]

mod articles;
mod books;
mod doctor;
mod follow;
mod help;
mod orders;
mod places;
mod refunds;
mod secrets;
mod shop;
mod walk;
