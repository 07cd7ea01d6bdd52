//! The whole bundle on one machine: table, secrets, simulator, gateway and functions, from
//! `template.yaml` and without an account.
//!
//! Nothing in the functions knows that it runs here: they get the template's environment, real API
//! Gateway events and AWS endpoints, and only the addresses differ.

#![warn(clippy::wildcard_enum_match_arm)]

pub mod aws;
pub mod condition;
pub mod console;
pub mod deliverer;
pub mod demo;
pub mod feeder;
mod files;
pub mod functions;
pub mod gateway;
mod lock;
mod loopback;
pub mod recorder;
pub mod schedule;
pub mod scheduler;
pub mod stack;
pub mod template;

pub use stack::{Options, Stack, StartError, TakenPort};
