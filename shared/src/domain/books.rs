//! The books of a paid order: what can still be refunded, and whether it agrees with its refunds.

use super::{Fen, Order, Payment, Refund, Timestamp};

/// How many refunds WeChat Pay takes of one order.
pub const REFUNDS_MAX: u32 = 50;

/// How many refunds payers may ask for of one order, whatever becomes of them: what asks for a
/// decision of the merchant's has an end, and so has what is read with the order.
pub const REQUESTS_MAX: u32 = 50;

/// How long after the payment WeChat Pay takes refunds, in seconds: one year.
pub const REFUND_WINDOW_SECONDS: i64 = 365 * 24 * 60 * 60;

/// Why a payment takes no further refund of an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRefundable {
    /// The order is not paid.
    NotPaid,
    /// It is more than what can still be refunded.
    Exceeds {
        /// What can still be refunded, in fen.
        refundable: i64,
    },
    /// The order has had as many refunds as WeChat Pay takes, or was asked for as many as are taken
    /// here.
    TooMany,
    /// The payment is older than WeChat Pay takes refunds for.
    TooOld,
}

/// Why the payment takes no refund of this amount at this moment; the same bounds stand as a condition
/// in the write that takes the amount.
pub const fn not_refundable(
    payment: &Payment,
    amount: Fen,
    now: Timestamp,
) -> Option<NotRefundable> {
    if payment.still_refundable() < amount.get() {
        return Some(NotRefundable::Exceeds {
            refundable: payment.still_refundable(),
        });
    }
    if payment.refund_count >= REFUNDS_MAX {
        return Some(NotRefundable::TooMany);
    }
    if now.seconds_since(payment.success_time) >= REFUND_WINDOW_SECONDS {
        return Some(NotRefundable::TooOld);
    }
    None
}

/// Whether what can still be refunded and what refunds hold make the total: what every reader of a
/// paid order and its refunds must see.
pub fn books_balance<'r>(order: &Order, refunds: impl IntoIterator<Item = &'r Refund>) -> bool {
    let held: i64 = refunds
        .into_iter()
        .filter(|refund| refund.state.holds_money())
        .map(|refund| refund.amount.get())
        .sum();
    order
        .payment_on_record()
        .is_none_or(|payment| payment.refundable + held == order.terms.total.get())
}

#[cfg(test)]
mod tests;
