//! Ports of the host that lead to a pod.

use std::{fmt, net::Ipv4Addr, num::NonZeroU16};

/// The transport of a published port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// The number in the IP header (IANA's *Assigned Internet Protocol Numbers*).
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// A port of the host and where in the pod it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PublishedPort {
    /// The one address of the host to publish at; `None`: at all of them.
    pub host_ip: Option<Ipv4Addr>,
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

/// The host's side, as in `127.0.0.1:8080/tcp` or `8080/tcp`.
impl fmt::Display for PublishedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ip) = self.host_ip {
            write!(f, "{ip}:")?;
        }
        write!(f, "{}/{}", self.host_port, self.protocol)
    }
}
