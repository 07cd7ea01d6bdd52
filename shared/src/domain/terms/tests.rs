//! What coupons are told of a payer's articles.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use super::*;

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
    let detail = detail_of(&[item("coffee"), item("tea")]).unwrap();
    let [coffee, tea] = detail.goods.as_slice() else {
        unreachable!("two articles are {:?}", detail.goods);
    };
    assert_eq!(coffee.merchant_goods_id, "coffee");
    assert_eq!(coffee.goods_name.as_deref(), Some("Coffee"));
    assert_eq!((coffee.quantity, coffee.unit_price), (2, 300));
    assert_eq!(tea.merchant_goods_id, "tea");
    assert_eq!((detail.cost_price, &detail.invoice_id), (None, &None));

    assert_eq!(detail_of(&[]), None);
    for other in ["a.b", "s".repeat(33).as_str(), "", "茶"] {
        assert_eq!(detail_of(&[item("coffee"), item(other)]), None, "{other}");
    }
}
