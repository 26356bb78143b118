//! Making directories, and locking them.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use sandbar_sys::During;

use crate::error::Error;

/// Makes a directory that only its owner may enter. It must not be there yet.
pub(crate) fn make(path: &Path) -> Result<(), Error> {
    make_with(path, 0o700)
}

/// Makes a directory of `mode`, whatever the umask. It must not be there yet.
pub(crate) fn make_with(path: &Path, mode: u32) -> Result<(), Error> {
    let mode = Mode::from_raw_mode(mode);
    rustix::fs::mkdirat(CWD, path, mode).during("mkdir", || path.display().to_string())?;
    rustix::fs::chmod(path, mode).during("chmod", || path.display().to_string())?;
    Ok(())
}

/// Makes a directory and those above it, where they are not there yet. True if it was made now.
pub(crate) fn ensure(path: &Path) -> Result<bool, Error> {
    let make = || rustix::fs::mkdirat(CWD, path, Mode::from_raw_mode(0o700));
    let made = match (make(), path.parent()) {
        // Once more and no more: in procfs nothing can be made, whatever is there.
        (Err(Errno::NOENT), Some(parent)) => {
            ensure(parent)?;
            make()
        }
        (made, _) => made,
    };
    match made {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(errno) => {
            Err(errno).during("mkdir", || path.display().to_string()).map_err(Error::from)
        }
    }
}

/// Makes a directory through which all may pass who can reach it, as [`ensure`].
pub(crate) fn ensure_passable(path: &Path) -> Result<(), Error> {
    if ensure(path)? {
        let mode = Mode::from_raw_mode(0o711);
        rustix::fs::chmod(path, mode).during("chmod", || path.display().to_string())?;
    }
    Ok(())
}

/// Removes a directory with all in it, following no link. One that is not there is removed already.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).during("remove", || path.display().to_string()).map_err(Error::from)
        }
        _ => Ok(()),
    }
}

/// Makes an empty file that only its owner may read. It must not be there yet.
pub(crate) fn make_file(path: &Path) -> Result<(), Error> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))
        .during("open", || path.display().to_string())?;
    Ok(())
}

/// Locks a file, making it if need be, until the descriptor is closed: at once, or when whoever has it lets
/// go.
pub(crate) fn lock(path: &Path) -> Result<OwnedFd, Error> {
    let file = open_lock(path)?;
    rustix::io::retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::LockExclusive))
        .during("flock", || path.display().to_string())?;
    Ok(file)
}

/// The same, together with others who share it.
pub(crate) fn lock_shared(path: &Path) -> Result<OwnedFd, Error> {
    let file = open_lock(path)?;
    rustix::io::retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::LockShared))
        .during("flock", || path.display().to_string())?;
    Ok(file)
}

/// As [`lock`], but `None` if another has it.
pub(crate) fn try_lock(path: &Path) -> Result<Option<OwnedFd>, Error> {
    let file = open_lock(path)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => {
            Err(errno).during("flock", || path.display().to_string()).map_err(Error::from)
        }
    }
}

fn open_lock(path: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))
        .during("open", || path.display().to_string())
        .map_err(Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_made_where_they_can_be() {
        let scratch = tempfile::tempdir().expect("a directory");
        let path = scratch.path().join("a/b/c");
        assert!(ensure(&path).expect("it is made"));
        assert!(!ensure(&path).expect("it is there"));
        let error = ensure(Path::new("/proc/nothing/can/be/made")).expect_err("in procfs");
        assert!(error.to_string().contains("/proc/nothing"), "{error}");
    }
}
