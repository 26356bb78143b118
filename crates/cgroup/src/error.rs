//! What can go wrong, with the file, the value and the system's reason.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;

use crate::Controller;

/// A result whose error is this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed operation on a cgroup. Its message names the file and the value; the system's reason
/// is its [`source`](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Cause>);

/// What sort of failure an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No cgroup hierarchy is mounted.
    NoCgroups,
    /// The text is not a cgroup path.
    InvalidPath,
    /// A limit contradicts another, or can't be meant.
    InvalidLimit,
    /// A limit was asked for that needs a controller (or a file of one) that can't be had here.
    NoController,
    /// The cgroup does not exist.
    NotFound,
    /// The caller lacks the permission, or the hierarchy is mounted read-only.
    Denied,
    /// The kernel refused a limit's value: above the parent's, below what is in use, out of range.
    Refused,
    /// The cgroup still holds processes.
    Busy,
    /// What was waited for did not happen in time.
    TimedOut,
    /// The calling process is in the cgroup, so that stopping or ending it would stop or end the
    /// caller.
    HoldsCaller,
    /// systemd can't be asked, or it refused or failed what it was asked for.
    Systemd,
    /// Any other failure of a system call, or a file whose contents can't be understood.
    System,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Cause {
    #[error("no cgroup hierarchy is mounted")]
    NoCgroups,
    #[error("{path:?} is not a cgroup path: {why}")]
    InvalidPath { path: String, why: &'static str },
    #[error("{limit} of {value}: {why}")]
    InvalidLimit { limit: Cow<'static, str>, value: String, why: &'static str },
    #[error("{limit} can be had only in cgroup version {version}")]
    OnlyIn { limit: &'static str, version: u8 },
    #[error("no cgroup controller {name} is known, for {file:?}")]
    UnknownController { name: String, file: String },
    #[error("no cgroup controller {controller} for {limit}")]
    NoController { controller: Controller, limit: &'static str },
    #[error("cannot enable cgroup controller {controller} in {} for {limit}", path.display())]
    NotEnabled { controller: Controller, limit: &'static str, path: PathBuf, source: Errno },
    #[error("this kernel has no {} to write {value:?} to", path.display())]
    NoFile { path: PathBuf, value: String, source: Errno },
    #[error("cgroup {} does not exist", path.display())]
    NotFound { path: PathBuf, source: Errno },
    #[error("cannot {call} {}", path.display())]
    Call { call: &'static str, path: PathBuf, source: Errno },
    #[error("cannot write {value:?} to {}", path.display())]
    Write { value: String, path: PathBuf, source: Errno },
    #[error("cgroup {} still holds processes after {waited:?}", path.display())]
    Busy { path: PathBuf, waited: Duration, source: Errno },
    #[error("cgroup {} did not {what} within {waited:?}", path.display())]
    TimedOut { what: &'static str, path: PathBuf, waited: Duration },
    #[error("the calling process is in cgroup {}", path.display())]
    HoldsCaller { path: PathBuf },
    #[error("left changed, for a later change failed: {}", list(left))]
    Half { left: Vec<PathBuf>, source: Error },
    #[cfg(feature = "systemd")]
    #[error("cannot {action}")]
    Bus { action: String, source: Box<zbus::Error> },
    #[cfg(feature = "systemd")]
    #[error("cannot {action}: {why}")]
    Systemd { action: String, why: String },
    #[cfg(feature = "systemd")]
    #[error("annotation {key}={value:?}: {why}")]
    Annotation { key: String, value: String, why: &'static str },
    #[error("cannot understand {text:?} in {}", path.display())]
    Contents { path: PathBuf, text: String },
}

impl Error {
    /// What sort of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &*self.0 {
            Cause::NoCgroups => ErrorKind::NoCgroups,
            Cause::InvalidPath { .. } => ErrorKind::InvalidPath,
            Cause::InvalidLimit { .. } => ErrorKind::InvalidLimit,
            Cause::NoController { .. }
            | Cause::NotEnabled { .. }
            | Cause::NoFile { .. }
            | Cause::OnlyIn { .. }
            | Cause::UnknownController { .. } => ErrorKind::NoController,
            Cause::NotFound { .. } => ErrorKind::NotFound,
            Cause::Busy { .. } => ErrorKind::Busy,
            Cause::TimedOut { .. } => ErrorKind::TimedOut,
            Cause::HoldsCaller { .. } => ErrorKind::HoldsCaller,
            Cause::Contents { .. } => ErrorKind::System,
            #[cfg(feature = "systemd")]
            Cause::Bus { .. } | Cause::Systemd { .. } => ErrorKind::Systemd,
            #[cfg(feature = "systemd")]
            Cause::Annotation { .. } => ErrorKind::InvalidLimit,
            Cause::Half { source, .. } => source.kind(),
            Cause::Write { source, .. } => match *source {
                Errno::ACCESS | Errno::ROFS => ErrorKind::Denied,
                Errno::PERM | Errno::INVAL | Errno::BUSY | Errno::RANGE | Errno::NOSPC => {
                    ErrorKind::Refused
                }
                _ => ErrorKind::System,
            },
            Cause::Call { source, .. } => match *source {
                Errno::ACCESS | Errno::PERM | Errno::ROFS => ErrorKind::Denied,
                _ => ErrorKind::System,
            },
        }
    }

    /// The system's error number, where a system call failed.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match &*self.0 {
            Cause::NotEnabled { source, .. }
            | Cause::NoFile { source, .. }
            | Cause::NotFound { source, .. }
            | Cause::Call { source, .. }
            | Cause::Write { source, .. }
            | Cause::Busy { source, .. } => Some(*source),
            Cause::Half { source, .. } => source.errno(),
            _ => None,
        }
    }

    /// The files that are left changed: those that were written before this failure and could not
    /// be set back.
    #[must_use]
    pub fn left_changed(&self) -> &[PathBuf] {
        match &*self.0 {
            Cause::Half { left, .. } => left,
            _ => &[],
        }
    }

    /// The name of the error that systemd gave, if it did.
    #[cfg(feature = "systemd")]
    pub(crate) fn bus_error(&self) -> Option<&str> {
        match &*self.0 {
            Cause::Bus { source, .. } => match &**source {
                zbus::Error::MethodError(name, ..) => Some(name.as_str()),
                _ => None,
            },
            _ => None,
        }
    }

    /// This error as one of a field of a configuration.
    pub(crate) fn in_field(self, field: &str) -> Self {
        match *self.0 {
            Cause::InvalidLimit { limit, value, why } => {
                let limit = format!("{field}: {limit}").into();
                Cause::InvalidLimit { limit, value, why }.into()
            }
            other => Self(Box::new(other)),
        }
    }

    /// This error, with the files that are left changed.
    pub(crate) fn leaving(self, left: Vec<PathBuf>) -> Self {
        match *self.0 {
            _ if left.is_empty() => self,
            Cause::Half { left: mut all, source } => {
                all.extend(left);
                Cause::Half { left: all, source }.into()
            }
            cause => Cause::Half { left, source: Self(Box::new(cause)) }.into(),
        }
    }

    pub(crate) fn call(call: &'static str, path: &Path, source: Errno) -> Self {
        Cause::Call { call, path: path.to_owned(), source }.into()
    }

    pub(crate) fn timed_out(what: &'static str, path: &Path, waited: Duration) -> Self {
        Cause::TimedOut { what, path: path.to_owned(), waited }.into()
    }

    pub(crate) fn contents(path: &Path, text: &str) -> Self {
        Cause::Contents { path: path.to_owned(), text: text.to_owned() }.into()
    }
}

impl From<Cause> for Error {
    fn from(cause: Cause) -> Self {
        Self(Box::new(cause))
    }
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    paths.join(", ")
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn a_refused_limit_shows_its_file_and_value_and_keeps_the_reason_in_the_source() {
        let error = Error::from(Cause::Write {
            value: "5".into(),
            path: "/sys/fs/cgroup/a/pids.max".into(),
            source: Errno::BUSY,
        });
        assert_eq!(error.to_string(), r#"cannot write "5" to /sys/fs/cgroup/a/pids.max"#);
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert_eq!(error.errno(), Some(Errno::BUSY));
        assert!(error.source().is_some_and(|s| s.to_string().contains("busy")));
    }

    #[test]
    fn what_is_left_changed_is_named_and_the_failure_is_the_source() {
        let failed = || Error::call("load", Path::new("/a"), Errno::NOMEM);
        assert_eq!(failed().leaving(Vec::new()).to_string(), "cannot load /a");
        let error = failed().leaving(vec!["/a/x".into()]).leaving(vec!["/a/y".into()]);
        assert_eq!(error.to_string(), "left changed, for a later change failed: /a/x, /a/y");
        assert_eq!(error.source().unwrap().to_string(), "cannot load /a");
        assert_eq!((error.kind(), error.errno()), (ErrorKind::System, Some(Errno::NOMEM)));
        assert_eq!(error.left_changed().len(), 2);
    }
}
