//! Why a process could not be started.

use sandbar_sys::Failure;

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
    #[source]
    source: Option<Failure>,
}

/// What kind of error it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The specification contradicts itself or is malformed.
    InvalidSpec,
    /// The specification asks for what this runtime, or this kernel, does not have.
    Unsupported,
    /// The program is not in the container.
    CommandNotFound,
    /// The program is there but can't be executed.
    CommandNotExecutable,
    /// The user or group is not in the container, or is malformed.
    User,
    /// The image or the container is not what it must be for its own safety or ours.
    Hostile,
    /// A hook failed.
    Hook,
    /// A system call failed.
    System,
}

impl Kind {
    /// One letter a kind, for the way from the child to its starter.
    const LETTERS: [(Self, u8); 8] = [
        (Self::InvalidSpec, b'i'),
        (Self::Unsupported, b'u'),
        (Self::CommandNotFound, b'f'),
        (Self::CommandNotExecutable, b'x'),
        (Self::User, b'n'),
        (Self::Hostile, b'h'),
        (Self::Hook, b'k'),
        (Self::System, b's'),
    ];

    pub(crate) fn letter(self) -> u8 {
        Self::LETTERS.iter().find(|(kind, _)| *kind == self).map_or(b's', |(_, letter)| *letter)
    }

    pub(crate) fn from_letter(letter: u8) -> Self {
        Self::LETTERS
            .iter()
            .find(|(_, known)| *known == letter)
            .map_or(Self::System, |(kind, _)| *kind)
    }
}

impl Error {
    /// An error of `kind`.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// What the starter could not prepare.
    #[must_use]
    pub fn preparation(message: String) -> Self {
        Self::new(Kind::System, message)
    }

    /// What kind of error it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The error number, if a system call failed.
    #[must_use]
    pub fn errno(&self) -> Option<rustix::io::Errno> {
        self.source.as_ref().map(Failure::errno)
    }

    /// What a process that could not become its program exits with, as a shell would.
    pub(crate) const fn exit_status(&self) -> i32 {
        match self.kind {
            Kind::CommandNotFound => 127,
            Kind::CommandNotExecutable => 126,
            _ => 1,
        }
    }

    /// The error and its causes in one line.
    #[must_use]
    pub fn one_line(&self) -> String {
        match &self.source {
            Some(source) => format!("{}: {source}", self.message),
            None => self.message.clone(),
        }
    }
}

/// Says which step failed.
pub(crate) trait Step<T> {
    /// Adds the step, in words such as "mount /proc".
    fn step(self, step: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Step<T> for Result<T, Failure> {
    fn step(self, step: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error { kind: Kind::System, message: step(), source: Some(source) })
    }
}

impl From<Failure> for Error {
    fn from(source: Failure) -> Self {
        Self { kind: Kind::System, message: "start".to_owned(), source: Some(source) }
    }
}
