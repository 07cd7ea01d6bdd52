//! What went over the wire, kept for a person to read: a request with its answer, whoever sent it. The
//! newest are kept, each cut where it is long, so that what is kept is never more than
//! [`KEPT_BYTES_MAX`]. It is kept in memory only.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// All that is kept, in bytes; the oldest exchanges are forgotten first.
const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What is kept of a body.
pub(crate) const BODY_BYTES_MAX: usize = 32 * 1024;
/// What is kept of the headers of a message.
const HEADER_BYTES_MAX: usize = 8 * 1024;
/// What an exchange counts for beside its texts.
const OVERHEAD_BYTES: usize = 512;
/// What stands in the place of a secret.
pub(crate) const HIDDEN: &str = "(hidden)";

/// A message as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    headers: Vec<(String, String)>,
    headers_cut: bool,
    /// The beginning of the body.
    body: Vec<u8>,
    /// The length of the whole body.
    length: usize,
    /// What stands before the body in the text that the signature is checked against; none where
    /// the message carries no signature, or one over something else.
    signed_head: Option<String>,
}

impl Message {
    pub(crate) fn new<'a>(
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: &[u8],
        signed_head: Option<String>,
    ) -> Self {
        let mut message = Self {
            headers: Vec::new(),
            headers_cut: false,
            body: body[..body.len().min(BODY_BYTES_MAX)].to_vec(),
            length: body.len(),
            signed_head,
        };
        let mut left = HEADER_BYTES_MAX;
        for (name, value) in headers {
            let Some(rest) = left.checked_sub(name.len() + value.len()) else {
                message.headers_cut = true;
                break;
            };
            left = rest;
            message.headers.push((name.to_owned(), value.to_owned()));
        }
        message
    }

    /// A message that WeChat Pay signed, or should have: its time and its nonce are headers.
    pub(crate) fn from_wechat_pay<'a>(
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: &[u8],
    ) -> Self {
        let mut message = Self::new(headers, body, None);
        let timestamp = message.header("wechatpay-timestamp");
        let nonce = message.header("wechatpay-nonce");
        let signed_head = timestamp.zip(nonce);
        message.signed_head =
            signed_head.map(|(timestamp, nonce)| format!("{timestamp}\n{nonce}\n"));
        message
    }

    fn header(&self, name: &str) -> Option<&str> {
        let named = |(held, _): &&(String, String)| held.eq_ignore_ascii_case(name);
        let found = self.headers.iter().find(named);
        found.map(|(_, value)| value.as_str())
    }

    fn bytes(&self) -> usize {
        let headers = self.headers.iter();
        let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
        headers + self.body.len() + self.signed_head.as_ref().map_or(0, String::len)
    }

    fn is_cut(&self) -> bool {
        self.body.len() < self.length
    }

    /// The body where it is text; of one that is cut, up to the last whole character.
    fn text(&self) -> Option<&str> {
        match std::str::from_utf8(&self.body) {
            Ok(text) => Some(text),
            Err(error) if self.is_cut() && error.error_len().is_none() => {
                std::str::from_utf8(&self.body[..error.valid_up_to()]).ok()
            }
            Err(_) => None,
        }
    }

    /// The text that the signature is checked against.
    fn signed_text(&self) -> Option<String> {
        if self.is_cut() {
            return None;
        }
        let (head, body) = self.signed_head.as_ref().zip(self.text())?;
        Some(format!("{head}{body}\n"))
    }

    fn row(&self) -> Value {
        let mut body = match self.text() {
            Some(text) => json!({"text": text}),
            None => json!({"base64": STANDARD.encode(&self.body)}),
        };
        body["bytes"] = json!(self.length);
        body["cut"] = json!(self.is_cut());
        json!({
            "headers": self.headers,
            "headers_cut": self.headers_cut,
            "body": body,
            "signed_text": self.signed_text(),
        })
    }
}

/// A request with its answer.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pub(crate) method: String,
    /// Path and query of a request to the API; the whole URL of a notice.
    pub(crate) target: String,
    pub(crate) request: Message,
    /// The status and the answer; none when the connection broke before one came.
    pub(crate) answer: Option<(u16, Message)>,
    /// Of a notice, the resource before it was sealed.
    pub(crate) opened: Option<String>,
}

impl Exchange {
    fn bytes(&self) -> usize {
        OVERHEAD_BYTES
            + self.method.len()
            + self.target.len()
            + self.request.bytes()
            + self.answer.as_ref().map_or(0, |(_, answer)| answer.bytes())
            + self.opened.as_ref().map_or(0, String::len)
    }

    /// What the control calls tell of it.
    pub(crate) fn row(&self) -> Value {
        let mut request = self.request.row();
        request["method"] = json!(self.method);
        request["target"] = json!(self.target);
        let answer = self.answer.as_ref().map(|(status, answer)| {
            let mut row = answer.row();
            row["status"] = json!(status);
            row
        });
        let mut row = json!({"request": request, "answer": answer});
        if let Some(opened) = &self.opened {
            row["opened"] = json!(opened);
        }
        row
    }
}

/// What an exchange is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExchangeKey {
    /// A request to the API, by its number among all.
    Request(u64),
    /// An attempt to send a notice: the notice, and the attempt's place among its attempts.
    Attempt { notice: u64, place: usize },
}

/// The newest exchanges.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    kept: VecDeque<(ExchangeKey, Exchange)>,
    bytes: usize,
}

impl Exchanges {
    pub(crate) fn keep(&mut self, key: ExchangeKey, exchange: Exchange) {
        self.bytes += exchange.bytes();
        self.kept.push_back((key, exchange));
        while self.bytes > KEPT_BYTES_MAX
            && let Some((_, forgotten)) = self.kept.pop_front()
        {
            self.bytes -= forgotten.bytes();
        }
    }

    pub(crate) fn find(&self, key: ExchangeKey) -> Option<&Exchange> {
        let mut newest_first = self.kept.iter().rev();
        let found = newest_first.find(|(held, _)| *held == key);
        found.map(|(_, exchange)| exchange)
    }
}

/// A target without the app's secret and its token, which calls of the mini-program platform state in
/// their query.
pub(crate) fn without_secret(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else {
        return target.to_owned();
    };
    let is_secret = |pair: &str| {
        let mut read = form_urlencoded::parse(pair.as_bytes());
        read.next()
            .is_some_and(|(name, _)| name == "secret" || name == "access_token")
    };
    let pairs: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if is_secret(pair) => format!("{name}={HIDDEN}"),
            Some(_) | None => pair.to_owned(),
        })
        .collect();
    format!("{path}?{}", pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(body: &[u8]) -> Exchange {
        let request = Message::new([("Host", "h")], body, None);
        Exchange {
            method: "POST".to_owned(),
            target: "/".to_owned(),
            request,
            answer: None,
            opened: None,
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_newest_stay() {
        let mut exchanges = Exchanges::default();
        let large = vec![b'a'; 4 * BODY_BYTES_MAX];
        for number in 0..2_000 {
            exchanges.keep(ExchangeKey::Request(number), exchange(&large));
        }
        assert!(exchanges.bytes <= KEPT_BYTES_MAX, "{}", exchanges.bytes);
        let held: usize = exchanges
            .kept
            .iter()
            .map(|(_, exchange)| exchange.bytes())
            .sum();
        assert_eq!(held, exchanges.bytes);
        assert!(exchanges.find(ExchangeKey::Request(0)).is_none());
        assert!(exchanges.find(ExchangeKey::Request(1_999)).is_some());
        assert!(exchanges.kept.len() > 400, "{}", exchanges.kept.len());
        // Even empty ones do not grow without end.
        for number in 0..100_000 {
            exchanges.keep(ExchangeKey::Request(number), exchange(b""));
        }
        assert!(exchanges.bytes <= KEPT_BYTES_MAX, "{}", exchanges.bytes);
        assert!(exchanges.kept.len() < 40_000, "{}", exchanges.kept.len());
    }

    #[test]
    fn a_long_body_is_cut_between_characters_and_says_how_long_it_was() {
        let text = format!("a{}", "茶".repeat(BODY_BYTES_MAX / 3 + 1));
        let row = exchange(text.as_bytes()).row();
        let body = &row["request"]["body"];
        let kept = body["text"].as_str().unwrap_or_default();
        assert!(text.starts_with(kept) && kept.len() > BODY_BYTES_MAX - 3);
        assert_eq!(body["bytes"], text.len());
        assert_eq!(body["cut"], true);
        let row = exchange(&[0xff, 0]).row();
        assert_eq!(row["request"]["body"]["base64"], "/wA=");
        assert_eq!(row["request"]["body"]["cut"], false);
    }

    #[test]
    fn headers_are_cut_too() {
        let value = "0".repeat(1_024);
        let headers = vec![("X-Padding", value.as_str()); 1_024];
        let message = Message::new(headers, b"", None);
        assert!(message.headers_cut);
        assert!(message.bytes() <= HEADER_BYTES_MAX);
    }

    #[test]
    fn the_secret_of_an_app_is_hidden_however_its_name_is_written() {
        for (target, shown) in [
            ("/a?x=1&secret=abc&y=2", "/a?x=1&secret=(hidden)&y=2"),
            ("/a?s%65cret=abc", "/a?s%65cret=(hidden)"),
            ("/a?access_token=abc", "/a?access_token=(hidden)"),
            ("/a?secrets=abc&secret", "/a?secrets=abc&secret"),
            ("/a", "/a"),
            ("/a?", "/a?"),
        ] {
            assert_eq!(without_secret(target), shown);
        }
    }
}
