//! The host's ports, held against its other programs.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::OwnedFd,
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, listen, socket_with, sockopt},
};

use crate::{Error, ErrorKind, Protocol, PublishedPort, Result};

/// At which of the host's addresses a port without a `host_ip` is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// At its IPv4 addresses: for a pod that has no other.
    Ipv4,
    /// At those of both versions, by one socket.
    Both,
}

/// Takes a port of the host, so that no other program can, until the descriptor is closed.
///
/// Publishing works without it, but would take the port from under a program of the host that listens there. On a
/// kernel without SCTP sockets (it still forwards SCTP) no program can hold such a port, and there is no descriptor.
///
/// # Errors
/// `PortTaken` when a program holds the port, `NotLocal` when `host_ip` is no address of the host,
/// `PermissionDenied` for a port below `net.ipv4.ip_unprivileged_port_start` without `CAP_NET_BIND_SERVICE`.
pub fn reserve(port: &PublishedPort, reach: Reach) -> Result<Option<OwnedFd>> {
    let at = |ip: IpAddr| Place {
        address: SocketAddr::new(ip, port.host_port.get()),
        both: port.host_ip.is_none(),
    };
    let (everywhere, v4) = (at(Ipv6Addr::UNSPECIFIED.into()), at(Ipv4Addr::UNSPECIFIED.into()));
    let (place, held) = match (port.host_ip, reach) {
        (Some(ip), _) => (at(ip), hold(port.protocol, at(ip))),
        (None, Reach::Ipv4) => (v4, hold(port.protocol, v4)),
        (None, Reach::Both) => match hold(port.protocol, everywhere) {
            Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) => (v4, hold(port.protocol, v4)),
            held => (everywhere, held),
        },
    };
    match held {
        Ok(socket) => Ok(Some(socket)),
        Err(Errno::PROTONOSUPPORT | Errno::SOCKTNOSUPPORT) if port.protocol == Protocol::Sctp => {
            Ok(None)
        }
        Err(errno) => Err(refused(port, place.address, errno)),
    }
}

/// Where a port is held.
#[derive(Clone, Copy)]
struct Place {
    address: SocketAddr,
    /// Whether `::` is the addresses of IPv4 too.
    both: bool,
}

fn hold(protocol: Protocol, place: Place) -> rustix::io::Result<OwnedFd> {
    match protocol {
        Protocol::Udp => hold_datagrams(place),
        // A socket that is bound without SO_REUSEADDR keeps everyone else from binding, those with SO_REUSEADDR
        // included; and since it does not listen, a connection that comes past the translation (the table was
        // flushed, say) is refused as it should be, and not accepted into nowhere.
        Protocol::Tcp | Protocol::Sctp => match hold_silently(protocol, place) {
            Err(Errno::ADDRINUSE) => hold_among_the_dying(protocol, place),
            other => other,
        },
    }
}

fn hold_silently(protocol: Protocol, place: Place) -> rustix::io::Result<OwnedFd> {
    let socket = open(protocol, place)?;
    bind(&socket, &place.address)?;
    Ok(socket)
}

/// Nothing is ever read from the socket: what comes past the translation shall not fill the kernel's memory.
fn hold_datagrams(place: Place) -> rustix::io::Result<OwnedFd> {
    let socket = open(Protocol::Udp, place)?;
    sockopt::set_socket_recv_buffer_size(&socket, 0)?; // the kernel makes it its least
    bind(&socket, &place.address)?;
    Ok(socket)
}

/// With SO_REUSEADDR, connections in TIME_WAIT (of a server that has just ended) are no hindrance. But then the
/// next one with SO_REUSEADDR could bind as well: only a listening socket keeps it out.
fn hold_among_the_dying(protocol: Protocol, place: Place) -> rustix::io::Result<OwnedFd> {
    let socket = open(protocol, place)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &place.address)?;
    listen(&socket, 0)?;
    Ok(socket)
}

fn open(protocol: Protocol, place: Place) -> rustix::io::Result<OwnedFd> {
    let family = if place.address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, None),
        Protocol::Udp => (SocketType::DGRAM, None),
        Protocol::Sctp => (SocketType::STREAM, Some(ipproto::SCTP)),
    };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, number)?;
    if place.address.is_ipv6() {
        // Whatever net.ipv6.bindv6only says.
        sockopt::set_ipv6_v6only(&socket, !place.both)?;
    }
    Ok(socket)
}

fn refused(port: &PublishedPort, address: SocketAddr, errno: Errno) -> Error {
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
