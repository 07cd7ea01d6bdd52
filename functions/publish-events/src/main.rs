//! The Lambda binary of publish-events.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    shared::scheduled::run::<publish_events::PublishEvents>().await
}
