//! The simulator through its ports: HTTP in, answers, notices and control calls out. A test that
//! proves a row of the fidelity table in docs/simulator.md begins with the row's name. The client is written with AWS-LC, the library the simulator does not sign with.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and its helpers are for its own binary"
)]

mod authentication;
mod bill_shapes;
mod bills;
mod certificates;
mod control_callers;
mod documentation;
mod each_fault;
mod exchanges;
mod explanations;
mod faults;
mod flow;
mod merchants;
mod notices;
mod official;
mod official_parameters;
mod orders;
mod other;
mod page;
mod page_stream;
mod partner;
mod payer;
mod queries;
mod refunds;
mod signing;
mod start;
mod support;
mod trade_management;
mod transport;
mod tree;
#[path = "../../../tests/vectors/mod.rs"]
mod vectors;
