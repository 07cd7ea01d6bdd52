//! Walks that fail while a mistake is in the code: as the walk printed them, or shorter still by hand.

#![cfg_attr(rustfmt, rustfmt_skip)]

use local::aws::Fault::{Conflict, Fail, LoseAnswer, Throttle};

use super::op::Act::{Fails, Pays};
use super::op::Decision::Reject;
use super::op::Op::{
    AllAtOnce, Close, Decide, Pay, Place, PlaceAgain, Query, Refund, RefundsAtOnce, Sweep,
    TableTrouble, Trouble,
};
use super::op::Person::{Alice, Merchant};
use super::op::Start;
use super::replay;

/// A 404 was taken for "there is no such refund", and its amount was free again. The walk of seed 1
/// showed it after 80 operations and printed these 18.
#[test]
fn a_refund_under_trouble_that_wechat_pay_says_it_does_not_know_stays_open() {
    replay(
        Start { seed: 1, hostile: true },
        &[
            Trouble { fault: "notice_unknown_event", count: 2, rate: 0.4 },
            Place { order: 1, by: Alice, trade_type: "jsapi", total: 900 },
            Refund { order: 1, refund: 1, by: Merchant, amount: 875 },
            Sweep,
            Trouble { fault: "server_error_applied", count: 6, rate: 1.0 },
            TableTrouble { calls: vec![(2, Fail), (1, Conflict), (3, Fail), (15, Conflict), (7, Throttle), (12, Fail), (34, LoseAnswer), (2, Throttle), (37, Conflict), (25, Throttle), (33, LoseAnswer), (22, Conflict), (31, LoseAnswer), (27, Fail), (9, Fail), (36, Throttle), (4, Throttle), (28, Fail), (17, Fail), (16, LoseAnswer)] },
            Trouble { fault: "response_lost", count: 6, rate: 0.4 },
            PlaceAgain { order: 1 },
            Pay { order: 1, act: Fails },
            AllAtOnce { order: 1 },
            Pay { order: 1, act: Pays },
            PlaceAgain { order: 1 },
            Refund { order: 1, refund: 2, by: Alice, amount: 208 },
            Trouble { fault: "refund_not_found", count: 2, rate: 0.4 },
            Close { order: 1 },
            Decide { order: 1, refund: 2, decision: Reject },
            Query { order: 1, by: Merchant },
            Refund { order: 1, refund: 3, by: Merchant, amount: 900 },
        ],
    );
}

/// The same by hand.
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

/// What is left was read before the write and was no condition of it. By hand.
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
