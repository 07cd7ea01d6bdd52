//! Looks for the text a client signed: the likely mistakes are tried, one at a time and then two at
//! once, until one gives the digest inside the signature. Texts are hashed piece by piece and never
//! collected, and the work has a bound, so that a wrongly signed body of megabytes costs little.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::ControlFlow;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::json;
use super::sentence::named;
use crate::api::authorization::Authorization;
use crate::api::request::Request;

mod text;
mod variants;

use text::{SHAPES, Text};
use variants::{REWRITTEN, Stamp, Variant, far_stamps, methods, plain_bodies, stamps, targets};

/// Bodies longer than this are not written in other ways.
const REWRITTEN_BYTES_MAX: usize = 64 * 1024;
/// Texts longer than this are not tried against every millisecond of a second.
const SHORT_BYTES_MAX: usize = 4 * 1024;
/// The bytes that each of the three stages may make and hash: a second's work where nothing is
/// optimised, far less elsewhere.
const STAGE_BYTES_MAX: usize = 24 * 1024 * 1024;

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
        ControlFlow::Break((named(faults, "; and "), text.written()))
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

#[cfg(test)]
mod tests;
