//! The webhook under attack: a catalogue of forged, damaged, repeated and contradictory notices.
//!
//! A case is one line: its number in the catalogue (docs/wechatpay.md, "Notices"), the status that it
//! has to be answered with, and what it changes about a notice that would be believed. Whatever is
//! refused leaves every order and refund as it was; before the signature holds not one call is made
//! to the table or the secrets; after it holds, evidence is kept. Answers are constant.

use futures_util::future::join_all;
use local::aws::{AwsCall, Fault};
use serde_json::{Value, json};

use crate::harness::forge::{NONCE, SEALING_NONCE, envelope, seal};
use crate::harness::{Answer, TestStack, payment_content, refund_content, watch};

const FUNCTION: &str = "NotifyCallbackFunction";

/// A notice that would be believed; cases change something about it.
struct Good<'a> {
    stack: &'a TestStack,
    /// The notice's id, the case's own, so that its evidence can be told.
    id: String,
    event_type: &'static str,
    content: Value,
}

type Headers = Vec<(String, String)>;

/// What is sent in the end.
enum Sent {
    Http(Headers, Vec<u8>),
    /// An event of the gateway's, for what no HTTP client can be made to send.
    Event(Value),
}

type Make = fn(&Good<'_>) -> Sent;

/// The catalogue's number, the status, and the change.
type Case = (&'static str, u16, Make);

/// A function error, which the gateway turns into a 5xx: as good as a refusal, WeChat Pay comes back.
const ERROR: u16 = 0;

impl Good<'_> {
    fn body(&self) -> Vec<u8> {
        self.envelope().to_string().into_bytes()
    }

    fn envelope(&self) -> Value {
        self.envelope_around(self.content.to_string().as_bytes())
    }

    fn envelope_around(&self, content: &[u8]) -> Value {
        let key = self.stack.apiv3_key();
        let mut envelope = envelope(key.as_bytes(), self.event_type, content);
        envelope["id"] = Value::from(self.id.clone());
        envelope
    }

    fn as_it_is(&self) -> Sent {
        self.signed(self.body())
    }

    /// A body with a signature that holds.
    fn signed(&self, body: impl Into<Vec<u8>>) -> Sent {
        let body = body.into();
        let headers = self.stack.signature_headers(&body, self.stack.now());
        Sent::Http(headers, body)
    }

    /// Signed so many seconds from now.
    fn at(&self, seconds: i64) -> Sent {
        let body = self.body();
        let at = self.stack.now() + seconds;
        Sent::Http(self.stack.signature_headers(&body, at), body)
    }

    fn headers(&self, change: impl FnOnce(&mut Headers)) -> Sent {
        let body = self.body();
        let mut headers = self.stack.signature_headers(&body, self.stack.now());
        change(&mut headers);
        Sent::Http(headers, body)
    }

    fn without(&self, name: &str) -> Sent {
        self.headers(|headers| headers.retain(|(known, _)| known != &full(name)))
    }

    fn with(&self, name: &str, value: &str) -> Sent {
        self.headers(|headers| set(headers, name, value.to_owned()))
    }

    /// A header that is no part of the signature.
    fn also(&self, name: &str, value: &str) -> Sent {
        self.headers(|headers| headers.push((name.to_owned(), value.to_owned())))
    }

    fn padded(&self, count: usize) -> Sent {
        let padding = |place| (format!("x-padding-{place}"), "p".repeat(80));
        self.headers(|headers| headers.extend((0..count).map(padding)))
    }

    /// Signed too long ago, with a header that is to make up for it.
    fn stale_and(&self, name: &str, value: &str) -> Sent {
        let body = self.body();
        let mut headers = self.stack.signature_headers(&body, self.stack.now() - 400);
        headers.push((name.to_owned(), value.to_owned()));
        Sent::Http(headers, body)
    }

    /// Another body behind the signature, and a header that says what it is.
    fn posing(&self, name: &str, value: &str, body: &[u8]) -> Sent {
        let mut headers = self.stack.signature_headers(&self.body(), self.stack.now());
        headers.push((name.to_owned(), value.to_owned()));
        Sent::Http(headers, body.to_vec())
    }

    /// The header twice: once as it is, once with this value (`None`: the same again).
    fn twice(&self, name: &str, value: Option<&str>, good_first: bool) -> Sent {
        self.headers(|headers| {
            let known = |(known, _): &(String, String)| known == &full(name);
            let place = headers.iter().position(known).unwrap();
            let value = value.map_or_else(|| headers[place].1.clone(), str::to_owned);
            headers.insert(place + usize::from(good_first), (full(name), value));
        })
    }

    /// The signature replaced by what is made of it.
    fn signature(&self, change: fn(String) -> String) -> Sent {
        self.headers(|headers| {
            let good = value_of(headers, "signature");
            let changed = change(good.clone());
            assert_ne!(changed, good);
            set(headers, "signature", changed);
        })
    }

    fn signature_bytes(&self, bytes: &[u8]) -> Sent {
        self.with("signature", &base64(bytes))
    }

    /// A signature over another message, made of the time and the body.
    fn signing(&self, message: fn(String, &str) -> String) -> Sent {
        let (body, now) = (self.body(), self.stack.now());
        let text = message(now.to_string(), std::str::from_utf8(&body).unwrap());
        let signature = self.stack.platform_signature(text.as_bytes());
        Sent::Http(self.stack.headers_with(now, signature), body)
    }

    /// A signature by the platform's key in another scheme.
    fn in_scheme(&self, scheme: &'static dyn aws_lc_rs::signature::RsaEncoding) -> Sent {
        let file = self.stack.simulator_file("platform_key.pem");
        let pem = std::fs::read_to_string(file).unwrap();
        let der: String = pem
            .lines()
            .filter(|line| !line.starts_with("---"))
            .collect();
        let pair = aws_lc_rs::signature::RsaKeyPair::from_pkcs8(&unbase64(&der)).unwrap();
        let mut signature = vec![0; pair.public_modulus_len()];
        let (body, now) = (self.body(), self.stack.now());
        let random = aws_lc_rs::rand::SystemRandom::new();
        let message = message(now, NONCE, &body);
        pair.sign(scheme, &random, &message, &mut signature)
            .unwrap();
        Sent::Http(self.stack.headers_with(now, base64(&signature)), body)
    }

    /// A nonce of this text, signed as it is.
    fn nonced(&self, nonce: &str) -> (Headers, Vec<u8>) {
        let (body, now) = (self.body(), self.stack.now());
        let signature = self.stack.platform_signature(&message(now, nonce, &body));
        let mut headers = self.stack.headers_with(now, signature);
        set(&mut headers, "nonce", nonce.to_owned());
        (headers, body)
    }

    fn nonce(&self, nonce: &str) -> Sent {
        let (headers, body) = self.nonced(nonce);
        Sent::Http(headers, body)
    }

    fn event_nonce(&self, nonce: &str) -> Sent {
        let (headers, body) = self.nonced(nonce);
        Sent::Event(gateway_event(&headers, &body))
    }

    /// A notice once signed as (time, nonce, body), its boundary moved into the nonce.
    fn with_its_boundary_moved(&self) -> Sent {
        let (headers, body) = self.nonced(NONCE);
        let (moved, rest) = body.split_at(body.len() / 2);
        let mut event = gateway_event(&headers, rest);
        let nonce = format!("{NONCE}\n{}", std::str::from_utf8(moved).unwrap());
        event["headers"][full("nonce")] = Value::from(nonce);
        Sent::Event(event)
    }

    /// Signed by the key in this file of the simulator's, under this serial.
    fn by(&self, file: &str, serial: fn(&simulator::MerchantFile) -> String) -> Sent {
        let (body, now) = (self.body(), self.stack.now());
        let signature = self.stack.signature_by(file, &message(now, NONCE, &body));
        let mut headers = self.stack.headers_with(now, signature);
        set(
            &mut headers,
            "serial",
            serial(self.stack.stack.simulator.merchant()),
        );
        Sent::Http(headers, body)
    }

    /// The body changed after it was signed.
    fn damaged(&self, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Sent {
        let body = self.body();
        let headers = self.stack.signature_headers(&body, self.stack.now());
        let changed = change(body.clone());
        assert_ne!(changed, body);
        Sent::Http(headers, changed)
    }

    /// The envelope's text changed before it is signed.
    fn rewritten(&self, change: fn(String) -> String) -> Sent {
        let text = self.envelope().to_string();
        let changed = change(text.clone());
        assert_ne!(changed, text);
        self.signed(changed)
    }

    /// A member of the envelope replaced, or left out where it is null.
    fn enveloped(&self, path: &str, value: Value) -> Sent {
        let mut envelope = self.envelope();
        put(&mut envelope, path, value);
        self.signed(envelope.to_string())
    }

    /// Not in an envelope at all, as WeChat Pay's answers are signed.
    fn unwrapped(&self) -> Sent {
        self.signed(self.content.to_string())
    }

    fn with_stray_byte(&self) -> Sent {
        let mut body = self.body();
        let place = body.iter().position(|byte| *byte == b'-').unwrap();
        body[place] = 0xff;
        self.signed(body)
    }

    /// The sealed bytes changed before the envelope is signed.
    fn sealed(&self, change: fn(Vec<u8>) -> Vec<u8>) -> Sent {
        let envelope = self.envelope();
        let text = envelope["resource"]["ciphertext"].as_str().unwrap();
        let changed = base64(&change(unbase64(text)));
        self.enveloped("resource.ciphertext", Value::from(changed))
    }

    /// Sealed under another key, made of the right one.
    fn sealed_under(&self, key: fn(&[u8]) -> Vec<u8>) -> Sent {
        let key = key(self.stack.apiv3_key().as_bytes());
        let content = self.content.to_string();
        let text = seal(&key, SEALING_NONCE, b"transaction", content.as_bytes());
        self.enveloped("resource.ciphertext", Value::from(text))
    }

    /// The text sealed in it replaced.
    fn containing(&self, content: &[u8]) -> Sent {
        self.signed(self.envelope_around(content).to_string())
    }

    /// A member of what is sealed replaced, or left out where it is null.
    fn saying(&self, path: &str, value: Value) -> Sent {
        let mut content = self.content.clone();
        put(&mut content, path, value);
        self.containing(content.to_string().as_bytes())
    }

    /// A member of what is sealed written in this very way.
    fn writing(&self, path: &str, raw: &str) -> Sent {
        let mut content = self.content.clone();
        put(&mut content, path, json!("RAW"));
        let text = content.to_string().replace("\"RAW\"", raw);
        self.containing(text.as_bytes())
    }

    /// A member of what is sealed there a second time.
    fn twice_inside(&self, member: &str) -> Sent {
        let text = self.content.to_string();
        self.containing(text.replacen('{', &format!("{{{member},"), 1).as_bytes())
    }

    /// An order of several merchants.
    fn combined(&self) -> Sent {
        let content = json!({"combine_out_trade_no": "C1", "sub_orders": [self.content]});
        self.containing(content.to_string().as_bytes())
    }

    /// As the gateway's event, headers and body changed at will.
    fn event(&self, change: fn(&mut Value)) -> Sent {
        let body = self.body();
        let headers = self.stack.signature_headers(&body, self.stack.now());
        let mut event = gateway_event(&headers, &body);
        change(&mut event);
        Sent::Event(event)
    }

    fn event_header(&self, name: &str, value: &str) -> Sent {
        let body = self.body();
        let headers = self.stack.signature_headers(&body, self.stack.now());
        let mut event = gateway_event(&headers, &body);
        event["headers"][full(name)] = Value::from(value);
        Sent::Event(event)
    }
}

fn full(name: &str) -> String {
    format!("wechatpay-{name}")
}

fn set(headers: &mut Headers, name: &str, value: String) {
    headers.retain(|(known, _)| known != &full(name));
    headers.push((full(name), value));
}

fn value_of(headers: &Headers, name: &str) -> String {
    let found = headers.iter().find(|(known, _)| known == &full(name));
    found.unwrap().1.clone()
}

fn message(timestamp: i64, nonce: &str, body: &[u8]) -> Vec<u8> {
    let mut message = format!("{timestamp}\n{nonce}\n").into_bytes();
    message.extend_from_slice(body);
    message.push(b'\n');
    message
}

fn lines(lines: &[&str], between: &str, end: &str) -> String {
    format!("{}{end}", lines.join(between))
}

/// Sets the member at this dotted path; null removes it.
fn put(value: &mut Value, path: &str, new: Value) {
    let (parents, last) = path.rsplit_once('.').unwrap_or(("", path));
    let mut place = value;
    for parent in parents.split('.').filter(|parent| !parent.is_empty()) {
        place = &mut place[parent];
    }
    if new.is_null() {
        place.as_object_mut().unwrap().remove(last);
    } else {
        place[last] = new;
    }
}

fn rewritten(body: &[u8], old: &str, new: &str) -> Vec<u8> {
    let text = std::str::from_utf8(body).unwrap();
    text.replacen(old, new, 1).into_bytes()
}

/// The bytes with a bit of one changed, counted from the end.
fn flipped(mut bytes: Vec<u8>, from_end: usize) -> Vec<u8> {
    let place = bytes.len() - from_end;
    bytes[place] ^= 1;
    bytes
}

fn nested(depth: usize) -> String {
    "[".repeat(depth) + &"]".repeat(depth)
}

fn hexadecimal(bytes: &[u8]) -> Vec<u8> {
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.into_bytes()
}

/// The unused bits of the signature's last symbol set.
fn not_canonical(good: String) -> String {
    let symbols = good.trim_end_matches('=');
    let (rest, last) = symbols.split_at(symbols.len() - 1);
    // A, Q, g and w are what the last bits can end in; the next letter means the same bytes.
    let last = last.as_bytes()[0];
    assert!(matches!(last, b'A' | b'Q' | b'g' | b'w'), "{good}");
    format!("{rest}{}==", char::from(last + 1))
}

/// The event's signature with something between its lines.
fn folded(event: &mut Value, between: &str) {
    let name = full("signature");
    let value = event["headers"][&name].as_str().unwrap().to_owned();
    event["headers"][&name] = json!(format!("{}{between}{}", &value[..76], &value[76..]));
}

/// The event's body said to be in base64.
fn encoded(event: &mut Value, body: &str) {
    event["isBase64Encoded"] = json!(true);
    event["body"] = json!(body);
}

/// The event's headers under other names.
fn names(event: &mut Value, change: fn(&str) -> String) {
    let headers = event["headers"].as_object().unwrap();
    let renamed = headers
        .iter()
        .map(|(name, value)| (change(name), value.clone()));
    event["headers"] = Value::Object(renamed.collect());
}

fn gateway_event(headers: &Headers, body: &[u8]) -> Value {
    let mut named: serde_json::Map<String, Value> = headers
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.clone())))
        .collect();
    named.insert("content-type".to_owned(), json!("application/json"));
    json!({
        "version": "2.0",
        "routeKey": "POST /wechatpay/notify",
        "rawPath": "/wechatpay/notify",
        "rawQueryString": "",
        "headers": named,
        "requestContext": {
            "accountId": "000000000000", "apiId": "local", "domainName": "pay.example",
            "http": {"method": "POST", "path": "/wechatpay/notify", "protocol": "HTTP/1.1",
                     "sourceIp": "127.0.0.1", "userAgent": "Mozilla/4.0"},
            "requestId": "attack", "routeKey": "POST /wechatpay/notify", "stage": "$default",
            "time": "28/Jan/2026:09:07:11 +0000", "timeEpoch": 1_769_591_231_000_i64,
        },
        "body": std::str::from_utf8(body).unwrap(),
        "isBase64Encoded": false,
    })
}

/// The same as REST APIs (payload 1.0) would hand it on.
fn as_payload_1(event: &mut Value) {
    let headers = event["headers"].as_object().unwrap().clone();
    let multi = headers
        .iter()
        .map(|(name, value)| (name.clone(), json!([value])));
    *event = json!({
        "version": "1.0", "resource": "/wechatpay/notify", "path": "/wechatpay/notify",
        "httpMethod": "POST", "headers": headers,
        "multiValueHeaders": Value::Object(multi.collect()),
        "queryStringParameters": null, "pathParameters": null, "stageVariables": null,
        "requestContext": {"accountId": "0", "apiId": "local", "httpMethod": "POST",
            "identity": {"sourceIp": "127.0.0.1"}, "path": "/wechatpay/notify",
            "protocol": "HTTP/1.1", "requestId": "attack", "requestTime": "-",
            "requestTimeEpoch": 0, "resourceId": "x", "resourcePath": "/wechatpay/notify",
            "stage": "$default"},
        "body": event["body"], "isBase64Encoded": false,
    });
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn unbase64(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap()
}

/// The one body that goes with each status.
fn constant(status: u16) -> Value {
    let message = match status {
        204 | ERROR => return Value::Null,
        400 | 413 => "bad request",
        401 => "unauthorized",
        404 | 409 | 500 => "rejected",
        503 => "try again",
        other => panic!("no notice is answered with {other}"),
    };
    json!({"code": "FAIL", "message": message})
}

async fn send(stack: &TestStack, sent: Sent) -> Option<Answer> {
    match sent {
        Sent::Http(headers, body) => Some(stack.raw_notice(&headers, body).await),
        Sent::Event(event) => stack.event(FUNCTION, event).await.ok(),
    }
}

fn good<'a>(stack: &'a TestStack, id: &str, place: usize, content: &Value) -> Good<'a> {
    Good {
        stack,
        id: format!("{id}-{place}"),
        event_type: "TRANSACTION.SUCCESS",
        content: content.clone(),
    }
}

/// What the webhook asked the table and the secrets for.
fn calls(stack: &TestStack) -> Vec<AwsCall> {
    let mut calls = stack.watch.calls();
    calls.retain(|call| call.caller == FUNCTION);
    calls
}

/// Every case has to be refused or set aside, and change nothing but evidence.
async fn all_refused(stack: &TestStack, event_type: &'static str, content: &Value, cases: &[Case]) {
    let mut wrong = Vec::new();
    for (place, (id, status, make)) in cases.iter().enumerate() {
        let books = stack.books();
        let mut good = good(stack, id, place, content);
        good.event_type = event_type;
        let (asked, kept) = (calls(stack).len(), stack.evidence().len());
        let answer = send(stack, make(&good)).await;
        let told = answer
            .map(|answer| (answer.status, answer.body))
            .unwrap_or((ERROR, Value::Null));
        let mut check = |holds: bool, what: &str| {
            if !holds {
                wrong.push(format!("{id} ({place}): {what}, answered {told:?}"));
            }
        };
        check(told.0 == *status, &format!("{status} was expected"));
        check(
            told.1 == constant(told.0),
            "the body is not the constant one",
        );
        check(stack.books() == books, "an order or refund changed");
        let evidence = stack.evidence().len() - kept;
        if matches!(*status, ERROR | 400 | 401 | 413) {
            let reached = calls(stack).split_off(asked);
            check(reached.is_empty(), "the table or a secret was reached");
            check(evidence == 0, "evidence was kept");
        } else {
            check(evidence == 1, "no evidence was kept");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A stack with an unpaid order of 100 fen, the webhook's keys read.
async fn target() -> (TestStack, Value) {
    let stack = TestStack::start().await;
    stack.native("target-001", 100).await;
    stack.native("opener-001", 100).await;
    let content = payment_content(&stack, "opener-001", 100);
    assert_eq!(
        stack.notice("TRANSACTION.SUCCESS", &content).await.status,
        204
    );
    let mut content = payment_content(&stack, "target-001", 100);
    content["transaction_id"] = json!("4200000925202101284997714293");
    (stack, content)
}

/// One case a line: the catalogue's number, the status, and the change to a notice that is good.
macro_rules! cases {
    ($($id:literal $status:tt $change:ident($($argument:expr),*);)*) => {
        &[$(($id, $status, |good| good.$change($($argument),*))),*]
    };
}

const HEADERS: &[Case] = cases! {
    "N-01" 400 without("signature");
    "N-02" 400 without("timestamp");
    "N-03" 400 without("nonce");
    "N-04" 400 without("serial");
    "N-05" 400 with("signature", "");
    "N-05" 400 with("timestamp", "");
    "N-05" 400 with("nonce", "");
    "N-05" 400 with("serial", "");
    "N-05" 400 event_header("signature", "   ");
    "N-05" 400 event_header("timestamp", "   ");
    "N-05" 400 event_header("nonce", "   ");
    "N-05" 400 event_header("serial", "   ");
    "N-07" 400 twice("signature", Some("AAAA"), true);
    "N-07" 400 twice("signature", Some("AAAA"), false);
    "N-09" 400 twice("timestamp", Some("1700000000"), true);
    "N-09" 400 twice("nonce", Some("other"), true);
    "N-09" 400 twice("serial", Some("0123456789ABCDEF"), false);
    "N-10" 400 twice("signature", None, true);
    "N-10" 400 twice("timestamp", None, true);
    "N-10" 400 twice("nonce", None, true);
    "N-10" 400 twice("serial", None, true);
    "N-11" 401 at(-301);
    "N-12" 401 at(-300);
    "N-13" 401 at(305);
    "N-14" 400 with("timestamp", "0");
    "N-14" 400 with("timestamp", "-1");
    "N-14" 400 with("timestamp", "9223372036854775807");
    "N-14" 400 with("timestamp", "18446744073709551616");
    "N-15" 400 with("timestamp", "1700000000000");
    "N-16" 400 with("timestamp", "+1700000000");
    "N-16" 400 event_header("timestamp", " 1700000000");
    "N-16" 400 with("timestamp", "1700000000.0");
    "N-16" 400 with("timestamp", "1.7e9");
    "N-16" 400 with("timestamp", "0x6553f100");
    "N-16" 400 with("timestamp", "01700000000");
    "N-16" 400 with("timestamp", "0170000000");
    "N-16" 400 event_header("timestamp", "１７００００００００");
    "N-17" 400 nonce(&"n".repeat(129));
    "N-17" 400 event_nonce("né");
    "N-17" ERROR event_nonce("a\nb");
    "N-17" ERROR event_nonce("a\r\nb");
    "N-17" ERROR event_nonce("a\0b");
    "N-18" ERROR with_its_boundary_moved();
    "N-19" 401 with("serial", "PUB_KEY_ID_0000000000000000000000000000000000");
    "N-19" 401 with("serial", "7E6E5F4D3C2B1A0978685746352413020F1E2D3C");
    "N-20" 401 by("apiclient_key.pem", |merchant| merchant.serial_no.clone());
    "N-22" 401 by("apiclient_key.pem", |merchant| merchant.public_key_id.clone());
    "N-22" 401 by("platform_key.pem", |_| "0123456789ABCDEF0123456789ABCDEF01234567".to_owned());
    "N-23" 400 by("platform_key.pem", |merchant| merchant.public_key_id.to_lowercase());
    "N-23" 401 by("platform_key.pem", |merchant| merchant.public_key_id.replace("ID_", "ID_00"));
    "N-23" 400 with("serial", &"A".repeat(4096));
    "N-23" 400 with("serial", "../..");
    "N-24" 401 with("signature-type", "WECHATPAY2-SM2-WITH-SM3");
    "N-24" 401 with("signature-type", "none");
    "N-24" 401 with("signature-type", "HMAC-SHA256");
    "N-36" 401 stale_and("x-forwarded-for", "101.226.103.0");
    "N-49" 401 by("apiclient_key.pem", |_| "PUB_KEY_ID_0119000001092024010100000000000001".to_owned());
};

const TRANSPORT: &[Case] = cases! {
    "N-08" ERROR event(as_payload_1);
    "N-27" 401 posing("content-type", "application/xml", XML);
    "N-30" ERROR event(|event| encoded(event, "%%%not base64"));
    "N-31" 401 event(|event| event["body"] = Value::from(base64(event["body"].to_string().as_bytes())));
    "N-32" 400 event(|event| event["body"] = Value::Null);
    "N-32" 400 event(|event| put(event, "body", Value::Null));
    "N-32" 400 signed("");
    "N-33" 413 signed(vec![b' '; 64 * 1024 + 1]);
    "N-33" 413 damaged(|_| vec![b'x'; 6 << 20]);
    "N-34" 401 posing("content-encoding", "gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00");
    "N-35" 401 stale_and("x-padding", &"p".repeat(10 << 10));
    "N-35" ERROR event(|event| event["headers"]["x-odd"] = json!("a\u{1}b"));
};

const SIGNATURES: &[Case] = cases! {
    "N-39" 401 signature_bytes(&[0x5a; 256]);
    "N-40" 401 signature(|good| format!("WECHATPAY/SIGNTEST/{}", &good[..324]));
    "N-41" 401 signature_bytes(&[0x42; 256]);
    "N-42" 401 signature(|good| good.replace('+', "-").replace('/', "_"));
    "N-42" 401 signature(|good| good.trim_end_matches('=').to_owned());
    "N-42" 401 signature(|good| good + "=");
    "N-42" 401 signature(not_canonical);
    // A blank is no shape of a signature at all, so it is refused a step earlier.
    "N-42" 400 signature(|good| format!("{} {}", &good[..76], &good[76..]));
    "N-42" ERROR event(|event| folded(event, "\r\n"));
    "N-43" 401 signature(|good| base64(&unbase64(&good)[..255]));
    "N-43" 401 signature(|good| base64(&[&unbase64(&good)[..], &[0]].concat()));
    "N-43" 401 signature(|good| base64(&[&[0], &unbase64(&good)[..]].concat()));
    "N-43" 401 signature_bytes(&[1; 512]);
    "N-43" 401 signature_bytes(&[0; 256]);
    "N-43" 401 signature_bytes(&[0xff; 256]);
    "N-43" 401 signature_bytes(&[&[0; 255][..], &[1]].concat());
    "N-45" 401 damaged(|body| rewritten(&body, "\":", "\": "));
    "N-45" 401 damaged(|body| rewritten(&body, "encrypt-resource", "\\u0065ncrypt-resource"));
    "N-45" 401 damaged(|body| rewritten(&body, "TRANSACTION.SUCCESS", "TRANSACTION.SUCCES\\u0053"));
    "N-46" 401 damaged(|body| [&body[..], b"\n"].concat());
    "N-46" 401 damaged(|body| [&body[..], b" "].concat());
    "N-46" 401 damaged(|body| [b"\xef\xbb\xbf", &body[..]].concat());
    "N-46" 401 damaged(|body| body[..body.len() - 1].to_vec());
    "N-47" 401 signing(|now, body| lines(&[&now, NONCE, body], "\n", ""));
    "N-47" 401 signing(|now, body| lines(&[&now, NONCE, body], "\r\n", "\r\n"));
    "N-47" 401 signing(|now, body| lines(&[&format!("{now}000"), NONCE, body], "\n", "\n"));
    "N-47" 401 signing(|_, body| body.to_owned());
    "N-48" 401 in_scheme(&aws_lc_rs::signature::RSA_PKCS1_SHA512);
    "N-48" 401 in_scheme(&aws_lc_rs::signature::RSA_PSS_SHA256);
};

const ENVELOPES: &[Case] = cases! {
    "N-50" 500 unwrapped();
    "N-55" 500 signed("not JSON");
    "N-55" 500 rewritten(|text| text[..text.len() - 2].to_owned());
    "N-55" 500 rewritten(|text| text + "x");
    "N-55" 500 rewritten(|text| format!("\u{feff}{text}"));
    "N-56" 500 rewritten(|text| format!("[{text}]"));
    "N-56" 500 signed("\"text\"");
    "N-56" 500 signed("1");
    "N-56" 500 signed("null");
    "N-57" 500 rewritten(|text| text.replacen('{', "{\"event_type\":\"REFUND.SUCCESS\",", 1));
    "N-57" 500 rewritten(|text| text.replacen('{', "{\"resource\":{},", 1));
    "N-57" 500 rewritten(|text| text.replacen("\"nonce\":", "\"nonce\":\"\",\"nonce\":", 1));
    "N-59" 413 signed("[".repeat(1 << 20));
    "N-60" 500 enveloped("event_type", Value::Null);
    "N-60" 204 enveloped("event_type", json!(""));
    "N-60" 204 enveloped("event_type", json!("transaction.success"));
    "N-60" 204 enveloped("event_type", json!("TRANSACTION.SUCCESS "));
    "N-61" 204 enveloped("event_type", json!("TRANSACTION.PAYERROR"));
    "N-61" 204 enveloped("event_type", json!("SECURITY_ECHO.SUCCESS"));
    "N-62" 500 enveloped("resource_type", json!("plain-resource"));
    "N-62" 500 enveloped("resource_type", Value::Null);
    "N-63" 500 enveloped("resource.algorithm", json!("AEAD_AES_128_GCM"));
    "N-63" 500 enveloped("resource.algorithm", json!("none"));
    "N-63" 500 enveloped("resource.algorithm", json!("AEAD_SM4_GCM"));
    "N-63" 500 enveloped("resource.algorithm", json!("aead_aes_256_gcm"));
    "N-64" 500 enveloped("id", json!("a".repeat(65)));
    "N-64" 500 enveloped("id", json!(""));
    "N-64" 500 enveloped("id", json!("a#ORDER"));
    "N-64" 500 enveloped("id", json!("a\nb"));
    "N-64" 500 enveloped("id", json!(7));
    "N-66" 500 with_stray_byte();
};

const SEALS: &[Case] = cases! {
    "N-68" 500 enveloped("resource.nonce", json!(""));
    "N-68" 500 enveloped("resource.nonce", json!("fG1l57vn9BC"));
    "N-68" 500 enveloped("resource.nonce", json!("fG1l57vn9BCXX"));
    "N-68" 500 enveloped("resource.nonce", json!("fG1l57vn9BCXfG1l"));
    "N-69" 500 enveloped("resource.nonce", json!("微信支付微信支付微信支付"));
    "N-70" 500 sealed(|bytes| flipped(bytes, 1));
    "N-70" 500 sealed(|bytes| flipped(bytes, 16));
    "N-71" 500 sealed(|bytes| bytes[..bytes.len() - 4].to_vec());
    "N-71" 500 sealed(|bytes| bytes[..bytes.len() - 16].to_vec());
    "N-71" 500 sealed(|bytes| bytes[..15].to_vec());
    "N-71" 500 sealed(|_| Vec::new());
    "N-72" 500 sealed(|bytes| flipped(bytes, 100));
    "N-73" 500 enveloped("resource.associated_data", json!("refund"));
    "N-73" 500 enveloped("resource.associated_data", Value::Null);
    "N-73" 500 enveloped("resource.associated_data", json!("transaction-and-more"));
    "N-74" 500 rewritten(|text| text.replacen("\"ciphertext\":\"", "\"ciphertext\":\" ", 1));
    "N-74" 500 rewritten(|text| text.replacen("\"ciphertext\":\"", "\"ciphertext\":\"=", 1));
    "N-74" 500 enveloped("resource.ciphertext", json!("%%%"));
    "N-76" 500 sealed_under(|_| vec![0; 32]);
    "N-76" 500 sealed_under(|key| hexadecimal(&key[..16]));
    "N-76" 500 sealed_under(|key| key.iter().rev().copied().collect());
};

const CONTENTS: &[Case] = cases! {
    "N-78" 409 saying("mchid", json!("1900009999"));
    "N-78" 409 saying("mchid", Value::Null);
    "N-79" 409 saying("appid", json!("wx0000000000000000"));
    "N-79" 409 saying("appid", Value::Null);
    "N-80" 404 saying("out_trade_no", json!("nobody-0001"));
    "N-81" 404 saying("out_trade_no", json!("T1target-001"));
    "N-82" 409 saying("amount.total", json!(101));
    "N-82" 409 saying("amount.total", json!(99));
    "N-82" 409 saying("amount.total", json!(0));
    "N-82" 409 saying("amount.total", json!(-100));
    "N-82" 409 saying("amount.total", json!(9_007_199_254_740_992_i64));
    "N-82" 409 saying("amount.total", Value::Null);
    "N-82" 409 saying("amount", Value::Null);
    "N-82" 409 writing("amount.total", "null");
    "N-82" 500 writing("amount.total", "9223372036854775808");
    "N-82" 500 writing("amount.total", "100.0");
    "N-82" 500 writing("amount.total", "1e2");
    "N-82" 500 writing("amount.total", "\"100\"");
    "N-83" 409 saying("amount.currency", json!("USD"));
    "N-83" 409 saying("amount.currency", json!("cny"));
    "N-83" 409 saying("amount.currency", Value::Null);
    "N-84" 409 saying("amount.payer_total", json!(101));
    "N-84" 409 saying("amount.payer_total", json!(-1));
    "N-85" 204 saying("trade_state", json!("NOTPAY"));
    "N-85" 204 saying("trade_state", json!("CLOSED"));
    "N-85" 204 saying("trade_state", json!("REFUND"));
    "N-86" 204 saying("trade_state", json!("REVIEWING"));
    "N-87" 500 saying("transaction_id", Value::Null);
    "N-87" 500 saying("transaction_id", json!(""));
    "N-87" 500 saying("transaction_id", json!("4".repeat(33)));
    "N-94" 409 saying("sp_mchid", json!("1900009999"));
    "N-95" 204 combined();
    "N-55" 500 containing(b"not JSON");
    "N-56" 500 containing(b"[]");
    "N-57" 500 twice_inside("\"out_trade_no\":\"opener-001\"");
    "N-66" 500 containing(b"{\"out_trade_no\":\"\xff\"}");
};

/// Odd, and to be believed: each pays an order of its own.
const ACCEPTED: &[Case] = cases! {
    "N-06" 204 event(|event| names(event, str::to_uppercase));
    "N-06" 204 event(|event| names(event, |name| name.replace("wechatpay", "wEchatPay")));
    "N-12" 204 at(-290);
    "N-13" 204 at(290);
    "N-17" 204 nonce("n");
    "N-17" 204 nonce(&"~".repeat(128));
    "N-25" 204 also("x-http-method-override", "DELETE");
    "N-28" 204 also("content-type", "text/plain");
    "N-28" 204 also("content-type", "multipart/form-data; boundary=x");
    "N-28" 204 event(|event| put(event, "headers.content-type", Value::Null));
    "N-29" 204 also("content-type", "application/octet-stream");
    "N-29" 204 event(|event| encoded(event, &base64(event["body"].as_str().unwrap().as_bytes())));
    "N-35" 204 padded(90);
    "N-36" 204 also("x-forwarded-for", "203.0.113.7, 10.0.0.1");
    "N-58" 204 enveloped("tomorrow", json!({"list": [1, {"deep": [[[[]]]]}]}));
    "N-58" 204 rewritten(|text| text.replacen('{', &format!("{{\"deep\":{},", nested(25_000)), 1));
    "N-65" 204 enveloped("create_time", json!("yesterday"));
    "N-67" 204 rewritten(|text| text.replace("\"summary\":\"-\"", "\"summary\":\"\\ud800\\u0000\u{202e}\""));
    "N-84" 204 saying("amount.payer_total", json!(1));
    "N-84" 204 saying("amount.payer_total", json!(0));
    "N-88" 204 saying("trade_type", json!("MICROPAY"));
    "N-89" 204 saying("payer.openid", json!("oSomebodyElseCANARY000000000"));
    "N-89" 204 saying("payer", Value::Null);
    "N-90" 204 saying("success_time", json!("2099-01-01T00:00:00+08:00"));
    "N-90" 204 saying("success_time", json!("1970-01-01T00:00:00Z"));
    "N-90" 204 saying("success_time", json!("garbage"));
    "N-91" 204 saying("attach", json!("<script>alert(1)</script>' OR 1=1; %s%n {}"));
    "N-91" 204 saying("attach", json!("A".repeat(10 << 10)));
};

const REFUNDS: &[Case] = cases! {
    "N-92" 404 saying("out_refund_no", json!("nobody-r1"));
    "N-92" 409 saying("out_trade_no", json!("nobody-0001"));
    "N-92" 409 saying("out_trade_no", json!("refund-002"));
    "N-92" 409 saying("out_refund_no", json!("other-r1"));
    "N-92" 409 saying("amount.refund", json!(301));
    "N-92" 409 saying("amount.refund", json!(299));
    "N-92" 409 saying("amount.total", json!(300));
    "N-92" 409 saying("transaction_id", json!("4200000925202101284997799999"));
    "N-92" 409 saying("refund_status", json!("CLOSED"));
    "N-92" 409 saying("refund_status", json!("ABNORMAL"));
    "N-92" 409 saying("refund_status", json!("PROCESSING"));
    "N-92" 204 saying("refund_status", json!("REVIEWING"));
    "N-92" 204 saying("refund_status", json!("success"));
    "N-92" 500 saying("refund_status", Value::Null);
    "N-92" 500 saying("refund_id", json!(""));
    "N-92" 500 saying("refund_id", json!("a#b"));
    "N-78" 409 saying("mchid", json!("1900009999"));
    "N-94" 409 saying("mchid", Value::Null);
    "N-94" 409 saying("sp_mchid", json!("1900009999"));
    "N-82" 500 writing("amount.refund", "300.0");
    "N-82" 500 writing("amount.refund", "\"300\"");
    "N-82" 500 saying("amount.refund", json!(0));
    "N-82" 500 saying("amount.refund", json!(-300));
    "N-82" 500 saying("amount", Value::Null);
    "N-87" 500 saying("transaction_id", json!(""));
};

const XML: &[u8] = b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>\
    <xml>&e;</xml>";

#[tokio::test]
async fn nothing_without_a_signature_that_holds_reaches_the_table() {
    let (stack, content) = target().await;
    for cases in [HEADERS, TRANSPORT, SIGNATURES] {
        all_refused(&stack, "TRANSACTION.SUCCESS", &content, cases).await;
    }
    // N-44: a bit flipped anywhere in the body.
    let length = good(&stack, "N-44", 0, &content).body().len();
    let books = stack.books();
    let asked = calls(&stack).len();
    for place in (0..length).step_by(7) {
        let flipped = good(&stack, "N-44", place, &content).damaged(|mut body| {
            body[place] ^= 1;
            body
        });
        assert_eq!(send(&stack, flipped).await.unwrap().status, 401, "{place}");
    }
    assert_eq!(calls(&stack).len(), asked, "N-44 reached the table");
    assert_eq!(stack.books(), books);
    // Among all that, the real one is still believed.
    let real = good(&stack, "N-00", 0, &content).as_it_is();
    assert_eq!(send(&stack, real).await.unwrap().status, 204);
    assert_eq!(
        stack.order_item("target-001")["trade_state"]["S"],
        "SUCCESS"
    );
}

#[tokio::test]
async fn a_signed_notice_that_cannot_be_read_or_believed_changes_no_order() {
    let (stack, content) = target().await;
    for cases in [ENVELOPES, SEALS, CONTENTS] {
        all_refused(&stack, "TRANSACTION.SUCCESS", &content, cases).await;
    }
    // What contradicts the record is for a person: an alarm's metric, at the level of errors.
    let lines = stack.log_lines();
    let mismatches: Vec<&Value> = lines
        .iter()
        .filter(|line| line["money_mismatch"] == 1)
        .collect();
    let contradictions = CONTENTS.iter().filter(|(_, status, _)| *status == 409);
    assert_eq!(mismatches.len(), contradictions.count());
    assert!(mismatches.iter().all(|line| line["level"] == "ERROR"));
    assert!(
        mismatches
            .iter()
            .all(|line| line["contradiction"].is_string())
    );
    let unopened = lines
        .iter()
        .filter(|line| line["apiv3_key_mismatch"] == 1)
        .count();
    assert!(unopened >= SEALS.len(), "{unopened}");
    // So is what was taken and is not understood: WeChat Pay will not say it again.
    let parked = CONTENTS.iter().filter(|(id, ..)| is_unknown_state(id));
    assert_eq!(told_of_unknown_states(&stack), parked.count());
}

fn is_unknown_state(id: &str) -> bool {
    matches!(id, "N-85" | "N-86")
}

/// How many lines called a person for a state without meaning, naming the order.
fn told_of_unknown_states(stack: &TestStack) -> usize {
    let lines = stack.log_lines();
    let unknown = lines
        .iter()
        .filter(|line| line["notice"] == "unknown state");
    unknown
        .inspect(|line| {
            assert_eq!(line["needs_human"], 1, "{line}");
            assert_eq!(line["level"], "ERROR", "{line}");
            assert!(line["order.out_trade_no"].is_string(), "{line}");
            assert!(line["notice.state"].is_string(), "{line}");
        })
        .count()
}

#[tokio::test]
async fn what_is_odd_about_a_genuine_notice_does_not_lose_a_payment() {
    let (stack, _) = target().await;
    for (place, (id, status, make)) in ACCEPTED.iter().enumerate() {
        let number = format!("odd-{place:06}");
        stack.native(&number, 100).await;
        let mut content = payment_content(&stack, &number, 100);
        content["transaction_id"] = Value::from(format!("42000009252021012849977{place:05}"));
        let sent = make(&good(&stack, id, place, &content));
        let answer = send(&stack, sent).await.unwrap();
        assert_eq!(answer.status, *status, "{id} ({place}): {}", answer.body);
        let item = stack.order_item(&number);
        assert_eq!(
            watch::text(&item, "trade_state"),
            "SUCCESS",
            "{id} ({place})"
        );
        assert_eq!(watch::number(&item, "refundable"), 100, "{id} ({place})");
        assert!(item.get("attach").is_none(), "{id} ({place}): {item}");
    }
    assert_eq!(stack.evidence().len(), 0);
}

#[tokio::test]
async fn only_the_webhooks_own_address_and_method_reach_it() {
    let (stack, content) = target().await;
    let books = stack.books();
    let asked = calls(&stack).len();
    let headers: Vec<(String, String)> = {
        let body = good(&stack, "N-26", 0, &content).body();
        stack.signature_headers(&body, stack.now())
    };
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let body = good(&stack, "N-26", 0, &content).body();
    use reqwest::Method;
    for (method, path) in [
        (Method::GET, "/wechatpay/notify"),
        (Method::PUT, "/wechatpay/notify"),
        (Method::HEAD, "/wechatpay/notify"),
        (Method::OPTIONS, "/wechatpay/notify"),
        (Method::DELETE, "/wechatpay/notify"),
        (Method::POST, "/wechatpay/notify/"),
        (Method::POST, "//wechatpay/notify"),
        (Method::POST, "/wechatpay//notify"),
        (Method::POST, "/wechatpay/./notify/x"),
        (Method::POST, "/wechatpay/%6eotify"),
        (Method::POST, "/wechatpay%2fnotify"),
        (Method::POST, "/WECHATPAY/NOTIFY"),
        (Method::POST, "/wechatpay/notify?a=1"),
        (Method::POST, "/wechatpay/notify?out_trade_no=target-001"),
    ] {
        let answer = stack
            .send_bytes(method.clone(), path, None, &headers, Some(body.clone()))
            .await;
        assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
    }
    let large = stack.raw_notice(&[], vec![b'x'; (10 << 20) + 1]).await;
    assert_eq!(large.status, 413, "N-33: the gateway's own bound");
    assert_eq!(stack.books(), books);
    assert_eq!(calls(&stack).len(), asked);
}

#[tokio::test]
async fn a_storm_of_one_notice_is_one_payment() {
    let (stack, content) = target().await;
    let notice = |id: &str| {
        let mut envelope = good(&stack, id, 0, &content).envelope();
        envelope["id"] = json!(id);
        envelope.to_string().into_bytes()
    };
    // Twice at once is the normal case: two of WeChat Pay's servers each send one.
    let both = join_all([
        stack.signed_notice(notice("one")),
        stack.signed_notice(notice("one")),
    ]);
    assert!(both.await.iter().all(|answer| answer.status == 204));
    let settled = stack.books();
    let version = stack.order_item("target-001")["version"]["N"].clone();
    assert_eq!(version, "2", "placed and paid");
    let before = calls(&stack).len();
    for lane in 0..12 {
        // The same again, and the same fact under other ids: an id never decides what is new.
        let id = format!("other-{lane}");
        let storm =
            (0..25).map(|_| stack.signed_notice(notice(if lane % 2 == 0 { "one" } else { &id })));
        for answer in join_all(storm).await {
            assert_eq!((answer.status, answer.body), (204, Value::Null));
        }
    }
    assert_eq!(stack.books(), settled);
    let written: Vec<String> = calls(&stack)
        .split_off(before)
        .into_iter()
        .map(|call| call.operation)
        .filter(|operation| operation != "GetItem")
        .collect();
    assert!(
        written.is_empty(),
        "a repeat is read, not written: {written:?}"
    );
    assert_eq!(stack.evidence().len(), 0);
}

#[tokio::test]
async fn a_second_payment_of_one_order_is_for_a_person() {
    let (stack, content) = target().await;
    assert_eq!(
        stack.notice("TRANSACTION.SUCCESS", &content).await.status,
        204
    );
    // N-96: another transaction for the same order.
    all_refused(
        &stack,
        "TRANSACTION.SUCCESS",
        &content,
        cases! { "N-96" 409 saying("transaction_id", json!("4200000925202101284997799999")); },
    )
    .await;
    // N-87: a payment that is known under another order is found by the nightly bill, not here.
    let item = stack.order_item("target-001");
    assert_eq!(
        watch::text(&item, "transaction_id"),
        "4200000925202101284997714293"
    );
}

#[tokio::test]
async fn evidence_keeps_what_was_sealed_sealed() {
    let (stack, content) = target().await;
    let mut unknown = content.clone();
    unknown["out_trade_no"] = json!("nobody-0001");
    let first = stack.notice("TRANSACTION.SUCCESS", &unknown).await;
    assert_eq!((first.status, &first.body), (404, &constant(404)));
    let kept = stack.evidence();
    assert_eq!(kept.len(), 1);
    let evidence = &kept[0];
    assert_eq!(watch::text(evidence, "out_trade_no"), "nobody-0001");
    assert!(watch::text(evidence, "envelope").contains("ciphertext"));
    assert!(!evidence.to_string().contains("CANARY"), "{evidence}");
    let days =
        (watch::number(evidence, "expires_at") - watch::number(evidence, "received_at")) / 86_400;
    assert_eq!(days, 45);
    // WeChat Pay comes back with it for a day; one copy is kept.
    stack.notice("TRANSACTION.SUCCESS", &unknown).await;
    assert_eq!(stack.evidence(), kept);
    // What arrives before its order does (a table restored from yesterday) is accepted once it is there.
    stack.native("nobody-0001", 100).await;
    let retried = stack.notice("TRANSACTION.SUCCESS", &unknown).await;
    assert_eq!(retried.status, 204);
    assert_eq!(
        stack.order_item("nobody-0001")["trade_state"]["S"],
        "SUCCESS"
    );
}

#[tokio::test]
async fn notices_sealed_with_a_key_on_its_way_out_are_still_opened() {
    let stack = TestStack::start().await;
    stack.native("rotate-001", 100).await;
    let old = stack.apiv3_key();
    let rotated = json!({"apiv3_key": "0123456789abcdef0123456789ABCDEF", "also_accepted": [old]});
    stack.put_secret("Apiv3Secret", &rotated.to_string());
    let content = payment_content(&stack, "rotate-001", 100);
    assert_eq!(
        stack.notice("TRANSACTION.SUCCESS", &content).await.status,
        204
    );
    assert_eq!(
        stack.order_item("rotate-001")["trade_state"]["S"],
        "SUCCESS"
    );
    // Which key opened it is told: when no line says so any more, the old one may go.
    let lines = stack.log_lines();
    let told = lines.iter().find(|line| line["settled"] == "changed");
    assert_eq!(told.unwrap()["notice.key"], "other");
}

/// A 2xx is a promise: without the write it stands for, there is none.
#[tokio::test]
async fn no_notice_is_acknowledged_before_its_effect_is_in_the_table() {
    let (stack, content) = target().await;
    let failing = |operation: &'static str, fault: Fault| {
        stack
            .watch
            .set_fault(Some(std::sync::Arc::new(move |call: &AwsCall| {
                (call.caller == FUNCTION && call.operation == operation).then_some(fault)
            })));
    };
    let books = stack.books();
    for (operation, fault) in [
        ("UpdateItem", Fault::Fail),
        ("UpdateItem", Fault::Throttle),
        ("GetItem", Fault::Fail),
        ("GetItem", Fault::Throttle),
    ] {
        failing(operation, fault);
        let answer = stack.notice("TRANSACTION.SUCCESS", &content).await;
        assert_eq!(
            (answer.status, answer.body),
            (503, constant(503)),
            "{operation} {fault:?}"
        );
        assert_eq!(stack.books(), books);
    }
    // What would be refused or set aside is not answered so either while the evidence is not kept.
    failing("PutItem", Fault::Fail);
    for (event_type, content) in [
        ("COUPON.USE", content.clone()),
        (
            "TRANSACTION.SUCCESS",
            payment_content(&stack, "nobody-0001", 100),
        ),
        (
            "TRANSACTION.SUCCESS",
            payment_content(&stack, "target-001", 101),
        ),
        ("TRANSACTION.SUCCESS", json!([])),
    ] {
        let answer = stack.notice(event_type, &content).await;
        assert_eq!(
            (answer.status, answer.body),
            (503, constant(503)),
            "{event_type}"
        );
    }
    assert_eq!(stack.evidence().len(), 0);
    // Written, and then the connection broke: whatever was answered, it is one payment.
    failing("UpdateItem", Fault::LoseAnswer);
    let answer = stack.notice("TRANSACTION.SUCCESS", &content).await;
    assert!(matches!(answer.status, 204 | 503), "{answer:?}");
    stack.watch.set_fault(None);
    assert_eq!(
        stack.notice("TRANSACTION.SUCCESS", &content).await.status,
        204
    );
    let item = stack.order_item("target-001");
    assert_eq!(
        (
            watch::text(&item, "trade_state"),
            watch::number(&item, "version")
        ),
        ("SUCCESS", 2)
    );
}

#[tokio::test]
async fn without_its_keys_the_webhook_asks_wechat_pay_to_come_back() {
    let stack = TestStack::start().await;
    stack.native("cold-00001", 100).await;
    let content = payment_content(&stack, "cold-00001", 100);
    stack
        .watch
        .set_fault(Some(std::sync::Arc::new(|call: &AwsCall| {
            (call.operation == "GetSecretValue" && call.caller == FUNCTION).then_some(Fault::Fail)
        })));
    let cold = stack.notice("TRANSACTION.SUCCESS", &content).await;
    assert_eq!((cold.status, cold.body), (503, constant(503)));
    stack.watch.set_fault(None);
    let believed = async || {
        let answer = stack.notice("TRANSACTION.SUCCESS", &content).await;
        Value::from(answer.status)
    };
    stack.until(believed, |status| *status == 204).await;
}

/// A paid order of 1000 fen with a refund of 300 under way, which no bank ends by itself.
async fn refunding() -> (TestStack, Value) {
    let stack = TestStack::start().await;
    stack
        .control("knobs", json!({"refund_delay_s": null}))
        .await;
    stack.paid("refund-001", 1000).await;
    let asked = stack
        .refund("refund-001", "refund-r1", 300)
        .await
        .expect(202);
    assert_eq!(asked["status"], "PROCESSING");
    let order = stack.order("refund-001").await;
    (stack, order)
}

#[tokio::test]
async fn a_refunds_notice_is_believed_only_where_everything_fits() {
    let (stack, order) = refunding().await;
    // Another order that has a refund of its own: neither may be taken for the other.
    stack.paid("refund-002", 1000).await;
    stack
        .refund("refund-002", "other-r1", 300)
        .await
        .expect(202);
    let content = refund_content(&stack, &order, "refund-r1", 300, "SUCCESS");
    all_refused(&stack, "REFUND.SUCCESS", &content, REFUNDS).await;
    let parked = REFUNDS.iter().filter(|(_, status, _)| *status == 204);
    assert_eq!(told_of_unknown_states(&stack), parked.count());
    // And the true one, twice: one change.
    assert_eq!(stack.notice("REFUND.SUCCESS", &content).await.status, 204);
    let settled = stack.books();
    assert_eq!(stack.notice("REFUND.SUCCESS", &content).await.status, 204);
    assert_eq!(stack.books(), settled);
    let item = stack.item("ORDER#refund-001", "REFUND#refund-r1");
    assert_eq!(watch::text(&item, "status"), "SUCCESS");
    // N-54: the payment's notice, sent again after the refund.
    let mut payment = payment_content(&stack, "refund-001", 1000);
    payment["transaction_id"] = order["transaction_id"].clone();
    assert_eq!(
        stack.notice("TRANSACTION.SUCCESS", &payment).await.status,
        204
    );
    assert_eq!(stack.books(), settled);
    // CLOSED cannot follow SUCCESS.
    let closed = refund_content(&stack, &order, "refund-r1", 300, "CLOSED");
    all_refused(
        &stack,
        "REFUND.CLOSED",
        &closed,
        cases! { "N-93" 409 as_it_is(); },
    )
    .await;
    let ended = stack.order("refund-001").await;
    assert_eq!(
        (&ended["amount"]["refunded"], &ended["amount"]["refundable"]),
        (&json!(300), &json!(700))
    );
}

#[tokio::test]
async fn a_refund_closed_or_abnormal_by_notice_gives_back_what_it_should_and_once() {
    let (stack, order) = refunding().await;
    let refundable = async || stack.order("refund-001").await["amount"]["refundable"].clone();
    let abnormal = refund_content(&stack, &order, "refund-r1", 300, "ABNORMAL");
    assert_eq!(stack.notice("REFUND.ABNORMAL", &abnormal).await.status, 204);
    assert_eq!(refundable().await, 700, "abnormal stays reserved");
    let closed = refund_content(&stack, &order, "refund-r1", 300, "CLOSED");
    let storm = join_all((0..10).map(|_| stack.notice("REFUND.CLOSED", &closed))).await;
    assert!(
        storm
            .iter()
            .all(|answer| matches!(answer.status, 204 | 503)),
        "{storm:?}"
    );
    assert!(storm.iter().any(|answer| answer.status == 204));
    assert_eq!(refundable().await, 1000, "given back once");
    // N-93: a SUCCESS after it is for a person and moves nothing.
    let late = refund_content(&stack, &order, "refund-r1", 300, "SUCCESS");
    all_refused(
        &stack,
        "REFUND.SUCCESS",
        &late,
        cases! { "N-93" 409 as_it_is(); },
    )
    .await;
    assert_eq!(refundable().await, 1000);
}

#[tokio::test]
async fn a_refunds_notice_that_overtakes_the_refunds_answer_is_believed() {
    let stack = TestStack::start().await;
    stack.paid("early-0001", 500).await;
    let order = stack.order("early-0001").await;
    // WeChat Pay applied it and the answer was lost: the notice is the first thing heard of it.
    stack
        .fault("response_lost", json!({"count": 1, "operation": "refund"}))
        .await;
    let asked = stack
        .refund("early-0001", "early-r1", 200)
        .await
        .expect(202);
    assert_eq!(asked["status"], "RESERVED");
    let content = refund_content(&stack, &order, "early-r1", 200, "SUCCESS");
    assert_eq!(stack.notice("REFUND.SUCCESS", &content).await.status, 204);
    let item = stack.item("ORDER#early-0001", "REFUND#early-r1");
    assert_eq!(watch::text(&item, "status"), "SUCCESS");
}
