//! Order and refund ids derived from the caller's `Idempotency-Key`: the same request gets the same id.
//!
//! An id is a keyed hash of the caller, the operation, the order (for refunds) and the caller's
//! `Idempotency-Key`. The key of the hash is its own and is never rotated: a retry after a rotation
//! would otherwise become a second order.

use aws_lc_rs::hmac;

use super::caller::Caller;
use super::code::Code;
use super::incoming::Incoming;
use super::problem::Problem;
use crate::config::secrets::ApiKeys;
use crate::domain::{InvalidId, OrderId, RefundId};

/// How long an `Idempotency-Key` may be, in characters.
const KEY_LENGTHS: std::ops::RangeInclusive<usize> = 16..=64;

/// The request's `Idempotency-Key`, if it has one.
///
/// # Errors
/// 400 where it is not 16 to 64 characters of `[A-Za-z0-9_-]`.
pub fn idempotency_key(incoming: &Incoming) -> Result<Option<&str>, Problem> {
    if !incoming.has_header("idempotency-key") {
        return Ok(None);
    }
    incoming
        .header("idempotency-key")
        .filter(|key| {
            KEY_LENGTHS.contains(&key.len())
                && key
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        })
        .map(Some)
        .ok_or_else(|| {
            Problem::new(
                Code::MalformedRequest,
                "Idempotency-Key must be 16 to 64 characters of A-Z, a-z, 0-9, _ and -",
            )
            .field("Idempotency-Key")
        })
}

/// The number of the order that this caller means by this key.
///
/// # Errors
/// The prefix is not of a number's alphabet or too long.
pub fn order_id(
    keys: &ApiKeys,
    prefix: &str,
    caller: &Caller,
    key: &str,
) -> Result<OrderId, InvalidId> {
    OrderId::parse(format!(
        "{prefix}{}",
        hash(keys, &[kind(caller), who(caller), "order", key])
    ))
}

/// The number of the refund of this order that this caller means by this key. It has no prefix: a stack that is
/// given one later still knows what it was asked for before, and the hash differs from any other stack's.
///
/// # Errors
/// None that can come: a hash is of a number's alphabet.
pub fn refund_id(
    keys: &ApiKeys,
    caller: &Caller,
    order_id: &OrderId,
    key: &str,
) -> Result<RefundId, InvalidId> {
    let parts = [kind(caller), who(caller), "refund", order_id.as_str(), key];
    RefundId::parse(hash(keys, &parts))
}

const fn kind(caller: &Caller) -> &'static str {
    caller.kind()
}

fn who(caller: &Caller) -> &str {
    match caller {
        Caller::Payer { openid } => openid.as_str(),
        Caller::Merchant => "",
    }
}

/// 128 bits of HMAC-SHA-256 over the parts, each behind its length, as 26 characters of base32.
fn hash(keys: &ApiKeys, parts: &[&str]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &keys.number_key));
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let tag = context.sign();
    data_encoding::BASE32_NOPAD.encode(tag.as_ref().get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests;
