//! Which addresses a network's pods can have.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::{Bridge, Error, ErrorKind, PodAddresses, Result, Subnet, Subnet6};

/// The addresses of a bridge's subnets that its pods can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    subnet: Subnet,
    gateway: Ipv4Addr,
    /// What is given out to who asks for none, from the first to the last.
    range: (u32, u32),
    ipv6: Option<(Subnet6, Ipv6Addr)>,
}

/// Addresses that somebody asks for; what is `None` is the pool's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// The IPv6 address.
    pub v6: Option<Ipv6Addr>,
}

impl Pool {
    /// All addresses of the bridge's subnets but those that no pod can have.
    ///
    /// # Errors
    /// `InvalidInput` where the IPv6 subnet has not an address for each of the IPv4 subnet.
    pub fn new(bridge: &Bridge) -> Result<Self> {
        let subnet = bridge.subnet();
        let ipv6 = bridge.subnet6().zip(bridge.gateway6());
        if let Some((subnet6, _)) = ipv6
            && 128 - subnet6.prefix() < 32 - subnet.prefix()
        {
            return Err(invalid(format!("subnet {subnet6}: it has less room than {subnet}")));
        }
        let range = (subnet.base().to_bits() + 1, subnet.last().to_bits() - 1);
        Ok(Self { subnet, gateway: bridge.gateway(), range, ipv6 })
    }

    /// Gives out addresses within `base/prefix` alone, but for those that are asked for.
    ///
    /// # Errors
    /// `InvalidInput` for a range outside of the subnet, with bits set to the right of the prefix, or with no address
    /// for a pod.
    pub fn with_range(mut self, base: Ipv4Addr, prefix: u8) -> Result<Self> {
        let refuse = |why: &str| Err(invalid(format!("address range {base}/{prefix}: {why}")));
        if prefix > 32 || prefix < self.subnet.prefix() || !self.subnet.contains(base) {
            return refuse(&format!("it is not within the subnet {}", self.subnet));
        }
        let host_bits = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
        if base.to_bits() & host_bits != 0 {
            return refuse("bits are set to the right of the prefix");
        }
        let (first, last) = self.range;
        self.range = (first.max(base.to_bits()), last.min(base.to_bits() | host_bits));
        let (first, last) = self.range;
        if first > last || (first == last && first == self.gateway.to_bits()) {
            return refuse("it has no address for a pod");
        }
        Ok(self)
    }

    /// Without IPv6.
    #[must_use]
    pub fn without_ipv6(self) -> Self {
        Self { ipv6: None, ..self }
    }

    /// How many addresses there are to try.
    pub(crate) fn len(&self) -> u32 {
        self.range.1 - self.range.0 + 1
    }

    /// The `n`th addresses to try, beginning again after the last; `None` where the network's own is among them.
    pub(crate) fn nth(&self, n: u32, wanted: Wanted) -> Option<PodAddresses> {
        let v4 = Ipv4Addr::from_bits(self.range.0 + n % self.len());
        if v4 == self.gateway {
            return None;
        }
        let v6 = match self.ipv6 {
            None => None,
            Some((_, gateway)) => {
                let v6 = wanted.v6.or_else(|| self.beside(v4))?;
                if v6 == gateway {
                    return None;
                }
                Some(v6)
            }
        };
        Some(PodAddresses { v4, v6 })
    }

    /// What is asked for, and what follows from that; `None` where no IPv4 address is asked for.
    ///
    /// # Errors
    /// `InvalidInput` for an address that no pod can have here.
    pub(crate) fn asked(&self, wanted: Wanted) -> Result<Option<PodAddresses>> {
        if let Some(v6) = wanted.v6 {
            self.check6(v6)?;
        }
        let Some(v4) = wanted.v4 else { return Ok(None) };
        self.check4(v4)?;
        let v6 = match self.ipv6 {
            None => None,
            Some(_) => wanted.v6.or_else(|| self.beside(v4)),
        };
        if let Some(v6) = v6 {
            self.check6(v6)?;
        }
        Ok(Some(PodAddresses { v4, v6 }))
    }

    /// All that can be said of an exhausted pool.
    pub(crate) fn exhausted(&self) -> Error {
        let (first, last) = self.range;
        let own = u32::from((first..=last).contains(&self.gateway.to_bits()));
        let (first, last) = (Ipv4Addr::from_bits(first), Ipv4Addr::from_bits(last));
        Error::new(
            ErrorKind::Exhausted,
            format!(
                "no address of {} is left: all {} from {first} to {last} are leased",
                self.subnet,
                self.len() - own
            ),
        )
    }

    /// The IPv6 address that goes with an IPv4 one: as far from the subnet's beginning.
    fn beside(&self, v4: Ipv4Addr) -> Option<Ipv6Addr> {
        let (subnet, _) = self.ipv6?;
        let offset = v4.to_bits() - self.subnet.base().to_bits();
        Some(Ipv6Addr::from_bits(subnet.base().to_bits() + u128::from(offset)))
    }

    fn check4(&self, v4: Ipv4Addr) -> Result<()> {
        let subnet = self.subnet;
        let why = if !subnet.contains(v4) {
            format!("it is not in the subnet {subnet}")
        } else if v4 == self.gateway {
            "it is the gateway's".to_owned()
        } else if v4 == subnet.base() {
            format!("it is that of the subnet {subnet} itself")
        } else if v4 == subnet.last() {
            format!("it is the broadcast address of {subnet}")
        } else {
            return Ok(());
        };
        Err(invalid(format!("address {v4}: {why}")))
    }

    fn check6(&self, v6: Ipv6Addr) -> Result<()> {
        let why = match self.ipv6 {
            None => "the network has no IPv6".to_owned(),
            Some((subnet, _)) if !subnet.contains(v6) => {
                format!("it is not in the subnet {subnet}")
            }
            Some((_, gateway)) if v6 == gateway => "it is the gateway's".to_owned(),
            Some((subnet, _)) if v6 == subnet.base() => {
                format!("it is that of the subnet {subnet} itself")
            }
            Some(_) => return Ok(()),
        };
        Err(invalid(format!("address {v6}: {why}")))
    }
}

fn invalid(text: String) -> Error {
    Error::new(ErrorKind::InvalidInput, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InterfaceName;

    fn bridge(subnet: &str) -> Bridge {
        Bridge::new(InterfaceName::for_pod("test").unwrap(), subnet.parse().unwrap())
    }

    fn dual() -> Pool {
        let ipv6 = "fd00:85::/64".parse().unwrap();
        Pool::new(&bridge("10.85.0.0/24").with_ipv6(ipv6, None).unwrap()).unwrap()
    }

    fn asked(pool: &Pool, v4: Option<&str>, v6: Option<&str>) -> Result<Option<PodAddresses>> {
        let v4 = v4.map(|it| it.parse().unwrap());
        pool.asked(Wanted { v4, v6: v6.map(|it| it.parse().unwrap()) })
    }

    #[test]
    fn the_ipv6_address_is_as_far_from_the_beginning_as_the_ipv4_one() {
        let given = asked(&dual(), Some("10.85.0.77"), None).unwrap().unwrap();
        assert_eq!(given.v6.unwrap().to_string(), "fd00:85::4d");
        let given = asked(&dual(), Some("10.85.0.77"), Some("fd00:85::1:0")).unwrap().unwrap();
        assert_eq!(given.v6.unwrap().to_string(), "fd00:85::1:0");
        let given = asked(&dual().without_ipv6(), Some("10.85.0.77"), None).unwrap().unwrap();
        assert_eq!(given.v6, None);
    }

    #[test]
    fn what_no_pod_can_have_is_refused_with_the_reason() {
        for (v4, v6, why) in [
            (Some("10.86.0.2"), None, "not in the subnet 10.85.0.0/24"),
            (Some("10.85.0.1"), None, "gateway"),
            (Some("10.85.0.0"), None, "itself"),
            (Some("10.85.0.255"), None, "broadcast"),
            (None, Some("fd00:86::2"), "not in the subnet fd00:85::/64"),
            (None, Some("fd00:85::1"), "gateway"),
            (None, Some("fd00:85::"), "itself"),
        ] {
            let error = asked(&dual(), v4, v6).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(why), "{error}");
        }
        let error = asked(&dual().without_ipv6(), None, Some("fd00:85::2")).unwrap_err();
        assert!(error.to_string().contains("no IPv6"), "{error}");
    }

    #[test]
    fn a_range_bounds_what_is_given_out() {
        let pool = Pool::new(&bridge("10.1.2.0/24")).unwrap();
        let base = |it: &str| it.parse::<Ipv4Addr>().unwrap();
        let upper = pool.clone().with_range(base("10.1.2.128"), 25).unwrap();
        assert_eq!(upper.len(), 127, "without the broadcast address");
        let one = pool.clone().with_range(base("10.1.2.9"), 32).unwrap();
        let given = one.nth(7, Wanted::default()).unwrap();
        assert_eq!(given.v4, base("10.1.2.9"));
        for (range, prefix) in [
            ("10.1.3.0", 24),
            ("10.1.0.0", 16),
            ("10.1.2.9", 25),
            ("10.1.2.1", 32),
            ("10.1.2.255", 32),
            ("10.1.2.0", 33),
        ] {
            let error = pool.clone().with_range(base(range), prefix).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{range}/{prefix}");
        }
    }

    #[test]
    fn an_ipv6_subnet_with_less_room_is_refused() {
        let narrow = bridge("10.0.0.0/8").with_ipv6("fd00:85::/112".parse().unwrap(), None);
        assert!(Pool::new(&narrow.unwrap()).is_err());
    }
}
