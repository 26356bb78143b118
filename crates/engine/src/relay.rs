//! Which published ports a pod's supervisor relays.

use std::net::{IpAddr, Ipv6Addr};

use sandbar_spec::control::Request;
use sandbar_spec::{NetworkMode, PodConfig, PortMapping, Protocol};
use sandbar_supervisor::Client;

use crate::descriptors;
use crate::engine::Engine;
use crate::ports::count;

impl Engine {
    /// Has a pod's supervisor, which holds `ports`, relay what comes to them by `::1`, if the kernel can't translate
    /// it on this host. A port that is not relayed is reached at every other address, so nothing fails for it.
    pub(crate) fn relay(&self, client: &Client, pod: &PodConfig, ports: &[PortMapping]) {
        let is_ours = pod.network == NetworkMode::Bridge && pod.cni.is_none();
        if !is_ours || !ports.iter().any(is_relayed) || !is_needed() {
            return;
        }
        // Each relayed port takes one descriptor more: there have to be enough to hold all of them.
        if !descriptors::is_room_for(count(&pod.ports) * 2) {
            return;
        }
        let Ok(Some(addresses)) = self.addresses_of(&pod.id) else { return };
        let to = addresses.v6.map_or(IpAddr::from(addresses.v4), IpAddr::from);
        for ports in ports.iter().filter(|port| is_relayed(port)) {
            let asked = client.send(&Request::RelayPorts { ports: *ports, to }, &[]);
            // Who has gone relays nothing.
            if asked.is_err() || !matches!(client.receive(), Ok(Some(_))) {
                return;
            }
        }
    }
}

/// Whether ports are published at `::1`, and by a protocol that can be relayed.
fn is_relayed(ports: &PortMapping) -> bool {
    let is_there = match ports.host_ip {
        None => true,
        Some(IpAddr::V6(ip)) => [Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED].contains(&ip),
        Some(IpAddr::V4(_)) => false,
    };
    is_there && ports.protocol != Protocol::Sctp
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
