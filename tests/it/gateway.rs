//! The local stack's own ports: API Gateway's manners, and who may use which port.

use reqwest::{Method, StatusCode};
use serde_json::json;
use shared::process::Process;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::harness::TestStack;

/// A connection on which several requests are made, one after the other.
struct Connection(BufReader<TcpStream>);

impl Connection {
    async fn to(stack: &TestStack) -> Self {
        Self::to_port(&stack.stack.api_url).await
    }

    async fn to_port(url: &str) -> Self {
        let authority = url.trim_start_matches("http://");
        Self(BufReader::new(TcpStream::connect(authority).await.unwrap()))
    }

    /// Sends a request and reads its answer: the status, the head in lower case, and the body.
    async fn send(&mut self, first: &str, headers: &str, body: &[u8]) -> (u16, String, String) {
        let head = format!(
            "{first} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {}\r\n{headers}\r\n",
            body.len()
        );
        self.0.write_all(head.as_bytes()).await.unwrap();
        self.0.write_all(body).await.unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = self.0.read_line(&mut head).await.unwrap();
            assert!(read > 0, "{first}: the connection is gone after {head:?}");
        }
        let head = head.to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        // What answers HEAD tells a length and has no body.
        if first.starts_with("HEAD ") {
            body.clear();
        }
        self.0.read_exact(&mut body).await.unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head, String::from_utf8(body).unwrap())
    }
}

#[tokio::test]
async fn a_connection_goes_on_after_any_answer_to_a_request_with_a_body() {
    let stack = TestStack::start().await;
    let credential = format!("authorization: Bearer {}\r\n", stack.merchant);
    let mut connection = Connection::to(&stack).await;
    let large = vec![b'x'; 300 * 1024];
    for (first, headers, body, status) in [
        ("PUT /nope", "", &large[..], 404),
        ("DELETE /orders/x", "", &large, 404),
        ("GET /", "accept: text/html\r\n", &large, 307),
        ("GET /console", "", &large, 200),
        ("GET /orders/nobody-01", credential.as_str(), &large, 413),
        ("GET /orders/nobody-01", credential.as_str(), b"", 404),
        ("POST /orders", "", &large, 401),
    ] {
        for _ in 0..5 {
            let (told, head, _) = connection.send(first, headers, body).await;
            // The gateway's own limit lies above the functions'.
            assert!(told == status || told == 413, "{first}: {told} {head}");
            assert!(!head.contains("connection: close"), "{first}: {head}");
        }
    }
}

/// Requests that the control port answers without a look at what they hold.
#[tokio::test]
async fn no_port_drops_a_connection_over_a_body_that_it_does_not_want() {
    let stack = TestStack::start().await;
    let small = vec![b'x'; 3 * 1024];
    let large = vec![b'x'; 300 * 1024];
    let foreign = "origin: https://example.com\r\n";
    for (url, first, headers, status) in [
        (stack.stack.simulator.control_url(), "PUT /nope", "", 404),
        (stack.stack.simulator.control_url(), "POST /nope", "", 404),
        (
            stack.stack.simulator.control_url(),
            "DELETE /orders/x",
            "",
            404,
        ),
        (
            stack.stack.simulator.control_url(),
            "PUT /_sim/clock",
            "",
            405,
        ),
        (
            stack.stack.simulator.control_url(),
            "GET /_sim/clock",
            "",
            200,
        ),
        (
            stack.stack.simulator.control_url(),
            "POST /_sim/clock",
            "",
            400,
        ),
        (
            stack.stack.simulator.control_url(),
            "POST /_sim/codes",
            foreign,
            403,
        ),
        (
            stack.stack.simulator.control_url(),
            "PUT /nope",
            foreign,
            403,
        ),
        (stack.stack.simulator.base_url(), "PUT /nope", "", 404),
        (stack.stack.simulator.base_url(), "POST /nope", "", 404),
        (&stack.stack.aws.url, "PUT /nope", "", 400),
        (&stack.stack.aws.url, "POST /", "", 400),
        (&stack.stack.api_url, "PUT /nope", "", 404),
    ] {
        let mut connection = Connection::to_port(url).await;
        for body in [&small, &large] {
            for _ in 0..25 {
                let (told, head, _) = connection.send(first, headers, body).await;
                assert_eq!(told, status, "{first} {headers}: {head}");
                assert!(!head.contains("connection: close"), "{first}: {head}");
            }
        }
    }
    // What is too large for a control call is read nevertheless, up to where that ends.
    let control = stack.stack.simulator.control_url();
    let mut connection = Connection::to_port(control).await;
    let too_large = vec![b'x'; 5 << 20];
    let (status, head, body) = connection.send("POST /_sim/clock", "", &too_large).await;
    assert_eq!((status, head.contains("connection: close")), (413, false));
    assert!(body.contains("TOO_LARGE"), "{body}");
    let endless = vec![b'x'; (64 << 20) + 1];
    let (status, head, _) = connection.send("PUT /nope", "", &endless).await;
    assert_eq!((status, head.contains("connection: close")), (413, true));
}

#[tokio::test]
async fn a_body_that_is_not_read_to_its_end_closes_its_connection_and_says_so() {
    let stack = TestStack::start().await;
    let mut connection = Connection::to(&stack).await;
    // Beyond API Gateway's limit, and read nevertheless.
    let too_large = vec![b'x'; 11 << 20];
    let (status, head, body) = connection.send("POST /orders", "", &too_large).await;
    assert_eq!((status, head.contains("connection: close")), (413, false));
    assert_eq!(body, r#"{"message":"Request Entity Too Large"}"#);
    let endless = vec![b'x'; (40 << 20) + 1];
    let (status, head, _) = connection.send("POST /orders", "", &endless).await;
    assert_eq!((status, head.contains("connection: close")), (413, true));
    let mut connection = Connection::to(&stack).await;
    let foreign = "origin: https://example.com\r\n";
    let (status, head, _) = connection.send("POST /orders", foreign, b"{}").await;
    assert_eq!((status, head.contains("connection: close")), (403, true));
}

#[tokio::test]
async fn a_browser_that_opens_the_apis_address_is_led_to_the_console() {
    let stack = TestStack::start().await;
    let mut connection = Connection::to(&stack).await;
    for (accept, status, location) in [
        (
            "accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n",
            307,
            true,
        ),
        ("accept: TEXT/HTML\r\n", 307, true),
        ("accept: application/json\r\n", 404, false),
        ("accept: */*\r\n", 404, false),
        ("", 404, false),
    ] {
        let (told, head, body) = connection.send("GET /", accept, b"").await;
        assert_eq!(told, status, "{accept}");
        assert_eq!(head.contains("location: /console\r\n"), location, "{head}");
        if !location {
            assert_eq!(body, r#"{"message":"Not Found"}"#);
        }
    }
    let (status, head, _) = connection.send("GET /console", "", b"").await;
    assert_eq!(
        (status, head.contains("content-type: text/html")),
        (200, true)
    );
    for first in ["HEAD /", "HEAD /console/", "GET /console/"] {
        let accept = "accept: text/html\r\n";
        let (status, head, _) = connection.send(first, accept, b"").await;
        let led = head.contains("location: /console\r\n");
        assert_eq!((status, led), (307, true), "{first}: {head}");
    }
    let (status, head, _) = connection.send("HEAD /console", "", b"").await;
    assert_eq!(
        (status, head.contains("content-type: text/html")),
        (200, true)
    );
    // Other methods have no page there.
    let (status, ..) = connection
        .send("POST /", "accept: text/html\r\n", b"")
        .await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn the_aws_port_says_what_it_is_to_whoever_does_not_speak_to_it() {
    let stack = TestStack::start().await;
    let mut connection = Connection::to_port(&stack.stack.aws.url).await;
    for (first, headers, body) in [
        ("GET /", "accept: text/html\r\n", &b""[..]),
        ("GET /console", "", b""),
        ("POST /", "", b"{}"),
        ("POST /", "x-amz-target: nonsense\r\n", b"{}"),
    ] {
        let (status, _, told) = connection.send(first, headers, body).await;
        assert_eq!(status, 400, "{first}");
        for part in [
            "DynamoDB",
            "Secrets Manager",
            "AWS_ENDPOINT_URL",
            "/console",
        ] {
            assert!(told.contains(part), "{first}: {part} is not in {told}");
        }
    }
    let spoken = "x-amz-target: secretsmanager.GetSecretValue\r\n";
    let (status, _, told) = connection.send("POST /", spoken, b"not JSON").await;
    assert_eq!(
        (status, told.contains("is not JSON")),
        (400, true),
        "{told}"
    );
}

#[tokio::test]
async fn an_order_is_found_by_its_id_however_it_is_escaped() {
    let stack = TestStack::start().await;
    stack.native("f4-1234", 100).await;
    let merchant = stack.merchant.clone();
    for path in [
        "/orders/f4-1234",
        "/orders/f4%2D1234",
        "/orders/f4%2d1234",
        "/orders/%66%34%2d1234",
        "/%6frders/f4-1234",
        "/orders%2Ff4-1234",
    ] {
        let order = stack.send_raw("GET", path, &merchant).await.expect(200);
        assert_eq!(order["out_trade_no"], "f4-1234", "{path}");
    }
}

#[tokio::test]
async fn no_port_but_wechat_pays_answers_another_name_or_another_page() {
    let stack = TestStack::start().await;
    let http = Process::system().unwrap().http;
    let (api, aws) = (stack.stack.api_url.clone(), stack.stack.aws.url.clone());
    let control = stack.stack.simulator.control_url().to_owned();
    let ask = |port: &str, path: &str, header: &str, value: &str| {
        let request = http
            .request(Method::POST, format!("{port}{path}"))
            .header("x-amz-target", "secretsmanager.GetSecretValue")
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=LOCALoperator/1",
            )
            .body(json!({"SecretId": "ApiSecret"}).to_string());
        let request = match header {
            "" => request,
            header => request.header(header, value),
        };
        async move {
            let answer = request.send().await.unwrap();
            (answer.status(), answer.text().await.unwrap())
        }
    };
    for (port, path) in [(&api, "/orders"), (&aws, "/"), (&control, "/_sim/codes")] {
        let (usual, _) = ask(port, path, "", "").await;
        assert_ne!(usual, StatusCode::FORBIDDEN, "{port}");
        for (header, value) in [
            ("host", "example.com"),
            ("host", "example.com:80"),
            ("host", "127.0.0.1.example.com"),
            ("origin", "https://example.com"),
            ("origin", "null"),
        ] {
            let (status, text) = ask(port, path, header, value).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{port} {header}: {value}");
            assert!(!text.contains("token_key"), "{text}");
        }
    }
    // WeChat Pay's answers by any name, as its hosts do, and gives nothing without a signature.
    let wechat_pay = stack.stack.simulator.base_url().to_owned();
    let path = "/v3/pay/transactions/native";
    let (usual, told) = ask(&wechat_pay, path, "", "").await;
    assert_eq!(usual, StatusCode::UNAUTHORIZED, "{told}");
    for (header, value) in [
        ("host", "api.mch.weixin.qq.com"),
        ("host", "example.com"),
        ("origin", "https://example.com"),
    ] {
        let (status, _) = ask(&wechat_pay, path, header, value).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{header}: {value}");
    }
    let (status, text) = ask(&aws, "/", "host", "host.docker.internal:8083").await;
    assert_eq!((status, text.contains("token_key")), (StatusCode::OK, true));
    for origin in ["http://localhost:5173", "https://servicewechat.com"] {
        let (status, _) = ask(&api, "/orders", "origin", origin).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{origin}");
        let (status, _) = ask(&aws, "/", "origin", origin).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{origin}");
    }
}

#[tokio::test]
async fn a_rotation_is_rehearsed_by_the_names_of_the_secrets() {
    let stack = TestStack::start().await;
    let http = Process::system().unwrap().http;
    let call = async |operation: &str, request: serde_json::Value| {
        let answer = http
            .post(&stack.stack.aws.url)
            .header("x-amz-target", format!("secretsmanager.{operation}"))
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=LOCALoperator/1",
            )
            .body(request.to_string());
        let answer = answer.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{operation}");
        answer.json::<serde_json::Value>().await.unwrap()
    };
    stack.native("rotate-001", 100).await;
    let mut api = stack.secret("ApiSecret");
    let key = "rotated-merchant-key-no-secret";
    let hash = <sha2::Sha256 as sha2::Digest>::digest(key.as_bytes());
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    api["merchant_key_hashes"]
        .as_array_mut()
        .unwrap()
        .push(json!(hash));
    let put = json!({"SecretId": "ApiSecret", "SecretString": api.to_string()});
    call("PutSecretValue", put).await;
    let read = call("GetSecretValue", json!({"SecretId": "ApiSecret"})).await;
    assert_eq!(read["SecretString"], api.to_string());
    assert_eq!(read["Name"], "ApiSecret");
    let look = async || json!(stack.get(key, "/orders/rotate-001").await.status);
    stack.until(look, |status| *status == 200).await;
}

/// The console adds the merchant's key to what its page asks for as the merchant.
#[tokio::test]
async fn only_the_consoles_own_page_acts_as_the_merchant() {
    let stack = TestStack::start().await;
    stack.native("console-1", 100).await;
    // What `Connection` calls the port by.
    let own = "origin: http://127.0.0.1\r\n";
    let close = "POST /console/merchant/orders/console-1/close";
    let mut connection = Connection::to(&stack).await;
    // A page of this machine may use the API, with a key of its own.
    for origin in ["http://localhost:5173", "https://servicewechat.com"] {
        let header = format!("origin: {origin}\r\n");
        let (status, ..) = connection.send("GET /articles", &header, b"").await;
        assert_eq!(status, 200, "{origin}");
        for first in [
            close,
            "GET /console/merchant/orders?date=2026-01-01",
            "GET /console/wechatpay/clock",
            "POST /console/wechatpay/clock",
            "GET /console/books",
            "GET /console/story?after=0",
        ] {
            let mut other = Connection::to(&stack).await;
            let (status, _, body) = other.send(first, &header, b"{}").await;
            assert_eq!(status, 403, "{origin} {first}: {body}");
            assert!(!body.contains("console-1"), "{body}");
        }
    }
    let (status, _, body) = connection.send(close, own, b"{}").await;
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("CLOSED"), "{body}");
    let story = "GET /console/story?after=0";
    let (status, _, story) = connection.send(story, own, b"").await;
    assert_eq!(status, 200);
    assert!(story.contains("/orders/console-1/close"), "{story}");
    assert!(!story.contains(&stack.merchant), "a key is told");
    assert!(story.contains("Bearer …"), "{story}");
    let (status, _, books) = connection.send("GET /console/books", own, b"").await;
    assert_eq!((status, books.contains(r#""balanced":true"#)), (200, true));
}
