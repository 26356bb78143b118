//! What containers print: read from FIFOs or a terminal, written to their logs.
//!
//! A container's ends of the FIFOs are open for reading too, so that it is not ended by SIGPIPE when its
//! supervisor is killed: it goes on, and a new supervisor reads what it printed meanwhile.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use sandbar_spec::layout::ContainerDirectory;
use sandbar_sys::During;

use crate::Error;
use crate::log::{Log, StreamName};
use crate::poll::{Poll, Serial, Token};

/// How much is read at once, in bytes.
const AT_ONCE: usize = 8 << 10;
/// How much is read from one stream before others have their turn.
const IN_A_TURN: usize = 8;

/// One stream of a container.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) serial: Serial,
    name: StreamName,
    fd: OwnedFd,
}

impl Stream {
    /// Opens the FIFO of `name` for reading, making it if needed, and watches it.
    pub(crate) fn open(
        directory: &ContainerDirectory,
        name: StreamName,
        poll: &mut Poll,
    ) -> Result<Self, Error> {
        let path = directory.stream(name.as_str());
        match rustix::fs::mkfifoat(CWD, &path, Mode::from_raw_mode(0o600)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => {
                return Err(errno)
                    .during("mkfifo", || path.display().to_string())
                    .map_err(Error::from);
            }
        }
        let fd = open_fifo(&path, OFlags::NONBLOCK)?;
        Self::watch(name, fd, poll)
    }

    /// Watches a terminal, made non-blocking.
    pub(crate) fn terminal(master: BorrowedFd<'_>, poll: &mut Poll) -> Result<Self, Error> {
        // A copy shares the flag, but the terminal's other users wait by poll or read in their own time.
        let fd = rustix::io::fcntl_dupfd_cloexec(master, 3).during("fcntl", || "F_DUPFD".into())?;
        rustix::io::ioctl_fionbio(&fd, true).during("ioctl", || "FIONBIO".into())?;
        Self::watch(StreamName::Stdout, fd, poll)
    }

    fn watch(name: StreamName, fd: OwnedFd, poll: &mut Poll) -> Result<Self, Error> {
        let serial = poll.serial();
        poll.watch(&fd, Token::Stream(serial))?;
        Ok(Self { serial, name, fd })
    }

    /// Writes what there is now to `log`. False when the stream is at its end.
    pub(crate) fn read_into(&self, log: &mut Log) -> bool {
        let mut buffer = [0_u8; AT_ONCE];
        for _ in 0..IN_A_TURN {
            match rustix::io::read(&self.fd, &mut buffer) {
                Ok(0) => return false,
                Ok(length) => log.add(self.name, buffer.get(..length).unwrap_or_default()),
                Err(Errno::AGAIN) => return true,
                Err(Errno::INTR) => {}
                // EIO: a terminal whose other side nobody holds open.
                Err(_) => return false,
            }
        }
        true
    }

    /// Writes all that is left to `log`, once nobody prints any more. Bounded: somebody who was handed the
    /// stream and prints for ever is not waited for.
    pub(crate) fn drain_into(&self, log: &mut Log) {
        let mut buffer = [0_u8; AT_ONCE];
        for _ in 0..1024 {
            match rustix::io::read(&self.fd, &mut buffer) {
                Ok(0) => return,
                Ok(length) => log.add(self.name, buffer.get(..length).unwrap_or_default()),
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    pub(crate) fn unwatch(&self, poll: &Poll) {
        poll.forget(self.fd.as_fd());
    }
}

/// Opens a FIFO for both reading and writing, so that neither side ever finds the other gone.
pub(crate) fn open_fifo(path: &Path, more: OFlags) -> Result<OwnedFd, Error> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY | more;
    rustix::fs::open(path, flags, Mode::empty())
        .during("open", || path.display().to_string())
        .map_err(Error::from)
}
