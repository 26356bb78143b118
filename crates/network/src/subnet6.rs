//! An IPv6 subnet that pods live in.

use std::{fmt, net::Ipv6Addr, str::FromStr};

use crate::{Error, ErrorKind, Result};

/// An IPv6 network such as `fd00:84::/64`, with room for a gateway and pods (`/16` to `/112`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subnet6 {
    base: u128,
    prefix: u8,
}

impl Subnet6 {
    /// # Errors
    /// `InvalidInput` for a prefix outside 16 to 112, for a base with host bits set, and for a base that is neither
    /// global nor unique local (fc00::/7).
    pub fn new(base: Ipv6Addr, prefix: u8) -> Result<Self> {
        let refuse = |why: &str| {
            Err(Error::new(ErrorKind::InvalidInput, format!("subnet {base}/{prefix}: {why}")))
        };
        if !(16..=112).contains(&prefix) {
            return refuse("the prefix must be from 16 to 112");
        }
        let is_ordinary = base.segments()[0] != 0
            && !base.is_multicast()
            && !base.is_unicast_link_local()
            && base.to_ipv4_mapped().is_none();
        if !is_ordinary {
            return refuse("not a range for ordinary hosts");
        }
        let subnet = Self { base: base.to_bits(), prefix };
        if subnet.base & !subnet.mask() != 0 {
            return refuse("bits are set to the right of the prefix");
        }
        Ok(subnet)
    }

    /// The network's own address, the first, which is every router's (RFC 4291, 2.6.1).
    #[must_use]
    pub fn base(self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.base)
    }

    /// The number of leading bits that all addresses share.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The bridge's address unless another is chosen: the first that a host may have.
    #[must_use]
    pub fn gateway(self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.base + 1)
    }

    /// The last address.
    #[must_use]
    pub fn last(self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.base | !self.mask())
    }

    /// Whether `address` lies within.
    #[must_use]
    pub fn contains(self, address: Ipv6Addr) -> bool {
        address.to_bits() & self.mask() == self.base
    }

    /// Whether any address is in both `self` and `base/prefix`.
    #[must_use]
    pub fn overlaps(self, base: Ipv6Addr, prefix: u8) -> bool {
        let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix.min(prefix))).unwrap_or(0);
        self.base & mask == base.to_bits() & mask
    }

    fn mask(self) -> u128 {
        u128::MAX << (128 - self.prefix)
    }
}

impl fmt::Display for Subnet6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base(), self.prefix)
    }
}

impl FromStr for Subnet6 {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = text
            .split_once('/')
            .and_then(|(base, prefix)| Some((base.parse().ok()?, prefix.parse().ok()?)));
        let Some((base, prefix)) = parsed else {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("subnet {text:?}: not of the form fd00:84::/64"),
            ));
        };
        Self::new(base, prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_knows_its_addresses() {
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
    fn nonsense_is_refused() {
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
