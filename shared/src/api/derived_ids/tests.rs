//! The laws of derived numbers: of their alphabet, the same for the same intention, another for any other.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::collections::HashSet;

use proptest::prelude::*;

use super::{order_id, refund_id};
use crate::api::Caller;
use crate::config::secrets::ApiKeys;
use crate::domain::{Openid, OrderId};

fn keys(number_key: [u8; 32]) -> ApiKeys {
    ApiKeys {
        token_keys: Vec::new(),
        merchant_key_hashes: Vec::new(),
        number_key: number_key.to_vec(),
    }
}

fn payer(openid: &str) -> Caller {
    let openid = Openid::parse(openid).unwrap();
    Caller::Payer { openid }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(256)
    })]

    #[test]
    fn a_derived_number_is_of_its_alphabet_and_tells_nothing(
        number_key: [u8; 32],
        openid in "[0-9A-Za-z_-]{28}",
        key in "[0-9A-Za-z_-]{16,64}",
        prefix in "[0-9A-Za-z_-]{0,6}",
    ) {
        let (keys, caller) = (keys(number_key), payer(&openid));
        let number = order_id(&keys, &prefix, &caller, &key).unwrap();
        prop_assert_eq!(&number, &order_id(&keys, &prefix, &caller, &key).unwrap());
        let hash = number.as_str().strip_prefix(prefix.as_str()).unwrap();
        prop_assert_eq!(hash.len(), 26);
        prop_assert!(hash.bytes().all(|byte| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte)));
        prop_assert!(!hash.contains(&openid) && !hash.contains(&key));
        // A refund's number does not say that it is of the same key.
        let refund = refund_id(&keys, &caller, &number, &key).unwrap();
        prop_assert_ne!(refund.as_str(), hash);
        prop_assert_eq!(refund.as_str().len(), hash.len());
    }

    /// What stands between two parts decides too: `ab` and `c` is another intention than `a` and `bc`.
    #[test]
    fn each_intention_has_a_number_of_its_own(
        number_key: [u8; 32],
        text in "[0-9A-Za-z_-]{45,60}",
        one in 1_usize..28,
        other in 1_usize..28,
    ) {
        prop_assume!(one != other);
        let keys = keys(number_key);
        let mut numbers = HashSet::new();
        for place in [one, other] {
            let (openid, key) = text.split_at(place);
            let caller = payer(openid);
            let order = OrderId::parse("ORDER-000001").unwrap();
            prop_assert!(numbers.insert(order_id(&keys, "", &caller, key).unwrap().to_string()));
            prop_assert!(numbers.insert(refund_id(&keys, &caller, &order, key).unwrap().to_string()));
            let (order, key) = text.split_at(place.max(6));
            let order = OrderId::parse(order).unwrap();
            let refund = refund_id(&keys, &Caller::Merchant, &order, key).unwrap();
            prop_assert!(numbers.insert(refund.to_string()) || one.max(6) == other.max(6));
        }
        // Under another key of the stack's everything is another number.
        let mut another = number_key;
        another[0] ^= 1;
        let caller = payer(&text[..one]);
        let theirs = order_id(&self::keys(another), "", &caller, &text[one..]).unwrap();
        prop_assert!(!numbers.contains(theirs.as_str()));
    }
}
