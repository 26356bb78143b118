//! The networks that a pod is on, and what it shall have there.

use std::net::{Ipv4Addr, Ipv6Addr};

use sandbar_spec::Membership;

use crate::failure::{Failure, Result};
use crate::values::{Network, check_host_name};

/// Addresses and names on a network.
#[derive(Debug, clap::Args)]
pub(crate) struct Addressing {
    /// The IPv4 address on the network
    #[arg(long, value_name = "IP")]
    ip: Option<Ipv4Addr>,
    /// The IPv6 address on the network
    #[arg(long, value_name = "IP")]
    ip6: Option<Ipv6Addr>,
    /// The hardware address on the network
    #[arg(long, value_name = "MAC")]
    mac_address: Option<String>,
    /// A name by which it is found on its networks
    #[arg(long, value_name = "NAME")]
    network_alias: Vec<String>,
}

impl Addressing {
    /// The first option that was given.
    pub(super) fn given(&self) -> Option<&'static str> {
        [
            (self.ip.is_some(), "--ip"),
            (self.ip6.is_some(), "--ip6"),
            (self.mac_address.is_some(), "--mac-address"),
            (!self.network_alias.is_empty(), "--network-alias"),
        ]
        .into_iter()
        .find_map(|(is_given, option)| is_given.then_some(option))
    }

    /// Into the networks that are asked for; the default one if none is.
    pub(super) fn resolve(self, networks: Vec<Membership>) -> Result<Vec<Membership>> {
        let given = self.given();
        let mut networks = networks;
        if given.is_some() && networks.is_empty() {
            networks.push(Membership::default());
        }
        let is_single = given.filter(|option| *option != "--network-alias");
        if let Some(option) = is_single.filter(|_| networks.len() > 1) {
            let message = format!("{option} could be meant for any of several networks");
            return Err(Failure::new(message).hint("write --network NAME:ip=…,mac=…"));
        }
        for alias in &self.network_alias {
            check_alias(alias)?;
        }
        for network in &mut networks {
            if !self.network_alias.is_empty() && is_default(&network.network) {
                let message = "--network-alias: on the default network there are no names";
                return Err(Failure::new(message).hint("'sandbar network create' makes another"));
            }
            network.ip = self.ip.or(network.ip);
            network.ip6 = self.ip6.or(network.ip6);
            network.mac = self.mac_address.clone().or_else(|| network.mac.take());
            network.aliases.extend(self.network_alias.iter().cloned());
        }
        for (index, network) in networks.iter().enumerate() {
            let is_same = |other: &Membership| {
                other.network == network.network
                    || (is_default(&other.network) && is_default(&network.network))
            };
            if networks.iter().take(index).any(is_same) {
                let name = if network.network.is_empty() { "bridge" } else { &network.network };
                return Err(Failure::new(format!("--network {name} is given twice")));
            }
        }
        Ok(networks)
    }
}

fn is_default(name: &str) -> bool {
    name.is_empty() || name == sandbar_spec::NetworkConfig::DEFAULT_NAME
}

/// A name that a resolver can know.
pub(crate) fn check_alias(alias: &str) -> Result<()> {
    let is_label = |label: &str| (1..=63).contains(&label.len());
    let reason = match check_host_name(alias) {
        Ok(()) if alias.split('.').all(is_label) => return Ok(()),
        Ok(()) => "its labels have 1 to 63 characters",
        Err(reason) => reason,
    };
    Err(Failure::new(format!("the alias '{alias}' can't be: {reason}")))
}

/// Networks of Sandbar's own, or the one thing that is in place of them.
pub(crate) fn sort(networks: Vec<Network>) -> Result<(Vec<Membership>, Option<Network>)> {
    let mut on = Vec::new();
    let mut other = None;
    let count = networks.len();
    for network in networks {
        match network {
            Network::On(membership) => on.push(membership),
            network => other = Some(network),
        }
    }
    if other.is_some() && count > 1 {
        let message = "several --network can only be networks of Sandbar's own";
        return Err(Failure::new(message).hint("leave host, none, container:, pod: and ns: out"));
    }
    Ok((on, other))
}
