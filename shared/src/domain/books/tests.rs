//! What can still be refunded: each bound on both of its sides, and which one is named first.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use super::{NotRefundable, REFUND_WINDOW_SECONDS, REFUNDS_MAX, books_balance, not_refundable};
use crate::domain::order::OrderState;
use crate::domain::refund::RefundState;
use crate::domain::refund::tests::{STATES, order, refund};
use crate::domain::{Fen, Payment, Refund, Timestamp};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

#[test]
fn a_payment_takes_a_refund_within_all_bounds_and_names_the_first_it_crosses() {
    let amount = Fen::new(300).unwrap();
    for refundable in [0, 299, 300, 1_234] {
        for refund_count in [0, REFUNDS_MAX - 1, REFUNDS_MAX, REFUNDS_MAX + 1] {
            for age in [-1, 0, REFUND_WINDOW_SECONDS - 1, REFUND_WINDOW_SECONDS] {
                let payment = Payment {
                    refundable,
                    refund_count,
                    success_time: NOW.minus_seconds(age),
                    ..order().payment_on_record().unwrap().clone()
                };
                let expected = if refundable < 300 {
                    Some(NotRefundable::Exceeds { refundable })
                } else if refund_count >= REFUNDS_MAX {
                    Some(NotRefundable::TooMany)
                } else if age >= REFUND_WINDOW_SECONDS {
                    Some(NotRefundable::TooOld)
                } else {
                    None
                };
                assert_eq!(not_refundable(&payment, amount, NOW), expected);
            }
        }
    }
}

#[test]
fn books_balance_where_what_is_held_and_what_is_left_make_the_total() {
    let total = order().terms.total.get();
    for one in STATES {
        for two in STATES {
            let refunds = [refund(one), refund(two)];
            let holds = |refund: &&Refund| refund.state.holds_money();
            let held: i64 = refunds
                .iter()
                .filter(holds)
                .map(|refund| refund.amount.get())
                .sum();
            for (off, balanced) in [(-1, false), (0, true), (1, false)] {
                let mut order = order();
                let mut payment = order.payment_on_record().unwrap().clone();
                payment.refundable = total - held + off;
                order.state = OrderState::Success(payment);
                assert_eq!(books_balance(&order, &refunds), balanced, "{one:?} {two:?}");
            }
        }
    }
    let mut unpaid = order();
    unpaid.state = OrderState::NotPay;
    let refunds = [refund(RefundState::Requested)];
    assert!(
        books_balance(&unpaid, &refunds),
        "there are none to balance"
    );
}
