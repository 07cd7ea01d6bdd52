//! The ids of orders, refunds, payments and merchants (WeChat Pay calls most of them numbers). Parsed
//! once, never invalid afterwards; what each may hold is WeChat Pay's rule (`docs/wechatpay.md`, "Numbers"), narrowed where its alphabet breaks paths.

use std::fmt;

/// An id of the wrong length or alphabet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidId {
    /// The field's name on the wire.
    pub field: &'static str,
    /// The rule, in words.
    pub rule: &'static str,
}

impl fmt::Display for InvalidId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} must be {}", self.field, self.rule)
    }
}

impl std::error::Error for InvalidId {}

/// The most a stack's prefix of derived numbers may take, in characters: an order's number has 32, and
/// 26 are the hash.
pub const PREFIX_MAX: usize = 6;

fn plain(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

macro_rules! id {
    ($(#[$meta:meta])* $name:ident, $field:literal, $lengths:pat, $rule:literal) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Parses the number.
            ///
            /// # Errors
            /// Refuses another length or alphabet, naming the rule.
            pub fn parse(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                match text.len() {
                    $lengths if plain(&text) => Ok(Self(text)),
                    _ => Err(InvalidId { field: $field, rule: $rule }),
                }
            }

            /// The number as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

id!(
    /// `out_trade_no`: the merchant's number of an order, unique per mchid.
    ///
    /// WeChat Pay also allows `|` and `*`; both break paths, so neither is accepted here.
    OrderId,
    "out_trade_no",
    6..=32,
    "6 to 32 characters of 0-9, A-Z, a-z, _ and -"
);
id!(
    /// `out_refund_no`: the merchant's number of a refund, unique per mchid.
    RefundId,
    "out_refund_no",
    1..=64,
    "1 to 64 characters of 0-9, A-Z, a-z, _ and -"
);
id!(
    /// `transaction_id`: WeChat Pay's number of a payment, given once it is paid.
    TransactionId,
    "transaction_id",
    1..=32,
    "1 to 32 characters of 0-9, A-Z, a-z, _ and -"
);

id!(
    /// `refund_id`: WeChat Pay's own number of a refund, given once it knows it.
    WechatpayRefundId,
    "refund_id",
    1..=64,
    "1 to 64 characters of 0-9, A-Z, a-z, _ and -"
);
id!(
    /// `mchid`: WeChat Pay's number of a merchant.
    Mchid,
    "mchid",
    1..=32,
    "1 to 32 characters of 0-9, A-Z, a-z, _ and -"
);
id!(
    /// `appid`: what WeChat calls a mini-program, an official account or an app.
    Appid,
    "appid",
    1..=32,
    "1 to 32 characters of 0-9, A-Z, a-z, _ and -"
);

/// Nobody's: what an unusable configuration holds until it is refused.
impl Default for Mchid {
    fn default() -> Self {
        Self(String::new())
    }
}

/// Nobody's, as [`Mchid::default`].
impl Default for Appid {
    fn default() -> Self {
        Self(String::new())
    }
}

/// How long an openid may be, in characters; WeChat's have 28.
const OPENID_MAX: usize = 128;

/// `openid`: who a payer is, under one appid.
///
/// It is personal data: it can be stored, sent and compared, and it cannot be printed.
///
/// ```compile_fail
/// let openid = shared::domain::Openid::parse("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o").unwrap();
/// println!("{openid}");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Openid(String);

impl Openid {
    /// Parses the openid.
    ///
    /// # Errors
    /// Refuses another length or alphabet, naming the rule.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidId> {
        let text = text.into();
        if (1..=OPENID_MAX).contains(&text.len()) && plain(&text) {
            Ok(Self(text))
        } else {
            Err(InvalidId {
                field: "payer.openid",
                rule: "1 to 128 characters of 0-9, A-Z, a-z, _ and -",
            })
        }
    }

    /// The openid as text, for the wire, the table and tokens.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Openid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Openid([redacted])")
    }
}

#[cfg(test)]
mod tests;
