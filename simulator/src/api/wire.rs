//! What is kept of a request and its answer for a person to read: the bytes as they went over the wire,
//! without the app's secret and the session's key.

use super::answer::Response;
use super::authorization;
use super::request::Request;
use super::route::Kind;
use crate::exchange::{Exchange, HIDDEN, Message, without_secret};

/// A request to an operation, or to none, with its answer.
pub(super) fn exchange(request: &Request, kind: Option<Kind>, response: &Response) -> Exchange {
    let headers = request.headers.iter();
    let headers =
        headers.map(|(name, value)| (name.as_str(), value.to_str().unwrap_or("(not text)")));
    let answer = match response {
        Response::Drop => None,
        Response::Send {
            status,
            headers,
            body,
            pace: _,
        } => {
            let headers = headers.iter().map(|(name, value)| (*name, value.as_str()));
            let answer = if kind == Some(Kind::Login) {
                Message::from_wechat_pay(headers, &without_session_key(body))
            } else {
                Message::from_wechat_pay(headers, body)
            };
            Some((*status, answer))
        }
    };
    let target = without_secret(&request.target);
    Exchange {
        method: request.method.clone(),
        request: Message::new(headers, &request.body, signed_head(request, kind, &target)),
        target,
        answer,
        opened: None,
    }
}

/// The first four lines that are signed. Of an upload, another body is signed than is sent; and what
/// holds a secret is not shown.
fn signed_head(request: &Request, kind: Option<Kind>, shown: &str) -> Option<String> {
    if kind == Some(Kind::Upload) || shown != request.target {
        return None;
    }
    authorization::head(request)
}

fn without_session_key(body: &[u8]) -> Vec<u8> {
    const BEFORE: &str = "\"session_key\":\"";
    let text = String::from_utf8_lossy(body);
    let hidden = text.split_once(BEFORE).and_then(|(before, rest)| {
        let (_, after) = rest.split_once('"')?;
        Some(format!("{before}{BEFORE}{HIDDEN}\"{after}"))
    });
    hidden.map_or_else(|| body.to_vec(), String::into_bytes)
}
