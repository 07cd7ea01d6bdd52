//! Every state of an order meets every report, and what must hold of all of them is held; then the
//! rules that are about one state alone.

#![expect(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod absence;
mod closing;
mod contradictions;
mod elsewhere;
mod events;

use super::{
    ABSENCE_CONFIRM_SECONDS, ABSENCE_GRACE_SECONDS, ABSENCE_INTERVAL_SECONDS, CLOSE_GRACE_SECONDS,
    ClosedBy, Order, OrderChange, OrderState, Payment,
};
use crate::domain::contradiction::Contradiction;
use crate::domain::report::{OrderReport, PaidReport, TradeState};
use crate::domain::schedule::backoff_seconds;
use crate::domain::terms::{Party, Terms, TradeType};
use crate::domain::{Appid, Fen, Mchid, Openid, OrderId, Timestamp, TransactionId};

const CREATED: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const EXPIRES: Timestamp = CREATED.plus_seconds(900);
const DECIDED: Timestamp = EXPIRES.plus_seconds(120);
const CLOSED: Timestamp = EXPIRES.plus_seconds(1_000);
const PAID: Timestamp = CREATED.plus_seconds(300);
const NOW: Timestamp = EXPIRES.plus_seconds(2_000);
const LATER: Timestamp = NOW.plus_seconds(77);

const TOTAL: i64 = 1_234;

fn openid(text: &str) -> Openid {
    Openid::parse(text).unwrap()
}

fn terms() -> Terms {
    Terms {
        order_id: OrderId::parse("ORDER_000001").unwrap(),
        trade_type: TradeType::Jsapi,
        wire_version: 1,
        appid: Appid::parse("wxd678efh567hg6787").unwrap(),
        mchid: Mchid::parse("1900007291").unwrap(),
        sub_merchant: None,
        description: "Tea".to_owned(),
        total: Fen::new(TOTAL).unwrap(),
        time_expire: EXPIRES,
        attach: Some("table 12".to_owned()),
        notify_url: "https://shop.example/v1/notify".to_owned(),
        openid: Some(openid("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o")),
        payer_client_ip: None,
        extras: crate::domain::extras::Extras::default(),
        items: Vec::new(),
        placed_by: Party::Payer,
        created_at: CREATED,
    }
}

fn order(state: OrderState) -> Order {
    Order {
        state,
        version: 7,
        ..Order::placed(terms())
    }
}

fn missing(state: OrderState) -> Order {
    Order {
        missing_since: Some(NOW.minus_seconds(10)),
        ..order(state)
    }
}

fn not_pay() -> Order {
    order(OrderState::NotPay)
}

fn closing() -> Order {
    order(OrderState::Closing { since: DECIDED })
}

fn closed() -> Order {
    order(OrderState::Closed {
        at: CLOSED,
        by: ClosedBy::Wechatpay,
    })
}

fn absent(confirmations: u32) -> Order {
    order(OrderState::Closed {
        at: CLOSED,
        by: ClosedBy::Absence { confirmations },
    })
}

fn success(closed_at: Option<Timestamp>) -> Order {
    order(OrderState::Success(Payment {
        transaction_id: transaction("4200000001"),
        success_time: PAID,
        payer_total: Some(TOTAL),
        refundable: 200,
        refund_count: 3,
        next_refund_at: Some(NOW),
        closed_at,
        refunded_elsewhere: false,
    }))
}

/// Every state, with all that can be beside it.
fn orders() -> Vec<Order> {
    vec![
        not_pay(),
        missing(OrderState::NotPay),
        closing(),
        missing(OrderState::Closing { since: DECIDED }),
        closed(),
        absent(0),
        absent(1),
        absent(2),
        success(None),
        success(Some(CLOSED)),
    ]
}

fn transaction(text: &str) -> TransactionId {
    TransactionId::parse(text).unwrap()
}

fn report(state: TradeState) -> OrderReport {
    OrderReport {
        order_id: terms().order_id,
        mchid: Some(terms().mchid),
        appid: Some(terms().appid),
        sub_mchid: None,
        sub_appid: None,
        total: Some(terms().total),
        currency: Some("CNY".to_owned()),
        state,
    }
}

fn paid_with(change: impl FnOnce(&mut PaidReport)) -> OrderReport {
    let mut paid = PaidReport {
        transaction_id: transaction("4200000001"),
        success_time: Some(PAID),
        payer_total: Some(TOTAL),
        openid: terms().openid,
        attach: terms().attach,
        refunded: false,
    };
    change(&mut paid);
    report(TradeState::Paid(paid))
}

fn paid() -> OrderReport {
    paid_with(|_| ())
}

/// Every kind of report that is about this order.
fn reports() -> Vec<OrderReport> {
    vec![
        report(TradeState::Unpaid),
        report(TradeState::Closed),
        // A closed order's report may leave out all but its number.
        OrderReport {
            mchid: None,
            appid: None,
            total: None,
            currency: None,
            ..report(TradeState::Closed)
        },
        paid(),
        paid_with(|paid| paid.refunded = true),
        paid_with(|paid| paid.success_time = None),
        paid_with(|paid| paid.openid = None),
        paid_with(|paid| paid.attach = None),
        paid_with(|paid| paid.openid = Some(openid("somebody-else"))),
        paid_with(|paid| paid.attach = Some("table 13".to_owned())),
        paid_with(|paid| paid.success_time = Some(CREATED.minus_seconds(86_400))),
        paid_with(|paid| paid.transaction_id = transaction("4200000002")),
        report(TradeState::Unknown("REVOKED".to_owned())),
        OrderReport {
            mchid: Some(Mchid::parse("1900000001").unwrap()),
            ..paid()
        },
    ]
}

/// The order afterwards; `None` where the report contradicts the record.
fn after(order: &Order, observation: OrderChange) -> Option<Order> {
    match observation {
        OrderChange::Changed(changed) => Some(*changed),
        OrderChange::Unchanged => Some(order.clone()),
        OrderChange::Contradiction(_) => None,
    }
}

fn changed(observation: OrderChange) -> Order {
    match observation {
        OrderChange::Changed(order) => *order,
        OrderChange::Unchanged | OrderChange::Contradiction(_) => panic!("{observation:?}"),
    }
}

fn differs(field: &'static str) -> OrderChange {
    OrderChange::Contradiction(Contradiction::Differs { field })
}

#[test]
fn states_rank_from_not_paid_to_paid() {
    let ranked = [not_pay(), closing(), closed(), success(None)];
    let names: Vec<_> = ranked.iter().map(|order| order.state.as_str()).collect();
    assert_eq!(names, ["NOTPAY", "CLOSING", "CLOSED", "SUCCESS"]);
    assert!(ranked.windows(2).all(|pair| match pair {
        [lower, higher] => lower.state.rank() < higher.state.rank(),
        _ => false,
    }));
    assert_eq!(closed().state.rank(), absent(0).state.rank());
}

#[test]
fn a_new_order_is_not_paid_and_its_first_version() {
    let placed = Order::placed(terms());
    assert_eq!(placed.state, OrderState::NotPay);
    assert_eq!((placed.version, placed.missing_since), (1, None));
    assert_eq!(placed.terms, terms());
}

#[test]
fn no_report_lowers_a_rank_and_each_change_raises_the_version_by_one() {
    for order in orders() {
        let mut observations: Vec<_> = reports()
            .iter()
            .map(|report| order.observe(report, NOW))
            .collect();
        observations.push(order.observe_close(NOW));
        observations.push(order.observe_absence(NOW));
        observations.push(order.observe_absence(NOW.plus_seconds(ABSENCE_INTERVAL_SECONDS)));
        observations.push(order.begin_close(NOW));
        for observation in observations {
            let OrderChange::Changed(changed) = observation else {
                continue;
            };
            assert!(
                changed.state.rank() >= order.state.rank(),
                "{order:?} to {changed:?}"
            );
            assert_eq!(changed.version, order.version + 1, "{changed:?}");
            // What was agreed never changes.
            assert_eq!(changed.terms, order.terms);
        }
    }
}

#[test]
fn hearing_a_report_twice_is_hearing_it_once() {
    for order in orders() {
        for report in reports() {
            let first = order.observe(&report, NOW);
            match &first {
                OrderChange::Changed(changed) => {
                    let second = changed.observe(&report, LATER);
                    assert_eq!(second, OrderChange::Unchanged, "{order:?} {report:?}");
                }
                // Nothing was written, so the same question has the same answer.
                OrderChange::Unchanged | OrderChange::Contradiction(_) => {
                    assert_eq!(order.observe(&report, LATER), first, "{order:?} {report:?}");
                }
            }
        }
    }
}

#[test]
fn hearing_a_close_twice_is_hearing_it_once() {
    for order in orders() {
        let once = after(&order, order.observe_close(NOW)).unwrap();
        assert_eq!(
            once.observe_close(LATER),
            OrderChange::Unchanged,
            "{order:?}"
        );
        let once = after(&order, order.begin_close(NOW)).unwrap();
        assert_eq!(once.begin_close(LATER), OrderChange::Unchanged, "{order:?}");
    }
}

#[test]
fn the_sequence_of_reports_does_not_decide_where_an_order_ends() {
    let observed = |order: &Order, reports: &[&OrderReport]| {
        reports.iter().try_fold(order.clone(), |order, report| {
            after(&order, order.observe(report, NOW))
        })
    };
    let reports = reports();
    for order in orders() {
        for one in &reports {
            for two in &reports {
                for three in &reports {
                    let sequences = [
                        [one, two, three],
                        [one, three, two],
                        [two, one, three],
                        [two, three, one],
                        [three, one, two],
                        [three, two, one],
                    ];
                    let ends: Vec<_> = sequences
                        .iter()
                        .map(|each| observed(&order, each))
                        .collect();
                    // Where one contradicts another, the first that came is believed.
                    let Some(ends) = ends.into_iter().collect::<Option<Vec<_>>>() else {
                        continue;
                    };
                    let told = |order: &Order| {
                        let payment = order.payment_on_record();
                        (
                            order.state.rank(),
                            payment.map(|payment| payment.transaction_id.clone()),
                        )
                    };
                    let first = ends.first().map(told);
                    assert!(ends.iter().all(|end| Some(told(end)) == first), "{ends:?}");
                }
            }
        }
    }
}

#[test]
fn a_paid_order_absorbs_everything_that_does_not_contradict_it() {
    for order in [success(None), success(Some(CLOSED))] {
        for report in [
            report(TradeState::Unpaid),
            report(TradeState::Closed),
            paid(),
            paid_with(|paid| paid.refunded = true),
            paid_with(|paid| paid.success_time = None),
            paid_with(|paid| paid.payer_total = Some(0)),
        ] {
            assert_eq!(
                order.observe(&report, NOW),
                OrderChange::Unchanged,
                "{report:?}"
            );
        }
        assert_eq!(order.observe_close(NOW), OrderChange::Unchanged);
        assert_eq!(order.observe_absence(NOW), OrderChange::Unchanged);
        assert_eq!(order.begin_close(NOW), OrderChange::Unchanged);
    }
}

#[test]
fn one_refund_on_record_explains_that_wechat_pay_says_refunded_and_none_does_not() {
    let refunded = paid_with(|paid| paid.refunded = true);
    for (refund_count, explained) in [(0, false), (1, true)] {
        let OrderState::Success(payment) = success(None).state else {
            unreachable!("it is paid")
        };
        let order = order(OrderState::Success(Payment {
            refund_count,
            ..payment
        }));
        let is_unchanged = order.observe(&refunded, NOW) == OrderChange::Unchanged;
        assert_eq!(is_unchanged, explained, "{refund_count}");
    }
}

#[test]
fn a_second_payment_of_a_paid_order_is_a_contradiction_that_names_both() {
    let second = paid_with(|paid| paid.transaction_id = transaction("4200000002"));
    let contradiction = Contradiction::SecondTransaction {
        recorded: transaction("4200000001"),
        reported: transaction("4200000002"),
    };
    let observation = success(None).observe(&second, NOW);
    assert_eq!(observation, OrderChange::Contradiction(contradiction));
}

#[test]
fn an_open_order_becomes_paid_with_the_whole_total_refundable() {
    for order in [not_pay(), closing(), missing(OrderState::NotPay)] {
        let changed = changed(order.observe(&paid(), NOW));
        let expected = Payment {
            transaction_id: transaction("4200000001"),
            success_time: PAID,
            payer_total: Some(TOTAL),
            refundable: TOTAL,
            refund_count: 0,
            next_refund_at: None,
            closed_at: None,
            refunded_elsewhere: false,
        };
        assert_eq!(changed.payment_on_record(), Some(&expected));
        assert_eq!(changed.missing_since, None);
    }
}

#[test]
fn a_payment_without_a_time_happened_when_it_was_learnt() {
    let changed = changed(not_pay().observe(&paid_with(|paid| paid.success_time = None), NOW));
    assert_eq!(changed.payment_on_record().unwrap().success_time, NOW);
}

#[test]
fn a_closed_order_is_left_for_a_late_payment_alone_and_keeps_when_it_was_closed() {
    for order in [closed(), absent(0), absent(2)] {
        let late = changed(order.observe(&paid(), NOW));
        assert_eq!(late.payment_on_record().unwrap().closed_at, Some(CLOSED));
        assert_eq!(late.payment_on_record().unwrap().success_time, PAID);
        let unpaid = order.observe(&report(TradeState::Unpaid), NOW);
        assert_eq!(unpaid, OrderChange::Unchanged);
        assert_eq!(order.begin_close(NOW), OrderChange::Unchanged);
    }
}

#[test]
fn an_open_order_is_closed_when_the_close_is_heard_of() {
    let closed_now = OrderState::Closed {
        at: NOW,
        by: ClosedBy::Wechatpay,
    };
    for order in [
        not_pay(),
        closing(),
        missing(OrderState::Closing { since: DECIDED }),
    ] {
        let told = changed(order.observe(&report(TradeState::Closed), NOW));
        assert_eq!(told.state, closed_now);
        let done = changed(order.observe_close(NOW));
        assert_eq!(done.state, closed_now);
        assert_eq!((told.missing_since, done.missing_since), (None, None));
    }
}

#[test]
fn a_close_by_absence_rests_on_wechat_pay_once_it_says_closed() {
    let confirmed = OrderState::Closed {
        at: CLOSED,
        by: ClosedBy::Wechatpay,
    };
    for confirmations in 0..=2 {
        let order = absent(confirmations);
        assert_eq!(
            changed(order.observe(&report(TradeState::Closed), NOW)).state,
            confirmed
        );
        assert_eq!(changed(order.observe_close(NOW)).state, confirmed);
    }
    assert_eq!(
        closed().observe(&report(TradeState::Closed), NOW),
        OrderChange::Unchanged
    );
    assert_eq!(closed().observe_close(NOW), OrderChange::Unchanged);
}

#[test]
fn only_an_open_order_begins_to_close() {
    assert_eq!(
        changed(not_pay().begin_close(NOW)).state,
        OrderState::Closing { since: NOW }
    );
    for order in [closing(), closed(), absent(0), success(None)] {
        assert_eq!(order.begin_close(NOW), OrderChange::Unchanged, "{order:?}");
    }
}

#[test]
fn only_an_open_order_is_payable_and_only_before_it_expires() {
    assert!(not_pay().is_payable(CREATED));
    assert!(not_pay().is_payable(EXPIRES.minus_seconds(1)));
    assert!(!not_pay().is_payable(EXPIRES));
    for order in [closing(), closed(), absent(0), success(None)] {
        assert!(!order.is_payable(CREATED), "{order:?}");
    }
}

#[test]
fn the_payment_on_record_is_a_paid_orders() {
    for order in orders() {
        assert_eq!(
            order.payment_on_record().is_some(),
            order.state.as_str() == "SUCCESS"
        );
    }
}

#[test]
fn looks_that_change_nothing_become_rarer_up_to_once_an_hour() {
    let waits: Vec<_> = (0..7).map(backoff_seconds).collect();
    assert_eq!(waits, [60, 120, 300, 600, 1_800, 3_600, 3_600]);
    assert_eq!(backoff_seconds(u32::MAX), 3_600);
}

#[test]
fn an_unpaid_order_is_looked_at_more_rarely_but_not_past_the_moment_it_is_closed() {
    let closes = EXPIRES.plus_seconds(CLOSE_GRACE_SECONDS);
    assert_eq!(CLOSE_GRACE_SECONDS, 60);
    for (attempts, seconds) in [(0, 300), (1, 1_800), (2, 3_600), (9, 3_600)] {
        let mut long = not_pay();
        long.terms.time_expire = CREATED.plus_seconds(100_000);
        let due = Some(CREATED.plus_seconds(seconds));
        assert_eq!(long.due_at(CREATED, attempts), due, "{attempts}");
    }
    assert_eq!(not_pay().due_at(CREATED, 9), Some(closes));
    assert_eq!(not_pay().due_at(closes.minus_seconds(1), 0), Some(closes));
    assert_eq!(not_pay().due_at(closes, 0), Some(closes.plus_seconds(60)));
    assert_eq!(
        not_pay().due_at(closes.plus_seconds(1), 9),
        Some(closes.plus_seconds(3_601))
    );
}

#[test]
fn a_closing_order_is_looked_at_when_its_absence_counts() {
    let counts = EXPIRES.plus_seconds(ABSENCE_GRACE_SECONDS);
    assert_eq!(closing().due_at(DECIDED, 0), Some(DECIDED.plus_seconds(60)));
    assert_eq!(closing().due_at(DECIDED, 9), Some(counts));
    assert_eq!(closing().due_at(counts, 1), Some(counts.plus_seconds(120)));
    let missed = missing(OrderState::Closing { since: DECIDED });
    let second = NOW.minus_seconds(10).plus_seconds(ABSENCE_INTERVAL_SECONDS);
    for attempts in [0, 9] {
        assert_eq!(missed.due_at(NOW, attempts), Some(second));
        let overdue = second.plus_seconds(5);
        assert_eq!(missed.due_at(overdue, attempts), Some(overdue));
    }
}

#[test]
fn a_close_by_absence_is_looked_at_after_half_an_hour_and_after_a_day() {
    assert_eq!(ABSENCE_CONFIRM_SECONDS, [1_800, 86_400]);
    let soon = CLOSED.plus_seconds(1);
    assert_eq!(absent(0).due_at(soon, 0), Some(CLOSED.plus_seconds(1_800)));
    assert_eq!(absent(1).due_at(soon, 0), Some(CLOSED.plus_seconds(86_400)));
    assert_eq!(absent(2).due_at(soon, 0), None);
    // A look that learnt nothing is repeated, and not at once.
    let planned = CLOSED.plus_seconds(1_800);
    assert_eq!(
        absent(0).due_at(planned, 1),
        Some(planned.plus_seconds(120))
    );
}

#[test]
fn nothing_is_left_to_be_learnt_of_a_closed_or_paid_order() {
    for order in [closed(), success(None), success(Some(CLOSED))] {
        assert_eq!(order.due_at(NOW, 0), None, "{order:?}");
    }
}

#[test]
fn what_is_due_is_never_before_now() {
    for order in orders() {
        for now in [CREATED, EXPIRES, DECIDED, CLOSED, NOW, LATER] {
            for attempts in [0, 1, 5, u32::MAX] {
                let due = order.due_at(now, attempts);
                assert!(due.is_none_or(|due| due >= now), "{order:?} at {now}");
            }
        }
    }
}

#[test]
fn names_are_read_back_as_what_they_name() {
    for trade_type in TradeType::ALL {
        assert_eq!(TradeType::parse(trade_type.as_str()), Some(trade_type));
    }
    for party in [Party::Payer, Party::Merchant] {
        assert_eq!(Party::parse(party.as_str()), Some(party));
    }
    for name in ["", "JSAPI", "jsapi ", "micropay"] {
        assert_eq!(TradeType::parse(name), None);
        assert_eq!(Party::parse(name), None);
    }
}
