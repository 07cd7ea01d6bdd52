//! A template that cannot be used.

/// Why the template cannot be used, in one sentence; what led to it is its source.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// It says what the local stack does not know, or not what it needs.
    #[error("template.yaml cannot be used: {0}")]
    Unfit(String),
    /// It is not YAML.
    #[error("template.yaml cannot be used: it is not YAML ({0})")]
    Yaml(#[source] serde_yaml_ng::Error),
    /// A value in it has no form that JSON has.
    #[error("template.yaml cannot be used: {place} has a value that cannot be read ({source})")]
    Value {
        /// Where it stands.
        place: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A text in it is not the JSON that it should be.
    #[error("template.yaml cannot be used: {what} that is not JSON: {source}")]
    Json {
        /// Whose text, and which.
        what: String,
        /// Why.
        source: serde_json::Error,
    },
}

pub(super) fn fail<T>(sentence: impl Into<String>) -> Result<T, TemplateError> {
    Err(TemplateError::Unfit(sentence.into()))
}
