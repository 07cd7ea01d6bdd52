//! The Lambda binary of sweep.
fn main() {}
