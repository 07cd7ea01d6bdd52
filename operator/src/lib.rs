//! The operator's commands of `wxpay`: what whoever runs a stack does by hand, against a stack on AWS or the
//! one on this machine alike.
//!
//! What the API can do goes through the API with the merchant's key; what it cannot (articles, secrets, logs,
//! a replay) goes to AWS with the operator's own credentials. The stack on this machine answers the same calls
//! on loopback, so no command asks where it works: [`target`] finds the addresses, and only these differ.
//! Nothing of this crate is linked into a function.

pub mod api;
pub mod articles;
pub mod aws;
pub mod bill;
pub mod command;
pub mod day;
pub mod doctor;
pub mod events;
pub mod exit;
pub mod groups;
pub mod logs;
pub mod money;
pub mod orders;
pub mod output;
pub mod prompt;
pub mod reconcile;
pub mod refunds;
pub mod secrets;
pub mod target;
pub mod wait;

pub use command::{Command, run};
pub use exit::Failure;
pub use groups::grouped;
