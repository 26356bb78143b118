//! What a range of IPv4 addresses and one of IPv6 addresses differ in.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// An address of IPv4 or of IPv6.
pub trait Family: Copy + fmt::Display + FromStr + Sized + 'static {
    /// How many bits it has.
    const WIDTH: u8;
    /// The shortest and the longest prefix that pods' subnets have.
    const PREFIXES: (u8, u8);
    /// Ranges that are not for pods, though their addresses are hosts', and why.
    const RESERVED: &[(Self, u8, &str)];
    /// A subnet as it is written.
    const EXAMPLE: &str;

    /// Its bits, the last one to the right.
    fn bits(self) -> u128;

    /// The address that has these bits; of too many, those to the right.
    fn from_bits(bits: u128) -> Self;

    /// Whether it is of a range in which hosts have their addresses.
    fn is_ordinary(self) -> bool;
}

impl Family for Ipv4Addr {
    const WIDTH: u8 = 32;
    const PREFIXES: (u8, u8) = (8, 30);
    // Never routed, and where clouds have their metadata.
    const RESERVED: &[(Self, u8, &str)] = &[(
        Self::new(169, 254, 0, 0),
        16,
        "169.254.0.0/16 is for addresses of a single link (RFC 3927)",
    )];
    const EXAMPLE: &str = "10.84.0.0/16";

    fn bits(self) -> u128 {
        self.to_bits().into()
    }

    fn from_bits(bits: u128) -> Self {
        let [.., a, b, c, d] = bits.to_be_bytes();
        Self::new(a, b, c, d)
    }

    fn is_ordinary(self) -> bool {
        let [first, ..] = self.octets();
        first != 0 && first < 224 && !self.is_loopback()
    }
}

impl Family for Ipv6Addr {
    const WIDTH: u8 = 128;
    const PREFIXES: (u8, u8) = (16, 112);
    const RESERVED: &[(Self, u8, &str)] = &[];
    const EXAMPLE: &str = "fd00:84::/64";

    fn bits(self) -> u128 {
        self.to_bits()
    }

    fn from_bits(bits: u128) -> Self {
        Self::from_bits(bits)
    }

    fn is_ordinary(self) -> bool {
        self.segments()[0] != 0
            && !self.is_multicast()
            && !self.is_unicast_link_local()
            && self.to_ipv4_mapped().is_none()
    }
}
