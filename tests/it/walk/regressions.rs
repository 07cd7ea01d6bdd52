//! Walks that failed once, while a mistake was in the code, as the lists that the walk prints.

#![cfg_attr(rustfmt, rustfmt_skip)]

use super::op::Act::Pays;
use super::op::Op::{Pay, Place, Refund, RefundsAtOnce, Trouble};
use super::op::Person::Merchant;
use super::op::Start;
use super::replay;

/// A 404 was taken for "there is no such refund", and its amount was free again.
#[test]
fn a_refund_that_wechat_pay_says_it_does_not_know_stays_open() {
    replay(
        Start { seed: 2, hostile: false },
        &[
            Place { order: 1, by: Merchant, trade_type: "native", total: 1 },
            Pay { order: 1, act: Pays },
            Trouble { fault: "refund_not_found", count: 1, rate: 1.0 },
            Refund { order: 1, refund: 1, by: Merchant, amount: 1 },
        ],
    );
}

/// What is left was read before the write and was no condition of it.
#[test]
fn refunds_at_the_same_time_do_not_exceed_the_payment() {
    replay(
        Start { seed: 0, hostile: false },
        &[
            Place { order: 1, by: Merchant, trade_type: "native", total: 2 },
            Pay { order: 1, act: Pays },
            RefundsAtOnce { order: 1, first: 1 },
        ],
    );
}
