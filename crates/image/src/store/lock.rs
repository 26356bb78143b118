//! The store's lock (`flock`): shared to add and to use, exclusive to remove.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::Store;
use crate::error::{Error, ErrorKind, Result};

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    #[expect(dead_code, reason = "closing it gives the lock up")]
    fd: OwnedFd,
}

/// How long anyone waits. What is done under the lock takes milliseconds; a process stopped meanwhile must not
/// stop every other.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(2);

impl Store {
    /// Keeps everything from being removed.
    pub(crate) fn lock_shared(&self) -> Result<Lock> {
        self.lock(FlockOperation::NonBlockingLockShared)
    }

    /// Keeps everybody out who adds or is about to use something.
    pub(crate) fn lock_exclusive(&self) -> Result<Lock> {
        self.lock(FlockOperation::NonBlockingLockExclusive)
    }

    fn lock(&self, operation: FlockOperation) -> Result<Lock> {
        let path = || self.path.join("lock").display().to_string();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = rustix::fs::openat(&self.root, "lock", flags, Mode::RUSR | Mode::WUSR)
            .map_err(|e| Error::call("openat", path(), e))?;
        let mut begun = None;
        loop {
            match rustix::fs::flock(&fd, operation) {
                Ok(()) => return Ok(Lock { fd }),
                Err(Errno::WOULDBLOCK | Errno::INTR) => {}
                Err(errno) => return Err(Error::call("flock", path(), errno)),
            }
            if begun.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                let seconds = PATIENCE.as_secs();
                let message = format!("{} was locked by others for {seconds} seconds", path());
                return Err(Error::new(ErrorKind::Busy, message));
            }
            std::thread::sleep(PAUSE);
        }
    }
}
