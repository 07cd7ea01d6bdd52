//! The integration tests: one binary, a module per promise, everything through HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "the harness offers more than each test uses"
)]

#[path = "../harness/mod.rs"]
mod harness;

mod abnormal;
mod access;
mod addresses;
mod appids;
mod attacks;
mod bodies;
mod callers;
mod certificates;
mod chinese;
mod configuration;
mod create;
mod documents;
mod events;
mod extras;
mod first_deployment;
mod floods;
mod forgery;
mod fuzz;
mod gateway;
mod heard;
mod invocations;
mod kills;
mod languages;
mod lifetimes;
mod lists;
mod notices;
mod openapi;
mod partner;
mod pasted;
mod policy;
mod process;
mod published;
mod quality;
mod races;
mod readme;
mod reconcile;
mod refunds;
mod reliability;
mod restore;
mod rotation;
mod runbooks;
mod schedules;
mod settle;
mod store;
mod tls;
mod tools;
mod tree;
mod walk;
mod wechat_trouble;
mod wire;
mod withdrawals;
