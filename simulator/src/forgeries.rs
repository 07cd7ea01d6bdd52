//! The forgeries that answers and notices share.

use crate::random;

/// How far in the past a stale message is dated; more than the five minutes that are allowed.
pub(crate) const STALE_S: i64 = 600;

/// The value of a signature probe (docs/simulator.md, `probes`).
pub(crate) fn probe() -> String {
    // As long as a real signature; the length is no multiple of four, as seen in the wild.
    format!("WECHATPAY/SIGNTEST/{}", random::alphanumeric(324))
}

/// The serial of a key nobody has.
pub(crate) fn unknown_serial() -> String {
    random::lower_hex(40).to_uppercase()
}
