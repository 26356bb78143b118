//! A failed system call, with its arguments.

use rustix::io::Errno;

/// A system call that failed: its name, what it was given, and why.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{call} {arguments}: {source_text}", source_text = std::io::Error::from(*.errno))]
pub struct Failure {
    call: &'static str,
    arguments: String,
    errno: Errno,
}

impl Failure {
    /// The failure of `call` with `arguments` by `errno`.
    #[must_use]
    pub const fn new(call: &'static str, arguments: String, errno: Errno) -> Self {
        Self { call, arguments, errno }
    }

    /// The error number that the kernel gave.
    #[must_use]
    pub const fn errno(&self) -> Errno {
        self.errno
    }
}

/// Says what was being done when a call failed.
pub trait During<T> {
    /// Adds the call's name and arguments to its error; `arguments` runs only on failure.
    ///
    /// # Errors
    /// The same failure, named.
    fn during(self, call: &'static str, arguments: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T> During<T> for Result<T, Errno> {
    fn during(self, call: &'static str, arguments: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|errno| Failure::new(call, arguments(), errno))
    }
}

impl<T> During<T> for std::io::Result<T> {
    fn during(self, call: &'static str, arguments: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            Failure::new(call, arguments(), errno)
        })
    }
}
