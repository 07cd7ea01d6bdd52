//! Why a key or certificate could not be made or read.

/// A key or certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step}: {source}")]
pub(crate) struct KeyError {
    step: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl KeyError {
    pub(crate) fn new(
        step: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            step,
            source: source.into(),
        }
    }
}
