//! A notice that would be believed, and the ways to spoil it.

use data_encoding::HEXLOWER;
use local::aws::AwsCall;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::doors::Request;
use crate::harness::forge::{NONCE, SEALING_NONCE, envelope, seal};
use crate::harness::{Answer, TestStack, payment_content};

pub(super) const FUNCTION: &str = "NotifyCallbackFunction";

/// A notice that would be believed; cases change something about it.
pub(super) struct Good<'a> {
    pub(super) stack: &'a TestStack,
    /// The notice's id, the case's own, so that its evidence can be told.
    pub(super) id: String,
    pub(super) event_type: &'static str,
    pub(super) content: Value,
}

pub(super) type Headers = Vec<(String, String)>;

/// What is sent in the end.
pub(super) enum Sent {
    Http(Headers, Vec<u8>),
    /// An event of the gateway's, for what no HTTP client can be made to send.
    Event(Value),
}

pub(super) type Make = fn(&Good<'_>) -> Sent;

/// The catalogue's number, the status, and the change.
pub(super) type Case = (&'static str, u16, Make);

/// A function error, which the gateway turns into a 5xx: as good as a refusal, WeChat Pay comes back.
pub(super) const ERROR: u16 = 0;

impl Good<'_> {
    pub(super) fn body(&self) -> Vec<u8> {
        self.envelope().to_string().into_bytes()
    }

    pub(super) fn envelope(&self) -> Value {
        self.envelope_around(self.content.to_string().as_bytes())
    }

    pub(super) fn envelope_around(&self, content: &[u8]) -> Value {
        let key = self.stack.apiv3_key();
        let mut envelope = envelope(key.as_bytes(), self.event_type, content);
        envelope["id"] = Value::from(self.id.clone());
        envelope
    }

    pub(super) fn as_it_is(&self) -> Sent {
        self.signed(self.body())
    }

    /// A body with a signature that holds.
    pub(super) fn signed(&self, body: impl Into<Vec<u8>>) -> Sent {
        let body = body.into();
        let headers = self.stack.signature_headers(&body, self.stack.now());
        Sent::Http(headers, body)
    }

    /// Signed so many seconds from now.
    pub(super) fn at(&self, seconds: i64) -> Sent {
        let body = self.body();
        let at = self.stack.now() + seconds;
        Sent::Http(self.stack.signature_headers(&body, at), body)
    }

    pub(super) fn headers(&self, change: impl FnOnce(&mut Headers)) -> Sent {
        let body = self.body();
        let mut headers = self.stack.signature_headers(&body, self.stack.now());
        change(&mut headers);
        Sent::Http(headers, body)
    }

    pub(super) fn without(&self, name: &str) -> Sent {
        self.headers(|headers| headers.retain(|(known, _)| known != &full(name)))
    }

    pub(super) fn with(&self, name: &str, value: &str) -> Sent {
        self.headers(|headers| set(headers, name, value.to_owned()))
    }

    /// A header that is no part of the signature.
    pub(super) fn also(&self, name: &str, value: &str) -> Sent {
        self.headers(|headers| headers.push((name.to_owned(), value.to_owned())))
    }

    pub(super) fn padded(&self, count: usize) -> Sent {
        let padding = |place| (format!("x-padding-{place}"), "p".repeat(80));
        self.headers(|headers| headers.extend((0..count).map(padding)))
    }

    /// Signed too long ago, with a header that is to make up for it.
    pub(super) fn stale_and(&self, name: &str, value: &str) -> Sent {
        let body = self.body();
        let mut headers = self.stack.signature_headers(&body, self.stack.now() - 400);
        headers.push((name.to_owned(), value.to_owned()));
        Sent::Http(headers, body)
    }

    /// Another body behind the signature, and a header that says what it is.
    pub(super) fn posing(&self, name: &str, value: &str, body: &[u8]) -> Sent {
        let mut headers = self.stack.signature_headers(&self.body(), self.stack.now());
        headers.push((name.to_owned(), value.to_owned()));
        Sent::Http(headers, body.to_vec())
    }

    /// The header twice: once as it is, once with this value (`None`: the same again).
    pub(super) fn twice(&self, name: &str, value: Option<&str>, good_first: bool) -> Sent {
        self.headers(|headers| {
            let known = |(known, _): &(String, String)| known == &full(name);
            let place = headers.iter().position(known).unwrap();
            let value = value.map_or_else(|| headers[place].1.clone(), str::to_owned);
            headers.insert(place + usize::from(good_first), (full(name), value));
        })
    }

    /// The signature replaced by what is made of it.
    pub(super) fn signature(&self, change: fn(String) -> String) -> Sent {
        self.headers(|headers| {
            let good = value_of(headers, "signature");
            let changed = change(good.clone());
            assert_ne!(changed, good);
            set(headers, "signature", changed);
        })
    }

    pub(super) fn signature_bytes(&self, bytes: &[u8]) -> Sent {
        self.with("signature", &base64(bytes))
    }

    /// A signature over another message, made of the time and the body.
    pub(super) fn signing(&self, message: fn(String, &str) -> String) -> Sent {
        let (body, now) = (self.body(), self.stack.now());
        let text = message(now.to_string(), std::str::from_utf8(&body).unwrap());
        let signature = self.stack.platform_signature(text.as_bytes());
        Sent::Http(self.stack.headers_with(now, signature), body)
    }

    /// A signature by the platform's key in another scheme.
    pub(super) fn in_scheme(&self, scheme: &'static dyn aws_lc_rs::signature::RsaEncoding) -> Sent {
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
    pub(super) fn nonced(&self, nonce: &str) -> (Headers, Vec<u8>) {
        let (body, now) = (self.body(), self.stack.now());
        let signature = self.stack.platform_signature(&message(now, nonce, &body));
        let mut headers = self.stack.headers_with(now, signature);
        set(&mut headers, "nonce", nonce.to_owned());
        (headers, body)
    }

    pub(super) fn nonce(&self, nonce: &str) -> Sent {
        let (headers, body) = self.nonced(nonce);
        Sent::Http(headers, body)
    }

    pub(super) fn event_nonce(&self, nonce: &str) -> Sent {
        let (headers, body) = self.nonced(nonce);
        Sent::Event(gateway_event(&headers, &body))
    }

    /// A notice once signed as (time, nonce, body), its boundary moved into the nonce.
    pub(super) fn with_its_boundary_moved(&self) -> Sent {
        let (headers, body) = self.nonced(NONCE);
        let (moved, rest) = body.split_at(body.len() / 2);
        let mut event = gateway_event(&headers, rest);
        let nonce = format!("{NONCE}\n{}", std::str::from_utf8(moved).unwrap());
        event["headers"][full("nonce")] = Value::from(nonce);
        Sent::Event(event)
    }

    /// Signed by the key in this file of the simulator's, under this serial.
    pub(super) fn by(&self, file: &str, serial: fn(&simulator::MerchantFile) -> String) -> Sent {
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
    pub(super) fn damaged(&self, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Sent {
        let body = self.body();
        let headers = self.stack.signature_headers(&body, self.stack.now());
        let changed = change(body.clone());
        assert_ne!(changed, body);
        Sent::Http(headers, changed)
    }

    /// The envelope's text changed before it is signed.
    pub(super) fn rewritten(&self, change: fn(String) -> String) -> Sent {
        let text = self.envelope().to_string();
        let changed = change(text.clone());
        assert_ne!(changed, text);
        self.signed(changed)
    }

    /// A member of the envelope replaced, or left out where it is null.
    pub(super) fn enveloped(&self, path: &str, value: Value) -> Sent {
        let mut envelope = self.envelope();
        put(&mut envelope, path, value);
        self.signed(envelope.to_string())
    }

    /// Not in an envelope at all, as WeChat Pay's answers are signed.
    pub(super) fn unwrapped(&self) -> Sent {
        self.signed(self.content.to_string())
    }

    pub(super) fn with_stray_byte(&self) -> Sent {
        let mut body = self.body();
        let place = body.iter().position(|byte| *byte == b'-').unwrap();
        body[place] = 0xff;
        self.signed(body)
    }

    /// The sealed bytes changed before the envelope is signed.
    pub(super) fn sealed(&self, change: fn(Vec<u8>) -> Vec<u8>) -> Sent {
        let envelope = self.envelope();
        let text = envelope["resource"]["ciphertext"].as_str().unwrap();
        let changed = base64(&change(unbase64(text)));
        self.enveloped("resource.ciphertext", Value::from(changed))
    }

    /// Sealed under another key, made of the right one.
    pub(super) fn sealed_under(&self, key: fn(&[u8]) -> Vec<u8>) -> Sent {
        let key = key(self.stack.apiv3_key().as_bytes());
        let content = self.content.to_string();
        let text = seal(&key, SEALING_NONCE, b"transaction", content.as_bytes());
        self.enveloped("resource.ciphertext", Value::from(text))
    }

    /// The text sealed in it replaced.
    pub(super) fn containing(&self, content: &[u8]) -> Sent {
        self.signed(self.envelope_around(content).to_string())
    }

    /// A member of what is sealed replaced, or left out where it is null.
    pub(super) fn saying(&self, path: &str, value: Value) -> Sent {
        let mut content = self.content.clone();
        put(&mut content, path, value);
        self.containing(content.to_string().as_bytes())
    }

    /// A member of what is sealed written in this very way.
    pub(super) fn writing(&self, path: &str, raw: &str) -> Sent {
        let mut content = self.content.clone();
        put(&mut content, path, json!("RAW"));
        let text = content.to_string().replace("\"RAW\"", raw);
        self.containing(text.as_bytes())
    }

    /// A member of what is sealed there a second time.
    pub(super) fn twice_inside(&self, member: &str) -> Sent {
        let text = self.content.to_string();
        self.containing(text.replacen('{', &format!("{{{member},"), 1).as_bytes())
    }

    /// An order of several merchants.
    pub(super) fn combined(&self) -> Sent {
        let content = json!({"combine_out_trade_no": "C1", "sub_orders": [self.content]});
        self.containing(content.to_string().as_bytes())
    }

    /// As the gateway's event, headers and body changed at will.
    pub(super) fn event(&self, change: fn(&mut Value)) -> Sent {
        let body = self.body();
        let headers = self.stack.signature_headers(&body, self.stack.now());
        let mut event = gateway_event(&headers, &body);
        change(&mut event);
        Sent::Event(event)
    }

    pub(super) fn event_header(&self, name: &str, value: &str) -> Sent {
        let body = self.body();
        let headers = self.stack.signature_headers(&body, self.stack.now());
        let mut event = gateway_event(&headers, &body);
        event["headers"][full(name)] = Value::from(value);
        Sent::Event(event)
    }
}

pub(super) fn full(name: &str) -> String {
    format!("wechatpay-{name}")
}

pub(super) fn set(headers: &mut Headers, name: &str, value: String) {
    headers.retain(|(known, _)| known != &full(name));
    headers.push((full(name), value));
}

pub(super) fn value_of(headers: &Headers, name: &str) -> String {
    let found = headers.iter().find(|(known, _)| known == &full(name));
    found.unwrap().1.clone()
}

pub(super) fn message(timestamp: i64, nonce: &str, body: &[u8]) -> Vec<u8> {
    let mut message = format!("{timestamp}\n{nonce}\n").into_bytes();
    message.extend_from_slice(body);
    message.push(b'\n');
    message
}

pub(super) fn lines(lines: &[&str], between: &str, end: &str) -> String {
    format!("{}{end}", lines.join(between))
}

/// Sets the member at this dotted path; null removes it.
pub(super) fn put(value: &mut Value, path: &str, new: Value) {
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

pub(super) fn rewritten(body: &[u8], old: &str, new: &str) -> Vec<u8> {
    let text = std::str::from_utf8(body).unwrap();
    text.replacen(old, new, 1).into_bytes()
}

/// The bytes with a bit of one changed, counted from the end.
pub(super) fn flipped(mut bytes: Vec<u8>, from_end: usize) -> Vec<u8> {
    let place = bytes.len() - from_end;
    bytes[place] ^= 1;
    bytes
}

pub(super) fn nested(depth: usize) -> String {
    "[".repeat(depth) + &"]".repeat(depth)
}

pub(super) fn hexadecimal(bytes: &[u8]) -> Vec<u8> {
    HEXLOWER.encode(bytes).into_bytes()
}

/// The unused bits of the signature's last symbol set.
pub(super) fn not_canonical(good: String) -> String {
    let symbols = good.trim_end_matches('=');
    let (rest, last) = symbols.split_at(symbols.len() - 1);
    // A, Q, g and w are what the last bits can end in; the next letter means the same bytes.
    let last = last.as_bytes()[0];
    assert!(matches!(last, b'A' | b'Q' | b'g' | b'w'), "{good}");
    format!("{rest}{}==", char::from(last + 1))
}

/// The event's signature with something between its lines.
pub(super) fn folded(event: &mut Value, between: &str) {
    let name = full("signature");
    let value = event["headers"][&name].as_str().unwrap().to_owned();
    event["headers"][&name] = json!(format!("{}{between}{}", &value[..76], &value[76..]));
}

/// The event's body said to be in base64.
pub(super) fn encoded(event: &mut Value, body: &str) {
    event["isBase64Encoded"] = json!(true);
    event["body"] = json!(body);
}

/// The event's headers under other names.
pub(super) fn names(event: &mut Value, change: fn(&str) -> String) {
    let headers = event["headers"].as_object().unwrap();
    let renamed = headers
        .iter()
        .map(|(name, value)| (change(name), value.clone()));
    event["headers"] = Value::Object(renamed.collect());
}

pub(super) fn gateway_event(headers: &Headers, body: &[u8]) -> Value {
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
pub(super) fn as_payload_1(event: &mut Value) {
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

pub(super) fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

pub(super) fn unbase64(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap()
}

/// The one body that goes with each status.
pub(super) fn constant(status: u16) -> Value {
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

/// Where an attack goes in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Door {
    /// Over HTTP, through the local gateway.
    Http,
    /// In process, as the event that API Gateway makes of it.
    Process,
}

/// Sends it over HTTP, or in process where no HTTP client can be made to send it.
pub(super) async fn send(stack: &TestStack, sent: Sent) -> Option<Answer> {
    match sent {
        Sent::Http(headers, body) => Some(stack.raw_notice(&headers, body).await),
        Sent::Event(event) => stack.event(FUNCTION, event).await.ok(),
    }
}

/// Hands it to the function, as the event that API Gateway makes of it.
pub(super) async fn hand_over(stack: &TestStack, sent: Sent) -> Option<Answer> {
    match sent {
        Sent::Http(headers, body) => {
            let mut request = Request::new(Method::POST, "/wechatpay/notify").body(body);
            request.headers = headers;
            stack.in_process(&request).await
        }
        Sent::Event(event) => stack.event(FUNCTION, event).await.ok(),
    }
}

pub(super) fn good<'a>(stack: &'a TestStack, id: &str, place: usize, content: &Value) -> Good<'a> {
    Good {
        stack,
        id: format!("{id}-{place}"),
        event_type: "TRANSACTION.SUCCESS",
        content: content.clone(),
    }
}

/// What the webhook asked the table and the secrets for.
pub(super) fn calls(stack: &TestStack) -> Vec<AwsCall> {
    let mut calls = stack.watch.calls();
    calls.retain(|call| call.caller == FUNCTION);
    calls
}

/// Every case has to be refused or set aside at both doors, and change nothing but evidence.
pub(super) async fn all_refused(
    stack: &TestStack,
    event_type: &'static str,
    content: &Value,
    cases: &[Case],
) {
    let mut wrong = Vec::new();
    let (books, mut kept) = (stack.books(), stack.evidence().len());
    for (place, case) in cases.iter().enumerate() {
        let mut good = good(stack, case.0, place, content);
        good.event_type = event_type;
        for door in [Door::Http, Door::Process] {
            // Evidence is kept once for each notice, so that each door has one of its own.
            good.id = format!("{}-{place}-{door:?}", case.0);
            let mut faults = refused_at(stack, &good, case, door).await;
            if stack.books() != books {
                faults.push("an order or refund changed".to_owned());
            }
            let before = std::mem::replace(&mut kept, stack.evidence().len());
            let unsigned = matches!(case.1, ERROR | 400 | 401 | 413);
            match (kept - before, unsigned, door) {
                (0, true, _) | (1, false, _) => {}
                // Of a body without an id that can be read the second copy is known by its bytes.
                (0, false, Door::Process) => {}
                (count, ..) => faults.push(format!("{count} pieces of evidence were kept")),
            }
            let named = |fault: &String| format!("{} ({place}), {door:?}: {fault}", case.0);
            wrong.extend(faults.iter().map(named));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with how a case is refused at this door.
async fn refused_at(
    stack: &TestStack,
    good: &Good<'_>,
    (_, status, make): &Case,
    door: Door,
) -> Vec<String> {
    let mark = stack.mark();
    let sent = make(good);
    let answer = match door {
        Door::Http => send(stack, sent).await,
        Door::Process => hand_over(stack, sent).await,
    };
    let told = answer
        .map(|answer| (answer.status, answer.body))
        .unwrap_or((ERROR, Value::Null));
    let seen = stack.seen_since(mark);
    let mut wrong = Vec::new();
    let mut check = |holds: bool, what: String| {
        if !holds {
            wrong.push(format!("{what}, answered {told:?}"));
        }
    };
    check(told.0 == *status, format!("{status} was expected"));
    check(told.1 == constant(told.0), "another body".to_owned());
    check(seen.panics.is_empty(), format!("{:?}", seen.panics));
    check(seen.asked == 0, "WeChat Pay was asked".to_owned());
    if matches!(*status, ERROR | 400 | 401 | 413) {
        check(
            seen.calls == 0,
            "the table or a secret was reached".to_owned(),
        );
    } else {
        // The evidence alone is written.
        check(
            seen.writes == ["PutItem"],
            format!("it wrote {:?}", seen.writes),
        );
    }
    wrong
}

/// A stack with an unpaid order of 100 fen, the webhook's keys read.
pub(super) async fn target() -> (TestStack, Value) {
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

pub(super) use cases;
