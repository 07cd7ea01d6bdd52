//! What a request for a refund says, and whose number it may name.

use serde::Deserialize;
use shared::api::request_body::{self, Object};
use shared::api::{Code, Incoming, Problem};
use shared::domain::{Fen, OwnNumbers, RefundId};

use crate::problems;

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
pub struct RefundRequest {
    /// What is to be refunded.
    pub amount: Fen,
    /// Why, as the payer will read it.
    pub reason: Option<String>,
    /// The refund's number, where it was named.
    pub refund_id: Option<RefundId>,
}

impl RefundRequest {
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

    /// Refuses a number that a payer could give, or another system of the merchant number: WeChat Pay knows a
    /// number once.
    pub(crate) fn is_the_merchants(&self, own_numbers: &OwnNumbers) -> Result<(), Problem> {
        let Some(named) = &self.refund_id else {
            return Ok(());
        };
        if named.as_str().starts_with(PAYERS_PREFIX) {
            return Err(problems::payers_number());
        }
        match own_numbers.prefix() {
            Some(prefix) if !own_numbers.have(named.as_str()) => Err(invalid(
                "out_refund_no",
                format!(
                    "out_refund_no must begin with {prefix}: other systems use this merchant number, too"
                ),
            )),
            Some(_) | None => Ok(()),
        }
    }
}

/// What payers' refund numbers begin with: a number that a payer names gets it, and the merchant's never
/// have it, so that neither can take the other's.
pub(crate) const PAYERS_PREFIX: &str = "payer-";

/// How long the name may be that a payer gives a refund, in characters: a number has 64.
const PAYERS_NAME_MAX: usize = 58;

/// The number of a payer's refund, of the name that the payer gives it; where other systems use the merchant
/// number, with this stack's prefix. The number itself is its own name, so that a repeat may use either. Beside
/// it the number that the same name had before the stack was given its prefix.
pub(crate) fn payers_own(
    named: &RefundId,
    own_numbers: &OwnNumbers,
) -> Result<(RefundId, Option<RefundId>), Problem> {
    let Some(prefix) = own_numbers.prefix() else {
        return Ok((payers(named, "")?, None));
    };
    let own = format!("{PAYERS_PREFIX}{prefix}");
    if named.as_str().starts_with(&own) {
        return Ok((named.clone(), None));
    }
    let earlier = payers(named, prefix)?;
    let name = named
        .as_str()
        .strip_prefix(PAYERS_PREFIX)
        .unwrap_or(named.as_str());
    let number = RefundId::parse(format!("{own}{name}")).map_err(|_| too_long(prefix))?;
    Ok((number, Some(earlier)))
}

fn payers(named: &RefundId, prefix: &str) -> Result<RefundId, Problem> {
    if named.as_str().starts_with(PAYERS_PREFIX) {
        return Ok(named.clone());
    }
    RefundId::parse(format!("{PAYERS_PREFIX}{named}")).map_err(|_| too_long(prefix))
}

fn too_long(prefix: &str) -> Problem {
    let most = PAYERS_NAME_MAX - prefix.len();
    invalid(
        "out_refund_no",
        format!("out_refund_no of a payer must have at most {most} characters"),
    )
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

pub(crate) fn invalid(field: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(Code::InvalidValue, detail).field(field)
}
