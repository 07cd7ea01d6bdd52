//! What every function of the bundle shares.
//!
//! The layers, each importing only those after it: `api`, `scheduled`, `refund_sender` → `settling_client` →
//! `keyring` → `config` → `bus` → `settlement` → `store` → `wechatpay` → `bucket`, `deadline`, `process`, `transport`,
//! `telemetry`, `clock`, `panics`, `refund_mac`, `random`, `rfc3339` → `domain` → nothing outside std. `tests/it/tree.rs` keeps them in
//! order.

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
