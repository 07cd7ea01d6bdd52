//! Sealed texts: they open again, for their order and under their key alone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::*;

fn keys(byte: u8) -> ApiKeys {
    ApiKeys {
        token_keys: Vec::new(),
        merchant_key_hashes: Vec::new(),
        number_key: vec![byte; 32],
    }
}

#[test]
fn a_sealed_text_opens_for_its_order_and_under_its_key_alone() {
    let order = OrderId::parse("sealed-0001").unwrap();
    let other = OrderId::parse("sealed-0002").unwrap();
    let text = "wx201410272009395522657a690389285100";
    let sealed = seal(&keys(1), &order, text).unwrap();
    assert_eq!(open(&keys(1), &order, &sealed).as_deref(), Some(text));
    assert_ne!(seal(&keys(1), &order, text).unwrap(), sealed);
    assert!(!sealed.contains(text));
    assert_eq!(open(&keys(1), &other, &sealed), None);
    assert_eq!(open(&keys(2), &order, &sealed), None);
    for broken in ["", "AAAA", "no base64", &sealed[4..], text] {
        assert_eq!(open(&keys(1), &order, broken), None, "{broken}");
    }
}
