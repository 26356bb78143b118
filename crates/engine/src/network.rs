//! A pod's address and ports: what the engine asks of the network.

use std::net::IpAddr;
use std::os::fd::{BorrowedFd, OwnedFd};

use sandbar_network::{
    Attachment, Bridge, InterfaceName, Leases, Lingering, Protocol, PublishedPort, Reach,
};
use sandbar_spec::{Address, NetworkMode, PodConfig, PodId, PortMapping};
use sandbar_supervisor::{read_record, replace_record};

use crate::container::Container;
use crate::directories;
use crate::engine::Engine;
use crate::error::{Error, Kind};
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

    /// Takes the host's ports of a pod, so that no other program can; held by the descriptors.
    pub(crate) fn reserve_ports(&self, pod: &PodConfig) -> Result<Vec<OwnedFd>, Error> {
        pod.ports.iter().filter_map(|port| self.reserve_port(port).transpose()).collect()
    }

    fn reserve_port(&self, port: &PortMapping) -> Result<Option<OwnedFd>, Error> {
        sandbar_network::reserve(&published(port), Reach::Ipv4).map_err(|error| {
            let error = Error::from(error);
            match self.owner_of_port(port).filter(|_| error.kind() == Kind::PortTaken) {
                Some(owner) => {
                    let port = published(port);
                    Error::new(
                        Kind::PortTaken,
                        format!("port {port} is published by pod '{owner}'"),
                    )
                }
                None => error,
            }
        })
    }

    /// The name of the pod that publishes a port of the host.
    fn owner_of_port(&self, port: &PortMapping) -> Option<String> {
        let pods = self.pods().ok()?;
        let owner = pods.into_iter().find(|pod| {
            pod.config.ports.iter().any(|other| is_same(port, other))
                && pod.containers.iter().any(Container::is_active)
        });
        owner.map(|pod| pod.config.name.to_string())
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
        if pod.ports.is_empty() {
            return Ok(sockets(lingering));
        }
        let ports: Vec<PublishedPort> = pod.ports.iter().map(published).collect();
        let published = sandbar_network::publish(address.ip, &ports).or_else(|error| {
            let error = Error::from(error);
            if error.kind() != Kind::PortTaken {
                return Err(error);
            }
            self.take_back_ports_of_the_dead(pod)?;
            Ok(sandbar_network::publish(address.ip, &ports)?)
        })?;
        lingering.push(published);
        Ok(sockets(lingering))
    }

    /// Takes back the ports of `pod` that are still published for pods which were killed together with their
    /// supervisors. One that lives without its supervisor keeps them.
    fn take_back_ports_of_the_dead(&self, pod: &PodConfig) -> Result<(), Error> {
        for other in self.pods()? {
            let shares = |port: &&PortMapping| pod.ports.iter().any(|own| is_same(own, port));
            let Some(port) = other.config.ports.iter().find(shares) else { continue };
            if other.config.id != pod.id && other.containers.iter().any(Container::is_running) {
                let (port, owner) = (published(port), &other.config.name);
                let message = format!("port {port} is published by pod '{owner}'");
                return Err(Error::new(Kind::PortTaken, message));
            }
            self.unpublish(&other.config)?;
        }
        Ok(())
    }

    /// Puts back what `pod` needs of the firewall, as far as somebody removed it.
    pub(crate) fn put_back(&self, pod: &PodId) -> Result<(), Error> {
        let config: Option<PodConfig> = read_record(&self.roots.pod(pod).config())?;
        let Some((config, address)) = config.zip(self.address_of(pod)?) else { return Ok(()) };
        let ports: Vec<PublishedPort> = config.ports.iter().map(published).collect();
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

    /// Takes back the ports that `pod` publishes.
    pub(crate) fn unpublish(&self, pod: &PodConfig) -> Result<Lingering, Error> {
        let Some(address) =
            self.address_of(&pod.id)?.filter(|_| !pod.ports.is_empty() && pod.cni.is_none())
        else {
            return Ok(Lingering::default());
        };
        let ports: Vec<PublishedPort> = pod.ports.iter().map(published).collect();
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

/// Whether two ports are one port of the host, at one address or all.
fn is_same(one: &PortMapping, other: &PortMapping) -> bool {
    one.host_port == other.host_port && one.protocol == other.protocol
}

fn sockets(lingering: Vec<Lingering>) -> Vec<OwnedFd> {
    lingering.into_iter().filter_map(Lingering::into_socket).collect()
}

fn published(port: &PortMapping) -> PublishedPort {
    PublishedPort {
        host_ip: port.host_ip.map(IpAddr::V4),
        host_port: port.host_port,
        container_port: port.container_port,
        protocol: match port.protocol {
            sandbar_spec::Protocol::Tcp => Protocol::Tcp,
            sandbar_spec::Protocol::Udp => Protocol::Udp,
        },
    }
}
