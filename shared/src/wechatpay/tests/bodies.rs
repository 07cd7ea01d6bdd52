//! Bodies sent, byte for byte, and bodies received, in the shapes of the real service.

use serde_json::Value;

use super::at;
use super::vectors::{Case, every};
use crate::domain::extras::{Detail, Extras, Goods, LimitPay, Store};
use crate::domain::report::{RefundStatus, TradeState};
use crate::domain::terms::{Item, Party, SubMerchant};
use crate::domain::{
    Appid, EventLog, Fen, Mchid, Openid, OrderId, Refund, RefundId, RefundState, Terms, Timestamp,
    TradeType, TransactionId,
};
use crate::wechatpay::extras::DETAIL_MAX;
use crate::wechatpay::prepaid::PrepaidAnswer;
use crate::wechatpay::wire::{
    self, PrepayRequest, RefundAnswer, TransactionAnswer, Unreadable, WIRE_VERSION,
    WIRE_VERSION_PLAIN,
};

/// An order's terms, with a payer whatever the trade type.
pub(super) fn terms(trade_type: TradeType) -> Terms {
    Terms {
        order_id: OrderId::parse("1217752501201407033233368018").unwrap(),
        trade_type,
        wire_version: WIRE_VERSION,
        appid: Appid::parse("wxd678efh567hg6787").unwrap(),
        mchid: Mchid::parse("1900007291").unwrap(),
        sub_merchant: None,
        description: "Image形象店-\"QQ\"公仔".to_owned(),
        total: Fen::new(100).unwrap(),
        time_expire: Timestamp::from_unix_seconds(1_528_425_296),
        attach: None,
        notify_url: "https://pay.example/wechatpay/notify".to_owned(),
        openid: Some(Openid::parse("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o").unwrap()),
        payer_client_ip: None,
        extras: Extras::default(),
        items: Vec::new(),
        placed_by: Party::Payer,
        created_at: Timestamp::from_unix_seconds(1_528_424_396),
    }
}

/// A refund of 1 fen of an order of 2.
pub(super) fn refund() -> Refund {
    Refund {
        refund_id: RefundId::parse("R1").unwrap(),
        order_id: OrderId::parse("order_1").unwrap(),
        transaction_id: TransactionId::parse("4200000000202601010000000001").unwrap(),
        sub_mchid: None,
        amount: Fen::new(1).unwrap(),
        total: Fen::new(2).unwrap(),
        reason: None,
        notify_url: "https://pay.example/wechatpay/notify".to_owned(),
        asked_by: Party::Merchant,
        created_at: Timestamp::from_unix_seconds(1_528_424_396),
        state: RefundState::Reserved,
        version: 1,
        wechatpay_refund_id: None,
        refusals: 0,
        refused_since: None,
        reserved_at: None,
        sent_at: None,
        needs_human: None,
        mac: None,
        events: EventLog::new(),
    }
}

fn body(terms: &Terms) -> String {
    written(PrepayRequest::of(terms).unwrap().body()).to_owned()
}

fn written(body: &[u8]) -> &str {
    std::str::from_utf8(body).unwrap()
}

// These bytes are a promise: an order placed by an older version is repeated with them, and WeChat
// Pay refuses a repeat that differs. A change needs another wire version beside this one.
#[test]
fn an_orders_bytes_never_change() {
    let head = r#"{"appid":"wxd678efh567hg6787","mchid":"1900007291","description":"Image形象店-\"QQ\"公仔","out_trade_no":"1217752501201407033233368018","time_expire":"2018-06-08T10:34:56+08:00""#;
    let middle = r#","notify_url":"https://pay.example/wechatpay/notify","amount":{"total":100,"currency":"CNY"}"#;
    // Whose order it is goes over the wire for jsapi alone.
    for trade_type in [TradeType::Native, TradeType::App] {
        assert_eq!(body(&terms(trade_type)), format!("{head}{middle}}}"));
    }
    let payer = r#","payer":{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}"#;
    let jsapi = terms(TradeType::Jsapi);
    assert_eq!(body(&jsapi), format!("{head}{middle}{payer}}}"));
    assert_eq!(body(&jsapi), body(&jsapi));
    let h5 = Terms {
        payer_client_ip: Some("14.23.150.211".to_owned()),
        attach: Some("note".to_owned()),
        ..terms(TradeType::H5)
    };
    let scene = r#","scene_info":{"payer_client_ip":"14.23.150.211","h5_info":{"type":"Wap"}}"#;
    let attach = r#","attach":"note""#;
    assert_eq!(body(&h5), format!("{head}{attach}{middle}{scene}}}"));
}

#[test]
fn what_an_order_carries_besides_has_its_bytes_too() {
    let whole = Terms {
        payer_client_ip: Some("14.23.150.211".to_owned()),
        extras: Extras {
            goods_tag: Some("WXG".to_owned()),
            support_fapiao: true,
            limit_pay: vec![LimitPay::NoCredit, LimitPay::NoDebit],
            detail: Some(Detail {
                cost_price: Some(608_800),
                invoice_id: Some("微信123".to_owned()),
                goods: vec![Goods {
                    merchant_goods_id: "1246464644".to_owned(),
                    wechatpay_goods_id: Some("1001".to_owned()),
                    goods_name: Some("iPhoneX 256G".to_owned()),
                    quantity: 1,
                    unit_price: 528_800,
                }],
            }),
            store: Some(Store {
                id: "0001".to_owned(),
                name: Some("腾讯大厦分店".to_owned()),
                area_code: Some("440305".to_owned()),
                address: Some("广东省深圳市南山区科技中一道10000号".to_owned()),
            }),
            profit_sharing: true,
        },
        ..terms(TradeType::Native)
    };
    let written = body(&whole);
    let (_, tail) = written.split_once(r#""notify_url":"#).unwrap();
    assert_eq!(
        tail,
        r#""https://pay.example/wechatpay/notify","goods_tag":"WXG","limit_pay":["no_credit","no_debit"],"support_fapiao":true,"amount":{"total":100,"currency":"CNY"},"detail":{"cost_price":608800,"invoice_id":"微信123","goods_detail":[{"merchant_goods_id":"1246464644","wechatpay_goods_id":"1001","goods_name":"iPhoneX 256G","quantity":1,"unit_price":528800}]},"scene_info":{"payer_client_ip":"14.23.150.211","store_info":{"id":"0001","name":"腾讯大厦分店","area_code":"440305","address":"广东省深圳市南山区科技中一道10000号"}},"settle_info":{"profit_sharing":true}}"#
    );
    // A page in the browser is told of besides, whatever else the scene has.
    let browser = body(&Terms {
        trade_type: TradeType::H5,
        ..whole
    });
    assert!(browser.contains(r#"10000号"},"h5_info":{"type":"Wap"}},"settle_info""#));
}

#[test]
fn a_payers_articles_are_told_from_the_version_on_that_knows_them() {
    let item = |sku: &str, name: &str| Item {
        sku: sku.to_owned(),
        description: name.to_owned(),
        quantity: 2,
        unit_price: Fen::new(50).unwrap(),
    };
    let ordered = |items: Vec<Item>| Terms {
        items,
        ..terms(TradeType::Jsapi)
    };
    let coffee = ordered(vec![item("coffee", "Coffee 咖啡")]);
    let told = r#","detail":{"goods_detail":[{"merchant_goods_id":"coffee","goods_name":"Coffee 咖啡","quantity":2,"unit_price":50}]}}"#;
    assert!(body(&coffee).ends_with(told), "{}", body(&coffee));
    // An order of an earlier build is repeated as it was.
    let earlier = Terms {
        wire_version: WIRE_VERSION_PLAIN,
        ..coffee
    };
    assert!(!body(&earlier).contains("detail"), "{}", body(&earlier));
    // One that WeChat Pay has no name for leaves out all.
    let unnamed = ordered(vec![item("coffee", "Coffee"), item("cake.lemon", "Cake")]);
    assert!(!body(&unnamed).contains("detail"), "{}", body(&unnamed));
    // Fifty of the longest names are too long; without names they fit.
    let longest = |place: usize| item(&format!("{place:032}"), &"茶".repeat(42));
    let many = body(&ordered((0..50).map(longest).collect()));
    let (_, detail) = many.split_once(r#""detail":"#).unwrap();
    assert!(detail.len() <= DETAIL_MAX, "{}", detail.len());
    assert_eq!(detail.matches("merchant_goods_id").count(), 50);
    assert!(!detail.contains("goods_name"));
}

#[test]
fn a_partners_order_names_both_merchants() {
    let sub = |appid: Option<&str>| {
        Some(SubMerchant {
            mchid: Mchid::parse("1900000110").unwrap(),
            appid: appid.map(|appid| Appid::parse(appid).unwrap()),
        })
    };
    let in_partners_app = Terms {
        sub_merchant: sub(None),
        ..terms(TradeType::Jsapi)
    };
    let written = body(&in_partners_app);
    let head = r#"{"sp_appid":"wxd678efh567hg6787","sp_mchid":"1900007291","sub_mchid":"1900000110","description":"#;
    assert!(written.starts_with(head), "{written}");
    let payer = r#","payer":{"sp_openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}}"#;
    assert!(written.ends_with(payer), "{written}");
    assert_eq!(in_partners_app.payers_appid(), &in_partners_app.appid);

    let in_own_app = Terms {
        sub_merchant: sub(Some("wxd678efh567hg6788")),
        ..terms(TradeType::Jsapi)
    };
    let written = body(&in_own_app);
    let named =
        r#","sp_mchid":"1900007291","sub_appid":"wxd678efh567hg6788","sub_mchid":"1900000110","#;
    assert!(written.contains(named), "{written}");
    let payer = r#","payer":{"sub_openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}}"#;
    assert!(written.ends_with(payer), "{written}");
    assert_eq!(in_own_app.payers_appid().as_str(), "wxd678efh567hg6788");

    let partners = Refund {
        sub_mchid: Some(Mchid::parse("1900000110").unwrap()),
        ..refund()
    };
    let whole = wire::refund_body(&partners);
    let head = r#"{"sub_mchid":"1900000110","out_trade_no":"#;
    assert!(self::written(&whole).starts_with(head));
}

#[test]
fn an_order_of_another_wire_version_has_no_request() {
    for wire_version in [0, WIRE_VERSION + 1] {
        let other = Terms {
            wire_version,
            ..terms(TradeType::Jsapi)
        };
        assert!(PrepayRequest::of(&other).is_none(), "{wire_version}");
    }
}

#[test]
fn a_refunds_bytes_never_change() {
    let refund = refund();
    let tail = r#""notify_url":"https://pay.example/wechatpay/notify","amount":{"refund":1,"total":2,"currency":"CNY"}}"#;
    let head = r#"{"out_trade_no":"order_1","out_refund_no":"R1","#;
    assert_eq!(
        written(&wire::refund_body(&refund)),
        format!("{head}{tail}")
    );
    let reasoned = Refund {
        reason: Some("商品已售完".to_owned()),
        ..refund
    };
    assert_eq!(
        written(&wire::refund_body(&reasoned)),
        format!("{head}\"reason\":\"商品已售完\",{tail}")
    );
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
        let openid = paid.openid.as_ref().map(Openid::as_str);
        assert_eq!(openid, plain["payer"]["openid"].as_str());
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
                let arrived = plain["success_time"].as_str().map(crate::rfc3339::parse);
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
            let status = answer["http_status"].as_u64().unwrap_or_default();
            let Some(status) = u16::try_from(status).ok().filter(|status| *status >= 400) else {
                continue;
            };
            refused += 1;
            let body = at(answer, "body");
            let plain: Value = serde_json::from_str(body).unwrap();
            let read = wire::read_refusal(status, body.as_bytes());
            assert_eq!(read.code, at(&plain, "code"), "{name}");
            // A long sentence is cut.
            let message = at(&plain, "message");
            assert!(
                message.starts_with(&read.message),
                "{name}: {}",
                read.message
            );
            assert!(!read.message.is_empty(), "{name}");
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
        assert_eq!(answer.report().unwrap_err(), Unreadable::Amount, "{total}");
    }
    let answer = wire::read::<TransactionAnswer>(body("null").as_bytes()).unwrap();
    assert_eq!(answer.report().unwrap().total, None);
}
