//! Ports as they are asked for: to be published (`-p`), and exposed (`EXPOSE`, `--expose`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::port::last;
use crate::{Invalid, PortMapping, Protocol};

/// The host's ports that are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostPorts {
    /// Any that are free.
    Random,
    /// These, from the first on.
    From(NonZeroU16),
    /// One that is free of those from the first to the second.
    OneOf(NonZeroU16, NonZeroU16),
}

/// Ports to be published: `[IP:][HOST[-HOST]:]CONTAINER[-CONTAINER][/tcp|udp|sctp]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRequest {
    /// The host's address; as [`PortMapping::host_ip`].
    pub host_ip: Option<IpAddr>,
    /// The host's ports.
    pub host: HostPorts,
    /// The pod's.
    pub container: ExposedPort,
}

/// Ports that a container says it listens at: `PORT[-PORT][/tcp|udp|sctp]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExposedPort {
    /// The first.
    pub port: NonZeroU16,
    /// How many there are, one after the other.
    pub count: NonZeroU16,
    /// The protocol.
    pub protocol: Protocol,
}

impl PortRequest {
    /// A random port of the host, at all its addresses, for each of these.
    #[must_use]
    pub const fn at_random(container: ExposedPort) -> Self {
        Self { host_ip: None, host: HostPorts::Random, container }
    }

    /// With the host's ports from this one on.
    #[must_use]
    pub const fn at(&self, host_port: NonZeroU16) -> PortMapping {
        let ExposedPort { port, count, protocol } = self.container;
        PortMapping { host_ip: self.host_ip, host_port, container_port: port, count, protocol }
    }

    /// What is published, where no choice is left.
    #[must_use]
    pub const fn mapping(&self) -> Option<PortMapping> {
        match self.host {
            HostPorts::From(port) => Some(self.at(port)),
            HostPorts::Random | HostPorts::OneOf(..) => None,
        }
    }

    /// The part of a published port that this names, with what it leaves open (address, ports of the host) as it is.
    #[must_use]
    pub fn part_of(&self, published: &PortMapping) -> Option<PortMapping> {
        let ExposedPort { port, count, protocol } = self.container;
        if self.host_ip.is_some_and(|ip| published.host_ip != Some(ip))
            || protocol != published.protocol
        {
            return None;
        }
        match self.host {
            HostPorts::From(first) => published.part_in(&self.at(first)),
            HostPorts::Random => published.part_to(port, last(port, count)),
            HostPorts::OneOf(first, end) => published
                .part_to(port, port.get())
                .filter(|found| found.host_port >= first && found.host_port <= end),
        }
    }
}

impl ExposedPort {
    /// Whether some port is in both.
    #[must_use]
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.protocol as u8 == other.protocol as u8
            && self.port.get() <= last(other.port, other.count)
            && other.port.get() <= last(self.port, self.count)
    }
}

impl FromStr for PortRequest {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        read(text).map_err(|reason| Invalid::new("port", text, reason))
    }
}

impl FromStr for ExposedPort {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let read = || {
            let (ports, protocol) = with_protocol(text)?;
            let (port, end) = range(ports)?;
            Ok(Self { port, count: count(port, end)?, protocol })
        };
        read().map_err(|reason: String| Invalid::new("port", text, reason))
    }
}

impl fmt::Display for ExposedPort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { port, count, protocol } = self;
        match count.get() {
            1 => write!(formatter, "{port}/{protocol}"),
            _ => write!(formatter, "{port}-{}/{protocol}", last(*port, *count)),
        }
    }
}

/// As it is asked for.
impl fmt::Display for PortRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host_ip {
            None => {}
            Some(IpAddr::V4(ip)) => write!(formatter, "{ip}:")?,
            Some(IpAddr::V6(ip)) => write!(formatter, "[{ip}]:")?,
        }
        match self.host {
            HostPorts::Random if self.host_ip.is_some() => write!(formatter, ":")?,
            HostPorts::Random => {}
            HostPorts::From(first) if self.container.count.get() == 1 => {
                write!(formatter, "{first}:")?;
            }
            HostPorts::From(first) => {
                write!(formatter, "{first}-{}:", last(first, self.container.count))?;
            }
            HostPorts::OneOf(first, end) => write!(formatter, "{first}-{end}:")?,
        }
        write!(formatter, "{}", self.container)
    }
}

fn read(text: &str) -> Result<PortRequest, String> {
    let (ports, protocol) = with_protocol(text)?;
    let (host_ip, ports) = with_address(ports)?;
    let (host, container) = match ports.split_once(':') {
        Some((host, container)) => (host, container),
        None if host_ip.is_some() => {
            return Err("a port of the host is needed after the address; none between two colons \
                        is a random one, as in 127.0.0.1::80"
                .to_owned());
        }
        None => ("", ports),
    };
    let (port, end) = range(container)?;
    let container = ExposedPort { port, count: count(port, end)?, protocol };
    let host = if host.is_empty() {
        HostPorts::Random
    } else {
        let (first, last) = range(host)?;
        let wide = count(first, last)?;
        match (wide == container.count, container.count.get()) {
            (true, _) => HostPorts::From(first),
            (false, 1) => HostPorts::OneOf(first, last),
            (false, few) => {
                return Err(format!(
                    "the range of the host has {wide} ports and that of the container {few}"
                ));
            }
        }
    };
    Ok(PortRequest { host_ip, host, container })
}

fn with_protocol(text: &str) -> Result<(&str, Protocol), String> {
    match text.split_once('/') {
        None => Ok((text, Protocol::Tcp)),
        Some((ports, protocol)) => {
            Ok((ports, protocol.parse().map_err(|wrong: Invalid| wrong.to_string())?))
        }
    }
}

/// The address at the beginning, if there is one, and what follows its colon.
fn with_address(text: &str) -> Result<(Option<IpAddr>, &str), String> {
    if let Some(text) = text.strip_prefix('[') {
        let (ip, rest) = text
            .split_once("]:")
            .ok_or("an IPv6 address is followed by a bracket and a colon, as in [::1]:8080:80")?;
        let ip: Ipv6Addr =
            ip.parse().map_err(|_not_an_ip| format!("'{ip}' is not an IPv6 address"))?;
        // An IPv4 address in the words of IPv6 is that address.
        return Ok((Some(IpAddr::V6(ip).to_canonical()), rest));
    }
    let colons = text.matches(':').count();
    let first = text.split(':').next().unwrap_or_default();
    match colons {
        0 => Ok((None, text)),
        1 if first.parse::<Ipv4Addr>().is_err() => Ok((None, text)),
        1 | 2 => {
            let ip: Ipv4Addr = first.parse().map_err(|_not_an_ip| {
                format!("'{first}' is not an IPv4 address (an IPv6 address goes in brackets)")
            })?;
            let rest = text.split_once(':').map_or("", |(_, rest)| rest);
            Ok((Some(ip.into()), rest))
        }
        _ => {
            Err("[IP:][HOST:]CONTAINER[/PROTOCOL] is needed, as in 8080:80; an IPv6 address goes \
                  in brackets, as in [::1]:8080:80"
                .to_owned())
        }
    }
}

/// The first and the last of `PORT[-PORT]`.
fn range(text: &str) -> Result<(NonZeroU16, NonZeroU16), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    if last < first {
        return Err(format!("the range {first}-{last} goes down"));
    }
    Ok((first, last))
}

fn number(text: &str) -> Result<NonZeroU16, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().ok_or_else(|| {
        let shown: String = text.chars().take(20).collect();
        format!("a port is a number from 1 to 65535, or two as in 80-89; not '{shown}'")
    })
}

fn count(first: NonZeroU16, last: NonZeroU16) -> Result<NonZeroU16, String> {
    let count = last.get().checked_sub(first.get()).and_then(|more| more.checked_add(1));
    count.and_then(NonZeroU16::new).ok_or_else(|| "a range has at most 65535 ports".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_docker_writes_them() {
        for text in [
            "80/tcp",
            "8080:80/tcp",
            "8080-8081:80-81/tcp",
            "8000-8010:80/tcp",
            "127.0.0.1:8080:80/tcp",
            "127.0.0.1:53:5353/udp",
            "127.0.0.1::80/tcp",
            "0.0.0.0:8080:80/tcp",
            "[::1]:8080:80/tcp",
            "[::]:8080:80/tcp",
            "[2001:db8::1]::80-89/udp",
            "3868:3868/sctp",
            "1-65535:1-65535/tcp",
            "7000-7009/udp",
        ] {
            assert_eq!(text.parse::<PortRequest>().unwrap().to_string(), text);
        }
        for (text, meant) in [
            ("80", "80/tcp"),
            (":80", "80/tcp"),
            ("8080:80/UDP", "8080:80/udp"),
            ("1-1:80", "1:80/tcp"),
            ("[::ffff:1.2.3.4]:1:1", "1.2.3.4:1:1/tcp"),
        ] {
            assert_eq!(text.parse::<PortRequest>().unwrap().to_string(), meant);
        }
        let exposed: ExposedPort = "7000-7009/udp".parse().unwrap();
        assert_eq!((exposed.port.get(), exposed.count.get()), (7000, 10));
    }

    #[test]
    fn bad_ports_say_what_is_wrong() {
        for (bad, reason) in [
            ("", "1 to 65535"),
            ("0:80", "not '0'"),
            ("80:0", "not '0'"),
            ("0", "1 to 65535"),
            ("70000:80", "not '70000'"),
            ("80:70000", "not '70000'"),
            ("80:", "not ''"),
            ("80-:80", "not ''"),
            ("+80:80", "not '+80'"),
            (" 80:80", "not ' 80'"),
            ("a:b", "not 'b'"),
            ("8080:http", "not 'http'"),
            ("90-80:1-11", "the range 90-80 goes down"),
            ("80:90-80", "the range 90-80 goes down"),
            ("80-82:90-91", "the host has 3 ports and that of the container 2"),
            ("80:90-91", "the host has 1 ports and that of the container 2"),
            ("1-2-3:1-3", "not '2-3'"),
            ("a:b:c:d", "in brackets"),
            ("::1:8080:80", "in brackets"),
            ("1.2.3:80:80", "'1.2.3' is not an IPv4 address"),
            ("1.2.3.400:80:80", "'1.2.3.400' is not an IPv4 address"),
            ("nowhere:8080:80", "'nowhere' is not an IPv4 address"),
            (":8080:80", "'' is not an IPv4 address"),
            ("127.0.0.1:80", "127.0.0.1::80"),
            ("[::1]:80", "127.0.0.1::80"),
            ("[::1]8080:80", "[::1]:8080:80"),
            ("[::1:8080:80", "[::1]:8080:80"),
            ("[::g]:8080:80", "'::g' is not an IPv6 address"),
            ("[127.0.0.1]:80:80", "'127.0.0.1' is not an IPv6 address"),
            ("[fe80::1%eth0]:80:80", "is not an IPv6 address"),
            ("80:80/icmp", "tcp, udp or sctp"),
            ("80:80/", "tcp, udp or sctp"),
            ("80:80/tcp/udp", "tcp, udp or sctp"),
            ("80:80/tcp,udp", "one at a time"),
        ] {
            let error = bad.parse::<PortRequest>().unwrap_err().to_string();
            assert!(error.contains(reason), "{bad}: {error}");
        }
        for bad in ["", "0", "70000", "80:80", "90-80", "80/tcp,udp"] {
            assert!(bad.parse::<ExposedPort>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_request_names_parts_of_what_is_published() {
        let published = ["8000-8009:80-89", "127.0.0.1:9000:80", "7000:70/udp"]
            .map(|text| text.parse::<PortRequest>().unwrap().mapping().unwrap());
        let named = |text: &str| -> Vec<String> {
            let request: PortRequest = text.parse().unwrap();
            let parts = published.iter().filter_map(|port| request.part_of(port));
            parts.map(|port| port.to_string()).collect()
        };
        assert_eq!(named("80"), ["0.0.0.0:8000->80/tcp", "127.0.0.1:9000->80/tcp"]);
        assert_eq!(named("127.0.0.1::80"), ["127.0.0.1:9000->80/tcp"]);
        assert_eq!(named("8003:83"), ["0.0.0.0:8003->83/tcp"]);
        assert_eq!(named("8000-8009:80-89"), ["0.0.0.0:8000-8009->80-89/tcp"]);
        assert_eq!(named("8000-8005:80"), ["0.0.0.0:8000->80/tcp"]);
        assert_eq!(named("70/udp"), ["0.0.0.0:7000->70/udp"]);
        assert_eq!(named("70"), Vec::<String>::new());
        assert_eq!(named("8003:80"), Vec::<String>::new());
    }
}
