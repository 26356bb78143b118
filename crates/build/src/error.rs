//! Why an image could not be made.

use std::fmt::Display;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// The result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an image could not be made.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
    #[source]
    source: Option<Source>,
}

/// What kind of error it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The Dockerfile, or what was asked beside it, is not what it must be.
    Invalid,
    /// A base image, a stage or a file is not there.
    NotFound,
    /// Valid, but not to be had here.
    Unsupported,
    /// A command of the build failed.
    Failed,
    /// Whoever builds was told to stop, by the signal of this number.
    Interrupted(i32),
    /// The engine, the images or the system failed.
    System,
}

impl Error {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// What is wrong with a line of a Dockerfile.
    pub(crate) fn syntax(line: usize, message: impl Display) -> Self {
        Self::new(Kind::Invalid, format!("line {line}: {message}"))
    }

    /// What kind of error it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Says where it happened.
    pub(crate) fn within(mut self, place: impl Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }
}

impl From<sandbar_image::Error> for Error {
    fn from(error: sandbar_image::Error) -> Self {
        use sandbar_image::ErrorKind;
        let kind = match error.kind() {
            ErrorKind::NotFound => Kind::NotFound,
            ErrorKind::InvalidReference => Kind::Invalid,
            ErrorKind::Unsupported => Kind::Unsupported,
            _ => Kind::System,
        };
        Self { kind, message: error.to_string(), source: Some(error.into()) }
    }
}

impl From<sandbar_engine::Error> for Error {
    fn from(error: sandbar_engine::Error) -> Self {
        let kind = match error.kind() {
            sandbar_engine::Kind::NotFound => Kind::NotFound,
            sandbar_engine::Kind::CommandNotFound | sandbar_engine::Kind::CommandNotExecutable => {
                Kind::Failed
            }
            _ => Kind::System,
        };
        Self { kind, message: error.to_string(), source: Some(error.into()) }
    }
}

impl From<sandbar_sys::Failure> for Error {
    fn from(failure: sandbar_sys::Failure) -> Self {
        Self::new(Kind::System, failure.to_string())
    }
}
