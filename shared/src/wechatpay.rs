//! WeChat Pay APIv3 as its client sees it: what is signed, what is verified, what is sealed, what
//! goes over the wire. Only [`client`] connects; the other modules are values in, values out.
//!
//! The facts and their sources stand in `docs/wechatpay.md`.

pub mod client;
pub mod endpoints;
pub mod error;
pub mod keys;
pub mod notification;
pub mod seal;
pub mod sign;
pub mod verify;
pub mod wire;

pub use client::{Call, Client, Closed, Keys, Prepaid, RefundRequest};
pub use endpoints::Endpoints;
pub use error::{CallError, Refusal, UnknownCause};
pub use keys::{Apiv3Keys, KeyError, MerchantKey, PlatformKeys};
pub use verify::{SignatureHeaders, Verified, VerifyError, verify};

/// Something WeChat Pay said, with a signature that held.
///
/// It is made in this module alone, after [`verify()`]; whoever holds one need not ask where it came
/// from, and nothing else moves an order or a refund:
///
/// ```compile_fail
/// let forged = shared::wechatpay::Signed("paid");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<T>(T);

impl<T> Signed<T> {
    /// What was said.
    pub const fn get(&self) -> &T {
        &self.0
    }

    /// What was said, without the proof.
    pub fn into_inner(self) -> T {
        self.0
    }
}

#[cfg(test)]
mod tests;
