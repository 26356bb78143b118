//! What options mean depends on where the caller stands: gathered in one place, so that a test can stand elsewhere.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::failure::{Doing, Result};

/// What surrounds the caller.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings {
    /// The working directory.
    pub(crate) directory: fn() -> io::Result<PathBuf>,
    /// A variable of the environment.
    pub(crate) variable: fn(&str) -> Option<OsString>,
    /// A file's text.
    pub(crate) file: fn(&Path) -> io::Result<String>,
    /// Whether SELinux labels files here.
    pub(crate) has_selinux: fn() -> bool,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) const REAL: Self = Self {
        directory: std::env::current_dir,
        variable: |name| std::env::var_os(name),
        file: |path| std::fs::read_to_string(path),
        has_selinux: || Path::new("/sys/fs/selinux/enforce").exists(),
    };

    /// `path` from the root, without `.` in it; `..` stays, as only the kernel knows where it leads.
    pub(crate) fn absolute(&self, path: &Path) -> Result<PathBuf> {
        if path.is_absolute() {
            return Ok(path.to_owned());
        }
        let directory = (self.directory)().doing("find the working directory")?;
        Ok(directory.join(path).components().collect())
    }
}

#[cfg(test)]
impl Surroundings {
    /// A caller in `/work` with `SHELL` set and one file of variables.
    pub(crate) const OF_TEST: Self = Self {
        directory: || Ok("/srv".into()),
        variable: |name| (name == "SHELL").then(|| "/bin/ash".into()),
        file: |path| match path.to_str() {
            Some("vars") => Ok("A=file\nSHELL\n".into()),
            _ => Err(io::ErrorKind::NotFound.into()),
        },
        has_selinux: || false,
    };
}
