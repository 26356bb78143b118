//! A range of addresses of either family.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::error::Error;

/// A network's range of addresses: `10.85.0.0/24`, `fd00:85::/64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    address: IpAddr,
    prefix: u8,
}

impl Subnet {
    /// The range that `address` is in.
    ///
    /// # Errors
    /// A prefix of more bits than the address has.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, Error> {
        let most = if address.is_ipv4() { 32 } else { 128 };
        if prefix > most {
            return Err(Error::invalid(format!("subnet '{address}/{prefix}': at most /{most}")));
        }
        Ok(Self { address, prefix })
    }

    /// Whether `address` is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let same = |differing: u128, bits: u32| {
            differing.checked_shr(bits - u32::from(self.prefix)).unwrap_or(0) == 0
        };
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(other)) => {
                same(u128::from(ours.to_bits() ^ other.to_bits()), 32)
            }
            (IpAddr::V6(ours), IpAddr::V6(other)) => same(ours.to_bits() ^ other.to_bits(), 128),
            _ => false,
        }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::invalid(format!("subnet '{text}': expected ADDRESS/PREFIX"));
        let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
        match (address.parse(), prefix.parse()) {
            (Ok(address), Ok(prefix)) => Self::new(address, prefix),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(subnet: &str, address: &str) -> bool {
        subnet.parse::<Subnet>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_subnet_has_its_own_addresses_alone() {
        assert!(contains("10.85.0.0/24", "10.85.0.255"));
        assert!(!contains("10.85.0.0/24", "10.85.1.0"));
        assert!(contains("10.85.0.1/32", "10.85.0.1"));
        assert!(!contains("10.85.0.1/32", "10.85.0.2"));
        assert!(contains("0.0.0.0/0", "255.1.2.3"));
        assert!(contains("::/0", "fd00::1"));
        assert!(contains("fd00:85::/64", "fd00:85::ffff:1"));
        assert!(!contains("fd00:85::/64", "fd00:85:0:1::1"));
        assert!(!contains("0.0.0.0/0", "::1"));
    }

    #[test]
    fn what_is_no_subnet_is_refused_by_name() {
        for text in ["10.85.0.0", "10.85.0.0/33", "fd00::/129", "x/24", "10.85.0.0/-1"] {
            let error = text.parse::<Subnet>().unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
