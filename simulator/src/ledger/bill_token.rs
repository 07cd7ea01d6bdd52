//! A bill that was applied for: a plain record.

use std::sync::Arc;

/// A bill that waits to be downloaded.
#[derive(Debug, Clone)]
pub(crate) struct BillToken {
    pub(crate) mchid: String,
    pub(crate) expires_ms: i64,
    /// The file as it is downloaded, packed where that was asked for.
    pub(crate) bytes: Arc<Vec<u8>>,
    /// What was applied for, as the key of its share of the randomness.
    pub(crate) subject: String,
}
