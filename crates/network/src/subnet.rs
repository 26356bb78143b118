//! Subnets that pods live in, of IPv4 and of IPv6.

mod family;

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use crate::{Error, ErrorKind, Result};
use family::Family;

/// An IPv4 network such as `10.84.0.0/16`, with room for a gateway and at least one pod (`/8` to `/30`).
pub type Subnet = Range<Ipv4Addr>;

/// An IPv6 network such as `fd00:84::/64`, with room for a gateway and pods (`/16` to `/112`).
pub type Subnet6 = Range<Ipv6Addr>;

/// A network's range of addresses: [`Subnet`], [`Subnet6`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Range<A> {
    base: A,
    prefix: u8,
}

impl<A: Family> Range<A> {
    /// # Errors
    /// `InvalidInput` for a prefix that leaves too much or too little room, for a base with host bits set, and for one that
    /// is no ordinary host's: loopback, link-local, multicast or reserved.
    pub fn new(base: A, prefix: u8) -> Result<Self> {
        let refuse = |why: &str| {
            Err(Error::new(ErrorKind::InvalidInput, format!("subnet {base}/{prefix}: {why}")))
        };
        let (least, most) = A::PREFIXES;
        if !(least..=most).contains(&prefix) {
            return refuse(&format!("the prefix must be from {least} to {most}"));
        }
        if !base.is_ordinary() {
            return refuse("not a range for ordinary hosts");
        }
        let subnet = Self { base, prefix };
        if base.bits() & subnet.host_bits() != 0 {
            return refuse("bits are set to the right of the prefix");
        }
        match A::RESERVED.iter().find(|(base, prefix, _)| subnet.overlaps(*base, *prefix)) {
            Some((.., why)) => refuse(why),
            None => Ok(subnet),
        }
    }

    /// The network's own address, the first; in IPv6 it is every router's (RFC 4291, 2.6.1).
    #[must_use]
    pub fn base(self) -> A {
        self.base
    }

    /// The number of leading bits that all addresses share.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The bridge's address unless another is chosen: the first that a host may have.
    #[must_use]
    pub fn gateway(self) -> A {
        A::from_bits(self.base.bits() + 1)
    }

    /// The last address; in IPv4 it is everyone's (broadcast).
    #[must_use]
    pub fn last(self) -> A {
        A::from_bits(self.base.bits() | self.host_bits())
    }

    /// Whether `address` lies within.
    #[must_use]
    pub fn contains(self, address: A) -> bool {
        self.overlaps(address, A::WIDTH)
    }

    /// Whether any address is in both `self` and `base/prefix`.
    #[must_use]
    pub fn overlaps(self, base: A, prefix: u8) -> bool {
        let right = u32::from(A::WIDTH - self.prefix.min(prefix));
        (self.base.bits() ^ base.bits()).checked_shr(right).unwrap_or(0) == 0
    }

    /// Those to the right of the prefix, all set.
    fn host_bits(self) -> u128 {
        (1 << (A::WIDTH - self.prefix)) - 1
    }
}

impl Subnet {
    /// 10.84.0.0/16, Sandbar's own choice.
    pub const DEFAULT: Self = Self { base: Ipv4Addr::new(10, 84, 0, 0), prefix: 16 };

    /// Whether a pod may have `address`: within, and neither network, gateway nor broadcast.
    #[must_use]
    pub fn is_for_pods(self, address: Ipv4Addr) -> bool {
        self.contains(address) && ![self.base, self.gateway(), self.last()].contains(&address)
    }
}

impl<A: Family> fmt::Display for Range<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

impl<A: Family> FromStr for Range<A> {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = text
            .split_once('/')
            .and_then(|(base, prefix)| Some((base.parse().ok()?, prefix.parse().ok()?)));
        let Some((base, prefix)) = parsed else {
            let message = format!("subnet {text:?}: not of the form {}", A::EXAMPLE);
            return Err(Error::new(ErrorKind::InvalidInput, message));
        };
        Self::new(base, prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_the_second_and_the_last_are_not_for_pods() {
        let subnet: Subnet = "192.168.7.0/30".parse().unwrap();
        assert!(subnet.is_for_pods(Ipv4Addr::new(192, 168, 7, 2)));
        for taken in [0, 1, 3, 4] {
            assert!(!subnet.is_for_pods(Ipv4Addr::new(192, 168, 7, taken)), "{taken}");
        }
        assert_eq!("10.84.0.0/16".parse::<Subnet>().unwrap(), Subnet::DEFAULT);
    }

    #[test]
    fn what_is_no_subnet_of_ipv4_is_refused() {
        for text in [
            "",
            "10.0.0.0",
            "10.0.0.1/24",
            "10.0.0.0/31",
            "0.0.0.0/8",
            "127.0.0.0/8",
            "224.0.0.0/8",
            "240.0.0.0/8",
            "169.254.0.0/16",
            "169.254.7.0/24",
            "168.0.0.0/7",
            "10.0.0.0/-1",
        ] {
            assert_eq!(
                text.parse::<Subnet>().unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{text}"
            );
        }
    }

    #[test]
    fn overlap_is_seen_from_both_sides() {
        let ours = Subnet::DEFAULT;
        assert!(ours.overlaps(Ipv4Addr::new(10, 84, 3, 0), 24));
        assert!(ours.overlaps(Ipv4Addr::new(10, 0, 0, 0), 8));
        assert!(ours.overlaps(Ipv4Addr::new(10, 84, 255, 255), 32));
        assert!(ours.overlaps(Ipv4Addr::UNSPECIFIED, 0));
        assert!(!ours.overlaps(Ipv4Addr::new(10, 85, 0, 0), 16));
    }

    #[test]
    fn a_subnet_of_ipv6_knows_its_addresses() {
        let subnet: Subnet6 = "fd00:84::/64".parse().unwrap();
        assert_eq!(subnet.to_string(), "fd00:84::/64");
        assert_eq!(subnet.gateway().to_string(), "fd00:84::1");
        assert!(subnet.contains("fd00:84::ffff:1".parse().unwrap()));
        assert!(!subnet.contains("fd00:84:0:1::1".parse().unwrap()));
        assert!(subnet.overlaps("fd00::".parse().unwrap(), 8));
        assert!(subnet.overlaps("fd00:84::9".parse().unwrap(), 128));
        assert!(subnet.overlaps(Ipv6Addr::UNSPECIFIED, 0));
        assert!(!subnet.overlaps("fd00:85::".parse().unwrap(), 64));
    }

    #[test]
    fn what_is_no_subnet_of_ipv6_is_refused() {
        for text in [
            "",
            "fd00::",
            "fd00::1/64",
            "fd00::/8",
            "fd00::/128",
            "::/64",
            "::1/112",
            "fe80::/64",
            "ff02::/64",
            "10.84.0.0/16",
            "::ffff:0:0/96",
        ] {
            let error = text.parse::<Subnet6>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
        }
    }
}
