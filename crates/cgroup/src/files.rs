//! Reading and writing the small files of cgroup file systems.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

use crate::error::Cause;
use crate::{Error, Result};

/// The whole of an open file.
pub(crate) fn read_all(file: impl AsFd) -> Result<String, Errno> {
    let mut bytes = Vec::new();
    let mut block = [0; 4096];
    loop {
        match rustix::io::read(&file, &mut block) {
            Ok(0) => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Ok(n) => bytes.extend_from_slice(&block[..n]),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// The whole of the file `name` in the open directory `dir`.
pub(crate) fn read_at(dir: BorrowedFd<'_>, name: &CStr) -> Result<String, Errno> {
    read_all(openat(dir, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// The whole of the file at `path`.
pub(crate) fn read(path: &Path) -> Result<String> {
    let file = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Error::call("open", path, errno))?;
    read_all(file).map_err(|errno| Error::call("read", path, errno))
}

/// The whole of the file at `path`, or `None` when it, or its cgroup, is not there.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>> {
    match read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.errno().is_some_and(is_gone) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the error is what a file gives whose cgroup does not exist, or was removed meanwhile.
pub(crate) fn is_gone(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NODEV)
}

/// Writes `value` to the file `name` in the open directory `dir`, in one system call.
pub(crate) fn write_at(
    dir: impl AsFd,
    name: impl rustix::path::Arg,
    value: &str,
) -> Result<(), Errno> {
    let file = openat(dir, name, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::retry_on_intr(|| rustix::io::write(&file, value.as_bytes())).map(|_| ())
}

/// Writes `value` to the file at `path`.
pub(crate) fn write(path: &Path, value: &str) -> Result<()> {
    write_at(CWD, path, value).map_err(|source| {
        Cause::Write { value: value.to_owned(), path: path.to_owned(), source }.into()
    })
}

/// The names in the directory at `path`; none if it is not there.
pub(crate) fn names(path: &Path) -> Result<Vec<String>> {
    let list = || {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = Dir::new(openat(CWD, path, flags, Mode::empty())?)?;
        dir.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    match list() {
        Err(errno) if is_gone(errno) => Ok(Vec::new()),
        list => list.map_err(|errno| Error::call("list", path, errno)),
    }
}

/// Removes an empty directory.
pub(crate) fn remove_dir(path: &Path) -> Result<(), Errno> {
    unlinkat(CWD, path, AtFlags::REMOVEDIR)
}
