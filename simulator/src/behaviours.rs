//! Where the sources disagree about WeChat Pay, a knob decides (docs/simulator.md, "Knobs"). The
//! defaults are the readings with the better evidence; docs/simulator.md lists them.

use serde::{Deserialize, Serialize};

/// The answer to a repeat with other parameters, and to other disputed cases. Names it does not
/// know are passed over, so that a state which another version wrote can be read; control calls
/// refuse them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Behaviours {
    /// Code of a repeat with other parameters: `INVALID_REQUEST` or `PARAM_ERROR`.
    pub(crate) reentry_code: String,
    /// A repeat with another trade type is 403 `OUT_TRADE_NO_USED`; else it is a re-entry error.
    pub(crate) other_trade_type_used: bool,
    /// Code for ordering a paid number: `ORDERPAID` or `ORDER_PAID`.
    pub(crate) order_paid_code: String,
    /// Code for closing a paid order: `ORDER_PAID` or `ORDERPAID`.
    pub(crate) close_paid_code: String,
    /// Closing an unknown number answers 204 and burns the number; else 404.
    pub(crate) close_unknown_burns: bool,
    /// An identical repeat of a JSAPI, APP or H5 order answers the same id while it lives.
    pub(crate) repeat_same_prepay: bool,
    /// The longest `time_expire`, in days, of JSAPI, APP and H5 orders.
    pub(crate) time_expire_days_max: u32,
    /// The longest `time_expire`, in days, of Native orders.
    pub(crate) native_time_expire_days_max: u32,
    /// The H5 cashier turns away a payer whose `payer_client_ip` is a loopback address, as WeChat
    /// Pay's does. Off, because where merchant and payer share a machine there is no other address.
    pub(crate) h5_loopback_fails: bool,
    /// Schema errors are signed.
    pub(crate) sign_schema_errors: bool,
    /// 5xx answers are signed.
    pub(crate) sign_server_errors: bool,
    /// A nonce that a merchant used before, within the time window, is refused.
    pub(crate) refuse_replayed_nonce: bool,
    /// Code of a refund less than a minute after another one of the same order.
    pub(crate) refund_too_soon_code: String,
    /// Code of the 51st refund of an order.
    pub(crate) refund_too_many_code: String,
    /// Code of a refund more than a year after the payment.
    pub(crate) refund_overdue_code: String,
    /// Seconds between two refunds of one order.
    pub(crate) refund_interval_s: u32,
    /// Seconds the bank takes for a refund; `null` waits for a control call.
    pub(crate) refund_delay_s: Option<u32>,
    /// Whether the limits per second hold (docs/simulator.md, `rate-limits`).
    pub(crate) rate_limits: bool,
    /// The `message` of a 401 with sign information: `错误的签名，验签失败` or `签名错误`.
    pub(crate) sign_mismatch_message: String,
    /// Seconds a bill's download URL lives: 300, or 30 by older documents.
    pub(crate) download_url_life_s: u32,
    /// A notice's `id` stays the same on its retries.
    pub(crate) notice_id_stable: bool,
    /// Notice answers 3xx count as failures; else a redirect is a success.
    pub(crate) notice_redirect_fails: bool,
}

impl Default for Behaviours {
    fn default() -> Self {
        Self {
            reentry_code: "INVALID_REQUEST".to_owned(),
            other_trade_type_used: true,
            order_paid_code: "ORDERPAID".to_owned(),
            close_paid_code: "ORDER_PAID".to_owned(),
            close_unknown_burns: false,
            repeat_same_prepay: false,
            time_expire_days_max: 15,
            native_time_expire_days_max: 7,
            h5_loopback_fails: false,
            sign_schema_errors: false,
            sign_server_errors: false,
            refuse_replayed_nonce: false,
            refund_too_soon_code: "FREQUENCY_LIMITED".to_owned(),
            refund_too_many_code: "INVALID_REQUEST".to_owned(),
            refund_overdue_code: "INVALID_REQUEST".to_owned(),
            refund_interval_s: 60,
            refund_delay_s: Some(5),
            rate_limits: true,
            sign_mismatch_message: "错误的签名，验签失败".to_owned(),
            download_url_life_s: 300,
            notice_id_stable: true,
            notice_redirect_fails: true,
        }
    }
}
