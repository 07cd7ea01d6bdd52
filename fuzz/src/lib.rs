//! What is fuzzed: each parser that faces outside, as a function of bytes with what must hold of its result.
//!
//! A function here returns or panics. Nothing forged may be believed: what verifies or opens is held
//! against keys whose other half nobody has who makes bytes, and what is read is held against a second,
//! lax reading of the same bytes. The ordinary tests replay the corpora through the same functions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a target that cannot go on has found something"
)]
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "it is compiled by the fuzzer and by the tests, which use different parts"
)]

mod bills;
mod keys;
mod notices;
mod requests;
mod secrets;
mod tokens;

/// A target: its name, which is its corpus's too, and what runs it.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 16] = [
    ("event", requests::event),
    ("headers", notices::headers),
    ("path", requests::path),
    ("order_body", requests::order_body),
    ("refund_body", requests::refund_body),
    ("application_body", requests::application_body),
    ("token", tokens::token),
    ("envelope", notices::envelope),
    ("transaction", notices::transaction),
    ("refund", notices::refund),
    ("aead_fields", secrets::aead_fields),
    ("pem", secrets::pem),
    ("refusal", notices::refusal),
    ("trade_bill", bills::trade_bill),
    ("fund_flow_bill", bills::fund_flow_bill),
    ("stream_record", requests::stream_record),
];

/// Runs the target of this name.
pub fn run(name: &str, bytes: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    target(bytes);
}
