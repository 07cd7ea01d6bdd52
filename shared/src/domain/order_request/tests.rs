//! Every term: a repeat that differs in it is told so by its name, and the same request in nothing.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use super::*;
use crate::domain::extras::{Detail, Goods, LimitPay, Store};
use crate::domain::{Appid, Mchid};

fn fen(fen: i64) -> Fen {
    Fen::new(fen).unwrap()
}

fn openid(name: &str) -> Openid {
    Openid::parse(format!("o-{name}-0000000000000000000")).unwrap()
}

fn terms() -> Terms {
    Terms {
        order_id: OrderId::parse("order-0001").unwrap(),
        trade_type: TradeType::Jsapi,
        wire_version: 1,
        appid: Appid::parse("wx8888888888888888").unwrap(),
        mchid: Mchid::parse("1900000001").unwrap(),
        sub_merchant: None,
        description: "Coffee".to_owned(),
        total: fen(600),
        time_expire: Timestamp::from_unix_seconds(2_000),
        attach: Some("table 7".to_owned()),
        notify_url: "https://example.com/wechatpay/notify".to_owned(),
        openid: Some(openid("alice")),
        payer_client_ip: Some("203.0.113.7".to_owned()),
        extras: extras(),
        items: Vec::new(),
        placed_by: Party::Merchant,
        created_at: Timestamp::from_unix_seconds(1_000),
    }
}

fn extras() -> Extras {
    Extras {
        goods_tag: Some("WXG".to_owned()),
        support_fapiao: true,
        limit_pay: vec![LimitPay::NoCredit],
        detail: Some(Detail {
            cost_price: Some(700),
            invoice_id: Some("R-7".to_owned()),
            goods: vec![Goods {
                merchant_goods_id: "coffee".to_owned(),
                wechatpay_goods_id: None,
                goods_name: None,
                quantity: 2,
                unit_price: 300,
            }],
        }),
        store: Some(Store {
            id: "7".to_owned(),
            name: None,
            area_code: None,
            address: None,
        }),
        profit_sharing: false,
    }
}

fn merchants() -> MerchantOrder {
    let terms = terms();
    MerchantOrder {
        trade_type: terms.trade_type,
        order_id: terms.order_id,
        description: terms.description,
        total: terms.total,
        openid: terms.openid,
        time_expire: Some(terms.time_expire),
        attach: terms.attach,
        payer_client_ip: terms.payer_client_ip,
        address_named: true,
        extras: extras(),
    }
}

fn merchants_difference(change: impl FnOnce(&mut MerchantOrder)) -> Option<&'static str> {
    let mut asked = merchants();
    change(&mut asked);
    OrderRequest::Merchant(Box::new(asked)).differing_field(&terms())
}

fn coffees(quantity: u32) -> AskedItem {
    AskedItem {
        sku: "coffee".to_owned(),
        quantity,
    }
}

fn payers_terms() -> Terms {
    Terms {
        items: vec![Item {
            sku: "coffee".to_owned(),
            description: "Coffee".to_owned(),
            quantity: 2,
            unit_price: fen(300),
        }],
        placed_by: Party::Payer,
        extras: Extras::default(),
        ..terms()
    }
}

fn payers_difference(change: impl FnOnce(&mut PayerOrder)) -> Option<&'static str> {
    let terms = payers_terms();
    let mut asked = PayerOrder {
        trade_type: terms.trade_type,
        openid: openid("alice"),
        items: vec![coffees(2)],
        attach: terms.attach.clone(),
    };
    change(&mut asked);
    OrderRequest::Payer(asked).differing_field(&terms)
}

#[test]
fn a_merchants_repeat_differs_in_the_field_that_was_changed_and_the_same_in_none() {
    assert_eq!(merchants_difference(|_| {}), None);
    // What the next assertions change, by name: a new member does not compile until it is listed.
    let MerchantOrder {
        trade_type: _,
        order_id: _,
        description: _,
        total: _,
        openid: _,
        time_expire: _,
        attach: _,
        payer_client_ip: _,
        address_named: _,
        extras: _,
    } = merchants();
    type Change = fn(&mut MerchantOrder);
    let changes: [(&str, Change); 10] = [
        ("trade_type", |asked| asked.trade_type = TradeType::Native),
        ("amount.total", |asked| asked.total = fen(601)),
        ("description", |asked| asked.description.push('s')),
        ("payer.openid", |asked| asked.openid = Some(openid("bob"))),
        ("payer.openid", |asked| asked.openid = None),
        ("attach", |asked| asked.attach = None),
        ("attach", |asked| asked.attach = Some("table 8".to_owned())),
        ("time_expire", |asked| {
            asked.time_expire = Some(Timestamp::from_unix_seconds(2_001));
        }),
        ("scene_info.payer_client_ip", |asked| {
            asked.payer_client_ip = Some("203.0.113.8".to_owned());
        }),
        ("scene_info.payer_client_ip", |asked| {
            asked.payer_client_ip = None;
        }),
    ];
    for (field, change) in changes {
        assert_eq!(merchants_difference(change), Some(field));
    }
}

#[test]
fn a_merchants_repeat_differs_in_the_extra_that_was_changed() {
    type Change = fn(&mut Extras);
    let changes: [(&str, Change); 11] = [
        ("goods_tag", |extras| extras.goods_tag = None),
        ("goods_tag", |extras| {
            extras.goods_tag = Some("wxg".to_owned());
        }),
        ("support_fapiao", |extras| extras.support_fapiao = false),
        ("limit_pay", |extras| extras.limit_pay.clear()),
        ("limit_pay", |extras| {
            extras.limit_pay = vec![LimitPay::NoBalance];
        }),
        ("detail", |extras| extras.detail = None),
        ("detail", |extras| {
            extras.detail = extras.detail.take().map(|detail| Detail {
                cost_price: None,
                ..detail
            });
        }),
        ("detail", |extras| {
            extras.detail = extras.detail.take().map(|mut detail| {
                detail.goods.clear();
                detail
            });
        }),
        ("scene_info.store_info", |extras| extras.store = None),
        ("scene_info.store_info", |extras| {
            extras.store = extras.store.take().map(|store| Store {
                name: Some("North Gate".to_owned()),
                ..store
            });
        }),
        ("settle_info.profit_sharing", |extras| {
            extras.profit_sharing = true;
        }),
    ];
    for (field, change) in changes {
        let difference = merchants_difference(|asked| change(&mut asked.extras));
        assert_eq!(difference, Some(field));
    }
}

#[test]
fn what_a_merchant_left_open_was_filled_in_once() {
    assert_eq!(merchants_difference(|asked| asked.time_expire = None), None);
    // The address that a request happens to come from is none of its terms.
    let unnamed = merchants_difference(|asked| {
        asked.payer_client_ip = Some("203.0.113.8".to_owned());
        asked.address_named = false;
    });
    assert_eq!(unnamed, None);
}

#[test]
fn a_payers_repeat_differs_in_the_field_that_was_changed_and_the_same_in_none() {
    assert_eq!(payers_difference(|_| {}), None);
    type Change = fn(&mut PayerOrder);
    let changes: [(&str, Change); 8] = [
        ("trade_type", |asked| asked.trade_type = TradeType::H5),
        ("payer.openid", |asked| asked.openid = openid("bob")),
        ("items", |asked| asked.items = vec![coffees(3)]),
        ("items", |asked| asked.items.push(coffees(2))),
        ("items", |asked| asked.items.clear()),
        ("items", |asked| {
            for item in &mut asked.items {
                item.sku = "tea".to_owned();
            }
        }),
        ("attach", |asked| asked.attach = None),
        ("attach", |asked| asked.attach = Some(String::new())),
    ];
    for (field, change) in changes {
        assert_eq!(payers_difference(change), Some(field));
    }
}

#[test]
fn an_order_is_of_whoever_placed_it() {
    // The merchant takes over no payer's number, even with the very same terms.
    let merchants = OrderRequest::Merchant(Box::new(merchants()));
    let mut terms = terms();
    terms.placed_by = Party::Payer;
    assert_eq!(merchants.differing_field(&terms), Some("out_trade_no"));
    // A merchant's order has no articles, so it is none that a payer could ask for.
    let asked = OrderRequest::Payer(PayerOrder {
        trade_type: TradeType::Jsapi,
        openid: openid("alice"),
        items: vec![coffees(2)],
        attach: terms.attach.clone(),
    });
    terms.placed_by = Party::Merchant;
    assert_eq!(asked.differing_field(&terms), Some("items"));
}

#[test]
fn a_price_or_name_that_changed_since_is_no_difference() {
    let asked = OrderRequest::Payer(PayerOrder {
        trade_type: TradeType::Jsapi,
        openid: openid("alice"),
        items: vec![coffees(2)],
        attach: terms().attach,
    });
    let mut terms = payers_terms();
    terms.total = fen(9_999);
    terms.description = "Something else".to_owned();
    for item in &mut terms.items {
        item.unit_price = fen(9_999);
        item.description = "Something else".to_owned();
    }
    assert_eq!(asked.differing_field(&terms), None);
}
