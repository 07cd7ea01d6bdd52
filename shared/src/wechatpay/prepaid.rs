//! What WeChat Pay returns to pay an order with: a `prepay_id`, a `code_url` or an `h5_url`.

use serde::Deserialize;

use super::error::CallError;
use super::wire;
use crate::domain::TradeType;

/// How long a `prepay_id` may be (DOC 4012791856).
const PREPAY_ID_MAX: usize = 64;

/// How long a `code_url` or `h5_url` may be; no limit is published, and a QR code holds more.
const URL_MAX: usize = 512;

/// What an order was answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prepaid {
    /// Good for two hours.
    Jsapi {
        /// What the mini-program pays with, once it is signed.
        prepay_id: String,
    },
    /// Good for two hours.
    App {
        /// What the app pays with, once it is signed.
        prepay_id: String,
    },
    /// Good for two hours, and dead as soon as a newer one is given.
    Native {
        /// What the QR code shows.
        code_url: String,
    },
    /// Good for five minutes.
    H5 {
        /// Where the phone's browser goes.
        h5_url: String,
    },
}

#[derive(Deserialize)]
pub(super) struct PrepaidAnswer {
    pub(super) prepay_id: Option<String>,
    code_url: Option<String>,
    h5_url: Option<String>,
}

impl Prepaid {
    /// What WeChat Pay gave before for an order of this trade type, out of the table: the text of
    /// [`super::PayParameters::given`].
    pub const fn kept(trade_type: TradeType, text: String) -> Self {
        match trade_type {
            TradeType::Jsapi => Self::Jsapi { prepay_id: text },
            TradeType::App => Self::App { prepay_id: text },
            TradeType::Native => Self::Native { code_url: text },
            TradeType::H5 => Self::H5 { h5_url: text },
        }
    }

    /// Reads the answer to an order of this trade type. What stands in it is signed or shown as it is,
    /// so its alphabet is checked.
    pub(super) fn read(trade_type: TradeType, body: &[u8]) -> Result<Self, CallError> {
        let answer: PrepaidAnswer = wire::read(body)?;
        let prepaid = match trade_type {
            TradeType::Jsapi => {
                prepay_id(answer.prepay_id).map(|prepay_id| Self::Jsapi { prepay_id })
            }
            TradeType::App => prepay_id(answer.prepay_id).map(|prepay_id| Self::App { prepay_id }),
            TradeType::Native => {
                url(answer.code_url, &["weixin://"]).map(|code_url| Self::Native { code_url })
            }
            TradeType::H5 => {
                url(answer.h5_url, &["https://", "http://"]).map(|h5_url| Self::H5 { h5_url })
            }
        };
        prepaid.ok_or(CallError::unexpected("an order's answer without its id"))
    }
}

fn prepay_id(text: Option<String>) -> Option<String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    text.filter(|text| (1..=PREPAY_ID_MAX).contains(&text.len()) && text.bytes().all(legal))
}

fn url(text: Option<String>, schemes: &[&str]) -> Option<String> {
    text.filter(|text| (1..=URL_MAX).contains(&text.len()))
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()))
        .filter(|text| schemes.iter().any(|scheme| text.starts_with(scheme)))
}
