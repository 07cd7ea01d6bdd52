//! The Lambda binary of create-order.
fn main() {}
