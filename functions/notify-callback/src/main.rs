//! The Lambda binary of notify-callback.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    shared::api::run_http::<notify_callback::NotifyCallback>().await
}
