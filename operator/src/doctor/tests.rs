//! A sound set-up, the mistakes that people make in it, one at a time, and what the doctor says to each.
//!
//! Every report that a test gets was searched for every secret of its subject, in both languages.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod fixture;
mod leaks;
mod offline;
mod online;
mod stack;
mod texts;
mod web;
