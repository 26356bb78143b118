//! An IPv4 subnet that pods live in.

use std::{fmt, net::Ipv4Addr, str::FromStr};

use crate::{Error, ErrorKind, Result};

/// An IPv4 network such as `10.84.0.0/16`, with room for a gateway and at least one pod (`/8` to `/30`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subnet {
    base: u32,
    prefix: u8,
}

/// Never routed, and where clouds have their metadata (RFC 3927).
const LINK_LOCAL: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 0);
const LINK_LOCAL_PREFIX: u8 = 16;

impl Subnet {
    /// 10.84.0.0/16, Sandbar's own choice.
    pub const DEFAULT: Self = Self { base: 0x0a54_0000, prefix: 16 };

    /// # Errors
    /// `InvalidInput` for a prefix outside 8 to 30, for a base with host bits set, and for a loopback, link-local,
    /// multicast or reserved base.
    pub fn new(base: Ipv4Addr, prefix: u8) -> Result<Self> {
        let refuse = |why: &str| {
            Err(Error::new(ErrorKind::InvalidInput, format!("subnet {base}/{prefix}: {why}")))
        };
        if !(8..=30).contains(&prefix) {
            return refuse("the prefix must be from 8 to 30");
        }
        if base.octets()[0] == 0 || base.is_loopback() || base.octets()[0] >= 224 {
            return refuse("not a range for ordinary hosts");
        }
        let subnet = Self { base: base.to_bits(), prefix };
        if subnet.base & !subnet.mask() != 0 {
            return refuse("bits are set to the right of the prefix");
        }
        if subnet.overlaps(LINK_LOCAL, LINK_LOCAL_PREFIX) {
            return refuse("169.254.0.0/16 is for addresses of a single link (RFC 3927)");
        }
        Ok(subnet)
    }

    /// The network's own address, the first.
    #[must_use]
    pub fn base(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.base)
    }

    /// The number of leading bits that all addresses share.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The bridge's address: the first that a host may have.
    #[must_use]
    pub fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.base + 1)
    }

    /// The last address.
    #[must_use]
    pub fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.last())
    }

    /// Whether `address` lies within.
    #[must_use]
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & self.mask() == self.base
    }

    /// Whether a pod may have `address`: within, and neither network, gateway nor broadcast.
    #[must_use]
    pub fn is_for_pods(self, address: Ipv4Addr) -> bool {
        self.contains(address)
            && ![self.base(), self.gateway(), self.broadcast()].contains(&address)
    }

    /// Whether any address is in both `self` and `base/prefix`.
    #[must_use]
    pub fn overlaps(self, base: Ipv4Addr, prefix: u8) -> bool {
        let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix.min(prefix))).unwrap_or(0);
        self.base & mask == base.to_bits() & mask
    }

    fn mask(self) -> u32 {
        u32::MAX << (32 - self.prefix)
    }

    fn last(self) -> u32 {
        self.base | !self.mask()
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base(), self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = text
            .split_once('/')
            .and_then(|(base, prefix)| Some((base.parse().ok()?, prefix.parse().ok()?)));
        let Some((base, prefix)) = parsed else {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("subnet {text:?}: not of the form 10.84.0.0/16"),
            ));
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
    fn nonsense_is_refused() {
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
}
