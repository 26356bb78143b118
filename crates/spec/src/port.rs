//! Published ports, as a pod's record has them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
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
    /// SCTP.
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

impl FromStr for Protocol {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.to_ascii_lowercase().as_str() {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "sctp" => Ok(Self::Sctp),
            several if several.contains(',') => {
                Err(Invalid::new("protocol", text, "one at a time: publish the port twice"))
            }
            _ => Err(Invalid::new("protocol", text, "it must be tcp, udp or sctp")),
        }
    }
}

/// Ports of the host, one after the other, that lead to as many ports of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PortMapping {
    /// The host's address they are published at. `None` is all of them; `0.0.0.0` and `::` are all of one version.
    pub host_ip: Option<IpAddr>,
    /// The host's first port.
    pub host_port: NonZeroU16,
    /// The pod's first port.
    pub container_port: NonZeroU16,
    /// How many there are. Neither range goes beyond 65535.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: NonZeroU16,
    /// The protocol.
    pub protocol: Protocol,
}

const fn one() -> NonZeroU16 {
    NonZeroU16::MIN
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_one(count: &NonZeroU16) -> bool {
    count.get() == 1
}

impl PortMapping {
    /// The pairs of a host's and a pod's port.
    pub fn pairs(&self) -> impl Iterator<Item = (NonZeroU16, NonZeroU16)> + use<> {
        let Self { host_port, container_port, count, .. } = *self;
        (0..count.get())
            .filter_map(move |n| Some((host_port.checked_add(n)?, container_port.checked_add(n)?)))
    }

    /// Whether some port of the host is in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.protocol == other.protocol
            && share_address(self.host_ip, other.host_ip)
            && self.host_port.get() <= last(other.host_port, other.count)
            && other.host_port.get() <= last(self.host_port, self.count)
    }

    /// The part of it whose ports of the host, and where they lead, are in `other` too, whatever the address.
    #[must_use]
    pub fn part_in(&self, other: &Self) -> Option<Self> {
        let leads = |it: &Self| i32::from(it.container_port.get()) - i32::from(it.host_port.get());
        if self.protocol != other.protocol || leads(self) != leads(other) {
            return None;
        }
        let first = self.host_port.max(other.host_port);
        let end = last(self.host_port, self.count).min(last(other.host_port, other.count));
        self.cut(first, end)
    }

    /// The part of it that leads to ports `first` to `end` of the pod.
    #[must_use]
    pub fn part_to(&self, first: NonZeroU16, end: u16) -> Option<Self> {
        let from = first.max(self.container_port).get().checked_sub(self.container_port.get())?;
        let end = end.checked_sub(self.container_port.get())?.min(self.count.get() - 1);
        self.cut(self.host_port.checked_add(from)?, self.host_port.get().checked_add(end)?)
    }

    /// What is left of it without `part`, which is a part of it.
    #[must_use]
    pub fn without(&self, part: &Self) -> Vec<Self> {
        let before = self.cut(self.host_port, part.host_port.get() - 1);
        let after = part.host_port.checked_add(part.count.get());
        let after = after.and_then(|first| self.cut(first, last(self.host_port, self.count)));
        before.into_iter().chain(after).collect()
    }

    /// Ports `first` to `end` of the host, which are its own; `None` if there are none between.
    fn cut(&self, first: NonZeroU16, end: u16) -> Option<Self> {
        let skipped = first.get().checked_sub(self.host_port.get())?;
        let count = NonZeroU16::new(end.checked_sub(first.get())?.checked_add(1)?)?;
        let container_port = self.container_port.checked_add(skipped)?;
        Some(Self { host_port: first, container_port, count, ..*self })
    }

    /// The same ports, those that follow each other in one.
    #[must_use]
    pub fn joined(ports: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut joined: Vec<Self> = Vec::new();
        for port in ports {
            match joined.last_mut() {
                Some(before) if before.is_followed_by(&port) => {
                    before.count = before.count.saturating_add(port.count.get());
                }
                _ => joined.push(port),
            }
        }
        joined
    }

    fn is_followed_by(&self, next: &Self) -> bool {
        let count = self.count.get();
        self.host_ip == next.host_ip
            && self.protocol == next.protocol
            && self.host_port.checked_add(count) == Some(next.host_port)
            && self.container_port.checked_add(count) == Some(next.container_port)
    }

    /// The addresses of the host that it is at, as lists show them; of all those of IPv6 only where there are any.
    pub fn addresses(&self, with_ipv6: bool) -> impl Iterator<Item = IpAddr> + use<> {
        let all = self.host_ip.is_none();
        let v6 = (all && with_ipv6).then_some(Ipv6Addr::UNSPECIFIED.into());
        [Some(self.host_ip.unwrap_or(Ipv4Addr::UNSPECIFIED.into())), v6].into_iter().flatten()
    }

    /// As `docker ps` shows it, at one of its addresses: `0.0.0.0:8000-8009->80-89/tcp`.
    #[must_use]
    pub fn at(&self, address: IpAddr) -> String {
        let host = SocketAddr::new(address, self.host_port.get());
        let end = |first: NonZeroU16| match self.count.get() {
            1 => String::new(),
            _ => format!("-{}", last(first, self.count)),
        };
        let Self { host_port, container_port, protocol, .. } = *self;
        format!("{host}{}->{container_port}{}/{protocol}", end(host_port), end(container_port))
    }
}

impl fmt::Display for PortMapping {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.at(self.host_ip.unwrap_or(Ipv4Addr::UNSPECIFIED.into())))
    }
}

/// The last of `count` ports from `first` on.
pub(crate) const fn last(first: NonZeroU16, count: NonZeroU16) -> u16 {
    first.get().saturating_add(count.get() - 1)
}

/// Whether a port at the one address is, somewhere, the same port at the other.
fn share_address(one: Option<IpAddr>, other: Option<IpAddr>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return true };
    one == other
        || (one.is_ipv4() == other.is_ipv4() && (one.is_unspecified() || other.is_unspecified()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PortRequest;

    fn port(text: &str) -> PortMapping {
        text.parse::<PortRequest>().unwrap().mapping().unwrap()
    }

    fn shown(ports: &[PortMapping]) -> Vec<String> {
        ports.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn ports_are_shown_as_docker_shows_them() {
        for (text, expected) in [
            ("8080:80", "0.0.0.0:8080->80/tcp"),
            ("127.0.0.1:53:5353/udp", "127.0.0.1:53->5353/udp"),
            ("[::1]:8000-8099:80-179/sctp", "[::1]:8000-8099->80-179/sctp"),
        ] {
            assert_eq!(port(text).to_string(), expected);
        }
        let all = port("8080:80");
        let at: Vec<_> = all.addresses(true).map(|address| all.at(address)).collect();
        assert_eq!(at, ["0.0.0.0:8080->80/tcp", "[::]:8080->80/tcp"]);
        assert_eq!(port("[::1]:1:1").addresses(true).count(), 1);
    }

    #[test]
    fn a_record_has_the_range_and_not_its_ports() {
        let text = serde_json::to_string(&port("1000-60000:1000-60000")).unwrap();
        assert!(text.len() < 120, "{text}");
        assert_eq!(serde_json::from_str::<PortMapping>(&text).unwrap().pairs().count(), 59001);
        let old = r#"{"host_ip":null,"host_port":8080,"container_port":80,"protocol":"tcp"}"#;
        assert_eq!(serde_json::from_str::<PortMapping>(old).unwrap(), port("8080:80"));
        assert_eq!(serde_json::to_string(&port("8080:80")).unwrap(), old);
    }

    #[test]
    fn overlaps_are_seen_across_addresses_and_ranges() {
        for (one, other, expected) in [
            ("8080:80", "8080:81", true),
            ("8080:80", "8080:80/udp", false),
            ("8080:80", "127.0.0.1:8080:80", true),
            ("127.0.0.1:8080:80", "[::1]:8080:80", false),
            ("0.0.0.0:8080:80", "127.0.0.1:8080:80", true),
            ("0.0.0.0:8080:80", "[::1]:8080:80", false),
            ("[::]:8080:80", "[::1]:8080:80", true),
            ("8000-8009:80-89", "8009:1", true),
            ("8000-8009:80-89", "8010:1", false),
            ("1-65535:1-65535", "65535:1", true),
        ] {
            assert_eq!(port(one).overlaps(&port(other)), expected, "{one} {other}");
            assert_eq!(port(other).overlaps(&port(one)), expected, "{other} {one}");
        }
    }

    #[test]
    fn parts_are_taken_out_of_a_range() {
        let all = port("8000-8009:80-89");
        let part = all.part_in(&port("8003-8004:83-84")).unwrap();
        assert_eq!(part.to_string(), "0.0.0.0:8003-8004->83-84/tcp");
        let left = ["0.0.0.0:8000-8002->80-82/tcp", "0.0.0.0:8005-8009->85-89/tcp"];
        assert_eq!(shown(&all.without(&part)), left);
        assert_eq!(all.without(&all), []);
        assert_eq!(all.part_in(&port("8003:80")), None, "it leads elsewhere");
        assert_eq!(all.part_in(&port("8003:83/udp")), None);
        assert_eq!(all.part_in(&port("8010:90")), None);
        let to = |first, end| all.part_to(NonZeroU16::new(first).unwrap(), end);
        assert_eq!(to(88, 95).unwrap().to_string(), "0.0.0.0:8008-8009->88-89/tcp");
        assert_eq!(to(1, 80).unwrap().to_string(), "0.0.0.0:8000->80/tcp");
        assert_eq!((to(1, 79), to(90, 99)), (None, None));
        let whole = port("1-65535:1-65535");
        assert_eq!(whole.without(&port("65535:65535")), [port("1-65534:1-65534")]);
    }

    #[test]
    fn neighbours_are_joined() {
        let ports = ["80:80", "81:81", "82:82", "83:90", "84:91", "84:91/udp"].map(port);
        let expected =
            ["0.0.0.0:80-82->80-82/tcp", "0.0.0.0:83-84->90-91/tcp", "0.0.0.0:84->91/udp"];
        assert_eq!(shown(&PortMapping::joined(ports)), expected);
    }
}
