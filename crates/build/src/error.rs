//! Why an image could not be made.

use std::fmt::Display;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// The result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an image could not be made.
#[derive(Debug, thiserror::Error)]
pub struct Error {
    kind: Kind,
    place: Place,
    message: String,
    #[source]
    source: Option<Source>,
}

/// Where in which Dockerfile something is wrong, as far as it is known.
#[derive(Debug, Default)]
struct Place {
    file: Option<String>,
    line: Option<usize>,
}

impl Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.place.file, self.place.line) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}: ")?,
            (Some(file), None) => write!(f, "{file}: ")?,
            (None, Some(line)) => write!(f, "line {line}: ")?,
            (None, None) => {}
        }
        f.write_str(&self.message)
    }
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
        Self { kind, place: Place::default(), message: message.into(), source: None }
    }

    /// What is wrong with a line of a Dockerfile.
    pub(crate) fn syntax(line: usize, message: impl Display) -> Self {
        Self::new(Kind::Invalid, message.to_string()).at(line)
    }

    /// What kind of error it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Says in which line it happened, unless that was said.
    pub(crate) fn at(mut self, line: usize) -> Self {
        self.place.line.get_or_insert(line);
        self
    }

    /// Says in which file it happened.
    pub(crate) fn in_file(mut self, file: &str) -> Self {
        self.place.file.get_or_insert_with(|| file.to_owned());
        self
    }

    /// Says what was being done.
    pub(crate) fn within(mut self, what: impl Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Says why.
    pub(crate) fn because(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// A failed system call.
    pub(crate) fn call(call: &'static str, what: impl Display, errno: rustix::io::Errno) -> Self {
        sandbar_sys::Failure::new(call, what.to_string(), errno).into()
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
        Self::new(kind, error.to_string()).because(error)
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
        Self::new(kind, error.to_string()).because(error)
    }
}

impl From<sandbar_sys::Failure> for Error {
    fn from(failure: sandbar_sys::Failure) -> Self {
        Self::new(Kind::System, failure.to_string())
    }
}
