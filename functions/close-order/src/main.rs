//! The Lambda binary of close-order.
fn main() {}
