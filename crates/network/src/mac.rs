//! Ethernet addresses that follow from IPv4 ones.

use std::{fmt, net::Ipv4Addr, str::FromStr};

use crate::{Error, ErrorKind, Result};

/// Locally administered, and an `S` for Sandbar.
const OURS: [u8; 2] = [0x02, b'S'];

/// An Ethernet (MAC) address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// The address of a pod at `address`: locally administered (`02`), an `S` for Sandbar, then the IPv4 address. One
    /// IPv4 address always has the same, so neighbours' ARP caches stay right when another pod takes its place.
    #[must_use]
    pub fn of(address: Ipv4Addr) -> Self {
        let [a, b, c, d] = address.octets();
        let [local, sandbar] = OURS;
        Self([local, sandbar, a, b, c, d])
    }

    /// An address that somebody chose.
    ///
    /// # Errors
    /// `InvalidInput` for a group's address and for none (all zero).
    pub fn new(octets: [u8; 6]) -> Result<Self> {
        let address = Self(octets);
        if octets[0] & 1 != 0 || octets == [0; 6] {
            let text = format!("Ethernet address {address}: not one of a single interface");
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        Ok(address)
    }

    /// The IPv4 address that it follows from, if it is such a one.
    #[must_use]
    pub fn ipv4(self) -> Option<Ipv4Addr> {
        let Self([local, sandbar, a, b, c, d]) = self;
        (OURS == [local, sandbar]).then_some(Ipv4Addr::new(a, b, c, d))
    }

    /// Whether an interface with this address was made by Sandbar, by all appearances.
    pub(crate) fn is_ours(octets: &[u8]) -> bool {
        octets.starts_with(&OURS)
    }

    /// The six bytes, in the order of transmission.
    #[must_use]
    pub fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

/// As in `02:53:0a:54:00:02`.
impl FromStr for MacAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let digits = |part: &str| {
            let is_hex = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_hex.then(|| u8::from_str_radix(part, 16).ok())?
        };
        let octets: Option<Vec<u8>> = text.split(':').map(digits).collect();
        let octets = octets.and_then(|octets| <[u8; 6]>::try_from(octets).ok());
        Self::new(octets.ok_or_else(|| {
            let text = format!("Ethernet address {text:?}: not of the form 02:53:0a:54:00:02");
            Error::new(ErrorKind::InvalidInput, text)
        })?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_from_the_address() {
        let mac = MacAddress::of(Ipv4Addr::new(10, 84, 0, 255));
        assert_eq!(mac.to_string(), "02:53:0a:54:00:ff");
        assert_eq!(mac.ipv4(), Some(Ipv4Addr::new(10, 84, 0, 255)));
        assert_eq!("02:54:0a:54:00:ff".parse::<MacAddress>().unwrap().ipv4(), None);
    }

    #[test]
    fn is_read_as_it_is_written() {
        let mac = MacAddress::of(Ipv4Addr::new(10, 84, 0, 255));
        assert_eq!(mac.to_string().parse::<MacAddress>().unwrap(), mac);
        let bad =
            ["", "02:53:0a:54:00", "02:53:0a:54:00:ff:00", "02:53:0a:54:00:f", "0g:53:0a:54:00:ff"];
        for text in
            bad.into_iter().chain(["01:00:5e:00:00:01", "00:00:00:00:00:00", "+2:53:0a:54:00:ff"])
        {
            assert_eq!(
                text.parse::<MacAddress>().unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{text}"
            );
        }
    }
}
