//! The Lambda binary of notify-callback.
fn main() {}
