//! What an answer says by its status and code alone: closed, no such order, no such refund.

use std::convert::Infallible;

use super::verify::{Signed, Verified};

/// WeChat Pay's 204 to a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// "No such order": the merchant has none of the number that was asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence;

/// "No such refund": the merchant has none of the number that was asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefundAbsence;

impl Absence {
    /// `ORDER_NOT_EXIST` (DOC 4012791858) with 404; the old spelling is an alias.
    pub(super) fn read<B: AsRef<[u8]>>(
        verified: &Verified<B>,
        status: u16,
        code: &str,
    ) -> Option<Signed<Self>> {
        let absent = status == 404 && matches!(code, "ORDER_NOT_EXIST" | "ORDERNOTEXIST");
        absent.then(|| said(verified, Self))
    }
}

impl RefundAbsence {
    /// `RESOURCE_NOT_EXISTS` with 404 (docs/wechatpay.md, "Refunds").
    pub(super) fn read<B: AsRef<[u8]>>(
        verified: &Verified<B>,
        status: u16,
        code: &str,
    ) -> Option<Signed<Self>> {
        let absent = status == 404 && code == "RESOURCE_NOT_EXISTS";
        absent.then(|| said(verified, Self))
    }
}

fn said<B: AsRef<[u8]>, T>(verified: &Verified<B>, fact: T) -> Signed<T> {
    match verified.read(|_| Ok::<T, Infallible>(fact)) {
        Ok(signed) => signed,
        Err(never) => match never {},
    }
}
