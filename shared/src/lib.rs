//! What every function of the bundle shares.
//!
//! The layers, each importing only those after it: `api`, `refund_sender` → `settling_client` →
//! `platform_keys` → `config` → `bus` → `settlement` → `store` → `wechatpay` → `bucket`, `deadline`, `platform`, `telemetry`,
//! `clock`, `record_keys`, `random`, `rfc3339` → `domain` → nothing outside std. `tests/it/tree.rs` keeps them in
//! order.

pub mod api;
pub mod bucket;
pub mod bus;
pub mod clock;
pub mod config;
pub mod deadline;
pub mod domain;
pub mod platform;
pub mod platform_keys;
pub mod random;
pub mod refund_mac;
pub mod refund_sender;
pub mod rfc3339;
pub mod settlement;
pub mod settling_client;
pub mod store;
pub mod telemetry;
pub mod wechatpay;
