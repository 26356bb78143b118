//! Hardware addresses that pods ask for.

use std::net::Ipv4Addr;

use sandbar_network::MacAddress;
use sandbar_spec::{NetworkConfig, PodId};

use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::networks::bridge_of;

impl Engine {
    /// Refuses an address that another interface on the network has, or may be given: with two of one address, a bridge
    /// sends to whichever spoke last.
    ///
    /// Whoever calls this holds the networks' lock until the address is on record.
    pub(crate) fn check_mac(
        &self,
        mac: MacAddress,
        pod: &PodId,
        ip: Option<Ipv4Addr>,
        network: &NetworkConfig,
    ) -> Result<(), Error> {
        let refuse = |owner: String| {
            let message =
                format!("Ethernet address {mac} of the network '{}' is {owner}", network.name);
            Err(Error::new(Kind::AddressTaken, message))
        };
        let bridge = bridge_of(network)?;
        if mac == MacAddress::of(bridge.gateway()) {
            return refuse(format!("that of its bridge '{}'", network.interface));
        }
        for other in self.pods_on(network)? {
            let mut theirs = other.connections.iter().filter(|it| it.network_id == network.id);
            let has_it = |of: &str| of.parse::<MacAddress>().is_ok_and(|theirs| theirs == mac);
            if other.config.id != *pod && theirs.any(|it| has_it(&it.mac)) {
                return refuse(format!("pod '{}'s", other.config.name));
            }
        }
        match mac.ipv4().filter(|of| bridge.subnet().contains(*of) && ip != Some(*of)) {
            Some(of) => refuse(format!("for the pod with the address {of}")),
            None => Ok(()),
        }
    }
}
