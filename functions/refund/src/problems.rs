//! Why a refund is not made, and why a decision about one is not taken, as the caller is told.

use shared::api::{Code, Problem};
use shared::domain::refund::OtherTerms;
use shared::domain::{NotRefundable, Refund, RefundState};

use crate::request::{PAYERS_PREFIX, invalid};

/// What is said where the refund stands elsewhere than the decision needs it.
pub(crate) fn decided(refund: &Refund) -> Problem {
    let status = refund.state.as_str();
    let detail = match refund.state {
        RefundState::Reserved => {
            format!("the refund is already {status}; withdraw it to take it back")
        }
        RefundState::Requested => format!("the refund is {status}: approve or reject it"),
        RefundState::Processing
        | RefundState::Abnormal
        | RefundState::Closed
        | RefundState::Success { .. }
        | RefundState::Rejected
        | RefundState::Withdrawing { .. }
        | RefundState::Withdrawn { .. } => format!("the refund is already {status}"),
    };
    Problem::new(Code::RefundDecided, detail).with("refund_status", status)
}

/// What is said where the merchant names a number of the payers'.
pub(crate) fn payers_number() -> Problem {
    invalid(
        "out_refund_no",
        format!("out_refund_no must not begin with {PAYERS_PREFIX}: these are the payers'"),
    )
}

/// The record says that the order is not paid, and WeChat Pay was asked less than `seconds` ago.
pub(crate) fn not_paid_moments_ago(seconds: i64) -> Problem {
    Problem::new(
        Code::OrderNotPaid,
        "the order was not paid when WeChat Pay was last asked, moments ago; if it has been paid \
         since, send the same request again",
    )
    .retry_after(u32::try_from(seconds).unwrap_or(1))
}

/// What is said where the order cannot take the refund.
pub(crate) fn refused(refused: NotRefundable) -> Problem {
    match refused {
        NotRefundable::NotPaid => Problem::new(Code::OrderNotPaid, "the order is not paid"),
        NotRefundable::Exceeds { refundable } => Problem::new(
            Code::RefundExceeds,
            format!("{refundable} fen can still be refunded; pending refunds are deducted"),
        )
        .with("refundable", refundable),
        NotRefundable::TooMany => Problem::new(
            Code::TooManyRefunds,
            "an order can have 50 refunds, and its payer can request 50",
        ),
        NotRefundable::TooOld => Problem::plain(Code::RefundTooLate),
    }
}

/// What is said where another order has a refund of the number.
pub(crate) fn number_taken() -> Problem {
    Problem::new(
        Code::RefundNumberTaken,
        "this out_refund_no belongs to a refund of another order",
    )
    .field("out_refund_no")
}

/// What is said where somebody else changed the order's refunds in the same moment.
pub(crate) fn changed_meanwhile() -> Problem {
    Problem::new(
        Code::ConcurrentChanges,
        "the order's refunds changed at the same time; send the same request again",
    )
    .retry_after(1)
}

/// What is said where a number is used again for something else.
pub(crate) fn other_terms(other: OtherTerms) -> Problem {
    let (what, field) = match other {
        OtherTerms::PayersRequestWaits => (
            "a payer's request with this number is waiting: approve it, or use another number"
                .to_owned(),
            "out_refund_no",
        ),
        OtherTerms::PayersRequestRejected => (
            "a payer's request with this number was rejected: use another number".to_owned(),
            "out_refund_no",
        ),
        OtherTerms::Field(field) => (
            format!("the refund with this number differs in {field}"),
            field,
        ),
    };
    Problem::new(Code::TermsDiffer, what).field(field)
}
