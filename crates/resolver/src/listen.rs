//! The sockets of a network: port 53 of its gateway's addresses.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{SocketFlags, SocketType, sockopt};
use sandbar_sys::During;

use crate::error::Result;
use crate::upstream::PORT;

/// Where one address is listened at.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) udp: UdpSocket,
    pub(crate) tcp: TcpListener,
}

impl Listening {
    /// Listens at port 53 of `address`, even if no interface has it yet: a bridge's IPv6 address takes its
    /// time. While another has it, it is waited for.
    pub(crate) fn bind(address: IpAddr, deadline: Instant) -> Result<Self> {
        let tcp = bound(address, SocketType::STREAM, deadline)?;
        rustix::net::listen(&tcp, 64).during("listen", || address.to_string())?;
        Ok(Self { udp: bound(address, SocketType::DGRAM, deadline)?.into(), tcp: tcp.into() })
    }
}

/// A socket of `kind` that does not block, for messages from and to `address`.
fn bound(address: IpAddr, kind: SocketType, deadline: Instant) -> Result<OwnedFd> {
    let address = SocketAddr::new(address, PORT);
    let shown = || address.to_string();
    let socket = unbound(address, kind).during("socket", shown)?;
    sockopt::set_socket_reuseaddr(&socket, kind == SocketType::STREAM)
        .during("setsockopt", || "SO_REUSEADDR".into())?;
    if address.is_ipv4() {
        sockopt::set_ip_freebind(&socket, true).during("setsockopt", || "IP_FREEBIND".into())?;
    } else {
        sockopt::set_ipv6_v6only(&socket, true).during("setsockopt", || "IPV6_V6ONLY".into())?;
        sockopt::set_ipv6_freebind(&socket, true)
            .during("setsockopt", || "IPV6_FREEBIND".into())?;
    }
    loop {
        match rustix::net::bind(&socket, &address) {
            Err(Errno::ADDRINUSE) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(2));
            }
            done => break done.during("bind", shown)?,
        }
    }
    Ok(socket)
}

/// A socket of `kind` that does not block, of the family of `address`.
pub(crate) fn unbound(address: SocketAddr, kind: SocketType) -> rustix::io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => rustix::net::AddressFamily::INET,
        SocketAddr::V6(_) => rustix::net::AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(family, kind, flags, None)
}
