//! Why a stack does not start.

use shared::process::ProcessError;

use crate::functions::LinkError;
use crate::template::TemplateError;

/// Why a stack did not start, in one sentence; what led to it is its source.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A folder, a port or a setting is not what it has to be.
    #[error("{0}")]
    Unfit(String),
    /// The system refused a file, a folder or a port.
    #[error("{what}: {source}")]
    System {
        /// What cannot be done.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// What is built in cannot be read.
    #[error("{what}: {source}")]
    BuiltIn {
        /// What cannot be read.
        what: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// WeChat Pay's simulator does not start.
    #[error(transparent)]
    Simulator(#[from] simulator::StartError),
    /// The template cannot be used.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// What each function is given cannot be built.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A function is unknown, or refuses its environment.
    #[error("{id} cannot be started: {source}")]
    Function {
        /// The function's id in the template.
        id: String,
        /// Why.
        source: LinkError,
    },
}

impl StartError {
    /// The system refused to do this.
    pub(super) fn system(what: impl Into<String>, source: std::io::Error) -> Self {
        let what = what.into();
        Self::System { what, source }
    }
}

impl From<String> for StartError {
    fn from(sentence: String) -> Self {
        Self::Unfit(sentence)
    }
}
