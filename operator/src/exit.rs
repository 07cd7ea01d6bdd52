//! How a command ends: a sentence for a person, and a number for a script (docs/cli.md, "Exit codes").

/// Why a command did not do what was asked; each kind is one that a script treats differently.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Something failed that sending again does not mend.
    #[error("{0}")]
    Failed(String),
    /// There is no stack, or no right to it: nothing was asked of it.
    #[error("{0}")]
    NoAccess(String),
    /// The order, refund or article is not there.
    #[error("{0}")]
    NotFound(String),
    /// The stack, or a check made before anything was sent, says no: the same again is refused again.
    #[error("{0}")]
    Refused(String),
    /// No usable answer: whether it was done is not known, and the same may be asked again.
    #[error("{0}")]
    NoAnswer(String),
    /// Nobody confirmed, so nothing was done.
    #[error("{0}")]
    Unconfirmed(String),
    /// A check was made, and found something.
    #[error("{0}")]
    Found(String),
}

impl Failure {
    /// The process's exit code. 0 is for what was done, 2 for a command line that cannot be meant.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::NoAccess(_) => 3,
            Self::NotFound(_) => 4,
            Self::Refused(_) => 5,
            Self::NoAnswer(_) => 6,
            Self::Unconfirmed(_) => 7,
            Self::Found(_) => 8,
        }
    }
}
