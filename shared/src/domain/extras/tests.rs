//! Which extras there are.

use super::*;

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
fn texts_may_be_as_long_as_wechat_pay_says_and_a_goods_id_has_a_byte_at_least() {
    let most = [GOODS_TAG_MAX, NUMBER_MAX, NAME_MAX, ADDRESS_MAX];
    assert_eq!(most, [32, 32, 256, 512]);
    for (length, is_taken) in [(0, false), (1, true), (32, true), (33, false)] {
        assert_eq!(is_goods_id(&"g".repeat(length)), is_taken, "{length}");
    }
}

#[test]
fn each_limit_is_read_by_its_name() {
    for limit in LimitPay::ALL {
        assert_eq!(LimitPay::parse(limit.as_str()), Some(limit));
    }
    assert_eq!(LimitPay::parse("NO_CREDIT"), None);
}
