//! Signing: requests, and what a client pays with. Time and nonce are arguments, so a signature can
//! be a known answer.

use super::keys::MerchantKey;
use crate::domain::Timestamp;
use crate::platform::random;

/// The scheme's name in the `Authorization` header (docs/wechatpay.md, "Signing").
pub const SCHEME: &str = "WECHATPAY2-SHA256-RSA2048";

/// How long a nonce is, in characters; all official SDKs send 32.
const NONCE_LENGTH: usize = 32;

/// A fresh nonce: 32 of A-Z, a-z and 0-9.
pub fn nonce() -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut nonce = String::with_capacity(NONCE_LENGTH);
    while nonce.len() < NONCE_LENGTH {
        for byte in random::<48>() {
            // 248 is the largest multiple of 62: what lies above would favour the first letters.
            if byte < 248
                && nonce.len() < NONCE_LENGTH
                && let Some(letter) = ALPHABET.get(usize::from(byte % 62))
            {
                nonce.push(char::from(*letter));
            }
        }
    }
    nonce
}

/// The five lines of a request that are signed, each ended by a newline; `target` is path and query
/// exactly as sent, `body` the exact bytes.
pub fn request_message(
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
    mchid: &str,
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

/// The five parameters of `wx.requestPayment`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayParameters {
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
pub fn pay_parameters(
    key: &MerchantKey,
    appid: &str,
    prepay_id: &str,
    timestamp: Timestamp,
    nonce: &str,
) -> PayParameters {
    let package = format!("prepay_id={prepay_id}");
    PayParameters {
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
pub fn app_parameters(
    key: &MerchantKey,
    appid: &str,
    mchid: &str,
    prepay_id: &str,
    timestamp: Timestamp,
    nonce: &str,
) -> AppParameters {
    AppParameters {
        sign: key.sign(&client_message(appid, timestamp, nonce, prepay_id)),
        appid: appid.to_owned(),
        partner_id: mchid.to_owned(),
        prepay_id: prepay_id.to_owned(),
        package_value: "Sign=WXPay",
        nonce_str: nonce.to_owned(),
        time_stamp: timestamp.to_string(),
    }
}

/// The four lines that a client's signature is over.
pub(super) fn client_message(
    appid: &str,
    timestamp: Timestamp,
    nonce: &str,
    last: &str,
) -> Vec<u8> {
    format!("{appid}\n{timestamp}\n{nonce}\n{last}\n").into_bytes()
}
