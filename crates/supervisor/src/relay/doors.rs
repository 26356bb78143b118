//! Doors: sockets that have `::1` at published ports.

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, fcntl_dupfd_cloexec, ioctl_fionbio};
use rustix::net::{
    AddressFamily, Shutdown, SocketFlags, SocketType, accept_with, bind, listen, shutdown,
    socket_with, sockopt,
};
use sandbar_spec::Protocol;

use super::watch::{READ, Source, Watch};
use crate::poll::Serial;
use crate::ports::HeldPort;

/// How many connections wait to be accepted, at a port.
const BACKLOG: i32 = 128;

/// How many bytes of datagrams wait at a port.
const WAITING: usize = 1 << 18;

/// A socket at `::1`, and where what comes to it goes.
#[derive(Debug)]
pub(super) struct Door {
    socket: OwnedFd,
    pub(super) protocol: Protocol,
    pub(super) to: SocketAddr,
}

impl Door {
    /// Opens one at the port that `held` keeps.
    ///
    /// # Errors
    /// As [`Relay::open`](super::Relay::open).
    pub(super) fn open(held: &HeldPort, to: SocketAddr) -> Result<Self, Errno> {
        let Some((SocketAddr::V6(kept), protocol)) = held.at() else {
            return Err(Errno::ADDRNOTAVAIL);
        };
        if protocol == Protocol::Sctp {
            return Err(Errno::OPNOTSUPP);
        }
        let socket = match *kept.ip() {
            Ipv6Addr::LOCALHOST => open_in_place(held.socket(), protocol),
            Ipv6Addr::UNSPECIFIED => open_beside(held.socket(), kept.port(), protocol),
            _ => Err(Errno::ADDRNOTAVAIL),
        }?;
        ioctl_fionbio(&socket, true)?;
        if protocol == Protocol::Udp {
            sockopt::set_socket_recv_buffer_size(&socket, WAITING)?;
        }
        Ok(Self { socket, protocol, to })
    }

    /// A connection that came; `AGAIN` if none did.
    pub(super) fn accept(&self) -> Result<OwnedFd, Errno> {
        accept_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
    }
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Makes the socket that has `::1` the door.
fn open_in_place(held: &OwnedFd, protocol: Protocol) -> Result<OwnedFd, Errno> {
    let socket = fcntl_dupfd_cloexec(held, 3)?;
    if protocol == Protocol::Tcp {
        sockopt::set_socket_reuseaddr(&socket, true)?;
        let listening = listen(&socket, BACKLOG);
        if listening.is_err() {
            sockopt::set_socket_reuseaddr(&socket, false)?;
        }
        listening?;
    }
    Ok(socket)
}

/// Opens a socket at `::1` beside one that has the port at all addresses, which goes on to have it silently: so what
/// comes past the translation to another address of the host is refused by the kernel, and never comes here.
///
/// The kernel lets both have the port if both have `SO_REUSEADDR` while the second is bound and begins to listen. It is
/// taken back from the first at once, which keeps everyone else from the port. The second keeps it for the connections
/// that it accepts: those that outlive the pod keep no other server from the port then (socket(7)).
fn open_beside(held: &OwnedFd, port: u16, protocol: Protocol) -> Result<OwnedFd, Errno> {
    let kind = match protocol {
        Protocol::Tcp => SocketType::STREAM,
        _ => SocketType::DGRAM,
    };
    let socket = socket_with(AddressFamily::INET6, kind, SocketFlags::CLOEXEC, None)?;
    sockopt::set_ipv6_v6only(&socket, true)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if sockopt::socket_acceptconn(held)? {
        // It listens to keep others out, which the door does from here on.
        shutdown(held, Shutdown::Read)?;
    }
    sockopt::set_socket_reuseaddr(held, true)?;
    let opened =
        bind(&socket, &SocketAddrV6::new(Ipv6Addr::LOCALHOST, port, 0, 0)).and_then(|()| {
            match protocol {
                Protocol::Tcp => listen(&socket, BACKLOG),
                // Of sockets for datagrams a further one could have the port as well.
                _ => sockopt::set_socket_reuseaddr(&socket, false),
            }
        });
    sockopt::set_socket_reuseaddr(held, false)?;
    opened.map(|()| socket)
}

/// All doors. Those for connections are watched together, so that nothing is accepted while there are enough.
#[derive(Debug)]
pub(super) struct Doors {
    doors: BTreeMap<Serial, Door>,
    watch: Watch,
}

impl Doors {
    pub(super) fn new() -> Result<Self, Errno> {
        Ok(Self { doors: BTreeMap::new(), watch: Watch::new()? })
    }

    pub(super) fn get(&self, serial: Serial) -> Option<&Door> {
        self.doors.get(&serial)
    }

    pub(super) fn insert(&mut self, serial: Serial, door: Door) {
        self.doors.insert(serial, door);
    }

    pub(super) fn remove(&mut self, serial: Serial) -> Option<Door> {
        self.doors.remove(&serial)
    }

    /// Watches a door for connections.
    pub(super) fn watch(&self, door: &Door, serial: Serial) -> Result<(), Errno> {
        self.watch.add(door, Source::Near(serial), READ)
    }

    pub(super) fn forget(&self, door: &Door) {
        self.watch.forget(door);
    }

    /// Those doors at which connections wait, a turn of them.
    pub(super) fn knocked_at(&self) -> Vec<Serial> {
        let ready = self.watch.ready().into_iter();
        ready
            .filter_map(|(source, _)| match source {
                Source::Near(serial) => Some(serial),
                _ => None,
            })
            .collect()
    }
}

impl AsFd for Doors {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}
