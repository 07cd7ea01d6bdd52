//! Signing: requests, and what a client pays with. Time and nonce are arguments, so a signature can
//! be a known answer.

use super::keys::MerchantKey;
use super::prepaid::Prepaid;
use crate::domain::{Appid, Mchid, Terms, Timestamp};

/// The scheme's name in the `Authorization` header (docs/wechatpay.md, "Signing").
const SCHEME: &str = "WECHATPAY2-SHA256-RSA2048";

/// The five lines of a request that are signed, each ended by a newline; `target` is path and query
/// exactly as sent, `body` the exact bytes.
pub(super) fn request_message(
    method: &str,
    target: &str,
    timestamp: Timestamp,
    nonce: &str,
    body: &[u8],
) -> Vec<u8> {
    let mut message = format!("{method}\n{target}\n{timestamp}\n{nonce}\n").into_bytes();
    message.extend_from_slice(body);
    message.push(b'\n');
    message
}

/// A request's `Authorization` header.
pub fn authorization(
    key: &MerchantKey,
    mchid: &Mchid,
    method: &str,
    target: &str,
    timestamp: Timestamp,
    nonce: &str,
    body: &[u8],
) -> String {
    let signature = key.sign(&request_message(method, target, timestamp, nonce, body));
    let serial_no = key.serial_no();
    format!(
        "{SCHEME} mchid=\"{mchid}\",nonce_str=\"{nonce}\",signature=\"{signature}\",\
         timestamp=\"{timestamp}\",serial_no=\"{serial_no}\""
    )
}

/// What a client is handed to pay with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayParameters {
    /// For `wx.requestPayment`.
    Jsapi(JsapiParameters),
    /// For an app's `PayReq`.
    App(AppParameters),
    /// For a QR code; nothing of it is signed here.
    Native {
        /// What the code shows.
        code_url: String,
    },
    /// For the phone's browser; nothing of it is signed here.
    H5 {
        /// Where it goes.
        h5_url: String,
    },
}

impl PayParameters {
    /// Makes what a client pays with out of what the order was answered with. Time and nonce are to be
    /// fresh each time.
    pub fn of(
        prepaid: Prepaid,
        terms: &Terms,
        key: &MerchantKey,
        timestamp: Timestamp,
        nonce: &str,
    ) -> Self {
        match prepaid {
            Prepaid::Jsapi { prepay_id } => Self::Jsapi(jsapi_parameters(
                key,
                terms.payers_appid(),
                &prepay_id,
                timestamp,
                nonce,
            )),
            Prepaid::App { prepay_id } => Self::App(app_parameters(
                key,
                terms.payers_appid(),
                &terms.mchid,
                &prepay_id,
                timestamp,
                nonce,
            )),
            Prepaid::Native { code_url } => Self::Native { code_url },
            Prepaid::H5 { h5_url } => Self::H5 { h5_url },
        }
    }

    /// What WeChat Pay gave: a `prepay_id`, a `code_url` or an `h5_url`.
    pub fn given(&self) -> &str {
        match self {
            Self::Jsapi(parameters) => parameters.package.trim_start_matches("prepay_id="),
            Self::App(parameters) => &parameters.prepay_id,
            Self::Native { code_url } => code_url,
            Self::H5 { h5_url } => h5_url,
        }
    }
}

/// The five parameters of `wx.requestPayment`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsapiParameters {
    /// `timeStamp`: Unix seconds, as text.
    pub time_stamp: String,
    /// `nonceStr`.
    pub nonce_str: String,
    /// `package`: `prepay_id=` and the id.
    pub package: String,
    /// `signType`: `RSA`; itself not signed.
    pub sign_type: &'static str,
    /// `paySign`.
    pub pay_sign: String,
}

/// Signs what a mini-program (or JSAPI page) pays with. The appid is signed and not passed on: it
/// must be the running mini-program's.
pub(super) fn jsapi_parameters(
    key: &MerchantKey,
    appid: &Appid,
    prepay_id: &str,
    timestamp: Timestamp,
    nonce: &str,
) -> JsapiParameters {
    let package = format!("prepay_id={prepay_id}");
    JsapiParameters {
        pay_sign: key.sign(&client_message(appid, timestamp, nonce, &package)),
        time_stamp: timestamp.to_string(),
        nonce_str: nonce.to_owned(),
        package,
        sign_type: "RSA",
    }
}

/// The fields of an app's `PayReq`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppParameters {
    /// `appId`.
    pub appid: String,
    /// `partnerId`: the mchid.
    pub partner_id: String,
    /// `prepayId`.
    pub prepay_id: String,
    /// `packageValue`: constant.
    pub package_value: &'static str,
    /// `nonceStr`.
    pub nonce_str: String,
    /// `timeStamp`: Unix seconds, as text.
    pub time_stamp: String,
    /// `sign`.
    pub sign: String,
}

/// Signs what an app pays with; its fourth line is the bare id, without the mini-program's prefix.
pub(super) fn app_parameters(
    key: &MerchantKey,
    appid: &Appid,
    mchid: &Mchid,
    prepay_id: &str,
    timestamp: Timestamp,
    nonce: &str,
) -> AppParameters {
    AppParameters {
        sign: key.sign(&client_message(appid, timestamp, nonce, prepay_id)),
        appid: appid.to_string(),
        partner_id: mchid.to_string(),
        prepay_id: prepay_id.to_owned(),
        package_value: "Sign=WXPay",
        nonce_str: nonce.to_owned(),
        time_stamp: timestamp.to_string(),
    }
}

/// The four lines that a client's signature is over.
pub(super) fn client_message(
    appid: &Appid,
    timestamp: Timestamp,
    nonce: &str,
    last: &str,
) -> Vec<u8> {
    format!("{appid}\n{timestamp}\n{nonce}\n{last}\n").into_bytes()
}
