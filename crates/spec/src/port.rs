//! Published ports.

use std::fmt;
use std::net::Ipv4Addr;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// A transport protocol whose ports can be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// A port of the host that leads to a port of a pod: `-p [IP:]HOST:CONTAINER[/tcp|udp]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PortMapping {
    /// The host's address it is published on; `None` is all of them.
    pub host_ip: Option<Ipv4Addr>,
    /// The host's port.
    pub host_port: NonZeroU16,
    /// The pod's port.
    pub container_port: NonZeroU16,
    /// The protocol.
    pub protocol: Protocol,
}

impl FromStr for PortMapping {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = |reason: &str| Invalid::new("port", text, reason);
        let (ports, protocol) = match text.split_once('/') {
            None => (text, Protocol::Tcp),
            Some((ports, "tcp")) => (ports, Protocol::Tcp),
            Some((ports, "udp")) => (ports, Protocol::Udp),
            Some(_) => return Err(wrong("the protocol must be tcp or udp")),
        };
        let parts: Vec<&str> = ports.split(':').collect();
        let (ip, host, container) = match parts[..] {
            [host, container] => (None, host, container),
            [ip, host, container] => (Some(ip), host, container),
            _ => return Err(wrong("[IP:]HOST:CONTAINER[/tcp|udp] is needed, as in 8080:80")),
        };
        let number = |port: &str| {
            port.parse().map_err(|_not_a_port| wrong("a port is a number from 1 to 65535"))
        };
        let host_ip = match ip {
            None | Some("0.0.0.0") => None,
            Some(ip) => Some(
                ip.parse().map_err(|_not_an_ip| wrong("the address must be an IPv4 address"))?,
            ),
        };
        Ok(Self { host_ip, host_port: number(host)?, container_port: number(container)?, protocol })
    }
}

impl fmt::Display for PortMapping {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ip = self.host_ip.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let Self { host_port, container_port, protocol, .. } = self;
        write!(formatter, "{ip}:{host_port}->{container_port}/{protocol}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_docker_writes_them() {
        let port: PortMapping = "8080:80".parse().unwrap();
        assert_eq!(port.to_string(), "0.0.0.0:8080->80/tcp");
        let port: PortMapping = "127.0.0.1:53:5353/udp".parse().unwrap();
        assert_eq!(port.to_string(), "127.0.0.1:53->5353/udp");
    }

    #[test]
    fn bad_ports_say_what_is_needed() {
        for (bad, reason) in [
            ("0:80", "1 to 65535"),
            ("70000:80", "1 to 65535"),
            ("80", "HOST:CONTAINER"),
            ("a:b:c:d", "HOST:CONTAINER"),
            ("1.2.3:80:80", "IPv4"),
            ("80:80/icmp", "tcp or udp"),
            ("80:", "1 to 65535"),
        ] {
            let error = bad.parse::<PortMapping>().unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
