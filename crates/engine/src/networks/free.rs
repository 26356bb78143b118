//! Subnets that nobody has yet.

use std::net::{Ipv4Addr, Ipv6Addr};

use sandbar_network::{Subnet, Subnet6};
use sandbar_spec::{Cidr, NetworkConfig};

use crate::error::{Error, Kind};

/// Where the search for free subnets begins and ends.
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 85, 0, 0);
const LAST: Ipv4Addr = Ipv4Addr::new(10, 255, 255, 0);

/// The first /24 that overlaps neither another network nor a route of the host.
pub(super) fn subnet(existing: &[NetworkConfig]) -> Result<Cidr<Ipv4Addr>, Error> {
    let candidates = (FIRST.to_bits()..=LAST.to_bits())
        .step_by(256)
        .filter_map(|base| Subnet::new(Ipv4Addr::from_bits(base), 24).ok())
        .filter(|subnet| overlapping(*subnet, existing).is_none());
    match sandbar_network::first_free(candidates)? {
        Some(subnet) => Ok(Cidr { base: subnet.base(), prefix: subnet.prefix() }),
        None => {
            let message = format!(
                "no /24 from {FIRST} to {LAST} is free, all overlap other networks or the host's routes: \
                 choose one with --subnet"
            );
            Err(Error::new(Kind::Invalid, message))
        }
    }
}

/// A unique local /64 (RFC 4193) of random bytes.
pub(super) fn subnet6(random: &[u8; 32]) -> Cidr<Ipv6Addr> {
    let [a, b, c, d, e, f, g, ..] = *random;
    let base = [0xfd, a, b, c, d, e, f, g, 0, 0, 0, 0, 0, 0, 0, 0];
    Cidr { base: Ipv6Addr::from(base), prefix: 64 }
}

/// Refuses a network of which a subnet overlaps one of another network, whose bridge need not be there now.
pub(super) fn check(config: &NetworkConfig, existing: &[NetworkConfig]) -> Result<(), Error> {
    let refuse = |subnet: String, other: &NetworkConfig, of: String| {
        let message = format!("subnet {subnet} overlaps {of} of the network '{}'", other.name);
        Err(Error::new(Kind::Invalid, message))
    };
    let Cidr { base, prefix } = config.ipv4.subnet;
    if let Some(other) = overlapping(Subnet::new(base, prefix)?, existing) {
        return refuse(config.ipv4.subnet.to_string(), other, other.ipv4.subnet.to_string());
    }
    let Some(ipv6) = config.ipv6 else { return Ok(()) };
    let subnet = Subnet6::new(ipv6.subnet.base, ipv6.subnet.prefix)?;
    for other in existing {
        if let Some(theirs) = other.ipv6
            && subnet.overlaps(theirs.subnet.base, theirs.subnet.prefix)
        {
            return refuse(subnet.to_string(), other, theirs.subnet.to_string());
        }
    }
    Ok(())
}

fn overlapping(subnet: Subnet, existing: &[NetworkConfig]) -> Option<&NetworkConfig> {
    existing.iter().find(|other| {
        let Cidr { base, prefix } = other.ipv4.subnet;
        subnet.overlaps(base, prefix)
    })
}
