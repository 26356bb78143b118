//! Asking a supervisor.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use sandbar_spec::control::{Reply, Request};
use sandbar_sys::During;

use crate::packet::{self, Packet};
use crate::{Error, record};

/// A connection to a pod's supervisor.
#[derive(Debug)]
pub struct Client(OwnedFd);

impl Client {
    /// Connects to the supervisor that listens at `socket`; `None` if none does.
    ///
    /// # Errors
    /// As connect(2), but for the answers that mean that nobody is there.
    pub fn connect(socket: &Path) -> Result<Option<Self>, Error> {
        use rustix::io::Errno;
        let fd = seqpacket()?;
        // Reached through its directory: a path may be longer than an address can be (108 bytes).
        let (directory, name) = record::split(socket);
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
        let directory = match rustix::fs::open(directory, flags, rustix::fs::Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            opened => opened.during("open", || directory.display().to_string())?,
        };
        let address = record::address_in(&directory, name)?;
        match rustix::io::retry_on_intr(|| rustix::net::connect(&fd, &address)) {
            Ok(()) => Ok(Some(Self(fd))),
            Err(Errno::NOENT | Errno::CONNREFUSED | Errno::CONNRESET) => Ok(None),
            Err(errno) => {
                Err(errno).during("connect", || socket.display().to_string()).map_err(Error::from)
            }
        }
    }

    /// Sends a request with its descriptors.
    ///
    /// # Errors
    /// As sendmsg(2).
    pub fn send(&self, request: &Request, descriptors: &[BorrowedFd<'_>]) -> Result<(), Error> {
        packet::send(&self.0, request, descriptors)
            .during("sendmsg", || "to the pod's supervisor".into())
            .map_err(Error::from)
    }

    /// The next reply; `None` if the supervisor is gone.
    ///
    /// # Errors
    /// As recvmsg(2).
    pub fn receive(&self) -> Result<Option<Packet<Reply>>, Error> {
        match packet::receive(&self.0) {
            Err(rustix::io::Errno::CONNRESET) => Ok(None),
            received => received
                .during("recvmsg", || "from the pod's supervisor".into())
                .map_err(Error::from),
        }
    }
}

impl std::os::fd::AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A socket that listens at `path`, which only its owner may use.
///
/// # Errors
/// As bind(2) and listen(2).
pub fn listen(path: &Path) -> Result<OwnedFd, Error> {
    let fd = seqpacket()?;
    let (directory, name) = record::split(path);
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
    let directory = rustix::fs::open(directory, flags, rustix::fs::Mode::empty())
        .during("open", || directory.display().to_string())?;
    let _old = rustix::fs::unlinkat(&directory, name, rustix::fs::AtFlags::empty());
    let address: SocketAddrUnix = record::address_in(&directory, name)?;
    rustix::net::bind(&fd, &address).during("bind", || path.display().to_string())?;
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::chmodat(&directory, name, mode, rustix::fs::AtFlags::empty())
        .during("chmod", || path.display().to_string())?;
    rustix::net::listen(&fd, 128).during("listen", || path.display().to_string())?;
    Ok(fd)
}

fn seqpacket() -> Result<OwnedFd, Error> {
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .during("socket", || "AF_UNIX SOCK_SEQPACKET".into())
        .map_err(Error::from)
}

impl From<OwnedFd> for Client {
    /// The client's end of a connected pair.
    fn from(socket: OwnedFd) -> Self {
        Self(socket)
    }
}
