//! Calls: only what is signed is believed, only what is safe is asked twice.

use std::sync::Arc;
use std::time::Duration;

use super::server::{Asked, Reply, Server, answer, late, signed, signed_at};
use super::{MERCHANT_SERIAL, PLATFORM_SERIAL, merchant, platform_keys, signed_headers};
use crate::clock::Clock;
use crate::domain::report::{RefundStatus, TradeState};
use crate::domain::terms::Payee;
use crate::domain::{Mchid, OrderId, OrderReport, Refund, RefundId, TradeType, TransactionId};
use crate::process::Process;
use crate::wechatpay::sign::authorization;
use crate::wechatpay::{
    Call, CallError, Client, Closed, Endpoints, Keys, Prepaid, PrepayRequest, Signed, UnknownCause,
};

const MCHID: &str = "1900007291";

/// Long enough for two attempts on a busy machine.
const PATIENCE: Duration = Duration::from_secs(8);

const UNPAID: &str = r#"{"mchid":"1900007291","out_trade_no":"order_1","trade_state":"NOTPAY","amount":{"total":1}}"#;

const REFUND: &str = r#"{"out_refund_no":"refund_1","out_trade_no":"order_1","transaction_id":"4200","refund_id":"5030","status":"PROCESSING","amount":{"refund":1,"total":2}}"#;

/// Makes the same answer as often as it is asked for.
type Maker = Box<dyn Fn() -> Reply>;

/// A client, what it asks with, and the server it asks.
pub(super) struct Till {
    pub(super) client: Client,
    keys: Keys,
    clock: Clock,
    time_left: Duration,
    pub(super) server: Server,
}

impl Till {
    pub(super) async fn before(replies: Vec<Reply>) -> Self {
        let server = Server::start(replies).await;
        let base = format!("http://{}", server.authority);
        Self::at(&base, server)
    }

    /// A till whose server's answers name its own address.
    pub(super) async fn before_naming(replies: impl FnOnce(&str) -> Vec<Reply>) -> Self {
        let server = Server::start_naming(replies).await;
        let base = format!("http://{}", server.authority);
        Self::at(&base, server)
    }

    /// A till whose first host nobody listens at; the server is the backup.
    async fn with_a_dead_host_before(replies: Vec<Reply>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dead = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let server = Server::start(replies).await;
        Self::at(&dead, server)
    }

    fn at(base: &str, server: Server) -> Self {
        let backup = format!("http://{}", server.authority);
        let trusted = [
            base.trim_start_matches("http://"),
            server.authority.as_str(),
        ];
        let endpoints = Endpoints::parse(base, &backup, &trusted).unwrap();
        let transport = Process::system().unwrap().transport;
        Self {
            client: Client::new(transport, endpoints, payee(None)),
            keys: Keys {
                merchant: Arc::new(merchant()),
                platform: Arc::new(platform_keys()),
            },
            clock: Clock::system(),
            time_left: PATIENCE,
            server,
        }
    }

    pub(super) fn call(&self) -> Call<'_> {
        Call {
            keys: &self.keys,
            clock: &self.clock,
            time_left: self.time_left,
        }
    }

    async fn query(&self) -> Result<Signed<OrderReport>, CallError> {
        self.client.query_order(&self.call(), &order_id()).await
    }

    async fn close(&self) -> Result<Signed<Closed>, CallError> {
        self.client.close(&self.call(), &order_id()).await
    }

    async fn prepay(&self, trade_type: TradeType) -> Result<Signed<Prepaid>, CallError> {
        let terms = super::bodies::terms(trade_type);
        let request = PrepayRequest::of(&terms).unwrap();
        self.client.prepay(&self.call(), &request).await
    }

    async fn refund(&self) -> Result<RefundStatus, CallError> {
        self.client
            .refund(&self.call(), &refund())
            .await
            .map(|report| report.into_inner().status)
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.server.asked()
    }
}

fn payee(sub_mchid: Option<&str>) -> Payee {
    Payee {
        mchid: Mchid::parse(MCHID).unwrap(),
        sub_mchid: sub_mchid.map(|mchid| Mchid::parse(mchid).unwrap()),
    }
}

fn refund() -> Refund {
    Refund {
        refund_id: refund_id(),
        transaction_id: transaction_id(),
        ..super::bodies::refund()
    }
}

fn order_id() -> OrderId {
    OrderId::parse("order_1").unwrap()
}

fn refund_id() -> RefundId {
    RefundId::parse("refund_1").unwrap()
}

fn transaction_id() -> TransactionId {
    TransactionId::parse("4200").unwrap()
}

fn cause<T: std::fmt::Debug>(outcome: Result<T, CallError>) -> UnknownCause {
    match outcome {
        Err(CallError::Unknown(cause)) => cause,
        Err(CallError::Refused(_)) | Ok(_) => panic!("unknown, not {outcome:?}"),
    }
}

fn is_unverified<T: std::fmt::Debug>(outcome: &Result<T, CallError>) -> bool {
    outcome.as_ref().is_err_and(CallError::is_unverified)
}

#[tokio::test]
async fn a_question_goes_over_the_connection_that_was_opened_for_it() {
    // The server takes one connection after the other: a second one would wait for ever.
    let till = Till::before(vec![signed(200, UNPAID)]).await;
    till.client.open();
    // It is under way, so there is nothing to do.
    till.client.open();
    till.query().await.unwrap();
    assert_eq!(till.asked().len(), 1);
}

#[tokio::test]
async fn a_question_makes_its_own_connection_where_the_opened_one_came_to_nothing() {
    let till = Till::with_a_dead_host_before(vec![signed(200, UNPAID)]).await;
    till.client.open();
    till.query().await.unwrap();
    assert_eq!(till.asked().len(), 1);
}

#[tokio::test]
async fn a_question_is_signed_and_says_who_asks() {
    let till = Till::before(vec![signed(200, UNPAID)]).await;
    let report = till.query().await.unwrap().into_inner();
    assert_eq!(report.state, TradeState::Unpaid);
    let asked = till.asked().remove(0);
    let target = "/v3/pay/transactions/out-trade-no/order_1?mchid=1900007291";
    assert_eq!(asked.line, format!("GET {target} HTTP/1.1"));
    assert_eq!(asked.header("accept"), Some("application/json"));
    assert_eq!(asked.header("wechatpay-serial"), Some(PLATFORM_SERIAL));
    assert_eq!(asked.header("accept-encoding"), None);
    assert_eq!(asked.header("content-type"), None);
    assert!(
        asked
            .header("user-agent")
            .unwrap()
            .starts_with("wxpay-serverless/")
    );
    let sent = asked.header("authorization").unwrap();
    let part = |name: &str| {
        let (_, rest) = sent.split_once(&format!("{name}=\"")).unwrap();
        rest.split_once('"').unwrap().0
    };
    let timestamp = super::seconds(part("timestamp"));
    assert!(till.clock.wall().seconds_since(timestamp).abs() < 60);
    assert_eq!(part("serial_no"), MERCHANT_SERIAL);
    let again = authorization(
        &merchant(),
        &Mchid::parse(MCHID).unwrap(),
        "GET",
        target,
        timestamp,
        part("nonce_str"),
        b"",
    );
    assert_eq!(sent, again);
}

#[tokio::test]
async fn an_order_is_placed_with_exactly_the_given_bytes() {
    for (trade_type, body, prepaid) in [
        (
            TradeType::Jsapi,
            r#"{"prepay_id":"wx1"}"#,
            Prepaid::Jsapi {
                prepay_id: "wx1".to_owned(),
            },
        ),
        (
            TradeType::App,
            r#"{"prepay_id":"wx1"}"#,
            Prepaid::App {
                prepay_id: "wx1".to_owned(),
            },
        ),
        (
            TradeType::Native,
            r#"{"code_url":"weixin://wxpay/bizpayurl?pr=1"}"#,
            Prepaid::Native {
                code_url: "weixin://wxpay/bizpayurl?pr=1".to_owned(),
            },
        ),
        (
            TradeType::H5,
            r#"{"h5_url":"https://wx.tenpay.com/x?a=b&c=d"}"#,
            Prepaid::H5 {
                h5_url: "https://wx.tenpay.com/x?a=b&c=d".to_owned(),
            },
        ),
    ] {
        let till = Till::before(vec![signed(200, body)]).await;
        assert_eq!(till.prepay(trade_type).await.unwrap().into_inner(), prepaid);
        let asked = till.asked().remove(0);
        assert_eq!(
            asked.line,
            format!("POST /v3/pay/transactions/{} HTTP/1.1", trade_type.as_str())
        );
        let terms = super::bodies::terms(trade_type);
        let sent = PrepayRequest::of(&terms).unwrap();
        assert_eq!(asked.body.as_bytes(), sent.body());
        assert_eq!(asked.header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn an_id_that_could_be_signed_into_something_else_is_no_answer() {
    let long = "w".repeat(65);
    let url = format!("weixin://{}", "w".repeat(504));
    for (trade_type, body) in [
        (TradeType::Jsapi, r#"{"prepay_id":"wx1\nwx2"}"#.to_owned()),
        (TradeType::Jsapi, r#"{"prepay_id":""}"#.to_owned()),
        (
            TradeType::Jsapi,
            r#"{"code_url":"weixin://wxpay"}"#.to_owned(),
        ),
        (TradeType::App, format!(r#"{{"prepay_id":"{long}"}}"#)),
        (TradeType::Native, format!(r#"{{"code_url":"{url}"}}"#)),
        (
            TradeType::Native,
            r#"{"code_url":"https://evil.example"}"#.to_owned(),
        ),
        (
            TradeType::H5,
            r#"{"h5_url":"javascript:alert(1)"}"#.to_owned(),
        ),
        (TradeType::H5, "not JSON".to_owned()),
    ] {
        let till = Till::before(vec![signed(200, &body)]).await;
        let unexpected = cause(till.prepay(trade_type).await);
        assert!(
            matches!(unexpected, UnknownCause::Unexpected { .. }),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_2xx_without_a_signature_that_holds_is_no_answer() {
    let stale = |seconds| move || signed_at(200, UNPAID, seconds);
    let damaged = |name: &'static str, value: Option<&'static str>| {
        move || {
            let mut headers = signed_headers(UNPAID.as_bytes(), Clock::system().wall());
            headers.retain(|(key, _)| *key != name);
            headers.extend(value.map(|value| (name, value.to_owned())));
            answer(200, &headers, UNPAID)
        }
    };
    let doubled = || {
        let mut headers = signed_headers(UNPAID.as_bytes(), Clock::system().wall());
        headers.push(("Wechatpay-Signature", headers[3].1.clone()));
        answer(200, &headers, UNPAID)
    };
    let elsewhere = || {
        let headers = signed_headers(b"{}", Clock::system().wall());
        answer(200, &headers, UNPAID)
    };
    let makers: [(&str, Maker); 10] = [
        ("no signature at all", Box::new(|| answer(200, &[], UNPAID))),
        ("signed for another body", Box::new(elsewhere)),
        ("signed long ago", Box::new(stale(-330))),
        ("signed in the future", Box::new(stale(330))),
        (
            "without a serial",
            Box::new(damaged("Wechatpay-Serial", None)),
        ),
        (
            "an unknown serial",
            Box::new(damaged("Wechatpay-Serial", Some("00"))),
        ),
        (
            "our own serial",
            Box::new(damaged("Wechatpay-Serial", Some(MERCHANT_SERIAL))),
        ),
        (
            "a probe",
            Box::new(damaged(
                "Wechatpay-Signature",
                Some("WECHATPAY/SIGNTEST/AAAA"),
            )),
        ),
        (
            "another kind",
            Box::new(damaged("Wechatpay-Signature-Type", Some("none"))),
        ),
        ("a signature twice", Box::new(doubled)),
    ];
    for (name, make) in makers {
        // Twice, since it is asked once more: the second answer is no better.
        let till = Till::before(vec![make(), make()]).await;
        let outcome = till.query().await;
        assert!(is_unverified(&outcome), "{name}: {outcome:?}");
        assert_eq!(till.asked().len(), 2, "{name}");
    }
}

#[tokio::test]
async fn a_probe_is_asked_again_and_the_second_answer_counts() {
    let till = Till::before(vec![answer(200, &[], UNPAID), signed(200, UNPAID)]).await;
    assert!(till.query().await.is_ok());
    let asked = till.asked();
    assert_eq!(asked.len(), 2);
    // The same question, signed afresh.
    assert_eq!(asked[0].line, asked[1].line);
    assert_ne!(
        asked[0].header("authorization"),
        asked[1].header("authorization")
    );
}

#[tokio::test]
async fn only_a_signed_204_closes() {
    let till = Till::before(vec![signed(204, "")]).await;
    assert!(till.close().await.is_ok());
    let asked = till.asked().remove(0);
    assert_eq!(
        asked.line,
        "POST /v3/pay/transactions/out-trade-no/order_1/close HTTP/1.1"
    );
    assert_eq!(asked.body, r#"{"mchid":"1900007291"}"#);

    let till = Till::before(vec![answer(204, &[], ""), answer(204, &[], "")]).await;
    assert!(is_unverified(&till.close().await));
    for status in [200, 202] {
        let till = Till::before(vec![signed(status, "{}")]).await;
        assert!(
            matches!(cause(till.close().await), UnknownCause::Unexpected { .. }),
            "{status}"
        );
    }
}

#[tokio::test]
async fn an_accepted_question_is_not_an_answered_one() {
    for status in [201, 202, 204, 206] {
        let till = Till::before(vec![signed(
            status,
            if status == 204 { "" } else { UNPAID },
        )])
        .await;
        assert!(
            matches!(cause(till.query().await), UnknownCause::Unexpected { .. }),
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_refusal_says_whether_it_was_signed() {
    let body = r#"{"code":"ORDER_NOT_EXIST","message":"订单不存在"}"#;
    for (reply, counts) in [
        (signed(404, body), true),
        (answer(404, &[], body), false),
        (signed_at(404, body, -330), false),
        (
            signed(404, r#"{"code":"RESOURCE_NOT_EXISTS","message":"x"}"#),
            false,
        ),
        (signed(400, body), false),
    ] {
        let till = Till::before(vec![reply]).await;
        let Err(CallError::Refused(refusal)) = till.query().await else {
            panic!("refused")
        };
        assert_eq!(refusal.absence().is_some(), counts, "{refusal:?}");
        assert_eq!(till.asked().len(), 1);
    }
    // It answers the question about the order, not an attempt to close it.
    let till = Till::before(vec![signed(404, body)]).await;
    let Err(CallError::Refused(refusal)) = till.close().await else {
        panic!("refused")
    };
    assert_eq!(refusal.absence(), None);
}

#[tokio::test]
async fn no_such_refund_counts_signed_and_in_answer_to_a_question_about_it() {
    let body = r#"{"code":"RESOURCE_NOT_EXISTS","message":"退款单不存在"}"#;
    for (reply, counts) in [
        (signed(404, body), true),
        (answer(404, &[], body), false),
        (signed_at(404, body, -330), false),
        (signed(404, r#"{"code":"ORDER_NOT_EXIST"}"#), false),
        (signed(400, body), false),
    ] {
        let till = Till::before(vec![reply]).await;
        let asked = till.client.query_refund(&till.call(), &refund()).await;
        let Err(CallError::Refused(refusal)) = asked else {
            panic!("refused")
        };
        assert_eq!(refusal.refund_absence().is_some(), counts, "{refusal:?}");
        assert_eq!(refusal.absence(), None, "{refusal:?}");
    }
    // Where it answers the sending, the order may be what is missing.
    let till = Till::before(vec![signed(404, body)]).await;
    let Err(CallError::Refused(refusal)) = till.refund().await else {
        panic!("refused")
    };
    assert_eq!(refusal.refund_absence(), None);
}

#[tokio::test]
async fn a_refusal_keeps_little_of_a_strange_body() {
    let long = format!(
        r#"{{"code":"{}","message":"a\u0000b\nc"}}"#,
        "C".repeat(10_000)
    );
    let request_id = ("Request-ID", "08E68E97CC0610DF0618-268578704".to_owned());
    let till = Till::before(vec![answer(403, &[request_id], &long)]).await;
    let Err(CallError::Refused(refusal)) = till.query().await else {
        panic!("refused")
    };
    assert_eq!((refusal.code.len(), refusal.message.as_str()), (64, "abc"));
    assert_eq!(
        refusal.request_id.as_deref(),
        Some("08E68E97CC0610DF0618-268578704")
    );
    for body in ["", "<html>secret</html>", "[1]", "{\"code\":5}"] {
        let till = Till::before(vec![answer(401, &[], body)]).await;
        let error = till.query().await.unwrap_err();
        assert!(error.is_unauthorized(), "{body}");
        assert!(!error.to_string().contains("secret"));
    }
}

#[tokio::test]
async fn a_server_error_is_asked_once_more() {
    for status in [500, 502, 503] {
        let till = Till::before(vec![answer(status, &[], "<html>"), signed(200, UNPAID)]).await;
        assert!(till.query().await.is_ok(), "{status}");
        // A signature makes no answer of it either.
        let till = Till::before(vec![signed(status, "{}"), signed(status, "{}")]).await;
        assert_eq!(
            cause(till.query().await),
            UnknownCause::ServerError { status }
        );
        assert_eq!(till.asked().len(), 2);
    }
}

#[tokio::test]
async fn too_many_requests_are_not_answered_with_another() {
    let body = r#"{"code":"FREQUENCY_LIMITED","message":"频率超限"}"#;
    let till = Till::before(vec![signed(429, body)]).await;
    assert_eq!(cause(till.query().await), UnknownCause::RateLimited);
    assert_eq!(till.asked().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let inner = Server::start(vec![signed(200, UNPAID)]).await;
    for status in [301, 302, 307, 308] {
        let location = ("Location", format!("http://{}/", inner.authority));
        let till = Till::before(vec![answer(status, &[location], "")]).await;
        assert!(
            matches!(cause(till.query().await), UnknownCause::Unexpected { .. }),
            "{status}"
        );
        assert_eq!(till.asked().len(), 1);
    }
    assert!(inner.asked().is_empty());
}

#[tokio::test]
async fn a_body_without_end_is_not_read_to_its_end() {
    let body = format!("{{\"later\":\"{}\"}}", "x".repeat(300 * 1024));
    let till = Till::before(vec![signed(200, &body)]).await;
    let what = "an answer that is too large";
    assert_eq!(cause(till.query().await), UnknownCause::Unexpected { what });
}

#[tokio::test]
async fn headers_without_end_are_not_read_to_their_end() {
    let many: String = (0..200_000)
        .map(|place| format!("X-Padding-{place}: {}\r\n", "p".repeat(80)))
        .collect();
    let long = format!("X-Padding: {}", "p".repeat(16 << 20));
    for headers in [many, long] {
        let head = format!("HTTP/1.1 200 Told\r\n{headers}");
        // The same once more, for a second attempt.
        let replies = [&head, &head].map(|head| Reply::Bytes(head.clone().into_bytes()));
        let till = Till::before(replies.into()).await;
        assert_eq!(cause(till.query().await), UnknownCause::Broken);
    }
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_gives_way_to_the_backup() {
    let till = Till::with_a_dead_host_before(vec![signed(200, UNPAID)]).await;
    assert!(till.query().await.is_ok());
    let till = Till::with_a_dead_host_before(vec![signed(200, REFUND)]).await;
    // It was never sent, so even a refund may be sent there.
    assert_eq!(till.refund().await, Ok(RefundStatus::Processing));
    assert_eq!(till.asked().len(), 1);
}

#[tokio::test]
async fn two_hosts_that_cannot_be_reached_are_the_end() {
    let mut till = Till::with_a_dead_host_before(vec![]).await;
    let dead = Till::with_a_dead_host_before(vec![]).await;
    till.client = dead.client;
    drop(dead.server);
    // The task that held the backup's socket ends as soon as it is polled again.
    while tokio::net::TcpStream::connect(&dead_authority(&till))
        .await
        .is_ok()
    {
        tokio::task::yield_now().await;
    }
    assert_eq!(cause(till.query().await), UnknownCause::Unreachable);
}

/// The backup's authority, as the client has it.
fn dead_authority(till: &Till) -> String {
    let shown = format!("{:?}", till.client);
    let (_, rest) = shown.split_once("backup_url: \"http://").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

#[tokio::test]
async fn a_dropped_connection_is_asked_once_more_but_a_refund_is_not() {
    let till = Till::before(vec![Reply::Drop, signed(200, UNPAID)]).await;
    assert!(till.query().await.is_ok());
    for reply in [Reply::Drop, answer(500, &[], ""), answer(200, &[], REFUND)] {
        let till = Till::before(vec![reply, signed(200, REFUND)]).await;
        let outcome = till.refund().await;
        assert!(matches!(outcome, Err(CallError::Unknown(_))), "{outcome:?}");
        assert_eq!(till.asked().len(), 1);
    }
}

#[tokio::test]
async fn silence_ends_with_the_callers_time() {
    let mut till = Till::before(vec![Reply::Silence, Reply::Silence]).await;
    till.time_left = Duration::from_millis(1500);
    let started = tokio::time::Instant::now();
    assert_eq!(cause(till.query().await), UnknownCause::Timeout);
    assert!(started.elapsed() < Duration::from_secs(5));
    // The first silence left time for a second question.
    assert_eq!(till.asked().len(), 2);
    let mut till = Till::before(vec![Reply::Silence, signed(200, UNPAID)]).await;
    till.time_left = Duration::from_secs(2);
    assert!(till.query().await.is_ok());
    let mut till = Till::before(vec![Reply::Silence]).await;
    till.time_left = Duration::from_millis(400);
    assert_eq!(
        cause(till.refund().await.map(|_| ())),
        UnknownCause::Timeout
    );
    assert_eq!(till.asked().len(), 1);
}

#[tokio::test]
async fn a_slow_answer_counts_also_after_the_second_attempt_began() {
    for second in [Reply::Silence, Reply::Drop, answer(500, &[], "")] {
        let mut till = Till::before(vec![late(200, UNPAID), second]).await;
        till.time_left = Duration::from_secs(3);
        assert!(till.query().await.is_ok());
        assert_eq!(till.asked().len(), 2);
    }
}

#[tokio::test]
async fn an_answer_about_something_else_is_no_answer() {
    for body in [
        UNPAID.replace("order_1", "order_2"),
        UNPAID.replace(MCHID, "1900000000"),
        UNPAID.replace("\"mchid\"", "\"sp_mchid\""),
        UNPAID.replace("order_1", "or|der"),
    ] {
        let till = Till::before(vec![signed(200, &body)]).await;
        assert!(
            matches!(cause(till.query().await), UnknownCause::Unexpected { .. }),
            "{body}"
        );
    }
    for body in [
        REFUND.replace("refund_1", "refund_2"),
        REFUND.replace("4200", "4201"),
        REFUND.replace("\"refund\":1", "\"refund\":2"),
        REFUND.replace("\"total\":2", "\"total\":3"),
        REFUND.replace("PROCESSING", ""),
    ] {
        let till = Till::before(vec![signed(200, &body)]).await;
        let outcome = cause(till.refund().await);
        assert!(
            matches!(outcome, UnknownCause::Unexpected { .. }),
            "{body}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_refund_and_a_payment_are_asked_for_by_number() {
    let till = Till::before(vec![signed(200, REFUND)]).await;
    let report = till
        .client
        .query_refund(&till.call(), &refund())
        .await
        .unwrap();
    assert_eq!(report.get().status, RefundStatus::Processing);
    assert_eq!(
        till.asked()[0].line,
        "GET /v3/refund/domestic/refunds/refund_1 HTTP/1.1"
    );

    let paid = UNPAID.replace("NOTPAY\"", "SUCCESS\",\"transaction_id\":\"4200\"");
    let other = paid.replace("4200", "4201");
    for (body, fits) in [
        (paid.as_str(), true),
        (other.as_str(), false),
        (UNPAID, false),
    ] {
        let till = Till::before(vec![signed(200, body)]).await;
        let report = till
            .client
            .query_transaction(&till.call(), &transaction_id())
            .await;
        assert_eq!(report.is_ok(), fits, "{body}");
        let line = "GET /v3/pay/transactions/id/4200?mchid=1900007291 HTTP/1.1";
        assert_eq!(till.asked()[0].line, line);
    }
}

#[test]
fn a_refusal_that_may_mean_paid_is_worth_a_question() {
    let refusal = |status, code: &str| crate::wechatpay::Refusal {
        status,
        code: code.to_owned(),
        message: String::new(),
        request_id: None,
        absence: None,
        refund_absence: None,
    };
    for (status, code) in [
        (400, "ORDERPAID"),
        (400, "ORDER_PAID"),
        (400, "ORDER_CLOSED"),
        (400, "INVALID_REQUEST"),
        (400, "PARAM_ERROR"),
        (403, "OUT_TRADE_NO_USED"),
    ] {
        assert!(refusal(status, code).may_mean_settled(), "{status} {code}");
    }
    for (status, code) in [
        (401, "SIGN_ERROR"),
        (403, "NO_AUTH"),
        (404, "ORDER_NOT_EXIST"),
    ] {
        assert!(!refusal(status, code).may_mean_settled(), "{status} {code}");
    }
}
