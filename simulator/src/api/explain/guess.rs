//! Looks for the text a client signed: the likely mistakes are tried, one at a time and then two at
//! once, until one gives the digest inside the signature. Texts are hashed piece by piece and never
//! collected, and the work has a bound, so that a wrongly signed body of megabytes costs little.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::ControlFlow;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::json;
use crate::api::Request;
use crate::api::authenticate::Authorization;
use crate::api::route::decode;
use crate::config::API_HOSTS;

/// Bodies longer than this are not written in other ways.
const REWRITTEN_BYTES_MAX: usize = 64 * 1024;
/// Texts longer than this are not tried against every millisecond of a second.
const SHORT_BYTES_MAX: usize = 4 * 1024;
/// The bytes that each of the three stages may make and hash: a second's work where nothing is
/// optimised, far less elsewhere.
const STAGE_BYTES_MAX: usize = 24 * 1024 * 1024;
/// Queries of up to this many parameters are tried in every order.
const PERMUTED_PARAMETERS_MAX: usize = 5;
/// How far apart two readings of the clock may be, in seconds, to be found.
const SECOND_READING_S: i64 = 60;

const REWRITTEN: &str =
    "the body was serialised again after signing: sign the very bytes that are sent";
const REORDERED: &str = "the members of the body were signed in another order than they are sent in: \
                         serialise once and sign the very bytes that are sent";

/// What was found out.
#[derive(Debug)]
pub(super) struct Guess {
    /// The mistake with its fix, and the text; the mistake is empty where the text is right.
    pub(super) found: Option<(String, Vec<u8>)>,
    /// Whether the bound was met before everything was tried.
    pub(super) cut_short: bool,
}

/// Looks for the text behind a SHA-256 digest.
pub(super) fn guess(
    request: &Request,
    body: &[u8],
    authorization: &Authorization,
    digest: &[u8],
) -> Guess {
    let mut search = Search::new(digest);
    let found = match search.all(request, body, authorization) {
        ControlFlow::Break(found) => Some(found),
        ControlFlow::Continue(()) => None,
    };
    Guess {
        cut_short: found.is_none() && search.cut_short,
        found,
    }
}

type Found = (String, Vec<u8>);
/// Goes on until the text is found.
type Flow = ControlFlow<Found>;

/// One way in which a part of the text may have been written.
#[derive(Debug, Clone)]
struct Variant<'a> {
    fault: Cow<'static, str>,
    text: Cow<'a, [u8]>,
}

impl<'a> Variant<'a> {
    fn new(fault: impl Into<Cow<'static, str>>, text: impl Into<Cow<'a, [u8]>>) -> Self {
        Self {
            fault: fault.into(),
            text: text.into(),
        }
    }
}

/// One way in which the lines may have been joined: what goes before them and what ends each.
#[derive(Debug)]
struct Shape {
    fault: &'static str,
    before: &'static str,
    ends: [&'static str; 5],
    /// Whether the method and the target are lines.
    request: bool,
}

const fn shape(fault: &'static str, ends: [&'static str; 5]) -> Shape {
    Shape {
        fault,
        before: "",
        ends,
        request: true,
    }
}

const SHAPES: [Shape; 10] = [
    shape("", ["\n"; 5]),
    shape(
        "the last line lacks its line feed: every one of the five lines ends with one",
        ["\n", "\n", "\n", "\n", ""],
    ),
    shape("the lines end with CR LF: use a lone LF", ["\r\n"; 5]),
    shape(
        "four lines end with CR LF: use a lone LF",
        ["\r\n", "\r\n", "\r\n", "\r\n", "\n"],
    ),
    shape(
        "four lines end with CR LF and the last with nothing: end all five with a lone LF",
        ["\r\n", "\r\n", "\r\n", "\r\n", ""],
    ),
    shape(
        "the lines end with a backslash and an n, two characters: use a real line feed",
        ["\\n"; 5],
    ),
    shape(
        "a line feed too many ends the text",
        ["\n", "\n", "\n", "\n", "\n\n"],
    ),
    shape(
        "the line of the empty body is missing: the text ends with two line feeds",
        ["\n", "\n", "\n", "", ""],
    ),
    Shape {
        fault: "the three lines of a response were signed: a request has five",
        before: "",
        ends: ["\n"; 5],
        request: false,
    },
    Shape {
        fault: "a byte order mark was signed before the text: encode it as UTF-8 without one",
        before: "\u{feff}",
        ends: ["\n"; 5],
        request: true,
    },
];

/// A whole text, in parts.
#[derive(Debug, Clone, Copy)]
struct Text<'a> {
    method: &'a [u8],
    target: &'a [u8],
    timestamp: &'a [u8],
    nonce: &'a [u8],
    body: &'a [u8],
    shape: &'static Shape,
}

impl<'a> Text<'a> {
    fn pieces(self) -> impl Iterator<Item = &'a [u8]> {
        let lines = [
            self.method,
            self.target,
            self.timestamp,
            self.nonce,
            self.body,
        ];
        let first = if self.shape.request { 0 } else { 2 };
        let before = std::iter::once(self.shape.before.as_bytes());
        before.chain(
            (first..lines.len())
                .flat_map(move |line| [lines[line], self.shape.ends[line].as_bytes()]),
        )
    }

    fn written(self) -> Vec<u8> {
        self.pieces().flatten().copied().collect()
    }
}

/// The clock and the nonce, which are two lines but one mistake.
#[derive(Debug, Clone)]
struct Stamp {
    fault: &'static str,
    timestamp: String,
    nonce: String,
}

struct Search<'a> {
    wanted: &'a [u8],
    /// The bytes that may still be made and hashed.
    left: usize,
    cut_short: bool,
    /// All bytes that were hashed, counted where it is done, for the tests of the bound.
    worked: usize,
}

impl<'a> Search<'a> {
    fn new(wanted: &'a [u8]) -> Self {
        Self {
            wanted,
            left: 0,
            cut_short: false,
            worked: 0,
        }
    }

    /// Begins a stage, with a share of the work of its own.
    fn stage(&mut self) {
        self.left = STAGE_BYTES_MAX;
    }

    /// Asks for work of so many bytes; false when the stage has had its share.
    fn may(&mut self, bytes: usize) -> bool {
        if bytes > self.left {
            self.left = 0;
            self.cut_short = true;
            return false;
        }
        self.left -= bytes;
        true
    }

    fn try_text(&mut self, text: Text<'_>, faults: [&str; 2]) -> Flow {
        if !self.may(text.pieces().map(<[u8]>::len).sum()) {
            return ControlFlow::Continue(());
        }
        let mut hash = Sha256::new();
        for piece in text.pieces() {
            self.worked += piece.len();
            hash.update(piece);
        }
        if hash.finalize()[..] != *self.wanted {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break((super::named(faults, "; and "), text.written()))
    }

    fn all(&mut self, request: &Request, body: &[u8], authorization: &Authorization) -> Flow {
        let plain = Text {
            method: request.method.as_bytes(),
            target: request.target.as_bytes(),
            timestamp: authorization.timestamp.as_bytes(),
            nonce: authorization.nonce.as_bytes(),
            body,
            shape: &SHAPES[0],
        };
        let bodies = plain_bodies(request, body);
        let (methods, targets, stamps) =
            (methods(request), targets(request), stamps(authorization));

        self.stage();
        self.try_text(plain, ["", ""])?;
        for variant in &bodies {
            let text = Text {
                body: &variant.text,
                ..plain
            };
            self.try_text(text, [&variant.fault, ""])?;
        }
        self.around(plain, "", &methods, &targets, &stamps)?;
        self.each_body(body, &mut |search, fault, body| {
            search.try_text(Text { body, ..plain }, [fault, ""])
        })?;

        self.stage();
        for stamp in far_stamps(authorization) {
            let text = Text {
                timestamp: stamp.timestamp.as_bytes(),
                ..plain
            };
            if text.written_length() > SHORT_BYTES_MAX {
                break;
            }
            self.try_text(text, [stamp.fault, ""])?;
        }
        self.each_order(body, &mut |search, body| {
            search.try_text(Text { body, ..plain }, [REORDERED, ""])
        })?;

        self.stage();
        for variant in &bodies {
            let text = Text {
                body: &variant.text,
                ..plain
            };
            self.around(text, &variant.fault, &methods, &targets, &stamps)?;
        }
        for method in &methods {
            let text = Text {
                method: &method.text,
                ..plain
            };
            self.around(text, &method.fault, &[], &targets, &stamps)?;
        }
        for target in &targets {
            let text = Text {
                target: &target.text,
                ..plain
            };
            self.around(text, &target.fault, &[], &[], &stamps)?;
        }
        for stamp in &stamps {
            self.around(stamp.of(plain), stamp.fault, &[], &[], &[])?;
        }
        self.each_body(body, &mut |search, fault, body| {
            let text = Text { body, ..plain };
            search.around(text, fault, &methods, &targets, &stamps)
        })
    }

    /// Tries a text with one more mistake in its method, target, stamp or shape.
    fn around(
        &mut self,
        text: Text<'_>,
        fault: &str,
        methods: &[Variant<'_>],
        targets: &[Variant<'_>],
        stamps: &[Stamp],
    ) -> Flow {
        for shape in &SHAPES[1..] {
            self.try_text(Text { shape, ..text }, [fault, shape.fault])?;
        }
        for variant in targets {
            let target = &variant.text;
            self.try_text(Text { target, ..text }, [fault, &variant.fault])?;
        }
        for variant in methods {
            let method = &variant.text;
            self.try_text(Text { method, ..text }, [fault, &variant.fault])?;
        }
        for stamp in stamps {
            self.try_text(stamp.of(text), [fault, stamp.fault])?;
        }
        ControlFlow::Continue(())
    }

    /// Visits the ways to write a body again, each once.
    fn each_body(
        &mut self,
        body: &[u8],
        visit: &mut dyn FnMut(&mut Self, &str, &[u8]) -> Flow,
    ) -> Flow {
        if body.len() > REWRITTEN_BYTES_MAX {
            self.cut_short = true;
            return ControlFlow::Continue(());
        }
        if body.is_empty() {
            return ControlFlow::Continue(());
        }
        let random = RandomState::new();
        let mut seen: HashSet<u64> = HashSet::from([random.hash_one(body)]);
        let mut found = None;
        let mut once = |fault: &str, form: &[u8]| {
            if !self.may(form.len()) {
                return ControlFlow::Break(());
            }
            self.worked += form.len();
            if seen.insert(random.hash_one(form))
                && let ControlFlow::Break(text) = visit(self, fault, form)
            {
                found = Some(text);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        };
        let mut going = json::each_charset(body, &mut |fault, form| once(fault, &form));
        let text = std::str::from_utf8(body).ok();
        let value = text.and_then(|text| serde_json::from_str::<Value>(text).ok());
        if let (Some(text), Some(value)) = (text, value) {
            if let (ControlFlow::Continue(()), Value::Object(members)) = (going, &value) {
                let pairs: Vec<String> = members
                    .iter()
                    .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
                    .collect();
                going = once(
                    "the body was signed as name=value pairs, the v2 way: sign the JSON bytes",
                    pairs.join("&").as_bytes(),
                );
            }
            if going.is_continue() {
                // Broken off means found, or enough.
                let _ = json::each_form(text, &value, &mut |form| once(REWRITTEN, form.as_bytes()));
            }
        }
        found.map_or(ControlFlow::Continue(()), ControlFlow::Break)
    }

    /// Visits the orders of a body's members.
    fn each_order(&mut self, body: &[u8], visit: &mut dyn FnMut(&mut Self, &[u8]) -> Flow) -> Flow {
        let text = std::str::from_utf8(body).ok();
        let Some(text) = text.filter(|text| text.len() <= REWRITTEN_BYTES_MAX) else {
            return ControlFlow::Continue(());
        };
        if !serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object()) {
            return ControlFlow::Continue(());
        }
        let mut found = None;
        // Broken off means found, or enough.
        let _ = json::each_order(text, &mut |form| {
            if !self.may(form.len()) {
                return ControlFlow::Break(());
            }
            self.worked += form.len();
            match visit(self, form.as_bytes()) {
                ControlFlow::Continue(()) => ControlFlow::Continue(()),
                ControlFlow::Break(text) => {
                    found = Some(text);
                    ControlFlow::Break(())
                }
            }
        });
        found.map_or(ControlFlow::Continue(()), ControlFlow::Break)
    }
}

impl Text<'_> {
    fn written_length(self) -> usize {
        self.pieces().map(<[u8]>::len).sum()
    }
}

impl Stamp {
    fn of<'a>(&'a self, text: Text<'a>) -> Text<'a> {
        Text {
            timestamp: self.timestamp.as_bytes(),
            nonce: self.nonce.as_bytes(),
            ..text
        }
    }
}

fn methods(request: &Request) -> Vec<Variant<'_>> {
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

fn targets(request: &Request) -> Vec<Variant<'_>> {
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
fn plain_bodies<'a>(request: &'a Request, body: &'a [u8]) -> Vec<Variant<'a>> {
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
fn stamps(authorization: &Authorization) -> Vec<Stamp> {
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
    let seconds = super::seconds(timestamp);
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
fn far_stamps(authorization: &Authorization) -> impl Iterator<Item = Stamp> {
    let seconds = super::seconds(&authorization.timestamp);
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

#[cfg(test)]
mod tests;
