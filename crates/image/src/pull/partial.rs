//! What has come of a blob, kept so that a later pull can go on from there.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::stopped;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::store::Store;

/// How long it is worth its room.
const AGE: Duration = Duration::from_secs(24 * 60 * 60);
const PAUSE: Duration = Duration::from_millis(20);

/// A file of `partial`, locked: only one pull at a time brings a blob.
pub(super) struct Partial<'a> {
    directory: &'a OwnedFd,
    name: String,
    pub(super) file: File,
}

impl<'a> Partial<'a> {
    /// Opens the file of the blob `digest`, and waits until nobody else has it.
    pub(super) fn open(store: &'a Store, digest: &Digest, stop: &AtomicBool) -> Result<Self> {
        let directory = &store.partial;
        let name = digest.hex();
        let failed = |call: &str, e| Error::call(call, format!("partial/{name}"), e);
        loop {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(directory, &name, flags, Mode::RUSR | Mode::WUSR)
                .map_err(|e| failed("openat", e))?;
            loop {
                match rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
                    Ok(()) => break,
                    Err(Errno::WOULDBLOCK | Errno::INTR) if stop.load(Ordering::Relaxed) => {
                        return Err(stopped());
                    }
                    Err(Errno::WOULDBLOCK | Errno::INTR) => std::thread::sleep(PAUSE),
                    Err(errno) => return Err(failed("flock", errno)),
                }
            }
            // Whoever had it may have removed it when it was done with.
            if is(directory, &name, &fd).map_err(|e| failed("newfstatat", e))? {
                return Ok(Self { directory, name, file: File::from(fd) });
            }
        }
    }

    /// Removes it. What is gone by now was removed by somebody who may.
    pub(super) fn remove(self) {
        let _ = rustix::fs::unlinkat(self.directory, &self.name, AtFlags::empty());
    }
}

/// Whether the file `name` is still the one that is open.
fn is(directory: &OwnedFd, name: &str, fd: &OwnedFd) -> rustix::io::Result<bool> {
    let mine = rustix::fs::fstat(fd)?;
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(there) => Ok(there.st_ino == mine.st_ino),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

impl Store {
    /// Removes what has come of blobs of which nothing more has come for a day.
    pub(super) fn sweep_partials(&self) -> Result<()> {
        self.remove_partials(|file| {
            let modified = file.metadata().and_then(|metadata| metadata.modified());
            modified.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > AGE))
        })
        .map(drop)
    }

    /// Removes those of the files in `partial` that nobody works on and that `which` says; gives how many bytes
    /// of the disk they had.
    pub(crate) fn remove_partials(&self, which: impl Fn(&File) -> bool) -> Result<u64> {
        let mut freed = 0_u64;
        for name in self.names(&self.partial)? {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let Ok(fd) = rustix::fs::openat(&self.partial, &name, flags, Mode::empty()) else {
                continue;
            };
            let file = File::from(fd);
            if which(&file)
                && rustix::fs::flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive).is_ok()
            {
                let blocks = file.metadata().map_or(0, |metadata| metadata.blocks());
                match rustix::fs::unlinkat(&self.partial, &name, AtFlags::empty()) {
                    Ok(()) => freed = freed.saturating_add(blocks.saturating_mul(512)),
                    // A directory is none of ours.
                    Err(Errno::NOENT | Errno::ISDIR) => {}
                    Err(e) => return Err(Error::call("unlinkat", format!("partial/{name}"), e)),
                }
            }
        }
        Ok(freed)
    }
}
