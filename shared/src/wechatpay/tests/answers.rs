//! Answers: only what is signed is believed, and only where it fits what was asked.

use super::server::{Reply, answer, signed, signed_at};
use super::till::{MCHID, REFUND, Till, UNPAID, cause, refund};
use super::{MERCHANT_SERIAL, signed_headers};
use crate::clock::Clock;
use crate::domain::TradeType;
use crate::wechatpay::{CallError, UnknownCause};

/// Makes the same answer as often as it is asked for.
type Maker = Box<dyn Fn() -> Reply>;

fn is_unverified<T: std::fmt::Debug>(outcome: &Result<T, CallError>) -> bool {
    outcome.as_ref().is_err_and(CallError::is_unverified)
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
        let asked = till
            .client
            .query_refund(&till.call(), &refund().refund_id, None)
            .await;
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
