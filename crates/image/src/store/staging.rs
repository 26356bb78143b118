//! Work in progress: a directory of one's own in `tmp`, gone when done with, swept when its owner died.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::Store;
use crate::error::{Error, Result};
use crate::remove_tree::remove_tree;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A directory that its lock keeps from being swept.
#[derive(Debug)]
pub(crate) struct Staging {
    tmp: OwnedFd,
    name: String,
    fd: OwnedFd,
}

/// Tells the directories of one process apart.
static COUNT: AtomicU64 = AtomicU64::new(0);

impl Staging {
    pub(crate) fn new(store: &Store) -> Result<Self> {
        let tmp = store
            .tmp
            .try_clone()
            .map_err(|e| Error::reading(store.path.join("tmp").display(), e))?;
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}-{count}", rustix::process::getpid().as_raw_nonzero());
            let failed =
                |call: &str, e| Error::call(call, store.path.join("tmp").join(&name).display(), e);
            match rustix::fs::mkdirat(&tmp, &name, Mode::RWXU) {
                Ok(()) => {}
                Err(Errno::EXIST) => continue,
                Err(errno) => return Err(failed("mkdirat", errno)),
            }
            // Until it is locked, a sweeper may take it for left over: then the next name.
            if let Some(fd) = adopt(tmp.as_fd(), &name).map_err(|e| failed("flock", e))? {
                return Ok(Self { tmp, name, fd });
            }
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// A name that nothing else in it has.
    pub(crate) fn unique(&self, prefix: &str) -> String {
        format!("{prefix}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
    }

    /// Makes a directory in it.
    pub(crate) fn directory(&self, name: &str) -> Result<OwnedFd> {
        rustix::fs::mkdirat(&self.fd, name, Mode::RWXU)
            .and_then(|()| rustix::fs::openat(&self.fd, name, DIRECTORY, Mode::empty()))
            .map_err(|e| Error::call("mkdirat", format!("tmp/{}/{name}", self.name), e))
    }

    /// Makes a file in it, which nobody but the owner reads.
    pub(crate) fn file(&self, name: &str) -> Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)
            .map(File::from)
            .map_err(|e| Error::call("openat", format!("tmp/{}/{name}", self.name), e))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What can't be removed now is swept by a later open.
        let _ = remove_tree(self.tmp.as_fd(), self.name.as_str());
    }
}

/// Locks the directory `name`; `None` if someone else has, or it is gone.
fn adopt(tmp: BorrowedFd<'_>, name: &str) -> rustix::io::Result<Option<OwnedFd>> {
    let fd = match rustix::fs::openat(tmp, name, DIRECTORY, Mode::empty()) {
        Ok(fd) => fd,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    match rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(None),
        Err(errno) => return Err(errno),
    }
    let mine = rustix::fs::fstat(&fd)?;
    match rustix::fs::statat(tmp, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(there) if there.st_ino == mine.st_ino => Ok(Some(fd)),
        Ok(_) | Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Removes the directories whose owners have died.
pub(super) fn sweep(tmp: &OwnedFd) -> Result<()> {
    let failed = |e| Error::call("getdents64", "tmp", e);
    for entry in Dir::read_from(tmp).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if matches!(name, "." | "..") {
            continue;
        }
        if let Ok(Some(_locked)) = adopt(tmp.as_fd(), name) {
            // A later open tries again.
            let _ = remove_tree(tmp.as_fd(), name);
        }
    }
    Ok(())
}
