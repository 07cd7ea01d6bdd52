//! The Lambda binary of reconcile.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    shared::scheduled::run::<reconcile::Reconcile>().await
}
