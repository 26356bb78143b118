//! Ethernet addresses that follow from IPv4 ones.

use std::{fmt, net::Ipv4Addr};

/// An Ethernet (MAC) address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// The address of a pod at `address`: locally administered (`02`), an `S` for Sandbar, then the IPv4 address. One
    /// IPv4 address always has the same, so neighbours' ARP caches stay right when another pod takes its place.
    #[must_use]
    pub fn of(address: Ipv4Addr) -> Self {
        let [a, b, c, d] = address.octets();
        Self([0x02, b'S', a, b, c, d])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_from_the_address() {
        let mac = MacAddress::of(Ipv4Addr::new(10, 84, 0, 255));
        assert_eq!(mac.to_string(), "02:53:0a:54:00:ff");
    }
}
