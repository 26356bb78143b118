//! Why a supervisor, or a call to one, failed.

use std::path::Path;

use sandbar_sys::Failure;

/// Why a supervisor, or a call to one, failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    errno: Option<rustix::io::Errno>,
}

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None, errno: None }
    }

    pub(crate) fn json(path: &Path, source: serde_json::Error) -> Self {
        let message = format!("{} is not what it must be", path.display());
        Self { message, source: Some(Box::new(source)), errno: None }
    }

    /// The error number, if a system call failed.
    #[must_use]
    pub const fn errno(&self) -> Option<rustix::io::Errno> {
        self.errno
    }

    /// The error and its causes in one line.
    #[must_use]
    pub fn one_line(&self) -> String {
        let mut line = self.message.clone();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            line.push_str(": ");
            line.push_str(&error.to_string());
            source = error.source();
        }
        line
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self { message: failure.to_string(), source: None, errno: Some(failure.errno()) }
    }
}

impl From<sandbar_runtime::Error> for Error {
    fn from(error: sandbar_runtime::Error) -> Self {
        Self { errno: error.errno(), ..Self::new(error.one_line()) }
    }
}

impl From<sandbar_cgroup::Error> for Error {
    fn from(error: sandbar_cgroup::Error) -> Self {
        let errno = error.errno();
        Self { message: "cgroup".into(), source: Some(Box::new(error)), errno }
    }
}
