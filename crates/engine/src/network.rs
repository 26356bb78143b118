//! A pod's address and ports: what the engine asks of the network.

use std::os::fd::{BorrowedFd, OwnedFd};

use sandbar_network::{Attachment, Bridge, InterfaceName, Leases, Lingering, PublishedPort};
use sandbar_spec::{Address, NetworkMode, PodConfig, PodId, PortMapping};
use sandbar_supervisor::{read_record, replace_record};

use crate::container::Container;
use crate::directories;
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::ports::published;
use crate::roots::Roots;

impl Engine {
    /// Leases an address for a new pod and writes it down.
    pub(crate) fn lease(&self, pod: &PodConfig) -> Result<Option<Address>, Error> {
        if pod.network != NetworkMode::Bridge || pod.cni.is_some() {
            return Ok(None);
        }
        let bridge = Bridge::default();
        let subnet = bridge.subnet();
        if let Some(parent) = Roots::leases().parent() {
            directories::ensure(parent)?;
        }
        let ip = Leases::open(&Roots::leases(), subnet)?.acquire(pod.id.as_str())?;
        let address = Address {
            ip,
            prefix: subnet.prefix(),
            gateway: bridge.gateway(),
            mac: sandbar_network::MacAddress::of(ip).to_string(),
            interface: InterfaceName::for_pod(pod.id.as_str())?.as_str().to_owned(),
        };
        replace_record(&self.roots.pod(&pod.id).address(), &address)?;
        Ok(Some(address))
    }

    /// Gives a pod's address back.
    pub(crate) fn release(&self, pod: &PodId) -> Result<(), Error> {
        if !Roots::leases().is_dir() {
            return Ok(());
        }
        Leases::open(&Roots::leases(), Bridge::default().subnet())?.release(pod.as_str())?;
        Ok(())
    }

    /// Connects a pod's network namespace to the bridge and publishes its ports. What it returns is for the
    /// pod's supervisor to close, which has time.
    pub(crate) fn connect(
        &self,
        pod: &PodConfig,
        netns: BorrowedFd<'_>,
    ) -> Result<Vec<OwnedFd>, Error> {
        if let Some(network) = &pod.cni {
            self.connect_by_cni(pod, network, netns)?;
            return Ok(Vec::new());
        }
        let Some(address) = self.address_of(&pod.id)? else {
            sandbar_network::bring_up_loopback(netns)?;
            return Ok(Vec::new());
        };
        let bridge = Bridge::default();
        let mut lingering = vec![bridge.ensure()?.lingering];
        let interface = InterfaceName::for_pod(pod.id.as_str())?;
        let attachment = Attachment::new(interface, address.ip);
        sandbar_network::attach(&bridge, netns, &attachment).or_else(|error| {
            if error.kind() != sandbar_network::ErrorKind::InterfaceTaken {
                return Err(error);
            }
            // That of a sandbox that was killed, which the kernel has not yet removed: nobody else connects this pod.
            sandbar_network::detach(&attachment.host_interface)?;
            sandbar_network::attach(&bridge, netns, &attachment)
        })?;
        // Of a pod of which everything was killed while its ports were changed.
        if self.roots.pod(&pod.id).port_change().exists() {
            lingering.push(self.unpublish_all(&pod.id)?);
        }
        let published = self.publish(pod, &pod.ports).or_else(|error| {
            if error.kind() != Kind::PortTaken {
                return Err(error);
            }
            self.take_back_ports_of_the_dead(pod)?;
            self.publish(pod, &pod.ports)
        })?;
        lingering.push(published);
        Ok(sockets(lingering))
    }

    /// Publishes ports of a pod: all of them, or none.
    pub(crate) fn publish(
        &self,
        pod: &PodConfig,
        ports: &[PortMapping],
    ) -> Result<Lingering, Error> {
        let Some(address) = self.address_of(&pod.id)?.filter(|_| !ports.is_empty()) else {
            return Ok(Lingering::default());
        };
        let ports: Vec<PublishedPort> = ports.iter().flat_map(published).collect();
        Ok(sandbar_network::publish(address.ip, &ports)?)
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
        let config: Option<PodConfig> = read_record(&self.roots.pod(pod).config())?;
        let Some((config, address)) = config.zip(self.address_of(pod)?) else { return Ok(()) };
        let ports: Vec<PublishedPort> = config.ports.iter().flat_map(published).collect();
        let _closed = sandbar_network::put_back(&[Bridge::default()], address.ip, &ports)?;
        Ok(())
    }

    /// Undoes [`Engine::connect`], as far as it was done.
    pub(crate) fn disconnect(&self, pod: &PodId) -> Result<(), Error> {
        if self.is_connected_by_cni(pod) {
            return self.disconnect_by_cni(pod, None);
        }
        let Some(address) = self.address_of(pod)? else { return Ok(()) };
        sandbar_network::unpublish_address(address.ip)?;
        self.detach(pod)
    }

    /// Takes back ports of a pod, those of them that are published.
    pub(crate) fn unpublish(&self, pod: &PodId, ports: &[PortMapping]) -> Result<Lingering, Error> {
        let Some(address) = self.address_of(pod)?.filter(|_| !ports.is_empty()) else {
            return Ok(Lingering::default());
        };
        let ports: Vec<PublishedPort> = ports.iter().flat_map(published).collect();
        Ok(sandbar_network::unpublish(address.ip, &ports)?)
    }

    /// Removes a pod's interface.
    pub(crate) fn detach(&self, pod: &PodId) -> Result<(), Error> {
        Ok(sandbar_network::detach(&InterfaceName::for_pod(pod.as_str())?)?)
    }

    fn address_of(&self, pod: &PodId) -> Result<Option<Address>, Error> {
        Ok(read_record(&self.roots.pod(pod).address())?)
    }
}

fn sockets(lingering: Vec<Lingering>) -> Vec<OwnedFd> {
    lingering.into_iter().filter_map(Lingering::into_socket).collect()
}
