//! The Lambda binary of sweep.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    shared::scheduled::run::<sweep::Sweep>().await
}
