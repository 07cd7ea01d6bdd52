//! Every state of an order and of a refund meets every way in which its row can differ; then the days.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::collections::BTreeSet;

use super::*;
use crate::domain::RefundState;
use crate::domain::bill::{FlowKind, FlowRow};
use crate::domain::order::ClosedBy;
use crate::domain::refund::tests::{STATES, refund};
use crate::domain::terms::{Party, Terms, TradeType};
use crate::domain::{Appid, Fen, OrderId, Payment, TransactionId};

/// 2026-01-01T12:00:00+08:00.
const NOON: Timestamp = Timestamp::from_unix_seconds(1_767_240_000);
const HOUR: i64 = 3_600;
const TOTAL: i64 = 1_234;

#[test]
fn ten_minutes_around_midnight_are_near_it_and_fen_are_rounded_half_up() {
    let (starts, ends) = (day().starts_at(), day().ends_at());
    for (at, near) in [
        (starts.plus_seconds(599), true),
        (starts.plus_seconds(600), false),
        (ends.minus_seconds(601), false),
        (ends.minus_seconds(600), true),
    ] {
        assert_eq!(is_near_midnight(at, day()), near, "{at}");
    }
    for (thousandths, fen) in [(499, 0), (500, 1), (1_499, 1), (-500, 0), (-501, -1)] {
        assert_eq!(rounded_fen(thousandths), fen, "{thousandths}");
    }
}

fn day() -> BeijingDay {
    BeijingDay::of(NOON)
}

fn mchid() -> Mchid {
    Mchid::parse("1900007291").unwrap()
}

fn order(state: OrderState) -> Order {
    let terms = Terms {
        order_id: OrderId::parse("ORDER_000001").unwrap(),
        trade_type: TradeType::Native,
        wire_version: 1,
        appid: Appid::parse("wxd678efh567hg6787").unwrap(),
        mchid: mchid(),
        sub_merchant: None,
        description: "Tea".to_owned(),
        total: Fen::new(TOTAL).unwrap(),
        time_expire: NOON.plus_seconds(HOUR),
        attach: None,
        notify_url: "https://shop.example/notify".to_owned(),
        openid: None,
        payer_client_ip: None,
        extras: crate::domain::extras::Extras::default(),
        items: Vec::new(),
        placed_by: Party::Merchant,
        created_at: NOON.minus_seconds(HOUR),
    };
    Order {
        state,
        ..Order::placed(terms)
    }
}

#[test]
fn a_row_is_anothers_where_its_number_is_not_our_own_and_nothing_is_on_record() {
    let own = OwnNumbers::with_prefix("T1-");
    let order = order(OrderState::NotPay);
    let refund = refund(RefundState::Reserved);
    for (number, is_own) in [("T1-0001", true), ("ORDER_000001", false)] {
        let mut row = payment_row();
        row.order_no = number.to_owned();
        for order in [None, Some(&order)] {
            for refund in [None, Some(&refund)] {
                let recorded = Recorded { order, refund };
                let nothing = order.is_none() && refund.is_none();
                let of_others = is_of_others(&row, recorded, &own);
                assert_eq!(of_others, nothing && !is_own, "{number}");
                assert!(!is_of_others(&row, recorded, &OwnNumbers::ANY));
            }
        }
        for (kind, told_apart) in [
            (FlowKind::Payment, true),
            (FlowKind::Refund, false),
            (FlowKind::Other, false),
        ] {
            let flow = FlowRow {
                at: NOON,
                business_no: "4200000001".to_owned(),
                voucher: number.to_owned(),
                kind,
                amount: TOTAL,
            };
            assert_eq!(
                moves_money_of_others(&flow, &own),
                told_apart && !is_own,
                "{number} {kind:?}"
            );
        }
    }
}

fn paid(at: Timestamp) -> OrderState {
    OrderState::Success(Payment {
        transaction_id: TransactionId::parse("4200000001").unwrap(),
        success_time: at,
        payer_total: Some(TOTAL),
        refundable: TOTAL,
        refund_count: 0,
        next_refund_at: None,
        closed_at: None,
        refunded_elsewhere: false,
    })
}

fn order_states() -> Vec<OrderState> {
    let closed = |by| OrderState::Closed { at: NOON, by };
    vec![
        OrderState::NotPay,
        OrderState::Closing { since: NOON },
        closed(ClosedBy::Wechatpay),
        closed(ClosedBy::Absence { confirmations: 0 }),
        paid(NOON),
    ]
}

fn payment_row() -> BillRow {
    BillRow {
        at: NOON,
        appid: "wxd678efh567hg6787".to_owned(),
        mchid: "1900007291".to_owned(),
        order_no: "ORDER_000001".to_owned(),
        transaction_id: "4200000001".to_owned(),
        settled: TOTAL,
        coupon: 0,
        fee: 0,
        entry: Entry::Payment { total: TOTAL },
    }
}

fn refund_row() -> BillRow {
    BillRow {
        settled: 0,
        entry: Entry::Refund(BilledRefund {
            refund_no: "REFUND_1".to_owned(),
            wechatpay_refund_id: "50300001".to_owned(),
            amount: 300,
            paid_back: 300,
            coupon: 0,
        }),
        ..payment_row()
    }
}

/// What a row may have wrong, each alone and all together.
fn spoilt(row: &BillRow) -> Vec<(BTreeSet<DifferenceKind>, BillRow)> {
    let mut all = Vec::new();
    for bits in 0_u8..16 {
        let (mut row, mut kinds) = (row.clone(), BTreeSet::new());
        if bits & 1 != 0 {
            match &mut row.entry {
                Entry::Payment { total } => {
                    *total += 1;
                    kinds.insert(DifferenceKind::AmountDiffers);
                }
                Entry::Refund(refund) => {
                    refund.amount += 1;
                    kinds.insert(DifferenceKind::RefundAmountDiffers);
                }
                Entry::Revoked => {}
            }
        }
        if bits & 2 != 0 {
            row.transaction_id = "4200000002".to_owned();
            kinds.insert(DifferenceKind::TransactionIdDiffers);
        }
        if bits & 4 != 0 {
            row.mchid = "1900007292".to_owned();
            kinds.insert(DifferenceKind::MerchantDiffers);
        }
        if bits & 8 != 0 {
            row.appid = "wx0000000000000000".to_owned();
            kinds.insert(DifferenceKind::MerchantDiffers);
        }
        all.push((kinds, row));
    }
    all
}

fn kinds(compared: &Compared) -> BTreeSet<DifferenceKind> {
    let kinds: Vec<_> = compared
        .differences
        .iter()
        .map(|found| found.kind)
        .collect();
    let set: BTreeSet<_> = kinds.iter().copied().collect();
    assert_eq!(kinds.len(), set.len(), "one kind is found once: {kinds:?}");
    set
}

#[test]
fn every_state_of_an_order_meets_every_row_of_a_payment() {
    for state in order_states() {
        for (mut expected, row) in spoilt(&payment_row()) {
            let order = order(state.clone());
            let recorded = Recorded {
                order: Some(&order),
                refund: None,
            };
            let compared = compare(&row, recorded, &mchid());
            let mut ask = Ask::Nothing;
            if order.payment_on_record().is_none() {
                expected.remove(&DifferenceKind::TransactionIdDiffers);
                expected.insert(DifferenceKind::InBillUnpaidHere);
                ask = Ask::Order;
            }
            assert_eq!(kinds(&compared), expected, "{state:?} {row:?}");
            assert_eq!(compared.ask, ask, "{state:?}");
            for found in &compared.differences {
                assert_eq!(found.order_no, "ORDER_000001");
                assert_ne!(found.recorded, found.billed);
            }
        }
    }
}

#[test]
fn a_payment_of_no_order_here_is_named_and_nobody_is_asked() {
    let compared = compare(&payment_row(), Recorded::default(), &mchid());
    assert_eq!(kinds(&compared), [DifferenceKind::InBillNotHere].into());
    assert_eq!(compared.ask, Ask::Nothing);
    let elsewhere = BillRow {
        mchid: "1900007292".to_owned(),
        ..payment_row()
    };
    let compared = compare(&elsewhere, Recorded::default(), &mchid());
    let both = [
        DifferenceKind::InBillNotHere,
        DifferenceKind::MerchantDiffers,
    ];
    assert_eq!(kinds(&compared), both.into());
}

#[test]
fn every_state_of_a_refund_meets_every_row_of_a_refund() {
    let order = order(paid(NOON));
    for state in STATES {
        for (mut expected, row) in spoilt(&refund_row()) {
            let refund = refund(state);
            let recorded = Recorded {
                order: Some(&order),
                refund: Some(&refund),
            };
            let compared = compare(&row, recorded, &mchid());
            let mut ask = Ask::Nothing;
            let taken = ["PROCESSING", "ABNORMAL", "CLOSED", "SUCCESS"];
            if !taken.contains(&state.as_str()) {
                expected.insert(DifferenceKind::RefundInBillNotHere);
                ask = match state.as_str() {
                    "REQUESTED" | "REJECTED" => Ask::RefundElsewhere,
                    _ => Ask::Refund,
                };
            }
            assert_eq!(kinds(&compared), expected, "{state:?} {row:?}");
            assert_eq!(compared.ask, ask, "{state:?}");
            for found in &compared.differences {
                assert_eq!(found.refund_no.as_deref(), Some("REFUND_1"));
            }
        }
    }
}

#[test]
fn a_refund_that_is_not_on_record_is_asked_about_where_its_order_is() {
    let order = order(paid(NOON));
    for (order, ask) in [(Some(&order), Ask::RefundElsewhere), (None, Ask::Nothing)] {
        let recorded = Recorded {
            order,
            refund: None,
        };
        let compared = compare(&refund_row(), recorded, &mchid());
        assert_eq!(
            kinds(&compared),
            [DifferenceKind::RefundInBillNotHere].into()
        );
        assert_eq!(compared.ask, ask);
    }
}

#[test]
fn a_payment_that_was_taken_back_is_no_order_of_ours() {
    let row = BillRow {
        entry: Entry::Revoked,
        ..payment_row()
    };
    let compared = compare(&row, Recorded::default(), &mchid());
    assert_eq!(
        kinds(&compared),
        [DifferenceKind::RefundInBillNotHere].into()
    );
    assert_eq!(compare_flow(&row, day(), None), None);
}

#[test]
fn what_happened_is_expected_in_the_bill_of_one_day() {
    let (starts, ends) = (day().starts_at(), day().ends_at());
    let cases = [
        (starts.minus_seconds(601), Expected::Elsewhere),
        (starts.minus_seconds(600), Expected::HereOrBefore),
        (starts, Expected::HereOrBefore),
        (starts.plus_seconds(599), Expected::HereOrBefore),
        (starts.plus_seconds(600), Expected::Here),
        (NOON, Expected::Here),
        (ends.minus_seconds(601), Expected::Here),
        (ends.minus_seconds(600), Expected::Elsewhere),
        (ends, Expected::Elsewhere),
    ];
    for (at, expected) in cases {
        let span = Span::of_payment(&order(paid(at))).unwrap();
        assert_eq!(span.expected(day()), expected, "{at}");
    }
}

/// Whatever happened stands to be found with exactly one day.
#[test]
fn nothing_is_expected_with_two_days_or_with_none() {
    let next = BeijingDay::of(day().ends_at());
    let mut at = day().starts_at().plus_seconds(HOUR);
    while at < next.ends_at().minus_seconds(HOUR) {
        let span = Span::of_payment(&order(paid(at))).unwrap();
        let days = [day(), next].map(|day| span.expected(day));
        let decided = days.iter().filter(|found| **found != Expected::Elsewhere);
        assert_eq!(decided.count(), 1, "{at}: {days:?}");
        at = at.plus_seconds(97);
    }
}

#[test]
fn only_what_wechat_pay_has_by_the_record_is_expected_in_a_bill() {
    for state in order_states() {
        let span = Span::of_payment(&order(state.clone()));
        assert_eq!(span.is_some(), state == paid(NOON), "{state:?}");
    }
    for state in STATES {
        let taken = ["PROCESSING", "ABNORMAL", "CLOSED", "SUCCESS"];
        let span = Span::of_refund(&refund(state));
        assert_eq!(span.is_some(), taken.contains(&state.as_str()), "{state:?}");
    }
}

#[test]
fn a_refund_is_expected_between_its_approval_and_its_last_sending() {
    let mut refund = refund(RefundState::Processing);
    refund.reserved_at = Some(NOON.minus_seconds(20 * HOUR));
    refund.sent_at = Some(NOON);
    let expected = |refund: &Refund| Span::of_refund(refund).unwrap().expected(day());
    assert_eq!(expected(&refund), Expected::HereOrBefore);
    refund.reserved_at = Some(NOON.minus_seconds(HOUR));
    assert_eq!(expected(&refund), Expected::Here);
    refund.sent_at = None;
    assert_eq!(expected(&refund), Expected::Here);
    refund.sent_at = Some(NOON.plus_seconds(20 * HOUR));
    assert_eq!(expected(&refund), Expected::Elsewhere);
}

#[test]
fn what_is_missing_in_the_bill_says_what_the_record_has() {
    let missing = payment_missing(&order(paid(NOON)));
    assert_eq!(missing.kind, DifferenceKind::PaidHereNotInBill);
    assert_eq!(missing.order_no, "ORDER_000001");
    let missing = refund_missing(&refund(RefundState::Abnormal));
    assert_eq!(missing.kind, DifferenceKind::RefundHereNotInBill);
    assert_eq!(missing.refund_no.as_deref(), Some("REFUND_1"));
    assert_eq!(missing.recorded, "ABNORMAL");
}

#[test]
fn a_flow_agrees_with_or_without_fee_and_coupon_and_with_nothing_else() {
    let row = BillRow {
        settled: 1_000,
        coupon: 100,
        fee: 5_500,
        ..payment_row()
    };
    for amount in 0..1_200 {
        let agrees = [1_000, 994, 900, 894].contains(&amount);
        let found = compare_flow(&row, day(), Some(amount));
        assert_eq!(found.is_none(), agrees, "{amount}");
    }
    let missing = compare_flow(&row, day(), None).unwrap();
    assert_eq!(missing.kind, DifferenceKind::FundFlowDiffers);
    assert_eq!(
        (missing.recorded.as_str(), missing.billed.as_str()),
        ("1000", "nothing")
    );
    // Paid by coupons alone, nothing flows.
    let free = BillRow {
        settled: 100,
        coupon: 100,
        fee: 0,
        ..row.clone()
    };
    assert_eq!(compare_flow(&free, day(), None), None);
    // What happened around midnight may be booked with the neighbouring day.
    let late = BillRow {
        at: day().ends_at().minus_seconds(600),
        ..row
    };
    assert_eq!(compare_flow(&late, day(), None), None);
    assert!(compare_flow(&late, day(), Some(1)).is_some());
}

#[test]
fn a_refund_flows_by_what_was_paid_back() {
    let mut row = refund_row();
    assert_eq!(compare_flow(&row, day(), Some(300)), None);
    let found = compare_flow(&row, day(), Some(299)).unwrap();
    assert_eq!(found.refund_no.as_deref(), Some("REFUND_1"));
    // A fee that is given back makes less leave the account.
    row.fee = -2_000;
    assert_eq!(compare_flow(&row, day(), Some(298)), None);
}

#[test]
fn a_flow_that_the_trade_bill_does_not_have_is_named() {
    for (kind, named) in [
        (FlowKind::Payment, true),
        (FlowKind::Refund, true),
        (FlowKind::Other, false),
    ] {
        let row = FlowRow {
            at: NOON,
            business_no: "4200000001".to_owned(),
            voucher: "VOUCHER_1".to_owned(),
            kind,
            amount: 5,
        };
        let found = flow_alone(&row, day());
        assert_eq!(found.is_some(), named, "{kind:?}");
        let near = FlowRow {
            at: day().starts_at(),
            ..row
        };
        assert_eq!(flow_alone(&near, day()), None);
    }
}

#[test]
fn the_ten_kinds_have_names_of_their_own() {
    let names: BTreeSet<_> = DifferenceKind::ALL.map(DifferenceKind::as_str).into();
    assert_eq!(names.len(), 10);
}
