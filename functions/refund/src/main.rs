//! The Lambda binary of refund.

// The futures of a refund nest deeper than the compiler lays out by default.
#![recursion_limit = "256"]

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    shared::api::run_http::<refund::Refund>().await
}
