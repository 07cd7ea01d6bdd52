//! When an order is closed at WeChat Pay, when it is settled and when it is overdue: every state, every
//! answer, and each moment that matters.

use super::super::Heard;
use super::*;

/// For so long an order may stay unasked about before a person is called (docs/operations.md).
const HOUR: i64 = 60 * 60;

/// The moments around which a decision may turn.
fn moments() -> Vec<Timestamp> {
    let turns = [0, CLOSE_GRACE_SECONDS, ABSENCE_GRACE_SECONDS, HOUR];
    turns
        .into_iter()
        .flat_map(|seconds| [-1, 0, 1].map(|off| EXPIRES.plus_seconds(seconds + off)))
        .collect()
}

#[test]
fn an_order_that_wechat_pay_does_not_know_is_never_closed_there() {
    for order in orders() {
        for now in moments() {
            assert!(!order.must_close(Heard::Absence, now), "{order:?} {now}");
        }
    }
}

#[test]
fn an_order_that_wechat_pay_knows_is_closed_once_it_is_expired_or_to_be_closed() {
    for order in orders() {
        for now in moments() {
            let expected = match order.state {
                OrderState::NotPay => now >= EXPIRES.plus_seconds(CLOSE_GRACE_SECONDS),
                OrderState::Closing { .. }
                | OrderState::Closed {
                    by: ClosedBy::Absence { .. },
                    ..
                } => true,
                OrderState::Closed {
                    by: ClosedBy::Wechatpay,
                    ..
                }
                | OrderState::Success(_) => false,
            };
            let must_close = order.must_close(Heard::Report, now);
            assert_eq!(must_close, expected, "{order:?} {now}");
        }
    }
}

#[test]
fn what_is_settled_is_moved_by_no_report_and_is_never_due() {
    for order in orders() {
        let settled = order.is_settled();
        let name = order.state.as_str();
        let by_absence = matches!(
            order.state,
            OrderState::Closed {
                by: ClosedBy::Absence { .. },
                ..
            }
        );
        let expected = name == "SUCCESS" || (name == "CLOSED" && !by_absence);
        assert_eq!(settled, expected, "{order:?}");
        if settled {
            assert_eq!(order.due_after(NOW, 0), None, "{order:?}");
            for report in reports() {
                let late_payment = matches!(report.state, TradeState::Paid(_)) && name == "CLOSED";
                let change = order.observe(&report, NOW);
                let changes = matches!(change, OrderChange::Changed(_));
                assert!(!changes || late_payment, "{order:?} {report:?}");
            }
        }
    }
}

#[test]
fn whatever_is_not_settled_is_due_with_the_looks_that_it_has_had() {
    for order in orders().into_iter().filter(|order| !order.is_settled()) {
        let confirmed = matches!(
            order.state,
            OrderState::Closed {
                by: ClosedBy::Absence { confirmations: 2 },
                ..
            }
        );
        for attempts in 0..7 {
            let due = order.due_after(NOW, attempts);
            let expected = (!confirmed).then_some(attempts);
            assert_eq!(due.map(|due| due.attempts), expected, "{order:?}");
        }
    }
}

#[test]
fn an_order_is_overdue_an_hour_after_its_time_unless_it_is_settled() {
    for order in orders() {
        for now in moments() {
            let late = now > EXPIRES.plus_seconds(HOUR);
            let expected = late && !order.is_settled();
            assert_eq!(order.is_overdue(now), expected, "{order:?} {now}");
        }
    }
}
