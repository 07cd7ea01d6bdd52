//! Who may use a port of the stack: programs of this machine, and pages that it serves.
//!
//! The ports ask for little or no credential, so a web page that a developer happens to visit must
//! not be able to use them. Two checks keep it out. `Host` must name this machine, because a page
//! can give its own name a loopback address (DNS rebinding). `Origin`, which browsers send with a
//! page's requests, must be one that the port expects.

use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// The pages whose requests a port answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pages {
    /// Those of the port itself.
    Own,
    /// Those of any port of this machine, where a front end is developed, and mini-programs, whose
    /// developer tools name their origin.
    Developed,
}

/// What WeChat's developer tools send as the origin of a mini-program.
const MINI_PROGRAM_ORIGIN: &str = "https://servicewechat.com";

/// The name that Docker's containers have for this machine: `sam local` runs functions in them.
const DOCKER_HOST: &str = "host.docker.internal";

/// Lets a request through, or answers it with 403 and why.
pub(crate) async fn guard(State(pages): State<Pages>, request: Request, next: Next) -> Response {
    match refusal(pages, request.headers()) {
        None => next.run(request).await,
        // Its body is not read, so its connection cannot be used again.
        Some(why) => {
            let body = axum::Json(json!({"message": why}));
            (StatusCode::FORBIDDEN, [(CONNECTION, "close")], body).into_response()
        }
    }
}

/// Whether no other page than the port's own sent this request.
pub(crate) fn is_own(headers: &HeaderMap) -> bool {
    refusal(Pages::Own, headers).is_none()
}

/// Why the request is refused, if it is.
fn refusal(pages: Pages, headers: &HeaderMap) -> Option<&'static str> {
    let mut hosts = headers.get_all(HOST).iter();
    if !hosts.all(|host| host.to_str().is_ok_and(names_this_machine)) {
        return Some("this port answers to localhost and loopback addresses only");
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let expected = |origin: &str| {
        let authority = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"))
            .unwrap_or_default();
        match pages {
            Pages::Own => host.is_some_and(|host| host.eq_ignore_ascii_case(authority)),
            Pages::Developed => origin == MINI_PROGRAM_ORIGIN || names_this_machine(authority),
        }
    };
    let mut origins = headers.get_all(ORIGIN).iter();
    if !origins.all(|origin| origin.to_str().is_ok_and(expected)) {
        return Some("requests of web pages from elsewhere are refused");
    }
    None
}

/// Whether a host, with or without a port, is a name that only this machine answers to.
fn names_this_machine(authority: &str) -> bool {
    let name = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    match name.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        // The whole of .localhost is reserved for loopback (RFC 6761, section 6.3).
        Err(_) => name == "localhost" || name.ends_with(".localhost") || name == DOCKER_HOST,
    }
}

#[cfg(test)]
mod tests;
