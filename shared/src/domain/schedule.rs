//! When something is looked at next.

use super::Timestamp;

/// When an item is due, and after how many looks without a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    /// How often it was looked at since its last change.
    pub attempts: u32,
}

impl Due {
    /// The first look after a change.
    pub const fn first(at: Timestamp) -> Self {
        Self { at, attempts: 0 }
    }
}

/// How long to wait after `attempts` looks that changed nothing, in seconds: 1, 2, 5, 10, 30 and
/// then every 60 minutes.
///
/// The sweep runs each minute, so a finer step would buy nothing; the notice, not the sweep, is the
/// fast path.
pub(super) fn backoff_seconds(attempts: u32) -> i64 {
    match attempts {
        0 => 60,
        1 => 2 * 60,
        2 => 5 * 60,
        3 => 10 * 60,
        4 => 30 * 60,
        _ => 60 * 60,
    }
}

#[cfg(test)]
mod tests;
