//! The least that a function on `lambda_http` costs: it says hello and connects to nothing.

use lambda_http::{Error, Request, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_http::run(service_fn(|_: Request| async {
        Ok::<_, Error>("hello".to_owned())
    }))
    .await
}
