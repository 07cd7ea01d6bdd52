//! What a fault answers in place of the API, and in place of saying that a request was applied.

use super::answer::{Draft, Refusal};
use super::request::Request;

type Spoiler = fn(&Request) -> Draft;

/// Faults that answer instead of applying.
pub(crate) const FAULTS_INSTEAD: [(&str, Spoiler); 7] = [
    ("rate_limited", |_| limited()),
    ("rate_limited_day", |_| limited().retry_after_a_day()),
    ("server_error", |_| busy()),
    ("html_error", html),
    ("response_html", |_| portal()),
    ("unavailable", |_| unavailable()),
    ("redirected", |_| redirected()),
];

/// Faults that hide that the request was applied.
pub(crate) const FAULTS_AFTER: [(&str, Spoiler); 3] = [
    ("rate_limited_applied", |_| limited()),
    ("server_error_applied", |_| busy()),
    ("accepted", |_| Draft {
        verdict: "accepted, not finished".to_owned(),
        ..Draft::empty(202).signed()
    }),
];

fn limited() -> Draft {
    Refusal::new(429, "FREQUENCY_LIMITED", "频率超限")
        .number(268_447_840)
        .into()
}

/// The 500 of a busy server (docs/simulator.md, `rate-limits`).
pub(crate) fn busy() -> Draft {
    Refusal::new(500, "SYSTEM_ERROR", "系统繁忙，请稍后重试").into()
}

fn html(request: &Request) -> Draft {
    let echo = request.header("authorization").unwrap_or_default();
    let page = format!(
        "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad \
         Gateway</h1></center>\r\n<!-- {echo} -->\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    );
    Draft::plain(502, "text/html", page)
}

fn unavailable() -> Draft {
    let answer: Draft = Refusal::new(503, "SERVICE_UNAVAILABLE", "系统繁忙，请稍后重试")
        .unsigned()
        .into();
    answer.retry_after_a_day()
}

/// What a network answers in WeChat Pay's place until somebody has logged in to it.
fn portal() -> Draft {
    let page = "<!DOCTYPE html>\r\n<html>\r\n<head><title>Welcome</title></head>\r\n<body>\r\n\
                <form method=\"post\" action=\"/login\"><p>Log in to use this network.</p>\
                <input name=\"code\"></form>\r\n</body>\r\n</html>\r\n";
    Draft::plain(200, "text/html", page.to_owned())
}

fn redirected() -> Draft {
    let mut answer = Draft::plain(302, "text/html", String::new());
    answer.headers.push((
        "Location",
        "http://169.254.169.254/latest/meta-data/".to_owned(),
    ));
    answer
}
