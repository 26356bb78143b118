//! A pod's ports: what the engine asks of the network.

use std::os::fd::BorrowedFd;

use sandbar_network::{Bridge, ErrorKind, Lingering, PodAddresses, PublishedPort};
use sandbar_spec::{Connection, PodConfig, PodId, PortMapping};
use sandbar_supervisor::read_record;

use crate::bridges::Connected;
use crate::container::Container;
use crate::directories;
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::networks::bridge_of;
use crate::pod;
use crate::ports::published;

/// How often ports are published again because somebody flushed the firewall just then.
const TRIES: u32 = 20;

impl Engine {
    /// Puts a pod's network namespace on its networks and publishes its ports. The firewall connections that it returns
    /// are for the pod's supervisor to close, which has time.
    pub(crate) fn attach_and_publish(
        &self,
        pod: &PodConfig,
        netns: BorrowedFd<'_>,
    ) -> Result<Connected, Error> {
        if let Some(network) = &pod.cni {
            self.connect_by_cni(pod, network, netns)?;
            return Ok(Connected::default());
        }
        let mut connected = self.attach_all(pod, netns)?;
        // Of a pod of which everything was killed while its ports were changed.
        if self.roots.pod(&pod.id).port_change().exists() {
            connected.lingering.extend(self.unpublish_all(&pod.id)?.into_socket());
        }
        let published = self.publish(pod, &pod.ports).or_else(|error| {
            if error.kind() != Kind::PortTaken {
                return Err(error);
            }
            self.take_back_ports_of_the_dead(pod)?;
            self.publish(pod, &pod.ports)
        })?;
        connected.lingering.extend(published.into_socket());
        Ok(connected)
    }

    /// Publishes ports of a pod: all of them, or none.
    pub(crate) fn publish(
        &self,
        pod: &PodConfig,
        ports: &[PortMapping],
    ) -> Result<Lingering, Error> {
        let connections = pod::connections(&self.roots.pod(&pod.id))?;
        let gateway = Connection::gateway_of(&connections).map(addresses);
        let Some(addresses) = gateway.filter(|_| !ports.is_empty()) else {
            return Ok(Lingering::default());
        };
        let ports: Vec<PublishedPort> = ports.iter().flat_map(published).collect();
        for _ in 0..TRIES {
            match sandbar_network::publish(addresses, &ports) {
                Err(error) if error.kind() == ErrorKind::NotReady => {}
                outcome => return Ok(outcome?),
            }
            // Somebody has flushed the firewall, and none of the supervisors was faster than this. The pod's own waits
            // for whoever changes the pod.
            for bridge in self.bridges_of(&connections)? {
                drop(bridge.ensure()?);
                drop(bridge.share(addresses)?);
            }
        }
        let message =
            format!("publish ports of pod '{}': the firewall is flushed over and over", pod.name);
        Err(Error::new(Kind::System, message))
    }

    pub(crate) fn bridges_of(&self, connections: &[Connection]) -> Result<Vec<Bridge>, Error> {
        connections.iter().map(|connection| bridge_of(&self.network_at(connection)?)).collect()
    }

    /// Takes back the ports of `pod` that are still published for pods which were killed together with their
    /// supervisors. One that lives without its supervisor keeps them.
    fn take_back_ports_of_the_dead(&self, pod: &PodConfig) -> Result<(), Error> {
        for other in self.pods()? {
            let shares = |port: &&PortMapping| pod.ports.iter().any(|own| own.overlaps(port));
            let Some(port) = other.config.ports.iter().find(shares) else { continue };
            if other.config.id != pod.id && other.containers.iter().any(Container::is_running) {
                let owner = &other.config.name;
                let message = format!("port {port} is published by pod '{owner}'");
                return Err(Error::new(Kind::PortTaken, message));
            }
            self.unpublish_all(&other.config.id)?;
        }
        Ok(())
    }

    /// Puts back what `pod` needs of the firewall, as far as somebody removed it.
    pub(crate) fn put_back(&self, pod: &PodId) -> Result<(), Error> {
        // Nobody changes its ports or its networks meanwhile.
        let Some(_lock) = directories::try_lock(&self.roots.pod(pod).lock())? else {
            return Err(Error::new(Kind::System, "the pod is being changed"));
        };
        let config: Option<PodConfig> = read_record(&self.roots.pod(pod).config())?;
        let connections = pod::connections(&self.roots.pod(pod))?;
        let Some((config, first)) = config.zip(connections.first()) else { return Ok(()) };
        let (gateway, ports) = match Connection::gateway_of(&connections) {
            Some(gateway) => (gateway, config.ports.iter().flat_map(published).collect()),
            None => (first, Vec::new()),
        };
        let bridges = self.bridges_of(&connections)?;
        let _closed = sandbar_network::put_back(&bridges, addresses(gateway), &ports)?;
        for (connection, bridge) in connections.iter().zip(&bridges) {
            sandbar_network::plug(bridge, &connection.host_interface.parse()?)?;
        }
        Ok(())
    }

    /// Whether a pod's interfaces are all on their bridges, and the host forwards what those need forwarded.
    pub(crate) fn is_connected(&self, pod: &PodId) -> Result<bool, Error> {
        for connection in &pod::connections(&self.roots.pod(pod))? {
            let bridge = bridge_of(&self.network_at(connection)?)?;
            let interface = connection.host_interface.parse()?;
            if !bridge.is_served() || !sandbar_network::is_plugged(&bridge, &interface)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Undoes [`Engine::attach_and_publish`], as far as it was done.
    pub(crate) fn detach_and_unpublish(&self, pod: &PodId) -> Result<(), Error> {
        if self.is_connected_by_cni(pod) {
            return self.disconnect_by_cni(pod, None);
        }
        self.forget_names(pod)?;
        for addresses in self.all_addresses_of(pod)? {
            sandbar_network::unpublish_address(addresses)?;
        }
        self.detach_all(pod)
    }

    /// Takes back ports of a pod, those of them that are published.
    pub(crate) fn unpublish(&self, pod: &PodId, ports: &[PortMapping]) -> Result<Lingering, Error> {
        let mut lingering = Lingering::default();
        if ports.is_empty() {
            return Ok(lingering);
        }
        let ports: Vec<PublishedPort> = ports.iter().flat_map(published).collect();
        for addresses in self.all_addresses_of(pod)? {
            lingering = sandbar_network::unpublish(addresses, &ports)?;
        }
        Ok(lingering)
    }

    /// Where a pod's ports are published.
    pub(crate) fn addresses_of(&self, pod: &PodId) -> Result<Option<PodAddresses>, Error> {
        let connections = pod::connections(&self.roots.pod(pod))?;
        Ok(Connection::gateway_of(&connections).map(addresses))
    }

    /// Where a pod's ports may be published: whoever moved them to another of its networks may have been killed.
    fn all_addresses_of(&self, pod: &PodId) -> Result<Vec<PodAddresses>, Error> {
        Ok(pod::connections(&self.roots.pod(pod))?.iter().map(addresses).collect())
    }
}

/// A pod's addresses on a network.
pub(crate) fn addresses(connection: &Connection) -> PodAddresses {
    PodAddresses { v4: connection.ip, v6: connection.ipv6.as_ref().map(|it| it.ip) }
}
