//! The simulator through its doors: HTTP in, answers, notices and control calls out. A test that
//! proves a point of the fidelity list carries its number in its name; docs/simulator.md has the
//! table. The client is written with AWS-LC, the library the simulator does not sign with.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and its helpers are for its own binary"
)]

mod flow;
mod support;
