//! The Lambda binary of sweep.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    shared::api::run_scheduled::<sweep::Sweep>().await
}
