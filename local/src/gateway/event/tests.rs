//! The event, member by member.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;

use axum::http::{Request, Uri};
use serde_json::{Map, Value, json};

use super::{Called, clf_time, decoded_path, of};

const NOW_MS: i64 = 1_795_598_052_333;

fn event(
    uri: &str,
    headers: &[(&str, &[u8])],
    body: &[u8],
    parameters: Map<String, Value>,
) -> Value {
    let mut request = Request::builder().method("POST").uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let path = decoded_path(&parts.uri);
    of(&Called {
        route_key: "POST /orders/{out_trade_no}/close",
        path: &path,
        parameters,
        parts: &parts,
        source: SocketAddr::from(([127, 0, 0, 1], 50_000)),
        body,
        domain_name: "127.0.0.1:3000",
        now_ms: NOW_MS,
    })
}

#[test]
fn an_event_has_every_member_that_aws_documents() {
    let headers: &[(&str, &[u8])] = &[
        ("Host", b"127.0.0.1:3000"),
        ("User-Agent", b"curl/8.14.1"),
        ("Content-Type", b"application/json"),
        ("X-Twice", b"one"),
        ("x-twice", b"two, three"),
        ("Cookie", b"a=1; b=2"),
        ("Cookie", b"c=3"),
        ("X-Forwarded-For", b"203.0.113.24"),
    ];
    let parameters = json!({"out_trade_no": "f4-1234"});
    let parameters = parameters.as_object().unwrap().clone();
    let uri = "/orders/f4%2D1234/close?a=1&b=x%20y+z&a=2&c";
    let mut event = event(uri, headers, b"{}", parameters);
    let request_id = event["requestContext"]["requestId"].take();
    assert!(request_id.as_str().unwrap().len() > 10);
    let trace = event["headers"]["x-amzn-trace-id"].take();
    let trace = trace.as_str().unwrap();
    assert!(trace.starts_with("Root=1-6b06a6e4-"), "{trace}");
    assert_eq!(trace.len(), "Root=1-6b06a6e4-".len() + 24);
    let wanted = json!({
        "version": "2.0",
        "routeKey": "POST /orders/{out_trade_no}/close",
        "rawPath": "/orders/f4-1234/close",
        "rawQueryString": "a=1&b=x%20y+z&a=2&c",
        "cookies": ["a=1", "b=2", "c=3"],
        "headers": {
            "host": "127.0.0.1:3000",
            "user-agent": "curl/8.14.1",
            "content-type": "application/json",
            "x-twice": "one,two, three",
            "x-forwarded-for": "203.0.113.24, 127.0.0.1",
            "x-forwarded-port": "3000",
            "x-forwarded-proto": "http",
            "x-amzn-trace-id": null,
        },
        "queryStringParameters": {"a": "1,2", "b": "x y z", "c": ""},
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": "127.0.0.1:3000",
            "domainPrefix": "local",
            "http": {
                "method": "POST",
                "path": "/orders/f4-1234/close",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "curl/8.14.1",
            },
            "requestId": null,
            "routeKey": "POST /orders/{out_trade_no}/close",
            "stage": "$default",
            "time": "25/Nov/2026:09:14:12 +0000",
            "timeEpoch": NOW_MS,
        },
        "body": "{}",
        "pathParameters": {"out_trade_no": "f4-1234"},
        "isBase64Encoded": false,
    });
    assert_eq!(event, wanted);
}

#[test]
fn what_there_is_not_is_left_out() {
    let event = event("/orders", &[], b"", Map::new());
    for member in [
        "cookies",
        "queryStringParameters",
        "pathParameters",
        "body",
        "stageVariables",
    ] {
        assert_eq!(event.get(member), None, "{member}");
    }
    assert_eq!(event["rawQueryString"], "");
    assert_eq!(event["isBase64Encoded"], false);
    assert_eq!(event["requestContext"]["http"]["userAgent"], "");
}

#[test]
fn a_path_is_decoded_once() {
    for (sent, path) in [
        ("/orders/f4-1234", "/orders/f4-1234"),
        ("/orders/f4%2D1234", "/orders/f4-1234"),
        ("/orders/f4%2d1234", "/orders/f4-1234"),
        ("/orders/f4%252D1234", "/orders/f4%2D1234"),
        ("/orders/a%2Fb", "/orders/a/b"),
        ("/orders/a%3Fb", "/orders/a"),
        ("/orders/a%23b", "/orders/a#b"),
        ("/orders/a+b", "/orders/a+b"),
        ("/orders/a%20b", "/orders/a b"),
        ("/orders/%E8%B7%AF", "/orders/路"),
        ("/orders/%ff", "/orders/\u{fffd}"),
        ("/orders/100%", "/orders/100%"),
        ("/orders/%zz", "/orders/%zz"),
    ] {
        assert_eq!(decoded_path(&sent.parse::<Uri>().unwrap()), path, "{sent}");
    }
}

#[test]
fn a_body_is_text_where_its_type_is_and_base64_elsewhere() {
    for (kind, body, text, encoded) in [
        (Some("application/json"), &b"{}"[..], "{}", false),
        (Some("Application/JSON; charset=utf-8"), b"{}", "{}", false),
        (Some("text/plain"), b"a", "a", false),
        (None, b"a", "a", false),
        (Some("application/xml"), b"a", "a", false),
        (Some("application/octet-stream"), b"a", "YQ==", true),
        (
            Some("application/x-www-form-urlencoded"),
            b"a=b",
            "YT1i",
            true,
        ),
        (Some("application/json"), b"\xff", "/w==", true),
    ] {
        let headers: Vec<(&str, &[u8])> = kind
            .iter()
            .map(|kind| ("content-type", kind.as_bytes()))
            .collect();
        let event = event("/orders", &headers, body, Map::new());
        let told = (event["body"].as_str(), event["isBase64Encoded"].as_bool());
        assert_eq!(told, (Some(text), Some(encoded)), "{kind:?}");
    }
}

#[test]
fn the_time_is_written_as_api_gateway_writes_it() {
    let event = include_str!("../../../../events/create-order.app.json");
    assert!(event.contains("\"timeEpoch\": 1795598052333"));
    let time = clf_time(NOW_MS);
    assert!(event.contains(&format!("\"time\": \"{time}\"")), "{time}");
}
