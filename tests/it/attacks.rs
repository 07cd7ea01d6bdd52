//! The catalogue of attacks, held against what plays them: no number without a case or a test, no case
//! without a number. Besides, the attacks that belong to no other module: what is no HTTP, pages of other
//! sites, another app's code, a certificate that is over.

mod catalogue;

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use simulator::Mode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use self::catalogue::{CATALOGUE, NUMBERS, Played};
use crate::harness::doors::Request;
use crate::harness::forge::NONCE;
use crate::harness::{ALICE, PATIENCE, TestStack, declared, payment_content};
use crate::notices::cases_played;
use crate::quality::is_there;

#[test]
fn every_attack_of_the_catalogue_is_played() {
    let mut wrong = Vec::new();
    let listed: Vec<&str> = CATALOGUE.iter().map(|(number, ..)| *number).collect();
    let expected: Vec<String> = NUMBERS
        .iter()
        .flat_map(|(prefix, count)| {
            let width = if *prefix == "N-" { 2 } else { 1 };
            (1..=*count).map(move |number| format!("{prefix}{number:0width$}"))
        })
        .collect();
    assert_eq!(listed, expected, "a number is missing, or there twice");
    let cases = cases_played();
    for (number, attack, played) in CATALOGUE {
        let tests = match played {
            Played::Cases(tests) => {
                if !cases.contains(number) {
                    wrong.push(format!("{number} ({attack}) has no case"));
                }
                tests
            }
            Played::Tests(tests) | Played::Gateway(tests) => {
                if tests.is_empty() {
                    wrong.push(format!("{number} ({attack}) has no test"));
                }
                tests
            }
            Played::Nothing(why) => {
                assert!(why.len() > 20, "{number}: {why:?} is no reason");
                continue;
            }
        };
        let missing = tests.iter().filter(|name| !is_there(name));
        wrong.extend(missing.map(|name| format!("{number} ({attack}): there is no test {name}")));
    }
    let listed: BTreeSet<&str> = listed.into_iter().collect();
    let strangers = cases.difference(&listed);
    wrong.extend(strangers.map(|number| format!("{number} has cases and is not in the catalogue")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a sender does behind its last byte.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    Waits,
    Ends,
}

/// Sends these bytes as they are, and gives whatever is answered until the connection ends.
async fn sent_raw(stack: &TestStack, bytes: &[u8], then: Then) -> String {
    let authority = stack.stack.api_url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(authority).await.unwrap();
    // Who refuses a head may hang up before all of it is sent.
    let _ = stream.write_all(bytes).await;
    if then == Then::Ends {
        let _ = stream.shutdown().await;
    }
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let ended = tokio::time::timeout(PATIENCE, reading).await;
    assert!(ended.is_ok(), "the connection is left open");
    String::from_utf8_lossy(&answer).into_owned()
}

/// A notice that would be believed, as it goes over the wire, its headers changed.
fn notice_on_the_wire(
    stack: &TestStack,
    number: &str,
    change: impl FnOnce(&mut Vec<(String, String)>),
) -> (Vec<u8>, Vec<u8>) {
    let content = payment_content(stack, number, 100);
    let key = stack.apiv3_key();
    let body = content.to_string();
    let body = crate::harness::notice_body(key.as_bytes(), "TRANSACTION.SUCCESS", body.as_bytes());
    let mut headers = stack.signature_headers(&body, stack.now());
    headers.push(("content-type".to_owned(), "application/json".to_owned()));
    headers.push(("content-length".to_owned(), body.len().to_string()));
    let authority = stack.stack.api_url.trim_start_matches("http://");
    headers.push(("host".to_owned(), authority.to_owned()));
    headers.push(("connection".to_owned(), "close".to_owned()));
    change(&mut headers);
    let mut head = "POST /wechatpay/notify HTTP/1.1\r\n".to_owned();
    for (name, value) in &headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let envelope: Value = serde_json::from_slice(&body).unwrap();
    let sealed = envelope["resource"]["ciphertext"].as_str();
    stack.watch.hide(sealed.unwrap());
    (head.into_bytes(), body)
}

fn replace(headers: &mut [(String, String)], name: &str, value: &str) {
    let found = headers.iter_mut().find(|(known, _)| known == name);
    found.unwrap().1 = value.to_owned();
}

#[tokio::test]
async fn names_of_headers_are_read_in_any_case() {
    let stack = TestStack::start().await;
    for (place, change) in [
        |name: &str| name.to_uppercase(),
        |name: &str| name.replace("wechatpay", "wEcHaTpAy"),
    ]
    .into_iter()
    .enumerate()
    {
        let number = format!("cased-{place:05}");
        stack.native(&number, 100).await;
        let (head, body) = notice_on_the_wire(&stack, &number, |headers| {
            for (name, _) in headers {
                *name = change(name);
            }
        });
        let answer = sent_raw(&stack, &[head, body].concat(), Then::Waits).await;
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
        assert_eq!(stack.order_item(&number)["trade_state"]["S"], "SUCCESS");
    }
}

/// What the gateway's HTTP refuses by itself: no function is called.
#[tokio::test]
async fn what_is_no_http_is_refused_by_the_gateway() {
    let stack = TestStack::start().await;
    stack.native("no-http-01", 100).await;
    let (books, mark, lines) = (stack.books(), stack.mark(), stack.logged().len());
    type Change = fn(&mut Vec<(String, String)>);
    let broken: [(&str, Change); 8] = [
        ("a line feed in the nonce", |it| {
            replace(it, "wechatpay-nonce", "ab\ncd");
        }),
        ("a line ending in the nonce", |it| {
            replace(it, "wechatpay-nonce", "ab\r\ncd");
        }),
        ("a carriage return in the nonce", |it| {
            replace(it, "wechatpay-nonce", "ab\rcd");
        }),
        ("a zero byte in the nonce", |it| {
            replace(it, "wechatpay-nonce", "ab\0cd");
        }),
        ("a bell in a header", |it| {
            it.push(("x-odd".into(), "a\u{7}b".into()));
        }),
        ("a blank in a name", |it| {
            it.push(("x odd".into(), "1".into()));
        }),
        ("two lengths", |it| {
            it.push(("content-length".into(), "1".into()));
        }),
        ("headers without end", |it| {
            it.extend((0..20_000).map(|place| (format!("x-{place}"), "p".repeat(80))));
        }),
    ];
    for (what, change) in broken {
        let (head, body) = notice_on_the_wire(&stack, "no-http-01", change);
        let answer = sent_raw(&stack, &[head, body].concat(), Then::Waits).await;
        let status = answer.split(' ').nth(1).unwrap_or("none");
        assert!(["400", "431", "none"].contains(&status), "{what}: {answer}");
    }
    let seen = stack.seen_since(mark);
    assert_eq!((seen.calls, seen.asked), (0, 0));
    assert_eq!(stack.logged().len(), lines, "a function was called");
    assert_eq!(stack.books(), books);
    // The same, whole, is believed.
    let (head, body) = notice_on_the_wire(&stack, "no-http-01", |_| {});
    let answer = sent_raw(&stack, &[head, body].concat(), Then::Waits).await;
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
}

#[tokio::test]
async fn a_body_that_is_cut_short_reaches_no_function() {
    let stack = TestStack::start().await;
    stack.native("cut-000001", 100).await;
    let (books, mark, lines) = (stack.books(), stack.mark(), stack.logged().len());
    let (head, body) = notice_on_the_wire(&stack, "cut-000001", |_| {});
    for kept in [0, 1, body.len() / 2, body.len() - 1] {
        let answer = sent_raw(&stack, &[&head, &body[..kept]].concat(), Then::Ends).await;
        assert!(!answer.contains(" 204 "), "{kept} bytes: {answer}");
    }
    let (head, _) = notice_on_the_wire(&stack, "cut-000001", |headers| {
        headers.retain(|(name, _)| name != "content-length");
        headers.push(("transfer-encoding".to_owned(), "chunked".to_owned()));
    });
    for chunks in [
        "5\r\n{\"id\"",
        "zz\r\n",
        "ffffffffffffffffff\r\n{",
        "-1\r\n{\r\n",
    ] {
        let answer = sent_raw(&stack, &[&head, chunks.as_bytes()].concat(), Then::Ends).await;
        assert!(!answer.contains(" 204 "), "{chunks:?}: {answer}");
    }
    let seen = stack.seen_since(mark);
    assert_eq!((seen.calls, seen.asked), (0, 0));
    assert_eq!(stack.logged().len(), lines, "a function was called");
    assert_eq!(stack.books(), books);
}

#[tokio::test]
async fn no_answer_opens_the_api_to_a_page_of_another_site() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    let opens = |headers: &Value| {
        let names = headers.as_object().unwrap().keys();
        names
            .filter(|name| name.to_ascii_lowercase().starts_with("access-control-"))
            .count()
    };
    for function in declared().values() {
        for (method, path) in &function.routes {
            let path = path.replace(['{', '}'], "");
            let method: Method = method.parse().unwrap();
            // What the browser sends first; no route takes it.
            let preflight = Request::new(Method::OPTIONS, &path)
                .header("access-control-request-method", method.as_str())
                .header("access-control-request-headers", "authorization");
            assert!(preflight.event().is_none(), "{path} answers OPTIONS");
            let asked = stack.over_http(&preflight).await;
            assert_eq!(asked.status, 404, "{path}");
            // And what it would send then, with the page's own name.
            let request = Request::new(method.clone(), &path)
                .by(&alice)
                .header("origin", "https://evil.example")
                .body("{}");
            let (function, event) = request.event().unwrap();
            let answer = stack.stack.invoke(&function, event).await.unwrap();
            assert_eq!(opens(&answer["headers"]), 0, "{method} {path}: {answer}");
        }
    }
    let url = format!("{}/articles", stack.stack.api_url);
    let answer = stack.http.get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let names: Vec<&str> = answer.headers().keys().map(|name| name.as_str()).collect();
    assert!(
        !names.iter().any(|name| name.starts_with("access-control-")),
        "{names:?}"
    );
}

#[tokio::test]
async fn a_code_of_another_app_logs_nobody_in() {
    let stack = TestStack::start().await;
    let elsewhere = json!({"appid": "wxanother", "openid": ALICE});
    let code = stack.control("codes", elsewhere).await["code"].clone();
    let body = json!({"code": code}).to_string();
    let request = Request::new(Method::POST, "/sessions").body(body);
    let (over_http, inside) = (
        stack.over_http(&request).await,
        stack.in_process(&request).await.unwrap(),
    );
    assert_eq!(over_http, inside);
    over_http.refused(401, "login_refused");
}

const FIVE_YEARS: i64 = 5 * 365 * 86_400;

/// The certificate's own signature, once its term is over.
#[tokio::test]
async fn a_notice_of_an_expired_certificate_is_refused() {
    let stack = TestStack::with(|options| options.mode = Mode::Certificate).await;
    stack.native("expired-01", 100).await;
    let certificate = std::fs::read(stack.simulator_file("platform_cert.pem")).unwrap();
    let (_, pem) = x509_parser::pem::parse_x509_pem(&certificate).unwrap();
    let certificate = pem.parse_x509().unwrap();
    let serial = format!("{:0>40X}", certificate.serial);
    let content = payment_content(&stack, "expired-01", 100).to_string();
    let key = stack.apiv3_key();
    let notice = || {
        let body =
            crate::harness::notice_body(key.as_bytes(), "TRANSACTION.SUCCESS", content.as_bytes());
        let mut message = format!("{}\n{NONCE}\n", stack.now()).into_bytes();
        message.extend_from_slice(&body);
        message.push(b'\n');
        let mut headers = stack.headers_with(stack.now(), stack.platform_signature(&message));
        replace(&mut headers, "wechatpay-serial", &serial);
        let mut request = Request::new(Method::POST, "/wechatpay/notify").body(body);
        request.headers = headers;
        request
    };
    // As long as it is valid, it is what vouches.
    let unheard = stack.over_http(&notice()).await;
    assert_eq!(unheard.status, 204, "{unheard:?}");
    stack.native("expired-02", 100).await;
    stack.advance(FIVE_YEARS + 3 * 86_400).await;
    let books = stack.books();
    for _ in 0..2 {
        let told = stack.over_http(&notice()).await;
        assert!(matches!(told.status, 401 | 503), "{told:?}");
        let told = stack.in_process(&notice()).await.unwrap();
        assert!(matches!(told.status, 401 | 503), "{told:?}");
    }
    assert_eq!(stack.books(), books);
}
