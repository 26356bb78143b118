//! A range of addresses, as in `10.85.0.0/24`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Invalid;

/// An address and how many of its leading bits count, as in `10.85.0.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr<A> {
    /// The first address; to the right of the prefix it has no bits set.
    pub base: A,
    /// How many leading bits all addresses share.
    pub prefix: u8,
}

/// An address of either family or both.
pub trait Address: Copy + FromStr + fmt::Display + Into<IpAddr> {
    /// A range of such addresses, in words.
    const WHAT: &str;
}

impl Address for Ipv4Addr {
    const WHAT: &str = "IPv4 subnet";
}

impl Address for Ipv6Addr {
    const WHAT: &str = "IPv6 subnet";
}

impl Address for IpAddr {
    const WHAT: &str = "subnet";
}

impl<A: Address> FromStr for Cidr<A> {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = |reason: &str| Invalid::new(A::WHAT, text, reason);
        let (base, prefix) = text
            .split_once('/')
            .and_then(|(base, prefix)| Some((base.parse::<A>().ok()?, prefix.parse::<u8>().ok()?)))
            .ok_or_else(|| wrong("an address, '/' and a number of bits are needed"))?;
        let (bits, width) = match base.into() {
            IpAddr::V4(base) => (u128::from(base.to_bits()) << 96, 32),
            IpAddr::V6(base) => (base.to_bits(), 128),
        };
        if prefix > width {
            return Err(wrong("there are more bits after the '/' than an address has"));
        }
        if bits.checked_shl(u32::from(prefix)).unwrap_or(0) != 0 {
            return Err(wrong("bits are set to the right of the prefix"));
        }
        Ok(Self { base, prefix })
    }
}

impl<A: Address> fmt::Display for Cidr<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.base, self.prefix)
    }
}

impl<A: Address> Serialize for Cidr<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, A: Address> Deserialize<'de> for Cidr<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_it_is_written() {
        for text in ["10.85.0.0/24", "0.0.0.0/0", "10.1.2.3/32", "fd00:85::/64", "::1/128"] {
            assert_eq!(text.parse::<Cidr<IpAddr>>().unwrap().to_string(), text);
        }
        for text in
            ["", "10.0.0.0", "10.0.0.1/24", "10.0.0.0/33", "fd00::1/64", "x/8", "10.0.0.0/-1"]
        {
            assert!(text.parse::<Cidr<IpAddr>>().is_err(), "{text}");
        }
        assert!("fd00::/64".parse::<Cidr<Ipv4Addr>>().is_err());
    }
}
