//! Bodies sent, byte for byte, and bodies received, in the shapes of the real service.

use serde_json::Value;

use super::at;
use super::vectors::{Case, every};
use crate::domain::report::{RefundStatus, TradeState};
use crate::domain::{Fen, OrderId, RefundId, Timestamp, TransactionId};
use crate::wechatpay::RefundRequest;
use crate::wechatpay::wire::{
    self, PrepaidAnswer, PrepayRequest, RefundAnswer, RefusalAnswer, TransactionAnswer,
    WIRE_VERSION, beijing_day, parse_rfc3339, rfc3339, rfc3339_utc,
};

fn order(number: &OrderId) -> PrepayRequest<'_> {
    PrepayRequest {
        wire_version: WIRE_VERSION,
        appid: "wxd678efh567hg6787",
        mchid: "1900007291",
        description: "Image形象店-\"QQ\"公仔",
        out_trade_no: number,
        time_expire: Timestamp::from_unix_seconds(1_528_425_296),
        attach: None,
        notify_url: "https://pay.example/wechatpay/notify",
        total: Fen::new(100).unwrap(),
        openid: None,
        payer_client_ip: None,
    }
}

fn written(body: &[u8]) -> &str {
    std::str::from_utf8(body).unwrap()
}

// These bytes are a promise: an order placed by an older version is repeated with them, and WeChat
// Pay refuses a repeat that differs. A change needs another wire version beside this one.
#[test]
fn an_orders_bytes_never_change() {
    let number = OrderId::parse("1217752501201407033233368018").unwrap();
    let head = r#"{"appid":"wxd678efh567hg6787","mchid":"1900007291","description":"Image形象店-\"QQ\"公仔","out_trade_no":"1217752501201407033233368018","time_expire":"2018-06-08T10:34:56+08:00""#;
    let middle = r#","notify_url":"https://pay.example/wechatpay/notify","amount":{"total":100,"currency":"CNY"}"#;
    assert_eq!(written(&order(&number).body()), format!("{head}{middle}}}"));
    let jsapi = PrepayRequest {
        openid: Some("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"),
        ..order(&number)
    };
    let payer = r#","payer":{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}"#;
    assert_eq!(written(&jsapi.body()), format!("{head}{middle}{payer}}}"));
    let h5 = PrepayRequest {
        payer_client_ip: Some("14.23.150.211"),
        attach: Some("note"),
        ..order(&number)
    };
    let scene = r#","scene_info":{"payer_client_ip":"14.23.150.211","h5_info":{"type":"Wap"}}"#;
    let attach = r#","attach":"note""#;
    assert_eq!(
        written(&h5.body()),
        format!("{head}{attach}{middle}{scene}}}")
    );
    assert_eq!(h5.body(), h5.body());
}

#[test]
fn a_refunds_bytes_never_change() {
    let transaction_id = TransactionId::parse("4200000000202601010000000001").unwrap();
    let refund_id = RefundId::parse("R1").unwrap();
    let refund = RefundRequest {
        transaction_id: &transaction_id,
        refund_id: &refund_id,
        reason: None,
        notify_url: "https://pay.example/wechatpay/notify",
        refund: Fen::new(1).unwrap(),
        total: Fen::new(2).unwrap(),
    };
    let tail = r#""notify_url":"https://pay.example/wechatpay/notify","amount":{"refund":1,"total":2,"currency":"CNY"}}"#;
    let head = r#"{"transaction_id":"4200000000202601010000000001","out_refund_no":"R1","#;
    assert_eq!(written(&refund.body()), format!("{head}{tail}"));
    let reasoned = RefundRequest {
        reason: Some("商品已售完"),
        ..refund
    };
    assert_eq!(
        written(&reasoned.body()),
        format!("{head}\"reason\":\"商品已售完\",{tail}")
    );
}

#[test]
fn moments_are_written_in_beijing_time_and_read_in_any() {
    let moment = Timestamp::from_unix_seconds(1_699_261_011);
    assert_eq!(rfc3339(moment), "2023-11-06T16:56:51+08:00");
    assert_eq!(rfc3339_utc(moment), "2023-11-06T08:56:51Z");
    for text in [
        "2023-11-06T16:56:51+08:00",
        "2023-11-06T08:56:51Z",
        "2023-11-06T08:56:51.999+00:00",
        "2023-11-06t16:56:51+08:00",
        "2023-11-06t08:56:51z",
    ] {
        assert_eq!(parse_rfc3339(text), Some(moment), "{text}");
    }
    for text in [
        "",
        "1699261011",
        "2023-11-06",
        "2023-11-06T16:56:51",
        "2023-13-06T16:56:51+08:00",
        "2023-11-06X16:56:51+08:00",
        "2023-11-06_16:56:51+08:00",
        "2023-11-06 16:56:51+08:00",
        "2023-11-06-16:56:51+08:00",
        "2023-11-06\n16:56:51+08:00",
        "2023-11-06Ｔ16:56:51+08:00",
        "2023-11-06T16.56.51+08:00",
        "2023_11_06T16:56:51+08:00",
        "2023-11-06T16:56:51,5+08:00",
        "2023-11-06T16:56:51 08:00",
        "2023-11-06T16:56:51+0800",
        "2023-11-06T16:56:51+08_00",
        "2023-11-06T16:56:51+08:00 ",
        "+2023-11-06T16:56:51+08:00",
    ] {
        assert_eq!(parse_rfc3339(text), None, "{text}");
    }
    // The day turns at Beijing's midnight.
    assert_eq!(
        beijing_day(Timestamp::from_unix_seconds(1_699_286_399)),
        "20231106"
    );
    assert_eq!(
        beijing_day(Timestamp::from_unix_seconds(1_699_286_400)),
        "20231107"
    );
    for extreme in [i64::MIN, i64::MAX, 253_402_300_799, -377_705_116_800] {
        // The nearest moment that can be written stands for them; nothing panics.
        let moment = Timestamp::from_unix_seconds(extreme);
        let (ours, utc) = (rfc3339(moment), rfc3339_utc(moment));
        assert!(
            parse_rfc3339(&ours).is_some() && parse_rfc3339(&ours) == parse_rfc3339(&utc),
            "{ours}"
        );
        assert_eq!(beijing_day(moment).len(), 8);
    }
}

/// Every known body of a name, as text and as JSON.
fn known(name: &str) -> Vec<(String, Value)> {
    let all = every(&["bodies", "observed_bodies"]);
    let named = all.iter().flat_map(Case::cases);
    let found: Vec<(String, Value)> = named
        .filter(|case| at(case, "name") == name)
        .map(|case| {
            let body = at(case, "body");
            (body.to_owned(), serde_json::from_str(body).unwrap())
        })
        .collect();
    assert!(!found.is_empty(), "{name}");
    found
}

#[test]
fn orders_are_read_with_their_quirks() {
    for (body, plain) in known("query_unpaid") {
        let report = wire::read::<TransactionAnswer>(body.as_bytes())
            .unwrap()
            .report()
            .unwrap();
        assert_eq!(report.state, TradeState::Unpaid);
        let total = report.total.map(Fen::get);
        assert_eq!(total, plain["amount"]["total"].as_i64());
        assert_eq!(report.order_id.as_str(), at(&plain, "out_trade_no"));
        assert_eq!(report.currency, None);
    }
    for (body, plain) in known("query_paid_native") {
        let report = wire::read::<TransactionAnswer>(body.as_bytes())
            .unwrap()
            .report()
            .unwrap();
        let TradeState::Paid(paid) = report.state else {
            panic!("{report:?}")
        };
        assert_eq!(paid.payer_total, plain["amount"]["payer_total"].as_i64());
        assert_eq!(report.currency.as_deref(), Some("CNY"));
        assert_eq!(paid.transaction_id.as_str(), at(&plain, "transaction_id"));
        assert_eq!(paid.openid.as_deref(), plain["payer"]["openid"].as_str());
        assert!(paid.success_time.is_some() && !paid.refunded);
    }
}

#[test]
fn refunds_are_read() {
    for (name, status) in [
        ("refund_accepted", "PROCESSING"),
        ("refund_query_success", "SUCCESS"),
    ] {
        for (body, plain) in known(name) {
            let report = wire::read::<RefundAnswer>(body.as_bytes())
                .unwrap()
                .report()
                .unwrap();
            let amounts = (report.amount.get(), report.total.get());
            let amount = |member: &str| plain["amount"][member].as_i64().unwrap();
            assert_eq!(amounts, (amount("refund"), amount("total")), "{name}");
            assert_eq!(report.refund_id.as_str(), at(&plain, "out_refund_no"));
            let processing = report.status == RefundStatus::Processing;
            assert_eq!(processing, status == "PROCESSING", "{name}");
            if let RefundStatus::Success { at } = report.status {
                let arrived = plain["success_time"].as_str().map(parse_rfc3339);
                assert_eq!(Some(at), arrived, "{name}");
            }
        }
    }
}

#[test]
fn refusals_give_their_code() {
    let mut refused = 0;
    for case in every(&["bodies", "observed_bodies"]) {
        for answer in case.cases() {
            let name = format!("{} {}", case.name, at(answer, "name"));
            if answer["http_status"]
                .as_u64()
                .is_none_or(|status| status < 400)
            {
                continue;
            }
            refused += 1;
            let body = at(answer, "body");
            let plain: Value = serde_json::from_str(body).unwrap();
            let read: RefusalAnswer = wire::read(body.as_bytes()).unwrap();
            assert_eq!(read.code.as_deref(), Some(at(&plain, "code")), "{name}");
            assert_eq!(
                read.message.as_deref(),
                Some(at(&plain, "message")),
                "{name}"
            );
        }
    }
    assert!(refused > 0);
    for (body, plain) in known("prepay_success") {
        let prepaid: PrepaidAnswer = wire::read(body.as_bytes()).unwrap();
        assert_eq!(prepaid.prepay_id.as_deref(), Some(at(&plain, "prepay_id")));
    }
}

#[test]
fn every_trade_state_has_its_meaning() {
    let told = |state: &str, transaction_id: &str| {
        let body = format!(
            r#"{{"out_trade_no":"order_1","trade_state":"{state}","transaction_id":"{transaction_id}"}}"#
        );
        wire::read::<TransactionAnswer>(body.as_bytes())
            .unwrap()
            .report()
            .map(|report| report.state)
    };
    assert_eq!(told("NOTPAY", ""), Ok(TradeState::Unpaid));
    assert_eq!(told("USERPAYING", ""), Ok(TradeState::Unpaid));
    assert_eq!(told("CLOSED", ""), Ok(TradeState::Closed));
    for state in ["REVOKED", "PAYERROR", "success", "TOMORROW"] {
        assert_eq!(told(state, ""), Ok(TradeState::Unknown(state.to_owned())));
    }
    for (state, refunded) in [("SUCCESS", false), ("REFUND", true)] {
        let Ok(TradeState::Paid(paid)) = told(state, "42") else {
            panic!("{state}")
        };
        assert_eq!(paid.refunded, refunded);
        // Paid without WeChat Pay's own number is not an answer.
        assert!(told(state, "").is_err());
        assert!(told(state, &"4".repeat(33)).is_err());
    }
}

#[test]
fn only_a_json_object_in_utf_8_is_an_answer() {
    let good = r#"{"prepay_id":"wx1","later":{"a":[1,{"b":null}]}}"#;
    assert!(wire::read::<PrepaidAnswer>(good.as_bytes()).is_ok());
    for bad in [
        "",
        "null",
        "[]",
        r#"["wx1",null,null]"#,
        "\"wx1\"",
        "1",
        " {}",
        "\u{feff}{}",
        "{",
        "{}x",
        "{} {}",
        r#"{"prepay_id":"wx1","prepay_id":"wx2"}"#,
        r#"{"prepay_id":1}"#,
        "<html>",
        "{'prepay_id':1}",
    ] {
        assert!(
            wire::read::<PrepaidAnswer>(bad.as_bytes()).is_err(),
            "{bad}"
        );
    }
    assert!(wire::read::<PrepaidAnswer>(b"{\"later\":\"\xff\"}").is_err());
    assert!(wire::read::<PrepaidAnswer>(b"{\"prepay_id\":\"\xff\"}").is_err());
    // What is skipped may be deep; it is skipped without recursion.
    let deep = format!("{{\"later\":{}{}}}", "[".repeat(30_000), "]".repeat(30_000));
    assert!(wire::read::<PrepaidAnswer>(deep.as_bytes()).is_ok());
}

#[test]
fn amounts_are_whole_numbers_of_fen() {
    let body = |total: &str| {
        format!(
            r#"{{"out_trade_no":"order_1","trade_state":"NOTPAY","amount":{{"total":{total}}}}}"#
        )
    };
    for total in [
        "1.0",
        "\"100\"",
        "1e2",
        "true",
        "9223372036854775808",
        "[1]",
    ] {
        assert!(
            wire::read::<TransactionAnswer>(body(total).as_bytes()).is_err(),
            "{total}"
        );
    }
    for total in ["0", "-1", "9007199254740992", "9223372036854775807"] {
        let answer = wire::read::<TransactionAnswer>(body(total).as_bytes()).unwrap();
        assert_eq!(answer.report().unwrap_err(), wire::NO_AMOUNT, "{total}");
    }
    let answer = wire::read::<TransactionAnswer>(body("null").as_bytes()).unwrap();
    assert_eq!(answer.report().unwrap().total, None);
}
