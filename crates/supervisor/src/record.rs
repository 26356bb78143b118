//! Records on disk: JSON files that are replaced whole, so that a reader needs no lock.

use std::ffi::OsStr;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::SocketAddrUnix;
use sandbar_sys::During;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// Reads the record at `path`; `None` if there is none.
///
/// # Errors
/// What open(2) and read(2) give, and a text that is not such a record.
pub fn read_record<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        opened => opened.during("open", || path.display().to_string())?,
    };
    let text = std::io::read_to_string(std::fs::File::from(file))
        .during("read", || path.display().to_string())?;
    serde_json::from_str(&text).map(Some).map_err(|error| Error::json(path, error))
}

/// Puts `record` at `path`, in place of what was there: written beside it first, then renamed, so that a
/// reader sees the old or the new and never a part.
///
/// # Errors
/// What open(2), write(2) and rename(2) give.
pub fn replace_record<T: Serialize>(path: &Path, record: &T) -> Result<(), Error> {
    let text = serde_json::to_vec(record).map_err(|error| Error::json(path, error))?;
    // One name a process: two that replace one record at once never share a temporary file.
    let beside = path.with_extension(format!("new.{}", std::process::id()));
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::open(&beside, flags, Mode::from_raw_mode(0o600))
        .during("open", || beside.display().to_string())?;
    let done = std::fs::File::from(file)
        .write_all(&text)
        .during("write", || beside.display().to_string())
        .and_then(|()| {
            rustix::fs::renameat(CWD, &beside, CWD, path)
                .during("rename", || format!("{} {}", beside.display(), path.display()))
        });
    if done.is_err() {
        let _gone = rustix::fs::unlink(&beside);
    }
    Ok(done?)
}

/// A path's directory and last name.
pub(crate) fn split(path: &Path) -> (&Path, &OsStr) {
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    (directory, path.file_name().unwrap_or_default())
}

/// The address of the socket `name` in an open directory, short whatever the directory's path.
pub(crate) fn address_in(directory: &OwnedFd, name: &OsStr) -> Result<SocketAddrUnix, Error> {
    let path = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
    SocketAddrUnix::new(&path)
        .during("socket address", || path.display().to_string())
        .map_err(Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_replaced_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("status.json");
        assert_eq!(read_record::<Vec<u8>>(&path).unwrap(), None);
        replace_record(&path, &vec![1_u8]).unwrap();
        replace_record(&path, &vec![2_u8, 3]).unwrap();
        assert_eq!(read_record::<Vec<u8>>(&path).unwrap(), Some(vec![2, 3]));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        std::fs::write(&path, "{").unwrap();
        assert!(read_record::<Vec<u8>>(&path).is_err());
    }
}
