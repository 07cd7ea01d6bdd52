//! WeChat Pay APIv3 in a box: a simulator for the days before a merchant account exists and for
//! every test after. It checks signatures, seals and signs notices, keeps a ledger, and breaks on
//! purpose when asked to. It is not WeChat Pay and moves no money.
//!
//! It shares no code with any client: signatures are made and checked with the `rsa` crate, sealing
//! is AWS-LC's. Facts are in docs/simulator.md, whose table of behaviours has a name for each
//! that comments use, their sources in docs/wechatpay.md; start reading at `simulator.rs` (how it
//! starts), `api.rs` (how a request is answered), `notices.rs` (how a merchant is notified).
//! `tests/it/tree.rs` lists the layers.
//!
//! ```no_run
//! # async fn run() -> Result<(), simulator::StartError> {
//! let simulator = simulator::Simulator::start(simulator::Config::new("sim")).await?;
//! println!("API at {}, merchant {}", simulator.base_url(), simulator.merchant().mchid);
//! simulator.stop().await;
//! # Ok(())
//! # }
//! ```

// A new state, kind or distortion must visit each place that decides by it.
#![warn(clippy::wildcard_enum_match_arm)]

mod access_tokens;
mod api;
mod behaviours;
mod beijing;
mod bill_file;
mod canonical;
mod changes;
mod compression;
mod config;
mod control;
mod embedded;
mod exchange;
mod faults;
mod forgeries;
mod handle;
mod journal;
mod keys;
mod ledger;
mod merchant_platform;
mod merchants;
mod notices;
mod outgoing;
mod phone;
mod random;
mod refund_ending;
mod request_body;
mod schedule;
mod server;
mod simulator;
mod state;

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#[path = "../../tests/vectors/mod.rs"]
mod vectors;

pub use changes::Change;
pub use config::{Config, Mode, SPEEDS};
pub use embedded::{Embedded, EmbeddedConfig, EmbeddedKeys};
pub use merchants::MerchantFile;
pub use outgoing::{Receive, Received, SentNotice};
pub use simulator::{BusinessClock, Simulator, StartError};
