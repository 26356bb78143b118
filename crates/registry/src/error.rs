//! The one error of this crate: what went wrong (`kind`), in words, and why (`source`).

use std::fmt::Display;
use std::io;
use std::time::Duration;

/// The result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a registry, its configuration or its credentials could not be used.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    retry_after: Option<Duration>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What sort of failure an [`Error`] is: all that a caller needs to decide what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A name, tag or digest breaks the grammar of references.
    InvalidReference,
    /// The registry's host name has no address.
    UnknownHost,
    /// No connection: nobody listens there, or the way there is shut.
    Refused,
    /// The registry wants other credentials, or some (401).
    Unauthorized,
    /// The registry knows who asks, and says no (403).
    Forbidden,
    /// The registry has no such repository, tag or blob (404).
    NotFound,
    /// The registry asks to wait, for longer than we do (429).
    TooManyRequests,
    /// The registry failed (5xx), each time.
    Server,
    /// Nothing came, or could be sent, for [`Patience::stall`](crate::Patience::stall).
    Stalled,
    /// The answer ended too early, each time.
    Truncated,
    /// Content is not what its digest promised.
    DigestMismatch,
    /// Content is larger than was promised, or than its kind may be.
    TooLarge,
    /// One redirection followed another, too often.
    RedirectLoop,
    /// No secure connection: a certificate that is not trusted, or no TLS at all.
    Tls,
    /// The configuration forbids this registry.
    Blocked,
    /// A configuration file, a proxy's address or a certificate can't be used.
    Configuration,
    /// A file of credentials, or the helper that keeps them, can't be used.
    Credentials,
    /// The registry's answer makes no sense, or must not be followed.
    Protocol,
    /// What is to be sent can't be opened.
    Unreadable,
    /// A system call failed, or a connection broke.
    Io,
}

impl Error {
    /// What sort of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The error that a [`Blob`](crate::Blob) gave to its reader as an [`io::Error`].
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref().and_then(|inner| inner.downcast_ref())
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None, source: None }
    }

    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Protocol, message)
    }

    pub(crate) fn because(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says what was being done.
    pub(crate) fn within(self, what: impl Display) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }

    /// Keeps how long the registry asks to wait.
    pub(crate) fn after(mut self, pause: Option<Duration>) -> Self {
        self.retry_after = pause;
        self
    }

    /// How long the registry asks to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether the same request may well succeed a moment later.
    pub(crate) fn passes(&self) -> bool {
        use ErrorKind::{Io, Refused, Server, Stalled, TooManyRequests, Truncated};
        matches!(self.kind, Io | Refused | Server | Stalled | TooManyRequests | Truncated)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind {
            ErrorKind::Stalled => io::ErrorKind::TimedOut,
            ErrorKind::Truncated => io::ErrorKind::UnexpectedEof,
            ErrorKind::DigestMismatch | ErrorKind::Protocol => io::ErrorKind::InvalidData,
            ErrorKind::TooLarge => io::ErrorKind::FileTooLarge,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// Text from outside, fit for a message: on one line, escaped, and cut when long.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 200;
    let mut shown: String = text.trim().chars().take(LONGEST).flat_map(escaped).collect();
    if text.trim().chars().count() > LONGEST {
        shown.push('…');
    }
    shown
}

fn escaped(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { vec![c] }
}
