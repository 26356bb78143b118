//! Ports of the host that lead to a pod.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    num::NonZeroU16,
};

/// The transport of a published port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// The number in the IP header (IANA's *Assigned Internet Protocol Numbers*).
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// A port of the host and where in the pod it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PublishedPort {
    /// The one address of the host to publish at; `0.0.0.0` and `::`: all those of one version of IP; `None`: all of
    /// them, of each version that the pod has an address of.
    pub host_ip: Option<IpAddr>,
    /// The host's port.
    pub host_port: NonZeroU16,
    /// The pod's port.
    pub container_port: NonZeroU16,
    /// The transport of both.
    pub protocol: Protocol,
}

impl PublishedPort {
    /// A port published at every address of the host.
    #[must_use]
    pub fn new(host_port: NonZeroU16, container_port: NonZeroU16, protocol: Protocol) -> Self {
        Self { host_ip: None, host_port, container_port, protocol }
    }
}

/// The host's side, as in `127.0.0.1:8080/tcp`, `[::1]:8080/tcp` or `8080/tcp`.
impl fmt::Display for PublishedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host_ip {
            Some(ip) => {
                write!(f, "{}/{}", SocketAddr::new(ip, self.host_port.get()), self.protocol)
            }
            None => write!(f, "{}/{}", self.host_port, self.protocol),
        }
    }
}

/// The addresses of one pod on one bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PodAddresses {
    /// Its IPv4 address.
    pub v4: Ipv4Addr,
    /// Its IPv6 address, if it has one.
    pub v6: Option<Ipv6Addr>,
}

impl From<Ipv4Addr> for PodAddresses {
    fn from(v4: Ipv4Addr) -> Self {
        Self { v4, v6: None }
    }
}

impl fmt::Display for PodAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.v4)?;
        self.v6.map_or(Ok(()), |v6| write!(f, " and {v6}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_shown_as_one_types_it() {
        let port = |host_ip: Option<&str>| {
            let [host_port, container_port] = [8080, 80].map(|n| NonZeroU16::new(n).unwrap());
            let host_ip = host_ip.map(|ip| ip.parse().unwrap());
            PublishedPort { host_ip, host_port, container_port, protocol: Protocol::Sctp }
        };
        assert_eq!(port(None).to_string(), "8080/sctp");
        assert_eq!(port(Some("127.0.0.1")).to_string(), "127.0.0.1:8080/sctp");
        assert_eq!(port(Some("::1")).to_string(), "[::1]:8080/sctp");
    }
}
