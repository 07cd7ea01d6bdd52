//! Reads each request to its end before anything answers it, so that its connection goes on.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use crate::request_body::{Read, read};

/// Hands on a request whose body is there; refuses one that is too large.
pub(crate) async fn whole(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match read(body).await {
        Ok(Read::Whole(body)) => next.run(Request::from_parts(head, Body::from(body))).await,
        Ok(Read::TooLarge) => too_large(),
        Ok(Read::Unread) | Err(_) => closing(too_large()),
    }
}

fn too_large() -> Response {
    let problem = Problem {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        code: "TOO_LARGE".to_owned(),
        message: "the body is too large for a control call".to_owned(),
    };
    problem.into_response()
}

/// The answer to a body that is not read to its end.
fn closing(mut answer: Response) -> Response {
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(CONNECTION, close);
    answer
}
