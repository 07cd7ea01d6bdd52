//! The Lambda binary of create-order.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    shared::api::run_http::<create_order::CreateOrder>().await
}
