//! Networks' bridges: made when a pod needs one, and made right when somebody deleted one.

use std::os::fd::OwnedFd;

use sandbar_network::Bridge;
use sandbar_spec::NetworkConfig;

use crate::engine::Engine;
use crate::error::Error;

/// What connecting a pod leaves behind: firewall connections for who has time to close them, and what is worth knowing.
#[derive(Debug, Default)]
pub(crate) struct Connected {
    pub(crate) lingering: Vec<OwnedFd>,
    pub(crate) told: Vec<String>,
}

impl Connected {
    pub(crate) fn add(&mut self, other: Self) {
        self.lingering.extend(other.lingering);
        self.told.extend(other.told);
    }
}

impl Engine {
    /// Makes a network's bridge as far as it is missing. Pods that were on one which somebody deleted are put back on
    /// it; their interfaces and addresses are as they were.
    pub(crate) fn ensure_bridge(
        &self,
        network: &NetworkConfig,
        bridge: &Bridge,
    ) -> Result<Connected, Error> {
        let ensured = bridge.ensure()?;
        let mut connected = Connected {
            lingering: ensured.lingering.into_socket().into_iter().collect(),
            told: Vec::new(),
        };
        if !ensured.was_incomplete {
            return Ok(connected);
        }
        let mut plugged = Vec::new();
        for pod in self.pods_on(network)? {
            let own = pod.connections.iter().filter(|it| it.network_id == network.id);
            for connection in own {
                if sandbar_network::plug(bridge, &connection.host_interface.parse()?)? {
                    plugged.push(format!("'{}'", pod.config.name));
                }
            }
        }
        if !plugged.is_empty() {
            connected.told.push(format!(
                "the bridge '{}' of the network '{}' was gone: it is made again, \
                 and pods {} are back on it",
                network.interface,
                network.name,
                plugged.join(", ")
            ));
        }
        Ok(connected)
    }
}
