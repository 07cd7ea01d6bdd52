//! The Lambda binary of refund.
fn main() {}
