//! The whole system in one thread under a seed: the real functions, the real store and SDKs, the real client
//! and the simulator, joined by calls in place of sockets, under a clock that jumps.
//!
//! A seed draws a plan: a few things that happen, and which faults there are. The plan alone decides what
//! happens, so that a run that fails fails again, can be made shorter, and is kept in `regressions.jsonl`.
//! After each step what must always hold is checked; at the end faults stop, everything must come to rest,
//! and both sides' books must agree. Start reading at `op.rs` (what happens), `fault.rs` (what goes wrong),
//! `walk.rs` and `rest.rs` (what is checked).

pub mod aws;
pub mod books;
pub mod coverage;
pub mod fault;
pub mod network;
mod notebook;
pub mod op;
pub mod process;
pub mod regression;
mod rest;
pub mod run;
mod scene;
pub mod shrink;
pub mod walk;
pub mod weather;
mod witness;
pub mod world;

#[cfg(test)]
mod tests;
