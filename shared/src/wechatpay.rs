//! WeChat Pay APIv3 as its client sees it: what is signed, what is verified, what is sealed, what
//! goes over the wire. Only `client` connects; the other modules are values in, values out.
//!
//! The facts and their sources stand in `docs/wechatpay.md`.

mod abnormal;
mod bare_answers;
mod bill;
mod certificates;
mod client;
mod endpoints;
mod error;
mod extras;
mod keys;
mod notification;
mod prepaid;
mod seal;
mod sign;
mod verify;
mod wire;

pub use abnormal::{AbnormalRefund, BankType, SENSITIVE_MAX, Sensitive};
pub use bare_answers::{Absence, Closed, RefundAbsence};
pub use bill::{BillError, BillSource, FILE_MAX, FundFlowBill, TradeBill};
pub use certificates::{CertificatesError, PlatformCertificates};
pub use client::{BillKind, BillOffer, Call, Client, DOWNLOAD_MAX, DownloadError, Keys, NoBill};
pub use endpoints::{EndpointError, Endpoints};
pub use error::{CallError, Refusal, UnknownCause, UnverifiedCause};
pub use extras::{DETAIL_MAX, DetailBody, StoreBody};
pub use keys::{Apiv3Keys, KeyError, KeyId, MerchantKey, PlatformKeys};
pub use notification::{
    Notification, NotificationError, ReadNotification, read as read_notification,
};
pub use prepaid::Prepaid;
pub use seal::{KeySlot, OpenError};
pub use sign::{AppParameters, JsapiParameters, PayParameters, authorization};
pub use verify::{HeaderError, SignatureHeaders, Signed, Verified, VerifyError, verify};
pub use wire::{PrepayRequest, Unreadable, WIRE_VERSION, WIRE_VERSION_PLAIN, read_refusal};

#[cfg(test)]
mod tests;
