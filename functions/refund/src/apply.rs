//! The application for an abnormal refund: what may be asked, and what is said when it cannot be.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use shared::api::request_body;
use shared::api::{Code, Incoming, Problem};
use shared::domain::{Refund, RefundState};
use shared::settling_client::SettlingError;
use shared::wechatpay::{AbnormalRefund, BankType, CallError, SENSITIVE_MAX, Sensitive};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(deserialize_with = "one_of")]
    r#type: Type,
    #[serde(default, deserialize_with = "one_of")]
    bank_type: Option<BankType>,
    bank_account: Option<Sensitive>,
    real_name: Option<Sensitive>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Type {
    UserBankCard,
    MerchantBankCard,
}

/// Reads a name of a list. One that is not on it may be a number that slipped into the wrong field, and is
/// refused without being repeated, as serde would.
fn one_of<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    let name = Value::deserialize(deserializer)?;
    T::deserialize(name).map_err(|_| D::Error::custom("expected a name that docs/api.md lists"))
}

/// Reads the application; what it holds of a person is never repeated.
///
/// # Errors
/// The body is malformed, lacks what its type needs, or has what it does not take.
pub fn read(incoming: &Incoming) -> Result<AbnormalRefund, Problem> {
    let body: Body = request_body::read(&incoming.body)?;
    match body.r#type {
        Type::UserBankCard => users_card(body),
        Type::MerchantBankCard => {
            let named = [
                ("bank_type", body.bank_type.is_some()),
                ("bank_account", body.bank_account.is_some()),
                ("real_name", body.real_name.is_some()),
            ];
            match named.into_iter().find(|(_, given)| *given) {
                None => Ok(AbnormalRefund::MerchantBankCard),
                Some((field, _)) => Err(Problem::new(
                    Code::FieldNotAllowed,
                    format!("{field} belongs to USER_BANK_CARD alone"),
                )
                .field(field)),
            }
        }
    }
}

fn users_card(body: Body) -> Result<AbnormalRefund, Problem> {
    let missing = |field| {
        Problem::new(
            Code::InvalidValue,
            format!(
                "USER_BANK_CARD needs bank_type, bank_account and real_name; {field} is missing"
            ),
        )
        .field(field)
    };
    let bank_type = body.bank_type.ok_or_else(|| missing("bank_type"))?;
    let bank_account = body.bank_account.ok_or_else(|| missing("bank_account"))?;
    let real_name = body.real_name.ok_or_else(|| missing("real_name"))?;
    for (field, text) in [("bank_account", &bank_account), ("real_name", &real_name)] {
        if !text.is_sound() {
            let detail = format!("{field} must be 1 to {SENSITIVE_MAX} bytes of plain text");
            return Err(Problem::new(Code::InvalidValue, detail).field(field));
        }
    }
    Ok(AbnormalRefund::UserBankCard {
        bank_type,
        bank_account,
        real_name,
    })
}

/// What is said of a refund that is not abnormal.
pub(crate) fn not_abnormal(refund: &Refund) -> Problem {
    let status = refund.state.as_str();
    let detail = match refund.state {
        RefundState::Abnormal => {
            "WeChat Pay does not confirm that the refund is ABNORMAL; read it again later"
                .to_owned()
        }
        RefundState::Requested
        | RefundState::Reserved
        | RefundState::Processing
        | RefundState::Closed
        | RefundState::Success { .. }
        | RefundState::Rejected
        | RefundState::Withdrawing { .. }
        | RefundState::Withdrawn { .. } => {
            format!("the refund is {status}; only an ABNORMAL one can be applied for")
        }
    };
    Problem::new(Code::RefundNotAbnormal, detail).with("refund_status", status)
}

/// What is said where WeChat Pay did not take the application.
pub(crate) fn not_taken(error: SettlingError) -> Problem {
    if let SettlingError::Call(CallError::Refused(refusal)) = &error
        && refusal.code == "PARAM_ERROR"
    {
        return Problem::refused(Code::TermsRefused, refusal);
    }
    error.into()
}
