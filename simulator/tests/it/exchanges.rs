//! What went over the wire can be read afterwards: requests, answers and notices with their bodies, the
//! text that each signature is about, what a notice held before it was sealed. And a notice can be sent
//! once more.

use axum::http::StatusCode;
use axum::routing::post;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Bench, open};

/// The value of a header in an exchange's message.
fn header<'a>(message: &'a Value, name: &str) -> Option<&'a str> {
    let mut headers = message["headers"].as_array().unwrap().iter();
    let named = headers.find(|pair| pair[0].as_str().unwrap().eq_ignore_ascii_case(name));
    named.map(|pair| pair[1].as_str().unwrap())
}

fn body(message: &Value) -> &str {
    message["body"]["text"].as_str().unwrap()
}

impl Bench {
    /// The last request with what went over the wire.
    async fn last_exchange(&self) -> Value {
        let entered = self.last_request().await["entered"].clone();
        self.seen(&format!("/_sim/requests/{entered}")).await
    }
}

#[tokio::test]
async fn a_request_can_be_read_with_its_answer_byte_for_byte() {
    let bench = Bench::new().await;
    let wanted = bench.native("ORDER-wire", 100).to_string();
    let path = "/v3/pay/transactions/native";
    let draft = bench.client.draft("POST", path, wanted.as_bytes());
    let answer = bench.client.send(draft).await;
    let row = bench.last_exchange().await;
    assert_eq!(
        (&row["operation"], &row["status"]),
        (&json!("order"), &json!(200))
    );
    let (sent, got) = (&row["exchange"]["request"], &row["exchange"]["answer"]);
    assert_eq!(
        (&sent["method"], &sent["target"]),
        (&json!("POST"), &json!(path))
    );
    assert_eq!(body(sent), wanted);
    assert_eq!(sent["body"]["bytes"], wanted.len());
    assert_eq!(sent["body"]["cut"], false);
    assert_eq!(header(sent, "user-agent"), Some("simulator-tests/1"));
    let claimed = header(sent, "authorization").unwrap();
    let part = |name: &str| {
        let (_, rest) = claimed.split_once(&format!("{name}=\"")).unwrap();
        rest.split_once('"').unwrap().0
    };
    let text = format!(
        "POST\n{path}\n{}\n{}\n{wanted}\n",
        part("timestamp"),
        part("nonce_str")
    );
    assert_eq!(sent["signed_text"], text);
    assert_eq!(got["status"], 200);
    assert_eq!(body(got), answer.text());
    for name in [
        "wechatpay-signature",
        "wechatpay-serial",
        "request-id",
        "date",
    ] {
        assert_eq!(header(got, name), Some(answer.header(name)), "{name}");
    }
    let text = format!(
        "{}\n{}\n{}\n",
        answer.header("wechatpay-timestamp"),
        answer.header("wechatpay-nonce"),
        answer.text()
    );
    assert_eq!(got["signed_text"], text);
    // The list says nothing of it: it would be long.
    assert!(bench.last_request().await.get("exchange").is_none());

    // One that no API takes, one without a signature, and one whose answer never came.
    bench.client.get("/v3/nothing").await;
    let row = bench.last_exchange().await;
    assert_eq!(row["exchange"]["answer"]["status"], 404);
    assert_eq!(row["exchange"]["answer"]["signed_text"], json!(null));
    let mut draft = bench.client.draft("GET", "/v3/certificates", b"");
    draft.authorization = Some(None);
    bench.client.send(draft).await;
    let row = bench.last_exchange().await;
    assert_eq!(row["exchange"]["answer"]["status"], 401);
    assert_eq!(row["exchange"]["request"]["signed_text"], json!(null));
    bench
        .fault(json!({"name": "response_lost", "count": 1}))
        .await;
    let target = "/v3/pay/transactions/native";
    let order = bench.native("ORDER-unanswered", 100).to_string();
    let draft = bench.client.draft("POST", target, order.as_bytes());
    assert!(bench.client.try_send(draft).await.is_err());
    let row = bench.last_exchange().await;
    assert_eq!(body(&row["exchange"]["request"]), order);
    assert_eq!(row["exchange"]["answer"], json!(null));

    let of_order = bench.seen("/_sim/requests?out_trade_no=ORDER-wire").await;
    assert_eq!(of_order["total"], 1);
}

#[tokio::test]
async fn what_is_long_is_cut_and_what_is_no_text_is_base64() {
    let bench = Bench::new().await;
    bench.order("ORDER-cut", 100).await;
    for (fault, length) in [
        ("response_oversized", 10 * 1024 * 1024),
        ("response_endless_headers", 0),
    ] {
        bench.fault(json!({"name": fault, "count": 1})).await;
        let mchid = &bench.client.file.mchid;
        let path = format!("/v3/pay/transactions/out-trade-no/ORDER-cut?mchid={mchid}");
        // Neither is an answer that a client need be able to read.
        let _ = bench
            .client
            .try_send(bench.client.draft("GET", &path, b""))
            .await;
        let row = bench.last_exchange().await;
        let answer = &row["exchange"]["answer"];
        assert_eq!(answer["body"]["cut"], length > 0, "{fault}");
        assert_eq!(answer["headers_cut"], length == 0, "{fault}");
        if length > 0 {
            assert!(answer["body"]["bytes"].as_u64().unwrap() >= length);
            assert_eq!(body(answer).len(), 32 * 1024);
            assert_eq!(
                answer["signed_text"],
                json!(null),
                "half a text fits nothing"
            );
        }
    }
    let draft = bench.client.draft("POST", "/v3/nothing", b"");
    bench.client.send_body(draft, vec![0xff, 0x00]).await;
    let row = bench.last_exchange().await;
    assert_eq!(row["exchange"]["request"]["body"]["base64"], "/wA=");
}

#[tokio::test]
async fn a_login_is_shown_without_the_secret_and_the_session_key() {
    let bench = Bench::new().await;
    let file = bench.client.file.clone();
    let code = bench.control("/_sim/codes", json!({})).await["code"].clone();
    let code = code.as_str().unwrap();
    let target = format!(
        "/sns/jscode2session?appid={}&secret={}&js_code={code}&grant_type=authorization_code",
        file.appid, file.app_secret
    );
    let answer = bench.client.get(&target).await;
    let session_key = answer.json()["session_key"].as_str().unwrap().to_owned();
    bench
        .client
        .get(&target.replace("jscode2session", "nothing"))
        .await;
    let rows = bench.seen("/_sim/requests").await;
    let mut all = rows.to_string();
    for row in rows["items"].as_array().unwrap() {
        let seen = bench
            .seen(&format!("/_sim/requests/{}", row["entered"]))
            .await;
        assert!(
            seen["exchange"]["request"]["target"]
                .as_str()
                .unwrap()
                .contains(code)
        );
        all.push_str(&seen.to_string());
    }
    assert!(all.contains(answer.json()["openid"].as_str().unwrap()));
    assert!(!all.contains(&file.app_secret), "the secret is shown");
    assert!(!all.contains(&session_key), "the session key is shown");
}

#[tokio::test]
async fn a_notice_can_be_read_sealed_and_opened_with_what_the_merchant_answered() {
    let bench = Bench::new().await;
    let row = bench.paid("ORDER-opened", 100).await;
    let notice = bench
        .notice("ORDER-opened", |row| row["state"] == "delivered")
        .await;
    let seen = bench
        .seen(&format!("/_sim/notifications/{}", notice["entered"]))
        .await;
    let received = bench.inbox.wait(1).await.remove(0);
    let exchange = &seen["attempts"][0]["exchange"];
    let sent = &exchange["request"];
    assert_eq!(
        (&sent["method"], &sent["target"]),
        (&json!("POST"), &json!(bench.inbox.url))
    );
    assert_eq!(body(sent), received.text());
    let signature = received.header("wechatpay-signature");
    assert_eq!(header(sent, "wechatpay-signature"), Some(signature));
    let text = format!(
        "{}\n{}\n{}\n",
        received.header("wechatpay-timestamp"),
        received.header("wechatpay-nonce"),
        received.text()
    );
    assert_eq!(sent["signed_text"], text);
    // What is said to be inside is what the merchant's key opens.
    let envelope: Value = serde_json::from_str(body(sent)).unwrap();
    let opened = open(&bench.client.file.apiv3_key, &envelope["resource"]).unwrap();
    assert_eq!(exchange["opened"], String::from_utf8(opened).unwrap());
    assert_eq!(seen["resource"], exchange["opened"]);
    assert!(
        seen["resource"]
            .as_str()
            .unwrap()
            .contains(row["transaction_id"].as_str().unwrap())
    );
    assert_eq!(exchange["answer"]["status"], 204);
    assert_eq!(exchange["answer"]["body"]["bytes"], 0);

    // A merchant who says why it refuses, once; and a notice that never arrives.
    let merchant = axum::Router::new().route(
        "/refuses",
        post(|| async {
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "{\"code\":\"FAIL\",\"message\":\"破\"}",
            )
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/refuses", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, merchant).await });
    for (number, fault) in [("ORDER-refused", None), ("ORDER-lost", Some("notice_lost"))] {
        if let Some(name) = fault {
            bench.fault(json!({"name": name, "count": 1})).await;
        }
        let mut order = bench.native(number, 1);
        order["notify_url"] = json!(url);
        bench
            .client
            .post("/v3/pay/transactions/native", &order)
            .await;
        bench
            .control(&format!("/_sim/orders/{number}/pay"), json!({}))
            .await;
        let notice = bench
            .notice(number, |row| {
                !row["attempts"].as_array().unwrap().is_empty()
            })
            .await;
        let seen = bench
            .seen(&format!("/_sim/notifications/{}", notice["entered"]))
            .await;
        let answer = &seen["attempts"][0]["exchange"]["answer"];
        if fault.is_none() {
            assert_eq!(answer["status"], 500);
            assert_eq!(body(answer), "{\"code\":\"FAIL\",\"message\":\"破\"}");
        } else {
            assert_eq!(answer, &json!(null));
            let sent = &seen["attempts"][0]["exchange"]["request"];
            assert_eq!(sent["target"], url);
        }
    }
}

#[tokio::test]
async fn a_notice_is_sent_once_more_genuine_whatever_became_of_it() {
    let bench = Bench::new().await;
    bench
        .fault(json!({"name": "notice_lost_for_good", "count": 1}))
        .await;
    bench.paid("ORDER-resend", 100).await;
    let lost = bench
        .notice("ORDER-resend", |row| {
            row["attempts"].as_array().unwrap().len() == 1
        })
        .await;
    assert_eq!(lost["state"], "pending");
    bench.fault(json!({"name": "notice_bad_signature"})).await;
    let path = format!("/_sim/notifications/{}/resend", lost["entered"]);
    let row = bench.control(&path, json!({})).await;
    assert_eq!(row["entered"], lost["entered"]);
    let delivered = bench
        .notice("ORDER-resend", |row| row["state"] == "delivered")
        .await;
    assert_eq!(delivered["attempts"][1]["twist"], "genuine");
    let resent = |row: &Value, at: usize| row["attempts"][at]["resent"].clone();
    assert_eq!(
        (resent(&delivered, 0), resent(&delivered, 1)),
        (json!(false), json!(true))
    );
    assert_eq!(delivered["next_attempt_at"], json!(null));
    let first = bench.inbox.wait(1).await.remove(0);
    assert!(first.verified_by(&bench.client.public_key()));
    // Also one that was delivered: it comes a second time, under its id, sealed and signed afresh.
    bench.control(&path, json!({})).await;
    let second = bench.inbox.wait(2).await.remove(1);
    assert_eq!(first.envelope()["id"], second.envelope()["id"]);
    let nonce = |envelope: Value| envelope["resource"]["nonce"].clone();
    assert_ne!(nonce(first.envelope()), nonce(second.envelope()));
    assert!(second.verified_by(&bench.client.public_key()));
    // The fault was not used up by either, and no attempt of the schedule was.
    let faults = bench.seen("/_sim/faults").await;
    let mut faults = faults["items"].as_array().unwrap().iter();
    let bad = faults.find(|fault| fault["name"] == "notice_bad_signature");
    assert_eq!(bad.unwrap()["struck"], 0);
    bench.advance(3_600).await;
    assert_eq!(bench.inbox.received().len(), 2, "nothing more is due");
}

#[tokio::test]
async fn what_cannot_be_read_or_sent_says_why() {
    let bench = Bench::new().await;
    for path in [
        "/_sim/requests/99",
        "/_sim/requests/x",
        "/_sim/notifications/99",
    ] {
        assert_eq!(bench.seen(path).await["code"], "NOT_FOUND", "{path}");
    }
    let refused = bench
        .control_raw("/_sim/notifications/99/resend", json!({}))
        .await;
    assert_eq!((refused.0, &refused.1["code"]), (404, &json!("NOT_FOUND")));
    // A refund that names no notify_url has a notice that goes nowhere.
    bench.paid("ORDER-nowhere", 2).await;
    let mut refund = bench.refund_body("ORDER-nowhere", "R-nowhere", 1, 2);
    refund.as_object_mut().unwrap().remove("notify_url");
    bench
        .client
        .post("/v3/refund/domestic/refunds", &refund)
        .await;
    bench.advance(5).await;
    let nowhere = bench
        .notice("ORDER-nowhere", |row| row["state"] == "not_sent")
        .await;
    let path = format!("/_sim/notifications/{}/resend", nowhere["entered"]);
    let (status, refused) = bench.control_raw(&path, json!({})).await;
    assert_eq!((status, &refused["code"]), (409, &json!("NOT_SENDABLE")));
    assert_eq!(refused["message"], nowhere["why"]);
    // A page of another origin can neither read nor send.
    for (method, path) in [
        (Method::GET, "/_sim/requests/1"),
        (Method::POST, path.as_str()),
    ] {
        let url = format!("{}{path}", bench.simulator.control_url());
        let request = bench.client.http.request(method, url).body("{}");
        let answer = request
            .header("Origin", "https://evil.example")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 403);
    }
}

#[tokio::test]
async fn after_a_restart_a_notice_still_says_what_it_held() {
    let bench = Bench::new().await;
    bench.paid("ORDER-again", 2).await;
    let notice = bench
        .notice("ORDER-again", |row| row["state"] == "delivered")
        .await;
    let path = format!("/_sim/notifications/{}", notice["entered"]);
    let before = bench.seen(&path).await;
    let folder = bench.folder.clone();
    bench.simulator.stop().await;
    let bench = Bench::within(folder, |_| {}).await;
    let after = bench.seen(&path).await;
    assert_eq!(after["resource"], before["resource"]);
    assert_eq!(after["attempts"][0]["status"], 204);
    assert_eq!(
        after["attempts"][0]["exchange"],
        json!(null),
        "kept in memory only"
    );
}
