//! Notices: known ones, and the ways in which a signed one can still be wrong.

use serde_json::{Value, json};

use super::keys::seal;
use super::vectors::{Case, every};
use super::{APIV3_KEY, at, find, platform_keys, seconds, signed_headers, vector};
use crate::domain::report::{RefundStatus, TradeState};
use crate::domain::{Appid, Fen, Mchid, Openid, OrderId, Timestamp};
use crate::rfc3339;
use crate::wechatpay::{
    Apiv3Keys, KeySlot, Notification, NotificationError, PlatformKeys, ReadNotification,
    SignatureHeaders, read_notification, verify,
};

/// Signs the body as WeChat Pay and reads it.
fn told(body: &[u8]) -> Result<ReadNotification, NotificationError> {
    let now = Timestamp::from_unix_seconds(1_722_850_421);
    let pairs = signed_headers(body, now);
    let headers = SignatureHeaders::parse(|name| {
        pairs
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    });
    let keys = platform_keys();
    let verified = verify(&keys, &headers.unwrap(), body, now).unwrap();
    read_notification(&verified, &Apiv3Keys::parse(&[APIV3_KEY]).unwrap())
}

fn envelope(event_type: &str, content: &str) -> Value {
    json!({
        "id": "00000000-0000-5000-8000-000000000001",
        "create_time": "garbage",
        "resource_type": "encrypt-resource",
        "event_type": event_type,
        "summary": "支付成功",
        "resource": {
            "original_type": "transaction",
            "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": seal(APIV3_KEY, "k3J9xQ0vLm2A", "transaction", content.as_bytes()),
            "associated_data": "transaction",
            "nonce": "k3J9xQ0vLm2A",
        },
    })
}

fn told_of(event_type: &str, content: &Value) -> Result<Notification, NotificationError> {
    told(
        envelope(event_type, &content.to_string())
            .to_string()
            .as_bytes(),
    )
    .map(|read| read.notice)
}

fn payment() -> Value {
    serde_json::from_str(at(&vector("notify/transaction_success.json"), "plaintext")).unwrap()
}

fn refund() -> Value {
    serde_json::from_str(at(&vector("notify/refund_success.json"), "plaintext")).unwrap()
}

fn with(mut content: Value, name: &str, value: Value) -> Value {
    match name.split_once('.') {
        Some((outer, inner)) => content[outer][inner] = value,
        None => content[name] = value,
    }
    content
}

fn without(mut content: Value, name: &str) -> Value {
    content.as_object_mut().unwrap().remove(name);
    content
}

/// Verifies and reads a whole notice; `None` where its APIv3 key is none, as one SDK's is not.
fn read_case(case: &Case) -> Option<ReadNotification> {
    let apiv3_keys = Apiv3Keys::parse(&[case.at("api_v3_key")]).ok()?;
    let member = |header: &str| {
        let headers = case.value["headers"].as_object().unwrap();
        let pairs: Vec<(&str, &str)> = headers
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str().unwrap()))
            .collect();
        find(&pairs, header)
    };
    let headers = SignatureHeaders::parse(member).unwrap();
    let pem = case.file("public_key_file");
    let keys = PlatformKeys::parse(&[(member("wechatpay-serial").unwrap(), &pem)]).unwrap();
    let now = seconds(member("wechatpay-timestamp").unwrap());
    let verified = verify(&keys, &headers, case.at("body").as_bytes(), now).unwrap();
    Some(read_notification(&verified, &apiv3_keys).unwrap())
}

/// Holds a notice that was read against the plain text that was sealed in it.
fn assert_read(case: &Case, told: ReadNotification) {
    let name = &case.name;
    let envelope: Value = serde_json::from_str(case.at("body")).unwrap();
    let plain: Value = serde_json::from_str(case.at("plaintext")).unwrap();
    assert_eq!(told.id, at(&envelope, "id"), "{name}");
    assert_eq!(told.key_slot, Some(KeySlot::Current), "{name}");
    let success_time = plain["success_time"].as_str().map(|text| {
        let read = rfc3339::parse(text).unwrap();
        if let Some(seconds) = case.value["success_time_unix_seconds"].as_i64() {
            assert_eq!(read, Timestamp::from_unix_seconds(seconds), "{name}");
        }
        read
    });
    match told.notice {
        Notification::Payment(report) => {
            let report = report.into_inner();
            assert_eq!(
                report.order_id.as_str(),
                at(&plain, "out_trade_no"),
                "{name}"
            );
            assert_eq!(
                report.mchid.as_ref().map(Mchid::as_str),
                plain["mchid"].as_str(),
                "{name}"
            );
            assert_eq!(
                report.appid.as_ref().map(Appid::as_str),
                plain["appid"].as_str(),
                "{name}"
            );
            let total = report.total.map(Fen::get);
            assert_eq!(total, plain["amount"]["total"].as_i64(), "{name}");
            let TradeState::Paid(paid) = report.state else {
                panic!("{name} is paid")
            };
            let transaction_id = paid.transaction_id.as_str();
            assert_eq!(transaction_id, at(&plain, "transaction_id"), "{name}");
            assert_eq!(paid.success_time, success_time, "{name}");
            assert_eq!(
                paid.openid.as_ref().map(Openid::as_str),
                plain["payer"]["openid"].as_str()
            );
        }
        Notification::Refund(report) => {
            let report = report.into_inner();
            assert_eq!(
                report.order_id.as_str(),
                at(&plain, "out_trade_no"),
                "{name}"
            );
            assert_eq!(
                report.refund_id.as_str(),
                at(&plain, "out_refund_no"),
                "{name}"
            );
            assert_eq!(
                report.wechatpay_refund_id.as_str(),
                at(&plain, "refund_id"),
                "{name}"
            );
            let amount = Some(report.amount.get());
            assert_eq!(amount, plain["amount"]["refund"].as_i64(), "{name}");
            let status = match at(&plain, "refund_status") {
                "SUCCESS" => RefundStatus::Success { at: success_time },
                "CLOSED" => RefundStatus::Closed,
                "ABNORMAL" => RefundStatus::Abnormal,
                other => panic!("{other}"),
            };
            assert_eq!(report.status, status, "{name}");
        }
        other @ (Notification::UnknownState { .. } | Notification::Unhandled { .. }) => {
            panic!("{name}: {other:?}")
        }
    }
}

#[test]
fn known_notices_are_read() {
    let mut read = 0;
    for case in every(&["notification"]) {
        if let Some(told) = read_case(&case) {
            assert_read(&case, told);
            read += 1;
        } else {
            assert_eq!(case.at("api_v3_key").len(), 16, "{}", case.name);
        }
    }
    assert!(read >= 4, "our own alone are four");
}

#[test]
fn an_envelope_that_cannot_be_read_is_told_as_one() {
    let good = envelope("TRANSACTION.SUCCESS", &payment().to_string());
    assert!(told(good.to_string().as_bytes()).is_ok());
    let broken = [
        String::new(),
        "null".to_owned(),
        format!("[{good}]"),
        format!("\u{feff}{good}"),
        format!("{good}x"),
        good.to_string()[..100].to_owned(),
        without(good.clone(), "event_type").to_string(),
        without(good.clone(), "resource").to_string(),
        without(good.clone(), "id").to_string(),
        with(good.clone(), "id", json!("")).to_string(),
        with(good.clone(), "id", json!("a#b")).to_string(),
        with(good.clone(), "id", json!("a".repeat(65))).to_string(),
        with(good.clone(), "resource_type", json!("plain-resource")).to_string(),
        good.to_string()
            .replacen('{', r#"{"event_type":"TRANSACTION.SUCCESS","#, 1),
    ];
    for body in broken {
        assert_eq!(
            told(body.as_bytes()),
            Err(NotificationError::Envelope),
            "{body}"
        );
    }
    assert_eq!(
        told(b"{\"id\":\"a\",\"event_type\":\"\xff\"}"),
        Err(NotificationError::Envelope)
    );
}

#[test]
fn an_event_of_another_kind_is_set_aside_unopened() {
    for event_type in [
        "",
        "transaction.success",
        "TRANSACTION.SUCCESS ",
        "TRANSACTION.PAYERROR",
        "SECURITY_ECHO.SUCCESS",
    ] {
        for body in [
            envelope(event_type, "not even JSON"),
            json!({"id": "a", "event_type": event_type, "resource_type": "tomorrow"}),
            json!({"id": "a", "event_type": event_type}),
            json!({"id": "a", "event_type": event_type, "resource_type": 7, "resource": "a text"}),
            json!({"id": "a", "event_type": event_type, "resource": ["a", {"list": null}]}),
            json!({"id": "a", "event_type": event_type, "resource": {"ciphertext": 7}}),
            json!({"id": "a", "event_type": event_type, "resource": null}),
        ] {
            let read = told(body.to_string().as_bytes()).unwrap();
            assert_eq!(
                read.notice,
                Notification::Unhandled {
                    event_type: event_type.to_owned()
                }
            );
            assert_eq!(read.key_slot, None);
        }
    }
}

#[test]
fn what_no_key_opens_is_told_with_its_id() {
    let good = envelope("TRANSACTION.SUCCESS", &payment().to_string());
    let other = seal(&"b".repeat(32), "k3J9xQ0vLm2A", "transaction", b"{}");
    for (name, value) in [
        ("ciphertext", json!(other)),
        ("ciphertext", json!("")),
        ("ciphertext", json!("%%%")),
        ("nonce", json!("short")),
        ("nonce", json!("")),
        ("algorithm", json!("AEAD_AES_128_GCM")),
        ("algorithm", json!("AEAD_SM4_GCM")),
        ("associated_data", json!("refund")),
        ("associated_data", Value::Null),
    ] {
        let body = with(good.clone(), &format!("resource.{name}"), value).to_string();
        let error = told(body.as_bytes()).unwrap_err();
        assert!(
            matches!(error, NotificationError::Undecryptable { .. }),
            "{name}: {error}"
        );
        assert_eq!(
            error.notification_id(),
            Some("00000000-0000-5000-8000-000000000001")
        );
    }
}

#[test]
fn a_payment_that_is_none_is_never_reported_as_one() {
    let is_content = |error: &NotificationError| matches!(error, NotificationError::Content { .. });
    let is_contradiction =
        |error: &NotificationError| matches!(error, NotificationError::Contradiction { .. });
    let refused = |content: &Value| told_of("TRANSACTION.SUCCESS", content).unwrap_err();
    for total in [json!(1.0), json!("100"), json!(true), json!({})] {
        assert!(
            is_content(&refused(&with(payment(), "amount.total", total.clone()))),
            "{total}"
        );
    }
    for total in [
        json!(0),
        json!(-1),
        json!(9_007_199_254_740_992_i64),
        json!(i64::MAX),
    ] {
        let error = refused(&with(payment(), "amount.total", total.clone()));
        assert!(is_contradiction(&error), "{total}: {error}");
    }
    for id in [
        json!(""),
        json!("4".repeat(33)),
        Value::Null,
        json!("42\n00"),
    ] {
        assert!(
            is_content(&refused(&with(payment(), "transaction_id", id.clone()))),
            "{id}"
        );
    }
    assert!(is_content(&refused(&without(payment(), "transaction_id"))));
    assert!(is_content(&refused(&without(payment(), "out_trade_no"))));
    assert!(is_content(&refused(&json!([payment()]))));
    // A merchant is named in one way, and wholly.
    let half = with(without(payment(), "mchid"), "sp_mchid", json!("1900000109"));
    assert!(is_contradiction(&refused(&half)));
    for name in ["sp_mchid", "sub_mchid"] {
        let both = with(payment(), name, json!("1900000110"));
        assert!(is_contradiction(&refused(&both)), "{name}");
    }
}

#[test]
fn a_partner_is_told_whose_payment_and_refund_it_is() {
    let partners = |content| {
        let content = with(without(content, "mchid"), "sp_mchid", json!("1900000109"));
        with(content, "sub_mchid", json!("1900000110"))
    };
    let paid = with(
        without(partners(payment()), "appid"),
        "sp_appid",
        json!("wx01"),
    );
    let payers = json!({"sp_openid": "oPartner", "sub_openid": "oSub"});
    let paid = with(paid, "payer", payers);
    for (sub_appid, openid) in [(None, "oPartner"), (Some("wx02"), "oSub")] {
        let content = match sub_appid {
            Some(sub_appid) => with(paid.clone(), "sub_appid", json!(sub_appid)),
            None => paid.clone(),
        };
        let notice = told_of("TRANSACTION.SUCCESS", &content);
        let Ok(Notification::Payment(report)) = notice else {
            panic!("{notice:?}");
        };
        let report = report.get();
        let mchid = |id: &Option<Mchid>| id.as_ref().map(ToString::to_string);
        assert_eq!(mchid(&report.mchid).as_deref(), Some("1900000109"));
        assert_eq!(mchid(&report.sub_mchid).as_deref(), Some("1900000110"));
        assert_eq!(report.appid.as_ref().map(Appid::as_str), Some("wx01"));
        assert_eq!(report.sub_appid.as_ref().map(Appid::as_str), sub_appid);
        let TradeState::Paid(paid) = &report.state else {
            panic!("{:?}", report.state);
        };
        assert_eq!(paid.openid.as_ref().map(Openid::as_str), Some(openid));
    }
    let notice = told_of("REFUND.SUCCESS", &partners(refund()));
    let Ok(Notification::Refund(report)) = notice else {
        panic!("{notice:?}");
    };
    let sub_mchid = report.get().sub_mchid.as_ref().map(Mchid::as_str);
    assert_eq!(sub_mchid, Some("1900000110"));
}

#[test]
fn a_payment_event_with_another_state_is_set_aside() {
    for state in ["NOTPAY", "CLOSED", "REFUND", "TOMORROW", "success"] {
        let notice = told_of(
            "TRANSACTION.SUCCESS",
            &with(payment(), "trade_state", json!(state)),
        );
        let set_aside = Notification::UnknownState {
            event_type: "TRANSACTION.SUCCESS".to_owned(),
            mchid: payment()["mchid"].as_str().map(str::to_owned),
            sub_mchid: None,
            state: state.to_owned(),
            order_id: OrderId::parse(payment()["out_trade_no"].as_str().unwrap()).ok(),
            refund_id: None,
        };
        assert_eq!(notice, Ok(set_aside), "{state}");
    }
    let combined = json!({"combine_out_trade_no": "C1", "sub_orders": [payment()]});
    assert!(matches!(
        told_of("TRANSACTION.SUCCESS", &combined),
        Ok(Notification::Unhandled { .. })
    ));
}

#[test]
fn a_payments_harmless_oddities_are_read_over() {
    for (name, value) in [
        ("success_time", json!("yesterday")),
        ("success_time", json!("1970-01-01T00:00:00Z")),
        ("trade_type", json!("MICROPAY")),
        ("attach", json!("<script>{}%s")),
        ("payer.openid", json!("")),
        ("tomorrow", json!({"deep": [[[[1]]]]})),
        ("summary", json!("\u{202e}\u{0}")),
    ] {
        let notice = told_of("TRANSACTION.SUCCESS", &with(payment(), name, value));
        assert!(
            matches!(notice, Ok(Notification::Payment(_))),
            "{name}: {notice:?}"
        );
    }
}

#[test]
fn a_refunds_event_and_status_must_agree() {
    for (event, status) in [
        ("REFUND.SUCCESS", "SUCCESS"),
        ("REFUND.CLOSED", "CLOSED"),
        ("REFUND.ABNORMAL", "ABNORMAL"),
    ] {
        for told in ["SUCCESS", "CLOSED", "ABNORMAL", "PROCESSING", "TOMORROW"] {
            let notice = told_of(event, &with(refund(), "refund_status", json!(told)));
            match (told == status, told) {
                (true, _) => assert!(
                    matches!(notice, Ok(Notification::Refund(_))),
                    "{event} {told}"
                ),
                (false, "TOMORROW") => {
                    let named = matches!(
                        &notice,
                        Ok(Notification::UnknownState { state, order_id: Some(_), refund_id: Some(_), .. })
                            if state == told
                    );
                    assert!(named, "{event} {told}: {notice:?}");
                }
                (false, _) => {
                    assert!(
                        matches!(notice, Err(NotificationError::Contradiction { .. })),
                        "{event} {told}"
                    );
                }
            }
        }
    }
    let partners = with(refund(), "sp_mchid", json!("1900000109"));
    assert!(matches!(
        told_of("REFUND.SUCCESS", &partners),
        Err(NotificationError::Contradiction { .. })
    ));
    let payments = told_of("REFUND.SUCCESS", &payment());
    assert!(
        matches!(payments, Err(NotificationError::Content { .. })),
        "{payments:?}"
    );
}
