//! The sockets that keep a pod's ports of the host from other programs.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::net::sockopt::socket_protocol;
use rustix::net::{getsockname, ipproto};
use sandbar_spec::{PortMapping, Protocol};

/// A socket that has a port of the host, and which it is.
#[derive(Debug)]
pub(crate) struct HeldPort {
    at: Option<(SocketAddr, Protocol)>,
    _socket: OwnedFd,
}

impl HeldPort {
    /// What `socket` is bound to. Whatever is no such socket is held as well: closing is all that is done to it.
    pub(crate) fn new(socket: OwnedFd) -> Self {
        let address = getsockname(&socket).ok().and_then(|it| SocketAddr::try_from(it).ok());
        let protocol = match socket_protocol(&socket) {
            Ok(Some(ipproto::TCP)) => Some(Protocol::Tcp),
            Ok(Some(ipproto::UDP)) => Some(Protocol::Udp),
            Ok(Some(ipproto::SCTP)) => Some(Protocol::Sctp),
            _ => None,
        };
        Self { at: address.zip(protocol), _socket: socket }
    }

    /// Whether it is there for one of `ports`.
    pub(crate) fn is_of(&self, ports: &PortMapping) -> bool {
        let Some((address, protocol)) = self.at else { return false };
        let ip = address.ip();
        // One for all addresses is one of IPv6 where there is IPv6.
        let same = ports.host_ip.map_or(ip.is_unspecified(), |wanted| wanted == ip);
        let skipped = address.port().checked_sub(ports.host_port.get());
        same && protocol == ports.protocol && skipped.is_some_and(|it| it < ports.count.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandbar_spec::PortRequest;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn a_socket_is_known_by_what_it_is_bound_to() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        let held = HeldPort::new(tcp.into());
        let is_of =
            |text: String| held.is_of(&text.parse::<PortRequest>().unwrap().mapping().unwrap());
        assert!(is_of(format!("127.0.0.1:{port}:80")));
        assert!(is_of(format!("127.0.0.1:{}-{port}:80-81", port - 1)));
        for other in [
            format!("{port}:80"),
            format!("127.0.0.2:{port}:80"),
            format!("127.0.0.1:{port}:80/udp"),
            format!("127.0.0.1:{}:80", port - 1),
        ] {
            assert!(!is_of(other.clone()), "{other}");
        }
        let udp = UdpSocket::bind("[::]:0").or_else(|_| UdpSocket::bind("0.0.0.0:0")).unwrap();
        let port = udp.local_addr().unwrap().port();
        let all = format!("{port}:80/udp").parse::<PortRequest>().unwrap();
        assert!(HeldPort::new(udp.into()).is_of(&all.mapping().unwrap()));
        let file = HeldPort::new(std::fs::File::open("/dev/null").unwrap().into());
        assert!(!file.is_of(&all.mapping().unwrap()));
    }
}
