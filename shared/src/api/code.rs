//! The stable codes of problems, each with its HTTP status and title.
//!
//! `docs/api.md` lists every code with what to do; `tests/it` compares it with [`Code::ALL`].

use crate::telemetry::Level;

/// Declares [`Code`]: its variants, each with its status, the level of its log line, its stable code
/// and its title.
macro_rules! codes {
    ($($code:ident = $status:literal, $level:ident, $text:literal, $title:literal;)+) => {
        /// Why a request was not done; what to do about it stands in `docs/api.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $title] $code,)+
        }

        impl Code {
            /// All of them, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$code),+];

            /// The stable code.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$code => $text,)+ }
            }

            /// The HTTP status, chosen by what its reader will do.
            pub const fn status(self) -> u16 {
                match self { $(Self::$code => $status,)+ }
            }

            /// What is said where nothing more precise is known.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$code => $title,)+ }
            }

            /// How much its log line matters.
            pub(super) const fn level(self) -> Level {
                match self { $(Self::$code => Level::$level,)+ }
            }
        }
    };
}

// In order of precedence: size, credential, path and headers, body, record. The last seven end a
// request wherever it was.
codes! {
    BodyTooLarge = 413, Info, "body_too_large", "The body is too large";
    Unauthenticated = 401, Info, "unauthenticated", "No valid credential";
    MalformedRequest = 400, Info, "malformed_request",
        "A header or parameter is missing or malformed";
    InvalidNumber = 400, Info, "invalid_number", "A number in the path is malformed";
    MalformedJson = 400, Info, "malformed_json", "The body is not JSON";
    UnknownField = 422, Info, "unknown_field", "Unknown field";
    FieldNotAllowed = 422, Info, "field_not_allowed", "Field not allowed for this caller";
    InvalidValue = 422, Info, "invalid_value", "Invalid value";
    UnknownSku = 422, Info, "unknown_sku", "Not on sale";
    LoginRefused = 401, Info, "login_refused", "The login code was refused";
    TooManyLogins = 429, Info, "too_many_logins", "Too many logins of this user";
    NotFound = 404, Info, "not_found", "Not found";
    TooManyOpenOrders = 429, Info, "too_many_open_orders", "Too many unpaid orders";
    TermsDiffer = 409, Info, "terms_differ", "The number was used with other terms";
    OrderPaid = 409, Info, "order_paid", "The order is paid";
    OrderNotPaid = 409, Info, "order_not_paid", "The order is not paid";
    RefundNumberTaken = 409, Info, "refund_number_taken",
        "The refund number belongs to another order";
    RefundDecided = 409, Info, "refund_decided", "The refund has already been decided";
    RefundNotAbnormal = 409, Info, "refund_not_abnormal", "The refund is not abnormal";
    RefundExceeds = 409, Info, "refund_exceeds", "Amount exceeds what can be refunded";
    TooManyRefunds = 409, Info, "too_many_refunds", "Refund limit reached (50)";
    RefundTooLate = 409, Info, "refund_too_late", "The payment is older than a year";
    TradeTypeUnavailable = 422, Warn, "trade_type_unavailable",
        "The merchant's account cannot take this trade type";
    TermsRefused = 422, Warn, "terms_refused", "WeChat Pay does not accept these terms";
    CodePending = 503, Info, "code_pending", "Another request is getting what to pay with";
    WechatpayRefused = 502, Warn, "wechatpay_refused", "WeChat Pay refused";
    WechatpayUnavailable = 503, Warn, "wechatpay_unavailable", "WeChat Pay gave no usable answer";
    ConcurrentChanges = 429, Info, "concurrent_changes", "Other requests are changing the record";
    StoreUnavailable = 503, Warn, "store_unavailable", "The record could not be read or written";
    OutOfTime = 503, Warn, "out_of_time", "The request took too long";
    NotConfigured = 503, Error, "not_configured", "The service is not configured";
    InternalError = 500, Error, "internal_error", "Internal error";
}
