//! Terminals of the container's own devpts, and standard descriptors.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use oci_spec::runtime::Process as ProcessSpec;
use rustix::fs::OFlags;
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;
use sandbar_sys::During;

use crate::error::{Error, Kind, Step};
use crate::mounts::{attach, clone_at};
use crate::report::Reporter;
use crate::root::{Covers, Links, Root};
use crate::user::Identity;

/// `DEVPTS_SUPER_MAGIC` of `linux/magic.h`.
const DEVPTS: u64 = 0x1cd1;

/// Opens a new terminal in the container, hands its other end to the starter and returns the container's.
pub(crate) fn open(root: &Root, spec: &ProcessSpec, reporter: &Reporter) -> Result<OwnedFd, Error> {
    let step = || "open a terminal in the container".to_owned();
    let path = Path::new("/dev/pts/ptmx");
    let master = root
        .open(path, OFlags::RDWR | OFlags::NOCTTY, Links::Refuse)
        .during("openat2", || path.display().to_string())
        .step(step)?;
    must_be_devpts(master.as_fd())?;
    rustix::pty::unlockpt(&master).during("ioctl", || "TIOCSPTLCK".into())?;
    // By ioctl, never by the name that the container could have put something else under.
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags)
        .during("ioctl", || "TIOCGPTPEER".into())
        .step(step)?;
    must_be_devpts(slave.as_fd())?;
    if let Some(size) = spec.console_size() {
        let short = |length: u64| u16::try_from(length).unwrap_or(u16::MAX);
        let size = Winsize {
            ws_row: short(size.height()),
            ws_col: short(size.width()),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&master, size).during("ioctl", || "TIOCSWINSZ".into())?;
    }
    reporter.terminal(master.as_fd());
    Ok(slave)
}

/// Shows the container's terminal as its `/dev/console` too.
pub(crate) fn bind_console(root: &Root, slave: BorrowedFd<'_>) -> Result<(), Error> {
    let copy = clone_at(slave).step(|| "bind /dev/console".into())?;
    attach(root, copy.as_fd(), Path::new("/dev/console"), Covers::File, Links::Refuse)
}

/// Makes `slave` the controlling terminal and the standard descriptors of this session.
pub(crate) fn make_controlling(slave: BorrowedFd<'_>, identity: &Identity) -> Result<(), Error> {
    rustix::fs::fchown(slave, Some(identity.uid), None)
        .during("fchown", || "the terminal".into())?;
    rustix::process::ioctl_tiocsctty(slave).during("ioctl", || "TIOCSCTTY".into())?;
    set_stdio([slave; 3])
}

/// Makes `fds` the descriptors 0, 1 and 2.
pub(crate) fn set_stdio(fds: [BorrowedFd<'_>; 3]) -> Result<(), Error> {
    // Copies above 2 first: one of them may be 0, 1 or 2 itself, in another order.
    let mut copies = Vec::new();
    for fd in fds {
        copies.push(rustix::io::fcntl_dupfd_cloexec(fd, 3).during("fcntl", || "F_DUPFD".into())?);
    }
    if let [input, output, error] = &copies[..] {
        rustix::stdio::dup2_stdin(input).during("dup2", || "0".into())?;
        rustix::stdio::dup2_stdout(output).during("dup2", || "1".into())?;
        rustix::stdio::dup2_stderr(error).during("dup2", || "2".into())?;
    }
    Ok(())
}

fn must_be_devpts(file: BorrowedFd<'_>) -> Result<(), Error> {
    let kind = rustix::fs::fstatfs(file).during("fstatfs", || "a terminal".into())?.f_type;
    if u64::try_from(kind) == Ok(DEVPTS) {
        Ok(())
    } else {
        Err(Error::new(Kind::Hostile, "the container's /dev/pts is not a devpts file system"))
    }
}
