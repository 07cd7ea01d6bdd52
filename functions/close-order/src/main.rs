//! The Lambda binary of close-order.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    shared::api::run_http::<close_order::CloseOrder>().await
}
