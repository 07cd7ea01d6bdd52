//! What every function of the bundle shares.
//!
//! The layers stand in ARCHITECTURE.md, and `tests/it/tree.rs` keeps them in order: each imports only
//! what is below it.

// A new state must visit each place that decides by states.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod api;
pub mod bucket;
pub mod bus;
pub mod clock;
pub mod config;
pub mod deadline;
pub mod domain;
pub mod keyring;
pub mod panics;
pub mod process;
pub mod random;
pub mod refund_mac;
pub mod refund_sender;
pub mod rfc3339;
pub mod scheduled;
pub mod settlement;
pub mod settling_client;
pub mod store;
pub mod telemetry;
pub mod transport;
pub mod wechatpay;
