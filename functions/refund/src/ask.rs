//! The body of a refund request, and the problems that it can be answered with.

use serde::Deserialize;
use shared::api::request_body::{self, Object};
use shared::api::{Code, Incoming, Problem};
use shared::domain::refund::OtherTerms;
use shared::domain::{Fen, NotRefundable, Refund, RefundId, RefundState};

/// How long a reason may be, in bytes (docs/wechatpay.md, "Refunds").
const REASON_MAX: usize = 80;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    amount: Object<AmountBody>,
    reason: Option<String>,
    out_refund_no: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AmountBody {
    #[serde(deserialize_with = "request_body::whole_fen")]
    refund: i64,
    currency: Option<String>,
}

/// A request that is well-formed and allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What is to be given back.
    pub amount: Fen,
    /// Why, as the payer will read it.
    pub reason: Option<String>,
    /// The refund's number, where it was named.
    pub refund_id: Option<RefundId>,
}

impl Asked {
    /// Reads what a caller asks for.
    ///
    /// # Errors
    /// The body is malformed, or asks for what no refund can be.
    pub fn read(incoming: &Incoming) -> Result<Self, Problem> {
        let body: Body = request_body::read(&incoming.body)?;
        let Object(amount) = body.amount;
        if amount.currency.is_some_and(|currency| currency != "CNY") {
            return Err(invalid("amount.currency", "amount.currency must be CNY"));
        }
        let amount =
            Fen::new(amount.refund).map_err(|error| invalid("amount.refund", error.to_string()))?;
        if let Some(reason) = &body.reason
            && (reason.is_empty()
                || reason.len() > REASON_MAX
                || reason.chars().any(char::is_control))
        {
            return Err(invalid(
                "reason",
                format!("reason must be 1 to {REASON_MAX} bytes of plain text"),
            ));
        }
        let refund_id = body.out_refund_no.map(RefundId::parse).transpose()?;
        Ok(Self {
            amount,
            reason: body.reason,
            refund_id,
        })
    }

    /// Whether the number that is named is one of the payers'.
    pub(crate) fn names_a_payers(&self) -> bool {
        let named = self.refund_id.as_ref();
        named.is_some_and(|named| named.as_str().starts_with(PAYERS_PREFIX))
    }
}

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

/// What payers' refund numbers begin with: a number that a payer names gets it, and the merchant's never
/// have it, so that neither can take the other's.
const PAYERS_PREFIX: &str = "payer-";

/// The number of a payer's refund, of the name that the payer gives it. The number itself is its own
/// name, so that a repeat may use either.
pub(crate) fn payers_own(named: &RefundId) -> Result<RefundId, Problem> {
    if named.as_str().starts_with(PAYERS_PREFIX) {
        return Ok(named.clone());
    }
    RefundId::parse(format!("{PAYERS_PREFIX}{named}")).map_err(|_| {
        invalid(
            "out_refund_no",
            "out_refund_no of a payer must have at most 58 characters",
        )
    })
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

/// A decision has no body, or an empty object.
pub(crate) fn nothing_in(incoming: &Incoming) -> Result<(), Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    if incoming.body.is_empty() {
        return Ok(());
    }
    request_body::read::<Nothing>(&incoming.body).map(|_| ())
}

fn invalid(field: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(Code::InvalidValue, detail).field(field)
}
