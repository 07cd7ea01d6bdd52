//! What is kept of a request and its answer for a person to read: the bytes as they went over the wire,
//! without the app's secret, its token and the session's key.

use serde_json::{Map, Value};

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
            let hidden = match kind {
                Some(Kind::Login) => without(body, "session_key"),
                Some(Kind::StableToken) => without(body, "access_token"),
                Some(_) | None => None,
            };
            let body = hidden.as_deref().unwrap_or(body);
            Some((*status, Message::from_wechat_pay(headers, body)))
        }
    };
    let target = without_secret(&request.target);
    // Whatever its path is: it may be mistyped.
    let hidden = without(&request.body, "secret");
    let signed_head = match hidden {
        Some(_) => None,
        None => signed_head(request, kind, &target),
    };
    let body = hidden.as_deref().unwrap_or(&request.body);
    Exchange {
        method: request.method.clone(),
        request: Message::new(headers, body, signed_head),
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

/// A JSON body without the text of one of its members; `None` where it has none. Everything else stays as it
/// was written, unless the text was written with escapes that it does not need.
fn without(body: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut members: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let held = members.get_mut(name)?;
    let (written, shown) = (held.to_string(), Value::from(HIDDEN));
    let text = std::str::from_utf8(body).ok()?;
    if held.as_str().is_some_and(|held| !held.is_empty()) && text.contains(&written) {
        return Some(text.replace(&written, &shown.to_string()).into_bytes());
    }
    *held = shown;
    serde_json::to_vec(&members).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_however_it_is_written_and_the_rest_stays() {
        for (body, shown) in [
            (
                r#"{"b": 1, "secret": "abc"}"#,
                r#"{"b": 1, "secret": "(hidden)"}"#,
            ),
            (
                r#"{"b":1,"secret":"\u0061bc"}"#,
                r#"{"b":1,"secret":"(hidden)"}"#,
            ),
            (
                r#"{"b":1,"s\u0065cret":7}"#,
                r#"{"b":1,"secret":"(hidden)"}"#,
            ),
        ] {
            let hidden = without(body.as_bytes(), "secret").unwrap_or_default();
            assert_eq!(String::from_utf8_lossy(&hidden), shown);
        }
        assert_eq!(without(br#"{"secrets":"abc"}"#, "secret"), None);
        assert_eq!(without(b"[]", "secret"), None);
    }
}
