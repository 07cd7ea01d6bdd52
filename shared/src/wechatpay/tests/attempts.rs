//! Attempts: what is sent, what is safe to be sent twice, and when there is no more time for it.

use std::time::Duration;

use super::server::{Reply, Server, answer, last, late, signed};
use super::till::{MCHID, REFUND, Till, UNPAID, cause, refund, transaction_id};
use super::{MERCHANT_SERIAL, PLATFORM_SERIAL, merchant};
use crate::domain::report::{RefundStatus, TradeState};
use crate::domain::{Mchid, TradeType};
use crate::wechatpay::sign::authorization;
use crate::wechatpay::{CallError, Prepaid, PrepayRequest, UnknownCause};

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

/// "No such order".
const ABSENT: &str = r#"{"code":"ORDER_NOT_EXIST","message":"订单不存在"}"#;

#[tokio::test]
async fn a_refusal_of_one_attempt_gives_way_to_the_answer_of_the_other() {
    let refused = r#"{"code":"INVALID_REQUEST","message":"订单号重复"}"#;
    let placed = r#"{"prepay_id":"wx1"}"#;
    // The second is refused before the first is answered, or the first before the second.
    for replies in [
        vec![last(200, placed), signed(400, refused)],
        vec![late(400, refused), signed(200, placed)],
    ] {
        let mut till = Till::before(replies).await;
        till.time_left = Duration::from_secs(3);
        let placed = till.prepay(TradeType::Jsapi).await.unwrap().into_inner();
        let prepay_id = "wx1".to_owned();
        assert_eq!(placed, Prepaid::Jsapi { prepay_id });
        assert_eq!(till.asked().len(), 2);
    }
    let mut till = Till::before(vec![last(200, UNPAID), signed(404, ABSENT)]).await;
    till.time_left = Duration::from_secs(3);
    let report = till.query().await.unwrap().into_inner();
    assert_eq!(report.state, TradeState::Unpaid, "an absence is no report");
    assert_eq!(till.asked().len(), 2);
}

#[tokio::test]
async fn a_refusal_counts_where_the_other_attempt_brings_no_answer_within_the_time() {
    for replies in [
        vec![Reply::Silence, signed(404, ABSENT)],
        vec![late(404, ABSENT), Reply::Silence],
        vec![late(404, ABSENT), Reply::Drop],
        vec![late(404, ABSENT), answer(500, &[], "")],
        vec![last(500, "{}"), signed(404, ABSENT)],
    ] {
        let mut till = Till::before(replies).await;
        till.time_left = Duration::from_millis(1_500);
        let started = tokio::time::Instant::now();
        let error = till.query().await.unwrap_err();
        assert!(error.absence().is_some(), "{error}");
        assert!(started.elapsed() < Duration::from_secs(5));
        assert_eq!(till.asked().len(), 2);
    }
}

#[tokio::test]
async fn a_refund_and_a_payment_are_asked_for_by_number() {
    let till = Till::before(vec![signed(200, REFUND)]).await;
    let report = till
        .client
        .query_refund(&till.call(), &refund().refund_id, None)
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
