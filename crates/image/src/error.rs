//! The one error of this crate: what went wrong (`kind`), in words, and why (`source`).

use std::fmt::Display;
use std::io;

use rustix::io::Errno;

/// The result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation on images failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What sort of failure an [`Error`] is: all that a caller needs to decide what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A name, tag or digest breaks the grammar of references.
    InvalidReference,
    /// No image has that name or id.
    NotFound,
    /// An id prefix fits several images.
    Ambiguous,
    /// An archive, layer, manifest or configuration is damaged, truncated or hostile.
    Malformed,
    /// Content is not what its digest or size promised.
    Mismatch,
    /// A limit of [`Limits`](crate::Limits), or of the size of a manifest, is exceeded.
    TooLarge,
    /// Valid, but of a kind that is not supported here.
    Unsupported,
    /// The image is in use by a container.
    InUse,
    /// The image has several references, and only one removal was asked for.
    Referenced,
    /// The store stayed locked by others for longer than a removal or a start should wait.
    Busy,
    /// A registry, or the way to it, failed; the remote's own error is the source.
    Remote,
    /// The store's own files are damaged.
    Corrupt,
    /// A system call failed.
    Io,
    /// Who called gave up half-way.
    GivenUp,
}

impl Error {
    /// What sort of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// For what a caller is asked half-way ([`Store::extend`](crate::Store::extend)) and can't do.
    pub fn given_up(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(ErrorKind::GivenUp, "making the image was given up").because(cause)
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Malformed, message)
    }

    pub(crate) fn because(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// A failed system call, with its arguments.
    pub(crate) fn call(call: &str, arguments: impl Display, errno: Errno) -> Self {
        let kind = match errno {
            // The one call without which hostile paths can't be resolved safely; no fallback is as good.
            Errno::NOSYS => ErrorKind::Unsupported,
            _ => ErrorKind::Io,
        };
        Self::new(kind, format!("{call}({arguments}) failed")).because(io::Error::from(errno))
    }

    /// A stream that could not be read: its own fault, or the system's.
    pub(crate) fn reading(what: impl Display, error: io::Error) -> Self {
        use io::ErrorKind as Io;
        match error.kind() {
            Io::UnexpectedEof => Self::malformed(format!("{what} ends too early")),
            Io::InvalidData | Io::InvalidInput => Self::malformed(format!("{what} is damaged")),
            Io::FileTooLarge => Self::new(ErrorKind::TooLarge, format!("{what} is too large")),
            _ => Self::new(ErrorKind::Io, format!("reading {what} failed")),
        }
        .because(error)
    }

    /// Whether the disk is full, or the user's part of it.
    pub(crate) fn is_no_space(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<io::Error>()
                && matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// Says of what the failing thing was a part.
    pub(crate) fn within(self, what: impl Display) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }
}

/// Bytes from an archive, fit for a message: escaped, and cut when long.
pub(crate) fn shown(bytes: &[u8]) -> String {
    const LONGEST: usize = 200;
    match bytes.get(..LONGEST) {
        Some(start) => format!("\"{}…\"", start.escape_ascii()),
        None => format!("\"{}\"", bytes.escape_ascii()),
    }
}
