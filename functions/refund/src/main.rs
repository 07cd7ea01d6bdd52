//! The Lambda binary of refund.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    shared::api::run_http::<refund::Refund>().await
}
