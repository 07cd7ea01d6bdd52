//! What the witness lets pass, and what it does not.

use crate::witness::Witness;

/// Sends at these milliseconds; gives the first that was too many.
fn first_too_many(mut sendings: impl Iterator<Item = i64>) -> Option<i64> {
    let mut witness = Witness::default();
    sendings.find(|at_ms| witness.refund_sent("r", *at_ms).is_err())
}

#[test]
fn a_refund_goes_to_either_host_once_and_not_on_and_on() {
    assert_eq!(first_too_many([0, 9].into_iter()), Some(9));
    let mut witness = Witness::default();
    let mut unreached = |at_ms| {
        let sent = witness.refund_sent("r", at_ms);
        witness.refund_not_sent("r");
        sent
    };
    assert_eq!(unreached(0), Ok(()));
    assert_eq!(unreached(9), Ok(()));
    assert!(unreached(18).is_err());
    let each = |seconds: i64| (0..1_000).map(move |place| place * seconds * 1_000);
    assert_eq!(first_too_many(each(20)), Some(120_000));
    assert_eq!(first_too_many(each(60)), Some(360_000));
    assert_eq!(first_too_many(each(100)), None);
}

#[test]
fn a_retry_forgets_sendings_and_refusals_but_not_the_last_sending() {
    let mut witness = Witness::default();
    witness.refund_absent("r", 0);
    assert_eq!(witness.refund_sent("r", 100_000), Ok(()));
    witness.refund_refused("r");
    witness.refund_retried("r");
    assert!(!witness.was_refused("r"));
    witness.refund_absent("r", 400_000);
    assert!(witness.refund_withdrawn("r").is_err());
    witness.refund_absent("r", 700_000);
    assert_eq!(witness.refund_withdrawn("r"), Ok(()));
}

#[test]
fn each_order_is_paid_by_a_word_of_its_own() {
    let mut witness = Witness::default();
    witness.payment_told("one");
    assert!(witness.order_became_paid("one").is_ok());
    assert!(witness.order_became_paid("other").is_err());
    witness.costs("other", 5);
    witness.order_paid("other", Some(6));
    assert!(witness.order_became_paid("other").is_err());
    witness.order_paid("other", Some(5));
    assert!(witness.order_became_paid("other").is_ok());
}
