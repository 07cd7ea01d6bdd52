//! Every state of a refund meets every report. What is held against all of them: money is released
//! once at most, and only by WeChat Pay's CLOSED. Amounts themselves are at the end.

#![expect(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod decisions;
mod events;
mod withdrawals;

use super::{
    Decision, OtherTerms, Refund, RefundChange, RefundState, RefundTerms, RefundableChange,
    RefusalKind, approves_itself, next_refund_at,
};
use crate::domain::books::{REFUND_WINDOW_SECONDS, REFUNDS_MAX, REQUESTS_MAX};
use crate::domain::contradiction::Contradiction;
use crate::domain::money::FEN_MAX;
use crate::domain::report::{RefundReport, RefundStatus};
use crate::domain::terms::{Party, Terms, TradeType};
use crate::domain::{
    Appid, Due, EventLog, Fen, InvalidFen, Mchid, Order, OrderId, OrderState, Payment, RecordMac,
    RefundId, Timestamp, TransactionId, WechatpayRefundId,
};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const LATER: Timestamp = NOW.plus_seconds(77);
const ARRIVED: Timestamp = NOW.minus_seconds(40);
const WITHDRAWN: Timestamp = NOW.minus_seconds(4_000);
const MISSED: Timestamp = NOW.minus_seconds(3_000);

pub(in crate::domain) const STATES: [RefundState; 10] = [
    RefundState::Requested,
    RefundState::Reserved,
    RefundState::Processing,
    RefundState::Abnormal,
    RefundState::Closed,
    RefundState::Success { at: ARRIVED },
    RefundState::Rejected,
    RefundState::Withdrawing {
        since: WITHDRAWN,
        missing_since: None,
    },
    RefundState::Withdrawing {
        since: WITHDRAWN,
        missing_since: Some(MISSED),
    },
    RefundState::Withdrawn {
        at: MISSED,
        confirmations: 0,
    },
];

fn statuses() -> [RefundStatus; 6] {
    [
        RefundStatus::Processing,
        RefundStatus::Success { at: Some(ARRIVED) },
        RefundStatus::Success { at: None },
        RefundStatus::Closed,
        RefundStatus::Abnormal,
        RefundStatus::Unknown("CHANGE".to_owned()),
    ]
}

fn fen(fen: i64) -> Fen {
    Fen::new(fen).unwrap()
}

pub(in crate::domain) fn refund(state: RefundState) -> Refund {
    Refund {
        refund_id: RefundId::parse("REFUND_1").unwrap(),
        order_id: OrderId::parse("ORDER_000001").unwrap(),
        transaction_id: TransactionId::parse("4200000001").unwrap(),
        sub_mchid: None,
        amount: fen(300),
        total: fen(1_234),
        reason: None,
        notify_url: "https://shop.example/v1/notify".to_owned(),
        asked_by: Party::Merchant,
        created_at: NOW.minus_seconds(600),
        reserved_at: Some(NOW.minus_seconds(500)),
        sent_at: Some(NOW.minus_seconds(5_000)),
        state,
        version: 7,
        wechatpay_refund_id: None,
        refusals: 2,
        refused_since: Some(NOW.minus_seconds(400)),

        needs_human: Some("refused twice".to_owned()),
        mac: RecordMac::from_slice(&[7; 32]),
        events: EventLog::new(),
    }
}

/// A paid order that the refund may be of.
pub(in crate::domain) fn order() -> Order {
    let record = refund(RefundState::Reserved);
    let mut order = Order::placed(Terms {
        order_id: record.order_id,
        trade_type: TradeType::Jsapi,
        wire_version: 1,
        appid: Appid::parse("wxd678efh567hg6787").unwrap(),
        mchid: Mchid::parse("1900007291").unwrap(),
        sub_merchant: None,
        description: "Tea".to_owned(),
        total: record.total,
        time_expire: NOW,
        attach: None,
        notify_url: record.notify_url,
        openid: None,
        payer_client_ip: None,
        extras: crate::domain::extras::Extras::default(),
        items: Vec::new(),
        placed_by: Party::Merchant,
        created_at: NOW.minus_seconds(1_000),
    });
    order.state = OrderState::Success(Payment {
        transaction_id: record.transaction_id,
        success_time: NOW.minus_seconds(900),
        payer_total: None,
        refundable: record.total.get(),
        refund_count: 0,
        next_refund_at: None,
        closed_at: None,
        refunded_elsewhere: false,
    });
    order
}

fn report(status: RefundStatus) -> RefundReport {
    let record = refund(RefundState::Reserved);
    RefundReport {
        refund_id: record.refund_id,
        order_id: record.order_id,
        mchid: None,
        sub_mchid: None,
        transaction_id: record.transaction_id,
        wechatpay_refund_id: WechatpayRefundId::parse("50300000001").unwrap(),
        amount: record.amount,
        total: record.total,
        status,
    }
}

/// The refund afterwards and what was released; `None` where the report contradicts the record.
fn after(refund: &Refund, status: &RefundStatus) -> Option<(Refund, RefundableChange)> {
    match refund.observe(&report(status.clone()), NOW) {
        RefundChange::Changed { refund, money } => Some((*refund, money)),
        RefundChange::Unchanged => Some((refund.clone(), RefundableChange::Stays)),
        RefundChange::Contradiction(_) => None,
    }
}

fn changed(observation: RefundChange) -> (Refund, RefundableChange) {
    match observation {
        RefundChange::Changed { refund, money } => (*refund, money),
        RefundChange::Unchanged | RefundChange::Contradiction(_) => panic!("{observation:?}"),
    }
}

fn impossible(recorded: &'static str, reported: &'static str) -> RefundChange {
    RefundChange::Contradiction(Contradiction::Impossible { recorded, reported })
}

#[test]
fn money_is_held_from_the_reservation_on_until_a_close() {
    let held: Vec<_> = STATES
        .into_iter()
        .map(|state| (state.as_str(), state.holds_money(), state.is_under_way()))
        .collect();
    let expected = [
        ("REQUESTED", false, false),
        ("RESERVED", true, true),
        ("PROCESSING", true, true),
        ("ABNORMAL", true, true),
        ("CLOSED", false, false),
        ("SUCCESS", true, false),
        ("REJECTED", false, false),
        ("WITHDRAWING", true, true),
        ("WITHDRAWING", true, true),
        ("WITHDRAWN", false, false),
    ];
    assert_eq!(held, expected);
}

#[test]
fn each_report_moves_each_state_as_the_table_says() {
    use RefundState::{Abnormal, Closed, Processing, Reserved};
    let arrived = RefundState::Success { at: ARRIVED };
    // PROCESSING, SUCCESS, CLOSED and ABNORMAL, each as the state it leads to.
    let table = [
        (
            Reserved,
            [
                Some(Processing),
                Some(arrived),
                Some(Closed),
                Some(Abnormal),
            ],
        ),
        (
            Processing,
            [
                Some(Processing),
                Some(arrived),
                Some(Closed),
                Some(Abnormal),
            ],
        ),
        (
            Abnormal,
            [Some(Abnormal), Some(arrived), Some(Closed), Some(Abnormal)],
        ),
        (Closed, [Some(Closed), None, Some(Closed), Some(Closed)]),
        (arrived, [Some(arrived), Some(arrived), None, Some(arrived)]),
        (
            STATES[7],
            [
                Some(Processing),
                Some(arrived),
                Some(Closed),
                Some(Abnormal),
            ],
        ),
        (
            STATES[8],
            [
                Some(Processing),
                Some(arrived),
                Some(Closed),
                Some(Abnormal),
            ],
        ),
        (
            STATES[9],
            [
                Some(Processing),
                Some(arrived),
                Some(Closed),
                Some(Abnormal),
            ],
        ),
    ];
    let told = [
        RefundStatus::Processing,
        RefundStatus::Success { at: Some(ARRIVED) },
        RefundStatus::Closed,
        RefundStatus::Abnormal,
    ];
    for (state, row) in table {
        for (status, expected) in told.iter().zip(row) {
            let state_after = after(&refund(state), status).map(|(refund, _)| refund.state);
            assert_eq!(state_after, expected, "{} {status:?}", state.as_str());
        }
    }
}

#[test]
fn hearing_a_report_twice_is_hearing_it_once() {
    for state in STATES {
        for status in statuses() {
            let refund = refund(state);
            let report = report(status);
            let first = refund.observe(&report, NOW);
            match &first {
                RefundChange::Changed { refund, .. } => {
                    assert_eq!(
                        refund.observe(&report, LATER),
                        RefundChange::Unchanged,
                        "{report:?}"
                    );
                }
                // Nothing was written, so the same question has the same answer.
                RefundChange::Unchanged | RefundChange::Contradiction(_) => {
                    assert_eq!(refund.observe(&report, LATER), first, "{report:?}");
                }
            }
        }
    }
}

#[test]
fn the_sequence_of_reports_does_not_decide_where_a_refund_ends() {
    for state in STATES {
        for one in statuses() {
            for two in statuses() {
                let end = |first: &RefundStatus, second: &RefundStatus| {
                    after(&refund(state), first)
                        .and_then(|(refund, _)| after(&refund, second))
                        .map(|(refund, _)| refund.state.as_str())
                };
                let (one_way, other_way) = (end(&one, &two), end(&two, &one));
                if one_way.is_some() && other_way.is_some() {
                    assert_eq!(one_way, other_way, "{} {one:?} {two:?}", state.as_str());
                }
            }
        }
    }
}

/// What a refund does to its order's `refundable` when it becomes `after`.
fn money_between(before: &Refund, after: &Refund) -> RefundableChange {
    match (before.state.holds_money(), after.state.holds_money()) {
        (true, false) => RefundableChange::Released(before.amount),
        (false, true) => RefundableChange::TakenAgain(before.amount),
        (true, true) | (false, false) => RefundableChange::Stays,
    }
}

#[test]
fn money_moves_exactly_when_it_starts_or_stops_being_held_whatever_is_heard() {
    for state in STATES {
        for one in statuses() {
            for two in statuses() {
                for three in statuses() {
                    let mut refund = refund(state);
                    let mut released = i32::from(refund.state.as_str() == "WITHDRAWN");
                    for status in [&one, &two, &three] {
                        // A contradiction changes nothing: the next report meets the same record.
                        let Some((next, money)) = after(&refund, status) else {
                            continue;
                        };
                        assert_eq!(
                            money,
                            money_between(&refund, &next),
                            "{refund:?} {status:?}"
                        );
                        released += match money {
                            RefundableChange::Released(_) => 1,
                            RefundableChange::TakenAgain(_) => -1,
                            RefundableChange::Stays => 0,
                        };
                        refund = next;
                    }
                    assert!(
                        (0..=1).contains(&released),
                        "{} {one:?} {two:?} {three:?}",
                        state.as_str()
                    );
                }
            }
        }
    }
}

#[test]
fn a_close_releases_the_amount_once_and_its_repeat_nothing() {
    for state in [
        RefundState::Reserved,
        RefundState::Processing,
        RefundState::Abnormal,
    ] {
        let closed = report(RefundStatus::Closed);
        let (refund, money) = changed(refund(state).observe(&closed, NOW));
        assert_eq!(
            (refund.state, money),
            (RefundState::Closed, RefundableChange::Released(fen(300)))
        );
        assert_eq!(refund.observe(&closed, LATER), RefundChange::Unchanged);
    }
}

#[test]
fn of_all_reports_only_a_close_releases_money() {
    for state in STATES {
        for status in statuses() {
            let observation = refund(state).observe(&report(status.clone()), NOW);
            if let RefundChange::Changed {
                money: RefundableChange::Released(_),
                ..
            } = observation
            {
                assert_eq!(status, RefundStatus::Closed, "{}", state.as_str());
            }
        }
    }
}

#[test]
fn success_and_close_never_follow_each_other() {
    for at in [None, Some(ARRIVED)] {
        let observation =
            refund(RefundState::Closed).observe(&report(RefundStatus::Success { at }), NOW);
        assert_eq!(observation, impossible("CLOSED", "SUCCESS"));
    }
    let arrived = refund(RefundState::Success { at: ARRIVED });
    let observation = arrived.observe(&report(RefundStatus::Closed), NOW);
    assert_eq!(observation, impossible("SUCCESS", "CLOSED"));
}

#[test]
fn a_refund_that_was_never_sent_is_not_moved_by_a_report() {
    for state in [RefundState::Requested, RefundState::Rejected] {
        for status in statuses()
            .into_iter()
            .filter(|status| !matches!(status, RefundStatus::Unknown(_)))
        {
            let observation = refund(state).observe(&report(status), NOW);
            assert_eq!(observation, impossible(state.as_str(), "a refund"));
        }
    }
}

#[test]
fn a_status_without_a_meaning_is_a_contradiction_everywhere() {
    for state in STATES {
        let observation =
            refund(state).observe(&report(RefundStatus::Unknown("X".to_owned())), NOW);
        let contradiction = Contradiction::UnknownState("X".to_owned());
        assert_eq!(
            observation,
            RefundChange::Contradiction(contradiction),
            "{}",
            state.as_str()
        );
    }
}

#[test]
fn a_field_that_differs_is_named_in_every_state_and_changes_nothing() {
    for state in STATES {
        for status in statuses() {
            let report = report(status);
            let cases = [
                (
                    "out_refund_no",
                    RefundReport {
                        refund_id: RefundId::parse("REFUND_2").unwrap(),
                        ..report.clone()
                    },
                ),
                (
                    "out_trade_no",
                    RefundReport {
                        order_id: OrderId::parse("ORDER_000002").unwrap(),
                        ..report.clone()
                    },
                ),
                (
                    "transaction_id",
                    RefundReport {
                        transaction_id: TransactionId::parse("4200000002").unwrap(),
                        ..report.clone()
                    },
                ),
                (
                    "amount.refund",
                    RefundReport {
                        amount: fen(299),
                        ..report.clone()
                    },
                ),
                (
                    "amount.refund",
                    RefundReport {
                        amount: fen(301),
                        ..report.clone()
                    },
                ),
                (
                    "amount.total",
                    RefundReport {
                        total: fen(1_235),
                        ..report.clone()
                    },
                ),
                (
                    "sub_mchid",
                    RefundReport {
                        sub_mchid: Mchid::parse("1900000110").ok(),
                        ..report.clone()
                    },
                ),
            ];
            for (field, report) in cases {
                let expected = RefundChange::Contradiction(Contradiction::Differs { field });
                assert_eq!(
                    refund(state).observe(&report, NOW),
                    expected,
                    "{}",
                    state.as_str()
                );
            }
        }
    }
}

#[test]
fn a_partners_refund_is_the_sub_merchants_that_it_is_of() {
    let sub = |mchid: &str| Mchid::parse(mchid).ok();
    for status in statuses() {
        let record = Refund {
            sub_mchid: sub("1900000110"),
            ..refund(RefundState::Processing)
        };
        let told = |mchid: Option<Mchid>, sub_mchid| RefundReport {
            mchid,
            sub_mchid,
            ..report(status.clone())
        };
        let differs = RefundChange::Contradiction(Contradiction::Differs { field: "sub_mchid" });
        // Answers to our own calls name nobody.
        let fits = record.observe(&told(None, None), NOW);
        assert_ne!(fits, differs);
        let named = told(sub("1900007291"), sub("1900000110"));
        assert_eq!(record.observe(&named, NOW), fits);
        for other in [
            told(sub("1900007291"), sub("1900000111")),
            told(sub("1900007291"), None),
            told(None, sub("1900000111")),
        ] {
            assert_eq!(record.observe(&other, NOW), differs, "{other:?}");
        }
    }
}

#[test]
fn a_change_tells_wechat_pays_number_and_forgets_what_was_refused_and_nothing_else() {
    for state in STATES {
        for status in statuses() {
            let before = refund(state);
            let RefundChange::Changed { refund, .. } = before.observe(&report(status), NOW) else {
                continue;
            };
            let withdrawn = before.state.as_str().starts_with("WITHDRAW");
            let expected = Refund {
                state: refund.state,
                version: before.version + 1,
                wechatpay_refund_id: refund.wechatpay_refund_id.clone(),
                refusals: if withdrawn { before.refusals } else { 0 },
                refused_since: before.refused_since.filter(|_| withdrawn),
                needs_human: withdrawn
                    .then(|| "WeChat Pay has taken it although it was withdrawn".to_owned()),
                events: refund.events.clone(),
                ..before
            };
            assert!(refund.wechatpay_refund_id.is_some());
            assert_eq!(*refund, expected);
        }
    }
}

#[test]
fn money_whose_arrival_has_no_time_arrived_when_it_was_learnt() {
    for (at, expected) in [(Some(ARRIVED), ARRIVED), (None, NOW)] {
        let told = report(RefundStatus::Success { at });
        let (refund, _) = changed(refund(RefundState::Processing).observe(&told, NOW));
        assert_eq!(refund.state, RefundState::Success { at: expected });
    }
}

#[test]
fn the_first_arrival_time_stays() {
    let arrived = refund(RefundState::Success { at: ARRIVED });
    for at in [None, Some(LATER)] {
        let observation = arrived.observe(&report(RefundStatus::Success { at }), LATER);
        assert_eq!(observation, RefundChange::Unchanged);
    }
}

#[test]
fn a_refund_is_looked_at_while_something_may_be_learnt() {
    for (attempts, seconds) in [
        (0, 60),
        (1, 120),
        (2, 300),
        (3, 600),
        (4, 1_800),
        (5, 3_600),
    ] {
        for state in [RefundState::Reserved, RefundState::Processing] {
            assert_eq!(
                refund(state).due_at(NOW, attempts),
                Some(NOW.plus_seconds(seconds))
            );
        }
        // A person acts at WeChat Pay; that is not hurried by asking.
        let daily = Some(NOW.plus_seconds(86_400));
        assert_eq!(refund(RefundState::Abnormal).due_at(NOW, attempts), daily);
    }
    for state in STATES {
        let due = refund(state).due_at(NOW, 0);
        assert_eq!(due.is_some(), state.is_watched(), "{}", state.as_str());
    }
}

#[test]
fn wechat_pay_takes_fifty_refunds_within_a_year() {
    assert_eq!((REFUNDS_MAX, REQUESTS_MAX), (50, 50));
    assert_eq!(REFUND_WINDOW_SECONDS, 31_536_000);
}

#[test]
fn an_amount_is_one_fen_to_ten_million_yuan() {
    for given in [1, 2, 1_234, i64::from(FEN_MAX) - 1, i64::from(FEN_MAX)] {
        assert_eq!(fen(given).get(), given);
        assert_eq!(fen(given).to_string(), given.to_string());
    }
    for given in [
        0,
        -1,
        i64::from(FEN_MAX) + 1,
        i64::from(u32::MAX),
        // What a cut to 32 bits would make 1 of.
        i64::from(u32::MAX) + 2,
        -i64::from(u32::MAX),
        i64::MIN,
        i64::MAX,
    ] {
        assert_eq!(Fen::new(given), Err(InvalidFen { given }));
    }
    assert_eq!(FEN_MAX, 1_000_000_000);
    let told = InvalidFen { given: 0 }.to_string();
    assert_eq!(told, "an amount must be 1 to 1000000000 fen, not 0");
}

#[test]
fn a_product_is_refused_where_it_leaves_the_bounds_and_never_wraps() {
    assert_eq!(fen(3).times(4), Ok(fen(12)));
    assert_eq!(fen(1).times(FEN_MAX), Ok(fen(i64::from(FEN_MAX))));
    assert_eq!(fen(3).times(0), Err(InvalidFen { given: 0 }));
    assert_eq!(
        fen(2).times(FEN_MAX),
        Err(InvalidFen {
            given: 2_000_000_000
        })
    );
    let largest = fen(i64::from(FEN_MAX));
    let given = i64::from(FEN_MAX) * i64::from(u32::MAX);
    assert_eq!(largest.times(u32::MAX), Err(InvalidFen { given }));
}

#[test]
fn a_sum_is_refused_where_it_leaves_the_bounds() {
    let largest = fen(i64::from(FEN_MAX));
    assert_eq!(fen(3).plus(fen(4)), Ok(fen(7)));
    assert_eq!(fen(i64::from(FEN_MAX) - 1).plus(fen(1)), Ok(largest));
    assert_eq!(
        largest.plus(fen(1)),
        Err(InvalidFen {
            given: i64::from(FEN_MAX) + 1
        })
    );
    assert_eq!(
        largest.plus(largest),
        Err(InvalidFen {
            given: 2 * i64::from(FEN_MAX)
        })
    );
}

#[test]
fn fifty_of_the_largest_amounts_are_far_from_overflow() {
    let sum = i64::from(FEN_MAX)
        .checked_mul(i64::from(REFUNDS_MAX))
        .unwrap();
    assert!(sum < i64::MAX / 1_000);
}
