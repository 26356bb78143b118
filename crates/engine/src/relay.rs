//! Which published ports a pod's supervisor relays.

use std::net::{IpAddr, Ipv6Addr};

use sandbar_network::PodAddresses;
use sandbar_spec::control::{Reply, Request};
use sandbar_spec::{PodConfig, PodId, PortMapping, Protocol};
use sandbar_supervisor::{Client, Packet, read_record};

use crate::descriptors;
use crate::engine::Engine;
use crate::error::Error;
use crate::ports::count;

impl Engine {
    /// Has a pod's supervisor, which holds `ports`, relay what comes to them by `::1`, if the kernel can't translate
    /// it on this host. A port that is not relayed is reached at every other address, so nothing fails for it: it is
    /// told, in words.
    pub(crate) fn relay(
        &self,
        client: &Client,
        pod: &PodConfig,
        ports: &[PortMapping],
    ) -> Vec<String> {
        let ports: Vec<&PortMapping> = ports.iter().filter(|port| is_at_loopback(port)).collect();
        if !pod.is_bridged() || ports.is_empty() || !is_needed() {
            return Vec::new();
        }
        let mut told: Vec<String> = ports
            .iter()
            .filter(|port| !is_relayed(port))
            .map(|port| not_relayed(port, "SCTP is not relayed"))
            .collect();
        // Each relayed port takes one descriptor more: there have to be enough to hold all of them.
        let all = count(&pod.ports);
        if !descriptors::is_room_for(all * 2) {
            let why = format!(
                "{all} ports and their relays are more descriptors than RLIMIT_NOFILE allows \
                 ('ulimit -Hn')"
            );
            told.extend(ports.first().map(|port| not_relayed(port, &why)));
            return told;
        }
        let Ok(Some(addresses)) = self.addresses_of(&pod.id) else { return told };
        let to = way_to(addresses);
        for ports in ports.into_iter().filter(|port| is_relayed(port)) {
            let asked = client.send(&Request::RelayPorts { ports: *ports, to }, &[]);
            match asked.and_then(|()| client.receive()) {
                Ok(Some(Packet { message: Reply::Failed { message, .. }, .. })) => {
                    told.push(not_relayed(ports, &message));
                }
                Ok(Some(_)) => {}
                // Who has gone relays nothing.
                Ok(None) | Err(_) => break,
            }
        }
        told
    }

    /// Which ports a pod's supervisor is to relay by itself, as where bridges began to call netfilter when the pod ran.
    pub(crate) fn relayed(&self, pod: &PodId) -> Result<Vec<(PortMapping, IpAddr)>, Error> {
        if !is_needed() {
            return Ok(Vec::new());
        }
        let config: Option<PodConfig> = read_record(&self.roots.pod(pod).config())?;
        let addresses = self.addresses_of(pod)?;
        let Some((config, addresses)) = config.filter(PodConfig::is_bridged).zip(addresses) else {
            return Ok(Vec::new());
        };
        if !descriptors::is_room_for(count(&config.ports) * 2) {
            return Ok(Vec::new());
        }
        let to = way_to(addresses);
        Ok(config.ports.into_iter().filter(is_relayed).map(|ports| (ports, to)).collect())
    }
}

/// Where in a pod is relayed to.
fn way_to(addresses: PodAddresses) -> IpAddr {
    addresses.v6.map_or(IpAddr::from(addresses.v4), IpAddr::from)
}

fn not_relayed(ports: &PortMapping, why: &str) -> String {
    let PortMapping { host_port: first, protocol, .. } = ports;
    let last = first.saturating_add(ports.count.get() - 1);
    let range = if last == *first { first.to_string() } else { format!("{first}-{last}") };
    format!("[::1]:{range}/{protocol} leads nowhere, only the host's other addresses do: {why}")
}

/// Whether ports are published at `::1`.
fn is_at_loopback(ports: &PortMapping) -> bool {
    match ports.host_ip {
        None => true,
        Some(IpAddr::V6(ip)) => [Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED].contains(&ip),
        Some(IpAddr::V4(_)) => false,
    }
}

/// Whether ports are published at `::1`, and by a protocol that can be relayed.
fn is_relayed(ports: &PortMapping) -> bool {
    is_at_loopback(ports) && ports.protocol != Protocol::Sctp
}

/// Whether there is a `::1` that the kernel does not translate.
fn is_needed() -> bool {
    !sandbar_network::is_loopback6_published() && sandbar_network::without_ipv6().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandbar_spec::PortRequest;

    #[test]
    fn what_is_not_at_the_ipv6_loopback_is_not_relayed() {
        let port = |text: &str| text.parse::<PortRequest>().unwrap().mapping().unwrap();
        for text in ["8080:80", "[::]:8080:80", "[::1]:8080:80/udp"] {
            assert!(is_relayed(&port(text)), "{text}");
        }
        for text in ["0.0.0.0:8080:80", "[fd00::1]:8080:80", "127.0.0.1:8080:80", "8080:80/sctp"] {
            assert!(!is_relayed(&port(text)), "{text}");
        }
    }
}
