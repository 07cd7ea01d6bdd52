//! The application for an abnormal refund as it goes over the wire: what names a person or an account
//! is encrypted for WeChat Pay, and cannot be printed before.

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

use super::keys::{KeyError, PlatformKeys};
use super::wire;
use crate::domain::{Mchid, Refund};

/// The longest text that is encrypted, in bytes: what OAEP with SHA-1 takes under 2048 bits.
pub const SENSITIVE_MAX: usize = 214;

/// A text that is only ever sent encrypted: nothing shows it, and it is overwritten when dropped.
pub struct Sensitive(Zeroizing<String>);

impl Sensitive {
    /// Whether WeChat Pay can be sent it: 1 to [`SENSITIVE_MAX`] bytes without control characters.
    pub fn is_sound(&self) -> bool {
        (1..=SENSITIVE_MAX).contains(&self.0.len()) && !self.0.chars().any(char::is_control)
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sensitive").finish_non_exhaustive()
    }
}

impl<'de> Deserialize<'de> for Sensitive {
    /// What is no text is refused without being repeated, as serde would.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let serde_json::Value::String(text) = value else {
            return Err(D::Error::custom("expected a text"));
        };
        Ok(Self(Zeroizing::new(text)))
    }
}

/// The banks whose debit cards take an abnormal refund (DOC 4013071193).
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the banks' names are WeChat Pay's")]
pub enum BankType {
    CmbDebit,
    CommDebit,
    AbcDebit,
    CcbDebit,
    IcbcDebit,
    BocDebit,
    PabDebit,
    SpdbDebit,
    CiticDebit,
    CebDebit,
    CmbcDebit,
    CibDebit,
    GdbDebit,
    PsbcDebit,
    NbcbDebit,
}

/// Where an abnormal refund's money is to go.
#[derive(Debug)]
pub enum AbnormalRefund {
    /// `USER_BANK_CARD`: to a card of the payer's.
    UserBankCard {
        /// The card's bank.
        bank_type: BankType,
        /// The card's number.
        bank_account: Sensitive,
        /// Whose card it is.
        real_name: Sensitive,
    },
    /// `MERCHANT_BANK_CARD`: to the merchant's own account, who pays the payer by hand.
    MerchantBankCard,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_mchid: Option<&'a str>,
    out_refund_no: &'a str,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bank_type: Option<BankType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bank_account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    real_name: Option<String>,
}

impl AbnormalRefund {
    /// The request's body, encrypted under the key that requests name in `Wechatpay-Serial`.
    ///
    /// # Errors
    /// A text is too long for the key.
    pub(super) fn body(&self, refund: &Refund, keys: &PlatformKeys) -> Result<Vec<u8>, KeyError> {
        let sealed = |plain: &Sensitive| Ok(Some(keys.encrypt(&plain.0)?.0));
        let sub_mchid = refund.sub_mchid.as_ref().map(Mchid::as_str);
        let body = match self {
            Self::UserBankCard {
                bank_type,
                bank_account,
                real_name,
            } => Body {
                sub_mchid,
                out_refund_no: refund.refund_id.as_str(),
                r#type: "USER_BANK_CARD",
                bank_type: Some(*bank_type),
                bank_account: sealed(bank_account)?,
                real_name: sealed(real_name)?,
            },
            Self::MerchantBankCard => Body {
                sub_mchid,
                out_refund_no: refund.refund_id.as_str(),
                r#type: "MERCHANT_BANK_CARD",
                bank_type: None,
                bank_account: None,
                real_name: None,
            },
        };
        Ok(wire::bytes(&body))
    }
}
