//! The Lambda binary of query.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    shared::api::run_http::<query::Query>().await
}
