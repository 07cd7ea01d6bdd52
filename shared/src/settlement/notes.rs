//! What the log line says of a report that was settled, and of a call that brought none.

use super::{Settled, SettledRefund};
use crate::domain::report::TradeState;
use crate::domain::{OrderReport, RefundState};
use crate::store::StoredOrder;
use crate::telemetry::{Level, LogLine, Metric};
use crate::wechatpay::{CallError, Refusal, Signed};

/// Notes in the log line a call that brought no usable answer, with WeChat Pay's number of the call
/// where it gave one: its support asks for it.
pub fn note_call(error: &CallError, line: &mut LogLine) {
    let metric = if error.is_unverified() {
        Metric::WechatpayUnverified
    } else {
        Metric::WechatpayErrors
    };
    line.field("wechatpay.error", error.to_string())
        .count(metric);
    if let CallError::Refused(Refusal {
        status,
        code,
        request_id,
        ..
    }) = error
    {
        line.field("wechatpay.status", *status)
            .field("wechatpay.code", code.clone());
        if let Some(request_id) = request_id {
            line.field("wechatpay.request_id", request_id.clone());
        }
    }
}

/// Notes in the log line what a report about an order led to, and what is believed and is still strange
/// about a payment: somebody else paid, or something was refunded that no refund here explains.
pub fn note_order(
    settled: &Settled<StoredOrder>,
    report: &Signed<OrderReport>,
    line: &mut LogLine,
) {
    note_settled(settled, line);
    let (Settled::Changed(stored) | Settled::Unchanged(stored)) = settled else {
        return;
    };
    let (TradeState::Paid(paid), Some(payment)) =
        (&report.get().state, stored.order.payment_on_record())
    else {
        return;
    };
    if let Settled::Changed(_) = settled
        && !payment.refunded_elsewhere
    {
        line.count(Metric::OrderPaid);
        if paid.success_time.is_none() {
            // It was left out, or is not a time: the payment counts from when it was learnt.
            line.field("success_time", "unreadable").raise(Level::Warn);
        }
    }
    if let (Settled::Changed(_), Some(_)) = (settled, payment.closed_at) {
        line.field("paid", "after its close")
            .count(Metric::PaidAfterClose)
            .raise(Level::Error);
    }
    if let (Some(ordered_by), Some(paid_by)) = (&stored.order.terms.openid, &paid.openid)
        && ordered_by != paid_by
    {
        line.field("payer", "another than the order's");
    }
    if paid.refunded && payment.refund_count == 0 {
        note_elsewhere(line);
    }
}

/// Notes that an order counts as refunded elsewhere.
pub fn note_elsewhere(line: &mut LogLine) {
    line.field("refunded", "elsewhere")
        .count(Metric::RefundedElsewhere)
        .raise(Level::Error);
}

/// Notes in the log line what a report about a refund led to; one that became ABNORMAL moves no
/// further until somebody acts at WeChat Pay.
pub fn note_refund(refund: &SettledRefund, line: &mut LogLine) {
    note_settled(&refund.settled, line);
    let Settled::Changed(stored) = &refund.settled else {
        return;
    };
    match stored.refund.state {
        RefundState::Abnormal => {
            line.count(Metric::RefundStuck).raise(Level::Warn);
        }
        // The payer was told of a refund and has nothing of it.
        RefundState::Closed => {
            line.count(Metric::RefundClosed).raise(Level::Warn);
        }
        RefundState::Requested
        | RefundState::Reserved
        | RefundState::Processing
        | RefundState::Success { .. }
        | RefundState::Rejected
        | RefundState::Withdrawing { .. }
        | RefundState::Withdrawn { .. } => {}
    }
    if let Some(why) = &stored.refund.needs_human {
        line.field("needs_human_because", why.clone());
    }
    // Whom the record called before, for the same reason, is not called again.
    if refund.calls {
        line.count(Metric::NeedsHuman).raise(Level::Error);
    }
}

/// Notes in the log line what a report led to; a contradiction is for a person.
pub fn note_settled<T>(settled: &Settled<T>, line: &mut LogLine) {
    match settled {
        Settled::Changed(_) => line.field("settled", "changed"),
        Settled::Unchanged(_) => line.field("settled", "unchanged"),
        Settled::Unknown => line.field("settled", "unknown").raise(Level::Warn),
        Settled::Contradiction(_, contradiction) => line
            .field("settled", "contradiction")
            .field("contradiction", contradiction.to_string())
            .count(Metric::MoneyMismatch)
            .raise(Level::Error),
    };
}
