//! What callers and Lambda send: events of the HTTP API, what stands in paths and bodies, records of the
//! table's stream.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambda_runtime::Context;
use serde_json::{Value, json};
use shared::api::{Caller, Event, Incoming, derived_ids};
use shared::clock::Clock;
use shared::domain::{FEN_MAX, Openid, OrderRequest, Timestamp};
use shared::store::Change;
use shared::wechatpay::{SignatureHeaders, verify};

use super::keys::{UNUSED_PLATFORM, now};

/// How large a body may be.
const BODY_MAX: usize = 64 * 1024;

const OPENID: &str = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o";

fn incoming(event: &[u8]) -> Option<Incoming> {
    let event: Event = serde_json::from_slice(event).ok()?;
    let request = event.into_request(Context::default()).ok()?;
    Incoming::read(request, &Clock::system()).ok()
}

fn is_number(text: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    lengths.contains(&text.len()) && text.bytes().all(plain)
}

/// What must hold of a request, whatever it is.
fn check(incoming: &Incoming) {
    assert!(incoming.body.len() <= BODY_MAX);
    if let Ok(id) = incoming.order_id() {
        assert!(is_number(id.as_str(), 6..=32));
        assert_eq!(id.as_str(), incoming.path_parameter("out_trade_no"));
    }
    if let Ok(id) = incoming.refund_id() {
        assert!(is_number(id.as_str(), 1..=64));
        assert_eq!(id.as_str(), incoming.path_parameter("out_refund_no"));
    }
    if let Ok(Some(key)) = derived_ids::idempotency_key(incoming) {
        assert!(is_number(key, 16..=64));
    }
    if let Ok([token, date]) = incoming.query(["next_token", "date"]) {
        assert!(token.is_none_or(|text| text.len() <= 1 << 20));
        assert!(date.is_none_or(|text| text.len() <= 1 << 20));
    }
    if let Ok(headers) = SignatureHeaders::parse(|name| incoming.header(name)) {
        let at = incoming.header("wechatpay-timestamp").unwrap();
        let at = Timestamp::from_unix_seconds(at.parse().unwrap());
        for moment in [now(), at] {
            let verified = verify(&UNUSED_PLATFORM, &headers, incoming.body.as_slice(), moment);
            assert!(verified.is_err(), "a forged signature is believed");
        }
    }
}

/// An event, as Lambda hands it over.
pub fn event(bytes: &[u8]) {
    if let Some(incoming) = incoming(bytes) {
        check(&incoming);
    }
}

/// An event around a body.
fn with_body(body: &[u8], more: &Value) -> Incoming {
    let mut event = json!({
        "version": "2.0", "routeKey": "POST /orders", "rawPath": "/orders", "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {"http": {"method": "POST", "path": "/orders", "protocol": "HTTP/1.1",
            "sourceIp": "192.0.2.7", "userAgent": "-"}, "requestId": "fuzz", "stage": "$default",
            "routeKey": "POST /orders", "timeEpoch": 0},
        "body": STANDARD.encode(body), "isBase64Encoded": true,
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        event[name] = value.clone();
    }
    incoming(event.to_string().as_bytes()).unwrap()
}

/// Three lines: what the path holds for the two numbers, and the query.
pub fn path(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default().to_owned();
    let (order, refund, query) = (line(), line(), line());
    let more = json!({
        "pathParameters": {"out_trade_no": order, "out_refund_no": refund},
        "rawQueryString": query,
    });
    let incoming = with_body(b"", &more);
    assert_eq!(incoming.path_parameter("out_trade_no"), order);
    assert_eq!(incoming.order_id().is_ok(), is_number(&order, 6..=32));
    assert_eq!(incoming.refund_id().is_ok(), is_number(&refund, 1..=64));
    check(&incoming);
    // A parameter that the route does not know is refused, wherever it stands.
    assert_eq!(
        incoming.query([]).is_ok(),
        query.split('&').all(str::is_empty)
    );
}

/// The body of an order, as a payer and as the merchant.
pub fn order_body(bytes: &[u8]) {
    if bytes.len() > BODY_MAX {
        return;
    }
    let incoming = with_body(bytes, &Value::Null);
    let content: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let openid = Openid::parse(OPENID).unwrap();
    let payer = Caller::Payer { openid };
    match create_order::read_body(&payer, &incoming) {
        Ok(OrderRequest::Payer(asked)) => {
            assert_eq!(asked.openid.as_str(), OPENID);
            // A payer says what and how many, and nothing that decides a price.
            let known = ["trade_type", "items", "attach"];
            for (name, value) in content.as_object().unwrap() {
                assert!(
                    known.contains(&name.as_str()) || value.is_null(),
                    "{name} is taken"
                );
            }
            assert!((1..=50).contains(&asked.items.len()));
            for (item, sent) in asked.items.iter().zip(content["items"].as_array().unwrap()) {
                assert!((1..=9_999).contains(&item.quantity));
                assert_eq!(sent["quantity"], item.quantity);
                assert_eq!(sent["sku"], item.sku);
                assert_eq!(sent.as_object().unwrap().len(), 2);
            }
        }
        Ok(OrderRequest::Merchant(asked)) => panic!("a payer asks as the merchant: {asked:?}"),
        Err(_) => {}
    }
    match create_order::read_body(&Caller::Merchant, &incoming) {
        Ok(OrderRequest::Merchant(asked)) => {
            assert_eq!(content["amount"]["total"], asked.total.get());
            assert!((1..=i64::from(FEN_MAX)).contains(&asked.total.get()));
            assert!(is_number(asked.order_id.as_str(), 6..=32));
            assert!(!asked.description.is_empty() && asked.description.len() <= 127);
            assert!(content["items"].is_null());
        }
        Ok(OrderRequest::Payer(asked)) => panic!("the merchant asks as a payer: {asked:?}"),
        Err(_) => {}
    }
}

/// The body of a refund.
pub fn refund_body(bytes: &[u8]) {
    if bytes.len() > BODY_MAX {
        return;
    }
    let Ok(asked) = refund::RefundRequest::read(&with_body(bytes, &Value::Null)) else {
        return;
    };
    let content: Value = serde_json::from_slice(bytes).unwrap();
    assert_eq!(content["amount"]["refund"], asked.amount.get());
    assert!((1..=i64::from(FEN_MAX)).contains(&asked.amount.get()));
    if let Some(reason) = &asked.reason {
        assert!((1..=80).contains(&reason.len()));
        assert!(!reason.chars().any(char::is_control));
    }
    if let Some(id) = &asked.refund_id {
        assert!(is_number(id.as_str(), 1..=64));
    }
    let known = ["amount", "reason", "out_refund_no"];
    let names = content.as_object().unwrap().keys();
    assert!(names.clone().all(|name| known.contains(&name.as_str())));
}

/// The body of an application for an abnormal refund: what it holds of a person is never repeated.
pub fn application_body(bytes: &[u8]) {
    if bytes.len() > BODY_MAX {
        return;
    }
    let incoming = with_body(bytes, &Value::Null);
    let content: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let told = match refund::read_application(&incoming) {
        Ok(application) => format!("{application:?}"),
        Err(problem) => format!("{problem:?}"),
    };
    for name in ["bank_account", "real_name"] {
        // Digits and names, which no sentence of ours has.
        let is_personal = |text: &&str| {
            text.len() > 12
                && text
                    .chars()
                    .all(|it| it.is_ascii_digit() || it.is_alphabetic() && !it.is_ascii())
        };
        if let Some(text) = content[name].as_str().filter(is_personal) {
            assert!(!told.contains(text), "{name} is told: {told}");
        }
    }
}

/// A record of the table's stream, as Lambda hands it over.
pub fn stream_record(bytes: &[u8]) {
    let Ok(record) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    let Ok(Some(change)) = Change::read(&record) else {
        return;
    };
    let image = &record["dynamodb"]["NewImage"];
    let reached: u64 = image["version"]["N"].as_str().unwrap().parse().unwrap();
    let mut last = change.version_before;
    for event in change.item.events_since(change.version_before) {
        assert!(
            event.version > last && event.version <= reached,
            "{event:?}"
        );
        last = event.version;
    }
}
