//! The ways in which each line of the text may have been written by mistake.

use std::borrow::Cow;

use super::text::Text;
use crate::api::authorization::{self, Authorization};
use crate::api::explain::json;
use crate::api::request::Request;
use crate::api::route::decode;
use crate::config::API_HOSTS;

pub(super) const REWRITTEN: &str =
    "the body was serialised again after signing: sign the very bytes that are sent";
/// Queries of up to this many parameters are tried in every order.
const PERMUTED_PARAMETERS_MAX: usize = 5;
/// How far apart two readings of the clock may be, in seconds, to be found.
const SECOND_READING_S: i64 = 60;

/// One way in which a part of the text may have been written.
#[derive(Debug, Clone)]
pub(super) struct Variant<'a> {
    pub(super) fault: Cow<'static, str>,
    pub(super) text: Cow<'a, [u8]>,
}

impl<'a> Variant<'a> {
    pub(super) fn new(fault: impl Into<Cow<'static, str>>, text: impl Into<Cow<'a, [u8]>>) -> Self {
        Self {
            fault: fault.into(),
            text: text.into(),
        }
    }
}

/// The clock and the nonce, which are two lines but one mistake.
#[derive(Debug, Clone)]
pub(super) struct Stamp {
    pub(super) fault: &'static str,
    pub(super) timestamp: String,
    pub(super) nonce: String,
}

impl Stamp {
    pub(super) fn of<'a>(&'a self, text: Text<'a>) -> Text<'a> {
        Text {
            timestamp: self.timestamp.as_bytes(),
            nonce: self.nonce.as_bytes(),
            ..text
        }
    }
}

pub(super) fn methods(request: &Request) -> Vec<Variant<'_>> {
    let sent = &request.method;
    let lower = sent.to_lowercase();
    let mut methods = Vec::new();
    if let Some(first) = sent.get(..1) {
        let capitalised = format!("{first}{}", &lower[1..]);
        methods.push(Variant::new(
            format!("the method was signed as {capitalised}: use upper case"),
            capitalised.into_bytes(),
        ));
    }
    methods.push(Variant::new(
        "the method was signed in lower case: use upper case",
        lower.into_bytes(),
    ));
    for other in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
        if other != sent {
            methods.push(Variant::new(
                format!("{other} was signed as the method of a {sent} request: sign {sent}"),
                other.as_bytes(),
            ));
        }
    }
    methods
}

pub(super) fn targets(request: &Request) -> Vec<Variant<'_>> {
    let target = &request.target;
    let mut targets = Vec::new();
    if let Some(query) = request.query() {
        targets.push(Variant::new(
            format!("the path was signed without its query: sign {target}"),
            request.path().as_bytes(),
        ));
        let mut pairs: Vec<&str> = query.split('&').collect();
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        if pairs.len() > 1 && pairs.len() <= PERMUTED_PARAMETERS_MAX {
            while json::next_permutation(&mut order) {
                let query: Vec<&str> = order.iter().map(|index| pairs[*index]).collect();
                targets.push(reordered(request, &query));
            }
        } else {
            pairs.sort_unstable();
            targets.push(reordered(request, &pairs));
        }
    }
    let own = request.header("host").unwrap_or_default();
    for (host, fault) in std::iter::once((
        own,
        "the URL was signed with scheme and host: sign only the path and the query",
    ))
    .chain(API_HOSTS.map(|host| {
        (
            host,
            "the URL was signed with WeChat Pay's host: sign only the path and the query",
        )
    })) {
        for scheme in ["https://", "http://", "//", ""] {
            targets.push(Variant::new(
                fault,
                format!("{scheme}{host}{target}").into_bytes(),
            ));
        }
    }
    targets.extend(template(target));
    let encoded = "the path was signed percent-encoded (| as %7C): sign it as it is sent";
    let recoded =
        "the path was signed with its percent escapes in another case: sign it as it is sent";
    let mut push = |fault: &'static str, text: String| {
        if text != *target {
            targets.push(Variant::new(fault, text.into_bytes()));
        }
    };
    push(
        "the path was signed percent-decoded: sign it as it is sent",
        decode(target),
    );
    push(encoded, target.replace('|', "%7C").replace('*', "%2A"));
    push(encoded, target.replace('|', "%7C"));
    push(encoded, target.replace('|', "%7c").replace('*', "%2a"));
    push(encoded, target.replace('|', "%7c"));
    push(recoded, escapes_as(target, str::to_ascii_uppercase));
    push(recoded, escapes_as(target, str::to_ascii_lowercase));
    push(
        "the path was signed without its leading slash",
        target.trim_start_matches('/').to_owned(),
    );
    push(
        "a slash is doubled in the path that was sent but not in the one that was signed",
        target.replace("//", "/"),
    );
    push(
        "the path was signed with a slash at its end",
        format!("{target}/"),
    );
    targets
}

fn reordered(request: &Request, pairs: &[&str]) -> Variant<'static> {
    Variant::new(
        "the query was signed in another order: sign it as it is sent",
        format!("{}?{}", request.path(), pairs.join("&")).into_bytes(),
    )
}

/// The paths of the documents, with the name of a number in place of the number.
fn template(target: &str) -> Option<Variant<'static>> {
    let places = [
        ("/out-trade-no/", "{out_trade_no}"),
        ("/transactions/id/", "{transaction_id}"),
        ("/domestic/refunds/", "{out_refund_no}"),
    ];
    places.into_iter().find_map(|(before, name)| {
        let at = target.find(before)? + before.len();
        let end = target[at..]
            .find(['/', '?'])
            .map_or(target.len(), |end| at + end);
        Some(Variant::new(
            format!("{name} was left in the path that was signed: put the number there"),
            format!("{}{name}{}", &target[..at], &target[end..]).into_bytes(),
        ))
    })
}

fn escapes_as(target: &str, write: fn(&str) -> String) -> String {
    let mut text = String::with_capacity(target.len());
    let mut rest = target;
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        let escape = rest.get(at..at + 3).unwrap_or(&rest[at..]);
        text.push_str(&write(escape));
        rest = &rest[at + escape.len()..];
    }
    text.push_str(rest);
    text
}

/// What may have been signed as the body without being another writing of it.
pub(super) fn plain_bodies<'a>(request: &'a Request, body: &'a [u8]) -> Vec<Variant<'a>> {
    let mut bodies = Vec::new();
    if body != &request.body[..] {
        bodies.push(Variant::new(
            "the whole multipart body was signed: of an upload, only the JSON of its meta part is",
            &request.body[..],
        ));
    }
    if body.is_empty() {
        for text in ["{}", "null", "undefined", "\"\"", "None", "[]"] {
            bodies.push(Variant::new(
                format!(
                    "{text} was signed as the body of a request without one: sign an empty line"
                ),
                text.as_bytes(),
            ));
        }
        if let Some(query) = request.query() {
            bodies.push(Variant::new(
                "the query was signed as the body",
                query.as_bytes(),
            ));
        }
        return bodies;
    }
    // Before any guess about the lines: this one would look as if the last line lacked its end.
    let lines = body.trim_ascii_end();
    if lines.len() < body.len() {
        bodies.push(Variant::new(
            "the body that was sent ends with a line feed or a blank that was not signed: sign the \
             very bytes that are sent",
            lines,
        ));
    }
    let inner = body.trim_ascii();
    if inner.len() < lines.len() {
        bodies.push(Variant::new(REWRITTEN, inner));
    }
    bodies.push(Variant::new(
        "the body was left out of the signed text: its bytes are the fifth line",
        &[][..],
    ));
    bodies
}

/// Likely mistakes with the clock and the nonce.
pub(super) fn stamps(authorization: &Authorization) -> Vec<Stamp> {
    let (timestamp, nonce) = (&authorization.timestamp, &authorization.nonce);
    let stamp = |fault, timestamp: &str, nonce: &str| Stamp {
        fault,
        timestamp: timestamp.to_owned(),
        nonce: nonce.to_owned(),
    };
    let case = "the nonce was signed in another case than it is sent";
    let mut stamps = vec![
        stamp(MILLISECONDS, &format!("{timestamp}000"), nonce),
        stamp(
            "timestamp and nonce were signed in the wrong order",
            nonce,
            timestamp,
        ),
        stamp(case, timestamp, &nonce.to_uppercase()),
        stamp(case, timestamp, &nonce.to_lowercase()),
    ];
    let seconds = authorization::seconds(timestamp);
    for by in [-2, -1, 1, 2] {
        let other = seconds.saturating_add(by).to_string();
        stamps.push(stamp(SECOND_READING, &other, nonce));
    }
    stamps
}

const MILLISECONDS: &str =
    "milliseconds were signed where the header says seconds: sign the header's value";
const SECOND_READING: &str = "another timestamp was signed than is sent: take the time once";

/// Mistakes with the clock of which there are too many to try them with others.
pub(super) fn far_stamps(authorization: &Authorization) -> impl Iterator<Item = Stamp> {
    let seconds = authorization::seconds(&authorization.timestamp);
    let stamp = |fault, timestamp| Stamp {
        fault,
        timestamp,
        nonce: String::new(),
    };
    let shifted = (3..=SECOND_READING_S).flat_map(move |by| {
        [by, -by].map(|by| stamp(SECOND_READING, seconds.saturating_add(by).to_string()))
    });
    // Rounding may have brought the header to the next second.
    let fractions = [0, -1, 1].into_iter().flat_map(move |by| {
        let second = seconds.saturating_add(by);
        (0..1_000).map(move |part| stamp(MILLISECONDS, format!("{second}{part:03}")))
    });
    fractions.chain(shifted)
}
