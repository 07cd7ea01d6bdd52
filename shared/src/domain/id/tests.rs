//! Numbers: what each may hold, and how a refusal tells it.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use super::{Openid, OrderId, PREFIX_MAX, RefundId, TransactionId};

#[test]
fn a_derived_number_of_an_order_has_its_prefix_and_26_characters_of_hash() {
    assert_eq!(PREFIX_MAX + 26, 32);
}

#[test]
fn numbers_have_their_lengths() {
    for (length, order, refund, payment) in [
        (0, false, false, false),
        (1, false, true, true),
        (5, false, true, true),
        (6, true, true, true),
        (32, true, true, true),
        (33, false, true, false),
        (64, false, true, false),
        (65, false, false, false),
    ] {
        let text = "A".repeat(length);
        assert_eq!(OrderId::parse(text.as_str()).is_ok(), order, "{length}");
        assert_eq!(RefundId::parse(text.as_str()).is_ok(), refund, "{length}");
        assert_eq!(
            TransactionId::parse(text.as_str()).is_ok(),
            payment,
            "{length}"
        );
    }
}

#[test]
fn numbers_are_of_letters_digits_underscore_and_hyphen() {
    for byte in 0..=u8::MAX {
        let text = format!("ORDER{}1", char::from(byte));
        let legal = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        assert_eq!(OrderId::parse(text.as_str()).is_ok(), legal, "{text:?}");
        assert_eq!(RefundId::parse(text.as_str()).is_ok(), legal, "{text:?}");
        assert_eq!(
            TransactionId::parse(text.as_str()).is_ok(),
            legal,
            "{text:?}"
        );
    }
    for text in [
        "订单编号一二",
        "ORDER１２３",
        "../../..",
        "ORDER/1",
        "ORDER|1*",
        "ORDER%31",
        "ORDER1\n",
    ] {
        assert!(OrderId::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_refused_number_is_told_by_its_wire_name_and_rule() {
    let told = OrderId::parse("short").unwrap_err();
    assert_eq!(told.field, "out_trade_no");
    let rule = "out_trade_no must be 6 to 32 characters of 0-9, A-Z, a-z, _ and -";
    assert_eq!(told.to_string(), rule);
    assert_eq!(RefundId::parse("").unwrap_err().field, "out_refund_no");
    assert_eq!(
        TransactionId::parse("").unwrap_err().field,
        "transaction_id"
    );
    let number = OrderId::parse("ORDER_000001").unwrap();
    assert_eq!(
        (number.as_str(), number.to_string().as_str()),
        ("ORDER_000001", "ORDER_000001")
    );
}

#[test]
fn an_openid_is_compared_and_not_printed() {
    let openid = Openid::parse("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o").unwrap();
    assert_eq!(format!("{openid:?}"), "Openid([redacted])");
    assert_eq!(format!("{:#?}", Some(&openid)).matches("oUpF8").count(), 0);
    assert_ne!(
        openid,
        Openid::parse("oUpF8uMuAJO_M2pxb1Q9zNjWeS6p").unwrap()
    );
    let long = "o".repeat(129);
    for text in ["", "o u", "o\nu", "ö", long.as_str()] {
        assert!(Openid::parse(text).is_err(), "{text:?}");
    }
}
