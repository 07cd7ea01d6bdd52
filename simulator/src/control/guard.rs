//! Who may use the control port: programs, and the port's own page. A control call needs no
//! password, so a web page that a developer happens to visit must not be able to make one. Two
//! checks keep it out: the `Origin` that browsers send with a page's requests must be the port's
//! own, and on loopback `Host` must name loopback, because a page can give its own name a loopback
//! address (DNS rebinding) and is then of the same origin as the port. No CORS header is ever sent.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What the port is bound to decides how strict it can be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guard {
    loopback: bool,
}

impl Guard {
    /// A guard for a port bound to this address.
    pub(crate) fn of(host: IpAddr) -> Self {
        Self {
            loopback: host.is_loopback(),
        }
    }

    /// Refuses what a page of another origin sends.
    fn admit(self, headers: &HeaderMap) -> Result<(), Problem> {
        let host = headers.get(HOST).map(HeaderValue::as_bytes);
        let host = host.map(|host| std::str::from_utf8(host).unwrap_or_default());
        if self.loopback && host.is_some_and(|host| !names_loopback(host)) {
            return Err(refused(
                "FOREIGN_HOST",
                "this port answers to localhost and loopback addresses only: use one of them, or start it with --host",
            ));
        }
        let own = |origin: &HeaderValue| {
            let authority = origin.to_str().ok().and_then(|origin| {
                origin
                    .strip_prefix("http://")
                    .or_else(|| origin.strip_prefix("https://"))
            });
            authority.is_some_and(|authority| {
                host.is_some_and(|host| host.eq_ignore_ascii_case(authority))
            })
        };
        if headers.get_all(ORIGIN).iter().all(own) {
            Ok(())
        } else {
            Err(refused(
                "FOREIGN_ORIGIN",
                "control calls from web pages of another origin are refused: call from a program, \
                 or use the page this port serves",
            ))
        }
    }
}

/// Lets through what the guard admits, and says to browsers that answers are the port's own affair.
pub(crate) async fn watch(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let mut response = match guard.admit(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    response
}

fn refused(code: &str, message: &str) -> Problem {
    Problem {
        status: StatusCode::FORBIDDEN,
        code: code.to_owned(),
        message: message.to_owned(),
    }
}

/// Whether a `Host` value, with or without a port, is a name that only this machine answers to.
fn names_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    match name.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        // The whole of .localhost is reserved for loopback (RFC 6761 §6.3).
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    }
}
