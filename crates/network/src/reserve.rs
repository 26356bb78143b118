//! The host's ports, held against its other programs.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::OwnedFd,
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt},
};

use crate::{Error, ErrorKind, Protocol, PublishedPort, Result};

/// Takes a port of the host, so that no other program can, until the descriptor is closed.
///
/// Publishing works without it, but would take the port from under a program of the host that listens there.
///
/// # Errors
/// `PortTaken` when a program holds the port, `NotLocal` when `host_ip` is no address of the host,
/// `PermissionDenied` for a port below `net.ipv4.ip_unprivileged_port_start` without `CAP_NET_BIND_SERVICE`.
pub fn reserve(port: &PublishedPort) -> Result<OwnedFd> {
    let address =
        SocketAddrV4::new(port.host_ip.unwrap_or(Ipv4Addr::UNSPECIFIED), port.host_port.get());
    let taken = match port.protocol {
        Protocol::Udp => hold_datagrams(&address),
        // A socket that is bound without SO_REUSEADDR keeps everyone else from binding, those with SO_REUSEADDR
        // included; and since it does not listen, a connection that comes past the translation (the table was
        // flushed, say) is refused as it should be, and not accepted into nowhere.
        Protocol::Tcp => hold(SocketType::STREAM, &address).or_else(|errno| match errno {
            Errno::ADDRINUSE => hold_among_the_dying(&address),
            _ => Err(errno),
        }),
    };
    taken.map_err(|errno| refused(port, address, errno))
}

fn hold(kind: SocketType, address: &SocketAddrV4) -> rustix::io::Result<OwnedFd> {
    let socket = open(kind)?;
    bind(&socket, address)?;
    Ok(socket)
}

/// Nothing is ever read from the socket: what comes past the translation shall not fill the kernel's memory.
fn hold_datagrams(address: &SocketAddrV4) -> rustix::io::Result<OwnedFd> {
    let socket = open(SocketType::DGRAM)?;
    sockopt::set_socket_recv_buffer_size(&socket, 0)?; // the kernel makes it its least
    bind(&socket, address)?;
    Ok(socket)
}

/// With SO_REUSEADDR, connections in TIME_WAIT (of a server that has just ended) are no hindrance. But then the
/// next one with SO_REUSEADDR could bind as well: only a listening socket keeps it out.
fn hold_among_the_dying(address: &SocketAddrV4) -> rustix::io::Result<OwnedFd> {
    let socket = open(SocketType::STREAM)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, address)?;
    listen(&socket, 0)?;
    Ok(socket)
}

fn open(kind: SocketType) -> rustix::io::Result<OwnedFd> {
    socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, None)
}

fn refused(port: &PublishedPort, address: SocketAddrV4, errno: Errno) -> Error {
    match errno {
        Errno::ADDRINUSE => Error::system(format!("port {port} is in use on the host"), errno)
            .with_kind(ErrorKind::PortTaken),
        Errno::ADDRNOTAVAIL => {
            Error::system(format!("{} is not an address of the host", address.ip()), errno)
                .with_kind(ErrorKind::NotLocal)
        }
        _ => Error::system(format!("bind({address}) for port {port}"), errno),
    }
}
