//! A server that answers as a test wants, on a port of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};

/// What is answered at which path.
pub(super) type Answers = BTreeMap<&'static str, (u16, &'static str)>;

/// Starts it; it ends with the test's runtime.
pub(super) async fn serve(answers: Answers) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(answer).with_state(Arc::new(answers));
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

async fn answer(State(answers): State<Arc<Answers>>, request: Request) -> Response<String> {
    let known = answers.get(request.uri().path());
    let (status, body) = known.copied().unwrap_or((404, ""));
    let mut answer = Response::new(body.to_owned());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer
}
