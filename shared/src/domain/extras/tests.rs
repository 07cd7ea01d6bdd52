//! Which extras there are, and what coupons are told of a payer's articles.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use super::*;
use crate::domain::Fen;

fn item(sku: &str) -> Item {
    Item {
        sku: sku.to_owned(),
        description: "Coffee".to_owned(),
        quantity: 2,
        unit_price: Fen::new(300).unwrap(),
    }
}

#[test]
fn a_payers_articles_are_told_whole_or_not_at_all() {
    let detail = Detail::of_items(&[item("coffee"), item("tea")]).unwrap();
    let [coffee, tea] = detail.goods.as_slice() else {
        unreachable!("two articles are {:?}", detail.goods);
    };
    assert_eq!(coffee.merchant_goods_id, "coffee");
    assert_eq!(coffee.goods_name.as_deref(), Some("Coffee"));
    assert_eq!((coffee.quantity, coffee.unit_price), (2, 300));
    assert_eq!(tea.merchant_goods_id, "tea");
    assert_eq!((detail.cost_price, &detail.invoice_id), (None, &None));

    assert_eq!(Detail::of_items(&[]), None);
    for other in ["a.b", "s".repeat(33).as_str(), "", "茶"] {
        assert_eq!(
            Detail::of_items(&[item("coffee"), item(other)]),
            None,
            "{other}"
        );
    }
}

#[test]
fn an_order_without_any_of_it_is_empty_and_one_with_any_is_not() {
    assert!(Extras::default().is_empty());
    type Change = fn(&mut Extras);
    let changes: [Change; 6] = [
        |extras| extras.goods_tag = Some("WXG".to_owned()),
        |extras| extras.support_fapiao = true,
        |extras| extras.limit_pay.push(LimitPay::NoCredit),
        |extras| extras.detail = Some(Detail::default()),
        |extras| {
            extras.store = Some(Store {
                id: "7".to_owned(),
                name: None,
                area_code: None,
                address: None,
            });
        },
        |extras| extras.profit_sharing = true,
    ];
    for change in changes {
        let mut extras = Extras::default();
        change(&mut extras);
        assert!(!extras.is_empty(), "{extras:?}");
    }
}

#[test]
fn each_limit_is_read_by_its_name() {
    for limit in LimitPay::ALL {
        assert_eq!(LimitPay::parse(limit.as_str()), Some(limit));
    }
    assert_eq!(LimitPay::parse("NO_CREDIT"), None);
}
