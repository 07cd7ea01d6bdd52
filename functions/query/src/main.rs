//! The Lambda binary of query.
fn main() {}
