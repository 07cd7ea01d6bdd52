//! Whom the control port answers: no other web page, and on loopback no other name.

use std::net::{IpAddr, Ipv4Addr};

use reqwest::Method;
use serde_json::Value;

use crate::support::Bench;

/// Sends a control call with these headers and answers its status and code.
pub async fn call(
    bench: &Bench,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> (u16, String) {
    let url = format!("{}{path}", bench.simulator.control_url());
    let mut request = bench.client.http.request(method.clone(), url);
    if method != Method::GET {
        request = request.body("{}");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let cors = response.headers().get("access-control-allow-origin");
    assert!(cors.is_none(), "no other origin is ever allowed to read");
    let body = response.bytes().await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_page_of_another_origin_can_neither_call_nor_listen() {
    let bench = Bench::new().await;
    bench.order("ORDER-csrf", 1).await;
    let control = bench.simulator.control_url().to_owned();
    let port = control.rsplit(':').next().unwrap().to_owned();
    let writes = [
        (Method::POST, "/_sim/orders/ORDER-csrf/pay"),
        (Method::POST, "/_sim/orders/ORDER-csrf/cancel"),
        (Method::POST, "/_sim/refunds/none/complete"),
        (Method::POST, "/_sim/faults"),
        (Method::DELETE, "/_sim/faults"),
        (Method::POST, "/_sim/hostility"),
        (Method::POST, "/_sim/clock"),
        (Method::POST, "/_sim/knobs"),
        (Method::POST, "/_sim/merchants"),
        (Method::POST, "/_sim/codes"),
        (Method::OPTIONS, "/_sim/clock"),
    ];
    let reads = [
        (Method::GET, "/_sim/ledger"),
        (Method::GET, "/_sim/requests"),
        (Method::GET, "/_sim/events"),
        (Method::GET, "/"),
    ];
    let other_port = format!("http://127.0.0.1:{}", port.parse::<u16>().unwrap() ^ 1);
    let longer = format!("{control}.evil.example");
    for (method, path) in writes.iter().chain(&reads) {
        for origin in [
            "https://evil.example",
            other_port.as_str(),
            longer.as_str(),
            "null",
            "",
            "http://",
            "file://",
        ] {
            let (status, code) = call(&bench, method.clone(), path, &[("origin", origin)]).await;
            assert_eq!(
                (status, code.as_str()),
                (403, "FOREIGN_ORIGIN"),
                "{method} {path} from {origin:?}"
            );
        }
    }
    let own_and_foreign = [
        ("origin", control.as_str()),
        ("origin", "https://evil.example"),
    ];
    let pay = "/_sim/orders/ORDER-csrf/pay";
    assert_eq!(
        call(&bench, Method::POST, pay, &own_and_foreign).await.0,
        403
    );
    let row = bench.seen("/_sim/orders/ORDER-csrf").await;
    assert_eq!(row["trade_state"], "NOTPAY", "nothing of it had any effect");
    let own = [("origin", control.as_str())];
    assert_eq!(call(&bench, Method::POST, pay, &own).await.0, 200);
}

#[tokio::test]
async fn a_name_that_is_not_loopback_is_refused_on_loopback() {
    let bench = Bench::new().await;
    let port = bench.simulator.control_url().rsplit(':').next().unwrap();
    for host in [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1.evil.example:{port}",
        "localhost.evil.example",
        "notlocalhost",
        "0.0.0.0:{port}",
        "[::]:{port}",
        "192.168.1.7:{port}",
        "",
    ] {
        let host = host.replace("{port}", port);
        let origin = format!("http://{host}");
        let headers = [("host", host.as_str()), ("origin", origin.as_str())];
        for (method, path) in [
            (Method::POST, "/_sim/clock"),
            (Method::GET, "/_sim/ledger"),
            (Method::GET, "/"),
        ] {
            let (status, code) = call(&bench, method, path, &headers).await;
            assert_eq!((status, code.as_str()), (403, "FOREIGN_HOST"), "{host:?}");
        }
    }
    for host in [
        "localhost:{port}",
        "LOCALHOST",
        "localhost.:{port}",
        "pay.localhost:{port}",
        "127.0.0.1",
        "127.9.9.9:{port}",
        "[::1]:{port}",
    ] {
        let host = host.replace("{port}", port);
        let origin = format!("http://{host}");
        let headers = [("host", host.as_str()), ("origin", origin.as_str())];
        let (status, _) = call(&bench, Method::POST, "/_sim/codes", &headers).await;
        assert_eq!(status, 200, "{host}");
    }
}

#[tokio::test]
async fn beyond_loopback_any_host_is_served_but_no_other_origin() {
    let bench = Bench::with(|config| config.host = IpAddr::V4(Ipv4Addr::UNSPECIFIED)).await;
    let own = [
        ("host", "pay.test:8082"),
        ("origin", "http://pay.test:8082"),
    ];
    assert_eq!(call(&bench, Method::POST, "/_sim/codes", &own).await.0, 200);
    let foreign = [("host", "pay.test:8082"), ("origin", "http://evil.example")];
    assert_eq!(
        call(&bench, Method::POST, "/_sim/codes", &foreign).await,
        (403, "FOREIGN_ORIGIN".to_owned())
    );
}

#[tokio::test]
async fn routes_that_a_larger_stack_adds_are_guarded_too() {
    let bench = Bench::with(|config| {
        config.control_routes =
            axum::Router::new().route("/_more", axum::routing::post(|| async { "{}" }));
    })
    .await;
    assert_eq!(call(&bench, Method::POST, "/_more", &[]).await.0, 200);
    let foreign = [("origin", "https://evil.example")];
    assert_eq!(call(&bench, Method::POST, "/_more", &foreign).await.0, 403);
}
