//! The network that is always there.

use std::net::Ipv6Addr;

use jiff::Timestamp;
use sandbar_network::{Bridge, Subnet, Subnet6};
use sandbar_spec::{AddressPlan, Cidr, NetworkAccess, NetworkConfig, NetworkId};

use crate::error::Error;

/// What the id is made of: one that is the same everywhere.
const ID: &[u8; 32] = b"sandbar0 is always there, always";

/// `sandbar`: the bridge `sandbar0`, 10.84.0.0/16, and an IPv6 subnet that follows from `/etc/machine-id`.
pub(super) fn network() -> Result<NetworkConfig, Error> {
    let bridge = Bridge::default();
    let subnet = Subnet::DEFAULT;
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let ipv6 = match subnet6(machine.trim()) {
        None => None,
        Some(subnet) => {
            let gateway = Subnet6::new(subnet.base, subnet.prefix)?.gateway();
            Some(AddressPlan { subnet, gateway })
        }
    };
    Ok(NetworkConfig {
        id: NetworkId::from_random(*ID),
        name: NetworkConfig::DEFAULT_NAME.parse()?,
        created_at: Timestamp::UNIX_EPOCH,
        interface: bridge.name().to_string(),
        ipv4: AddressPlan {
            subnet: Cidr { base: subnet.base(), prefix: subnet.prefix() },
            gateway: bridge.gateway(),
        },
        range: None,
        ipv6,
        mtu: None,
        access: NetworkAccess::Open,
        names: false,
        labels: std::collections::BTreeMap::new(),
    })
}

/// A unique local /64 (RFC 4193) that a machine always has. `None` for one without an id.
fn subnet6(machine: &str) -> Option<Cidr<Ipv6Addr>> {
    if machine.is_empty() {
        return None;
    }
    // FNV-1a: the id itself is not for others to see (machine-id(5)), and the hash must be the same for ever.
    let hash = machine.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let [_, _, _, a, b, c, d, e] = hash.to_be_bytes();
    let base = [0xfd, a, b, c, d, e, 0, 0x84, 0, 0, 0, 0, 0, 0, 0, 0];
    Some(Cidr { base: Ipv6Addr::from(base), prefix: 64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_always_has_the_same_subnet() {
        let of = |machine| subnet6(machine).unwrap().to_string();
        assert_eq!(of("0123456789abcdef0123456789abcdef"), of("0123456789abcdef0123456789abcdef"));
        assert_ne!(of("0123456789abcdef0123456789abcdef"), of("0123456789abcdef0123456789abcdee"));
        assert!(of("x").starts_with("fd") && of("x").ends_with(":84::/64"));
        assert_eq!(subnet6(""), None);
    }

    #[test]
    fn it_is_what_it_always_was() {
        let network = network().unwrap();
        assert!(network.is_default() && !network.names);
        assert_eq!(network.interface, "sandbar0");
        assert_eq!(network.ipv4.subnet.to_string(), "10.84.0.0/16");
        assert_eq!(network.ipv4.gateway.to_string(), "10.84.0.1");
    }
}
