//! The one error of this crate.

use rustix::io::Errno;
use sandbar_sys::Failure;

/// What can be told apart, to choose a hint or an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file or an argument that could never work.
    InvalidInput,
    /// Another program listens on port 53 of the gateway's address.
    AddressTaken,
    /// The caller may not do this.
    PermissionDenied,
    /// Another system call failed.
    System,
}

/// A call that failed, with its arguments.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// The result of this crate's calls.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::InvalidInput, message: message.into() }
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let kind = match failure.errno() {
            Errno::ADDRINUSE => ErrorKind::AddressTaken,
            Errno::PERM | Errno::ACCESS => ErrorKind::PermissionDenied,
            _ => ErrorKind::System,
        };
        Self { kind, message: failure.to_string() }
    }
}
