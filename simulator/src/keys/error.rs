//! Why a key or certificate could not be made or read.

/// A key or certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step}: {reason}")]
pub(crate) struct KeyError {
    step: &'static str,
    reason: String,
}

impl KeyError {
    pub(crate) fn new(step: &'static str, reason: impl std::fmt::Display) -> Self {
        Self {
            step,
            reason: reason.to_string(),
        }
    }
}
