//! The sockets that keep a pod's ports of the host from other programs.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::sockopt::socket_protocol;
use rustix::net::{getsockname, ipproto};
use sandbar_spec::{PortMapping, Protocol};

use sandbar_sys::During;

use crate::Error;
use crate::poll::{Serial, Token};
use crate::relay::Relay;
use crate::supervisor::Supervisor;

/// A socket that has a port of the host, and which it is.
#[derive(Debug)]
pub(crate) struct HeldPort {
    at: Option<(SocketAddr, Protocol)>,
    socket: OwnedFd,
    /// The relay's door at it, if there is one.
    pub(crate) door: Option<Serial>,
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
        Self { at: address.zip(protocol), socket, door: None }
    }

    /// What it is bound to.
    pub(crate) fn at(&self) -> Option<(SocketAddr, Protocol)> {
        self.at
    }

    pub(crate) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Whether it is there for one of `ports`.
    pub(crate) fn is_of(&self, ports: &PortMapping) -> bool {
        self.place_in(ports).is_some()
    }

    /// Where it leads if it is there for one of `ports`, which lead to `pod`.
    pub(crate) fn target(&self, ports: &PortMapping, pod: IpAddr) -> Option<SocketAddr> {
        let port = ports.container_port.checked_add(self.place_in(ports)?)?;
        Some(SocketAddr::new(pod, port.get()))
    }

    /// Which of `ports` it is there for, counted from 0.
    fn place_in(&self, ports: &PortMapping) -> Option<u16> {
        let (address, protocol) = self.at?;
        let ip = address.ip();
        // One for all addresses is one of IPv6 where there is IPv6.
        let same = ports.host_ip.map_or(ip.is_unspecified(), |wanted| wanted == ip);
        let skipped = address.port().checked_sub(ports.host_port.get())?;
        (same && protocol == ports.protocol && skipped < ports.count.get()).then_some(skipped)
    }
}

impl Supervisor {
    /// Lets ports go.
    pub(crate) fn release_ports(&mut self, ports: &PortMapping) {
        let Self { held, relay, .. } = self;
        held.retain_mut(|held| {
            let is_kept = !held.is_of(ports);
            if let Some(relay) = relay.as_mut().filter(|_| !is_kept) {
                held.door.take().into_iter().for_each(|door| relay.close(door));
            }
            is_kept
        });
    }

    /// Relays what comes to those of `ports` that are held at `::1` to `pod`. One that can't be keeps none of the
    /// others from it.
    pub(crate) fn relay_ports(&mut self, ports: &PortMapping, pod: IpAddr) -> Result<(), Error> {
        let Self { held, relay, poll, .. } = self;
        let relay = match relay {
            Some(relay) => relay,
            none => {
                let new = Relay::new().during("epoll_create1", || "for a relay".into())?;
                poll.watch(new.as_fd(), Token::Relay)?;
                none.insert(new)
            }
        };
        let mut relayed = Ok(());
        for held in held {
            let Some(to) = held.target(ports, pod) else { continue };
            held.door.take().into_iter().for_each(|door| relay.close(door));
            match relay.open(held, to) {
                Ok(door) => held.door = Some(door),
                Err(errno) => {
                    let failed = Err(errno).during("relay", || format!("[::1] to {to}"));
                    relayed = relayed.and(failed.map_err(Error::from));
                }
            }
        }
        relayed
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
        let range = format!("{}-{port}:80-81/udp", port - 1).parse::<PortRequest>().unwrap();
        let range = range.mapping().unwrap();
        let udp = UdpSocket::bind(("::", port)).or_else(|_| UdpSocket::bind(("0.0.0.0", port)));
        let target = HeldPort::new(udp.unwrap().into()).target(&range, "fd00::2".parse().unwrap());
        assert_eq!(target, Some("[fd00::2]:81".parse().unwrap()));
        let file = HeldPort::new(std::fs::File::open("/dev/null").unwrap().into());
        assert!(!file.is_of(&all.mapping().unwrap()));
    }
}
