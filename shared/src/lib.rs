//! What every function of the bundle shares.
//!
//! The layers and who may import whom: `refund_sender` → `settling_client`, for the functions that may sign →
//! `settlement`, `api` → `config` → `store`, `wechatpay` → `domain` → nothing outside std. `clock`,
//! `platform` and `telemetry` stand beside them.
//! `tests/it/tree.rs` keeps the arrows.

pub mod api;
pub mod clock;
pub mod config;
pub mod deadline;
pub mod domain;
pub mod platform;
pub mod random;
pub mod refund_sender;
pub mod rfc3339;
pub mod settlement;
pub mod settling_client;
pub mod store;
pub mod telemetry;
pub mod wechatpay;
