//! The steps that the domain takes, from every state by everything that it can hear or be asked for, against
//! the list of those that the seeds must reach.

use std::collections::BTreeSet;

use shared::domain::extras::Extras;
use shared::domain::order::{CURRENCY, ClosedBy, OrderChange};
use shared::domain::refund::{Decision, RefundChange, RefundTerms, RefusalKind};
use shared::domain::report::{PaidReport, RefundStatus, TradeState};
use shared::domain::terms::Party;
use shared::domain::{
    Appid, Fen, Mchid, Order, OrderId, OrderReport, OrderState, Payment, Refund, RefundId,
    RefundReport, RefundState, Terms, Timestamp, TradeType, TransactionId, WechatpayRefundId,
};

use crate::coverage::{EDGES, edge};

const PLACED: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
/// So much later that every absence and every planned look counts.
const NOW: Timestamp = PLACED.plus_seconds(90 * 24 * 60 * 60);
const BEFORE: Timestamp = NOW.minus_seconds(10 * 24 * 60 * 60);

fn order(state: OrderState, missing_since: Option<Timestamp>) -> Order {
    let placed = Order::placed(Terms {
        order_id: OrderId::parse("ORDER_000001").unwrap(),
        trade_type: TradeType::Native,
        wire_version: 1,
        appid: Appid::parse("wxd678efh567hg6787").unwrap(),
        mchid: Mchid::parse("1900007291").unwrap(),
        sub_merchant: None,
        description: "Tea".to_owned(),
        total: Fen::new(500).unwrap(),
        time_expire: PLACED.plus_seconds(900),
        attach: None,
        notify_url: "https://shop.example/v1/notify".to_owned(),
        openid: None,
        payer_client_ip: None,
        extras: Extras::default(),
        items: Vec::new(),
        placed_by: Party::Merchant,
        created_at: PLACED,
    });
    Order {
        state,
        missing_since,
        ..placed
    }
}

fn payment() -> Payment {
    Payment {
        transaction_id: TransactionId::parse("4200000001").unwrap(),
        success_time: PLACED.plus_seconds(60),
        payer_total: None,
        refundable: 500,
        refund_count: 0,
        next_refund_at: None,
        closed_at: None,
        refunded_elsewhere: false,
    }
}

/// Every state of an order. A new one does not compile until it is in the list below.
fn order_states() -> Vec<OrderState> {
    let is_listed = |state: &OrderState| match state {
        OrderState::NotPay
        | OrderState::Closing { .. }
        | OrderState::Closed { .. }
        | OrderState::Success(_) => true,
    };
    let closed = |by| OrderState::Closed { at: BEFORE, by };
    let states = vec![
        OrderState::NotPay,
        OrderState::Closing { since: BEFORE },
        closed(ClosedBy::Wechatpay),
        closed(ClosedBy::Absence { confirmations: 0 }),
        OrderState::Success(payment()),
    ];
    assert!(states.iter().all(is_listed));
    states
}

fn order_edges(edges: &mut BTreeSet<String>) {
    let base = order(OrderState::NotPay, None);
    edges.insert(edge("order", "", base.state.as_str()));
    let paid = PaidReport {
        transaction_id: payment().transaction_id,
        success_time: Some(payment().success_time),
        payer_total: Some(500),
        openid: None,
        attach: None,
        refunded: false,
    };
    let reports = [
        TradeState::Unpaid,
        TradeState::Closed,
        TradeState::Paid(paid.clone()),
        TradeState::Paid(PaidReport {
            refunded: true,
            ..paid
        }),
        TradeState::Unknown("REVOKED".to_owned()),
    ];
    for state in order_states() {
        for missing_since in [None, Some(BEFORE)] {
            let order = order(state.clone(), missing_since);
            let mut changes: Vec<OrderChange> = reports
                .iter()
                .map(|state| {
                    let report = OrderReport {
                        order_id: order.terms.order_id.clone(),
                        mchid: Some(order.terms.mchid.clone()),
                        appid: Some(order.terms.appid.clone()),
                        sub_mchid: None,
                        sub_appid: None,
                        total: Some(order.terms.total),
                        currency: Some(CURRENCY.to_owned()),
                        state: state.clone(),
                    };
                    order.observe(&report, NOW)
                })
                .collect();
            changes.extend([
                order.observe_absence(NOW),
                order.observe_close(NOW),
                order.begin_close(NOW),
            ]);
            for change in changes {
                if let OrderChange::Changed(after) = change {
                    edges.insert(edge("order", order.state.as_str(), after.state.as_str()));
                }
            }
        }
    }
}

/// Every state of a refund. A new one does not compile until it is in the list below.
fn refund_states() -> Vec<RefundState> {
    let is_listed = |state: &RefundState| match state {
        RefundState::Requested
        | RefundState::Reserved
        | RefundState::Processing
        | RefundState::Abnormal
        | RefundState::Closed
        | RefundState::Success { .. }
        | RefundState::Rejected
        | RefundState::Withdrawing { .. }
        | RefundState::Withdrawn { .. } => true,
    };
    let withdrawing = |missing_since| RefundState::Withdrawing {
        since: BEFORE,
        missing_since,
    };
    let states = vec![
        RefundState::Requested,
        RefundState::Reserved,
        RefundState::Processing,
        RefundState::Abnormal,
        RefundState::Closed,
        RefundState::Success { at: BEFORE },
        RefundState::Rejected,
        withdrawing(None),
        withdrawing(Some(BEFORE.plus_seconds(3_600))),
        RefundState::Withdrawn {
            at: BEFORE,
            confirmations: 0,
        },
    ];
    assert!(states.iter().all(is_listed));
    states
}

/// What becomes of a refund by everything that it can hear or be asked for.
fn refunds_after(refund: &Refund) -> Vec<Refund> {
    let report = |status| RefundReport {
        refund_id: refund.refund_id.clone(),
        order_id: refund.order_id.clone(),
        mchid: None,
        sub_mchid: None,
        transaction_id: refund.transaction_id.clone(),
        wechatpay_refund_id: WechatpayRefundId::parse("50300000001").unwrap(),
        amount: refund.amount,
        total: refund.total,
        status,
    };
    let heard = [
        RefundStatus::Processing,
        RefundStatus::Success { at: None },
        RefundStatus::Closed,
        RefundStatus::Abnormal,
        RefundStatus::Unknown("CHANGE".to_owned()),
    ];
    let mut changes: Vec<RefundChange> = heard
        .into_iter()
        .map(|status| refund.observe(&report(status), NOW))
        .collect();
    changes.push(refund.observe_absence(NOW));
    let mut after: Vec<Refund> = changes
        .into_iter()
        .filter_map(|change| match change {
            RefundChange::Changed { refund, .. } => Some(*refund),
            RefundChange::Unchanged | RefundChange::Contradiction(_) => None,
        })
        .collect();
    let decisions = [
        refund.approve(NOW),
        refund.reject(NOW),
        refund.withdraw(NOW),
        refund.retry(NOW),
    ];
    after.extend(decisions.into_iter().filter_map(|decision| match decision {
        Decision::Changed(refund) => Some(*refund),
        Decision::Repeat | Decision::TooLate => None,
    }));
    let code = "NO_AUTH".to_owned();
    after.push(
        refund
            .refused(&RefusalKind::Definite { code }, 0, NOW, 60)
            .0,
    );
    after.push(refund.distrusted(NOW).0);
    after.extend(refund.overdue(NOW));
    after
}

fn refund_edges(edges: &mut BTreeSet<String>) {
    let order = order(OrderState::Success(payment()), None);
    let terms = RefundTerms {
        refund_id: RefundId::parse("REFUND_1").unwrap(),
        amount: Fen::new(300).unwrap(),
        reason: None,
        notify_url: order.terms.notify_url.clone(),
        asked_by: Party::Payer,
    };
    let requested = Refund::requested(terms.clone(), &order, &payment(), PLACED);
    let reserved = Refund::reserved(terms, &order, &payment(), PLACED);
    for new in [&requested, &reserved] {
        edges.insert(edge("refund", "", new.state.as_str()));
    }
    for state in refund_states() {
        let refund = Refund {
            state,
            ..reserved.clone()
        };
        for after in refunds_after(&refund) {
            edges.insert(edge("refund", state.as_str(), after.state.as_str()));
        }
    }
}

#[test]
fn the_list_of_steps_is_what_the_domain_takes() {
    let mut edges = BTreeSet::new();
    order_edges(&mut edges);
    refund_edges(&mut edges);
    edges.retain(|edge| {
        let mut words = edge.split(' ').skip(1);
        words.next() != words.next()
    });
    let listed: BTreeSet<String> = EDGES.iter().map(|edge| (*edge).to_owned()).collect();
    assert_eq!(edges, listed);
}
