//! A template that cannot be used.

use std::fmt;

/// A template that cannot be used, in one sentence.
#[derive(Debug)]
pub struct TemplateError(pub(super) String);

impl fmt::Display for TemplateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "template.yaml cannot be used: {}", self.0)
    }
}

impl std::error::Error for TemplateError {}

pub(super) fn fail<T>(sentence: impl Into<String>) -> Result<T, TemplateError> {
    Err(TemplateError(sentence.into()))
}
