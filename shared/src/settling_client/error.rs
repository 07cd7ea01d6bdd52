//! Why WeChat Pay was not asked, its answer not settled, or a bill not fetched.

use crate::config::secrets::SecretError;
use crate::store::StoreError;
use crate::wechatpay::{CallError, DownloadError};

/// Why a bill was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The keys are not usable.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// WeChat Pay offered none, or its download failed.
    #[error(transparent)]
    Download(#[from] DownloadError),
}

/// Why WeChat Pay was not asked, or its answer not settled.
#[derive(Debug, thiserror::Error)]
pub enum SettlingError {
    /// The keys are not usable.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The table is not.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// WeChat Pay refused, or gave no usable answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A refund's record was not written by who may send refunds.
    #[error(transparent)]
    NotAuthentic(#[from] NotAuthentic),
}

/// Why a refund on record is not believed, and so neither approved nor sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAuthentic {
    /// Its MAC is missing, was made with a key that is not held, or over other terms.
    #[error("the refund's MAC does not hold")]
    Mac,
    /// Its number's guard, which whoever reserves a refund writes, is not this order's, or burnt by a
    /// withdrawal of which the record says nothing.
    #[error("the refund's number is not its order's, or burnt")]
    Guard,
}

impl NotAuthentic {
    /// What does not hold, as log lines name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mac => "mac",
            Self::Guard => "guard",
        }
    }
}
