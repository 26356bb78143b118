//! A pod's places on networks: leased, attached, known by name, and all that undone.

use std::os::fd::{BorrowedFd, OwnedFd};

use sandbar_network::{Attachment, DefaultRoute, InterfaceName, Leases, MacAddress, Wanted};
use sandbar_resolver::{Endpoint, Network as ResolvedNetwork};
use sandbar_spec::{
    Connection, Connection6, Membership, NetworkAccess, NetworkConfig, PodConfig, PodId,
};
use sandbar_supervisor::replace_record;
use sandbar_sys::During;

use crate::bridges::Connected;
use crate::directories;
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::network::addresses;
use crate::networks::{bridge_of, networks_lock, pool_of};
use crate::pod::{self, Pod};
use crate::roots::Roots;

impl Engine {
    /// Leases a new pod's addresses on its networks and writes them down.
    pub(crate) fn lease(
        &self,
        pod: &PodConfig,
        memberships: &[Membership],
    ) -> Result<Vec<Connection>, Error> {
        let mut connections = Vec::new();
        if !pod.is_bridged() {
            return Ok(connections);
        }
        directories::ensure(&Roots::leases())?;
        let is_default = |it: &Membership| it.network.is_empty() && it.mac.is_none();
        let lock = match memberships.iter().all(is_default) {
            true => None,
            false => Some(Self::lock_networks(memberships)?),
        };
        for membership in memberships {
            let connection = self.lease_on(&pod.id, membership, &connections)?;
            connections.push(connection);
        }
        replace_record(&self.roots.pod(&pod.id).networks(), &connections)?;
        drop(lock);
        Ok(connections)
    }

    /// Keeps networks from being removed between their look-up and the record that says who is on them; the default one
    /// never is. A hardware address that is asked for is nobody else's until then, either.
    pub(crate) fn lock_networks(memberships: &[Membership]) -> Result<OwnedFd, Error> {
        let path = networks_lock()?;
        match memberships.iter().any(|it| it.mac.is_some()) {
            true => directories::lock(&path),
            false => directories::lock_shared(&path),
        }
    }

    /// Leases a pod's addresses on one network more.
    pub(crate) fn lease_on(
        &self,
        pod: &PodId,
        membership: &Membership,
        others: &[Connection],
    ) -> Result<Connection, Error> {
        let network = self.network_of(membership)?;
        if others.iter().any(|other| other.network_id == network.id) {
            let message = format!("the pod is on the network '{}' already", network.name);
            return Err(Error::new(Kind::Invalid, message));
        }
        if let Some(alias) = membership.aliases.first().filter(|_| !network.names) {
            let name = &network.name;
            let message = format!("on the network '{name}' there are no names: no alias '{alias}'");
            return Err(Error::new(Kind::Invalid, message));
        }
        let interface = pod_interface(membership, others)?;
        let host_interface = host_interface(pod, others)?;
        let mac = membership.mac.as_deref().map(str::parse::<MacAddress>).transpose()?;
        let bridge = bridge_of(&network)?;
        let pool = pool_of(&network, &bridge)?;
        let leases = Leases::open(&Roots::leases_on(&network.interface))?;
        if let Some(mac) = mac {
            self.check_mac(mac, pod, membership.ip, &network)?;
        }
        let wanted = Wanted { v4: membership.ip, v6: membership.ip6 };
        let addresses = leases.acquire(pod.as_str(), &pool, wanted).map_err(|error| {
            let owner = wanted_by_another(&leases, wanted, pod);
            match error.kind() {
                sandbar_network::ErrorKind::AddressTaken => self.taken(&network, owner, error),
                _ => Error::from(error).in_network(&network),
            }
        })?;
        let ipv6 = addresses.v6.zip(network.ipv6).map(|(ip, plan)| Connection6 {
            ip,
            prefix: plan.subnet.prefix,
            gateway: plan.gateway,
        });
        Ok(Connection {
            ip: addresses.v4,
            prefix: network.ipv4.subnet.prefix,
            gateway: network.ipv4.gateway,
            ipv6,
            mac: mac.unwrap_or_else(|| MacAddress::of(addresses.v4)).to_string(),
            interface,
            host_interface,
            aliases: membership.aliases.clone(),
            names: network.names,
            internal: network.access == NetworkAccess::Internal,
            network: network.name,
            network_id: network.id,
        })
    }

    /// The network that is meant.
    pub(crate) fn network_of(&self, membership: &Membership) -> Result<NetworkConfig, Error> {
        match membership.network.as_str() {
            "" => self.network(NetworkConfig::DEFAULT_NAME),
            name => self.network(name),
        }
    }

    fn taken(
        &self,
        network: &NetworkConfig,
        owner: Option<(String, String)>,
        error: sandbar_network::Error,
    ) -> Error {
        let Some((address, owner)) = owner else { return Error::from(error) };
        let owner = match self.pod(&owner) {
            Ok(pod) => format!("pod '{}'", pod.config.name),
            Err(_) => format!("pod {}", owner.get(..12).unwrap_or(&owner)),
        };
        let message = format!("address {address} of the network '{}' is {owner}'s", network.name);
        Error::new(Kind::AddressTaken, message)
    }

    /// Gives back what a pod has of networks, from its id alone: addresses and names.
    pub(crate) fn release(&self, pod: &PodId) -> Result<(), Error> {
        self.forget_names(pod)?;
        let leases = Roots::leases();
        let entries = match std::fs::read_dir(&leases) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            entries => entries.during("list", || leases.display().to_string())?,
        };
        for entry in entries {
            let path = entry.during("list", || leases.display().to_string())?.path();
            if path.join(pod.as_str()).exists() {
                Leases::open(&path)?.release(pod.as_str())?;
            }
        }
        Ok(())
    }

    /// Puts a pod's network namespace on its networks.
    pub(crate) fn attach_all(
        &self,
        pod: &PodConfig,
        netns: BorrowedFd<'_>,
    ) -> Result<Connected, Error> {
        let connections = pod::connections(&self.roots.pod(&pod.id))?;
        if connections.is_empty() {
            sandbar_network::bring_up_loopback(netns)?;
        }
        let mut connected = Connected::default();
        let gateway = Connection::gateway_of(&connections);
        for connection in &connections {
            let default = match gateway == Some(connection) {
                true => DefaultRoute::Here,
                false => DefaultRoute::Elsewhere,
            };
            connected.add(self.attach_one(pod, connection, default, netns)?);
        }
        Ok(connected)
    }

    /// Puts a pod's network namespace on one of its networks, and has the network's resolver know it.
    pub(crate) fn attach_one(
        &self,
        pod: &PodConfig,
        connection: &Connection,
        default_route: DefaultRoute,
        netns: BorrowedFd<'_>,
    ) -> Result<Connected, Error> {
        let network = self.network_at(connection)?;
        let bridge = bridge_of(&network)?;
        let connected = self.ensure_bridge(&network, &bridge)?;
        let attachment = Attachment {
            host_interface: connection.host_interface.parse()?,
            pod_interface: connection.interface.parse()?,
            addresses: addresses(connection),
            mac: Some(connection.mac.parse()?),
            default_route,
        };
        sandbar_network::attach(&bridge, netns, &attachment).or_else(|error| {
            if error.kind() != sandbar_network::ErrorKind::InterfaceTaken {
                return Err(error);
            }
            // That of a sandbox that was killed, which the kernel has not yet removed: nobody else connects this pod.
            sandbar_network::detach(&attachment.host_interface)?;
            sandbar_network::attach(&bridge, netns, &attachment)
        })?;
        if default_route == DefaultRoute::Elsewhere
            && let Some(gateway) =
                Connection::gateway_of(&pod::connections(&self.roots.pod(&pod.id))?)
        {
            bridge.share(addresses(gateway))?;
        }
        if network.names
            && let Err(error) = self.make_known(pod, connection, &network)
        {
            // The interface goes with its namespace, if not now.
            let _detached = sandbar_network::detach(&attachment.host_interface);
            return Err(error);
        }
        Ok(connected)
    }

    /// The network that a pod is on.
    pub(crate) fn network_at(&self, connection: &Connection) -> Result<NetworkConfig, Error> {
        let network = self.network(connection.network.as_str())?;
        if network.id != connection.network_id {
            let message = format!("the network '{}' is another than it was", network.name);
            return Err(Error::new(Kind::NoNetwork, message));
        }
        Ok(network)
    }

    /// Removes a pod's interfaces.
    pub(crate) fn detach_all(&self, pod: &PodId) -> Result<(), Error> {
        for connection in pod::connections(&self.roots.pod(pod))? {
            sandbar_network::detach(&connection.host_interface.parse()?)?;
        }
        Ok(())
    }

    /// Has the resolver of a network know a pod, and makes sure that there is one.
    fn make_known(
        &self,
        pod: &PodConfig,
        connection: &Connection,
        network: &NetworkConfig,
    ) -> Result<(), Error> {
        directories::ensure_passable(&self.roots.resolvers())?;
        let directory = self.names_of(network);
        let subnet = |text: String| text.parse().map_err(Error::from);
        let mut resolved = ResolvedNetwork {
            name: network.name.as_str().to_ascii_lowercase(),
            listen: vec![network.ipv4.gateway.into()],
            subnets: vec![subnet(network.ipv4.subnet.to_string())?],
            internal: network.access == NetworkAccess::Internal,
        };
        if let Some(ipv6) = network.ipv6.filter(|_| sandbar_network::without_ipv6().is_none()) {
            resolved.listen.push(ipv6.gateway.into());
            resolved.subnets.push(subnet(ipv6.subnet.to_string())?);
        }
        directory.write(&resolved)?;
        directory.put_endpoint(pod.id.as_str(), &self.endpoint(pod, connection)?)?;
        crate::ensure_resolver(&directory)?;
        Ok(())
    }

    /// What a pod is called on a network: its name, its containers' names and the beginnings of their ids, aliases.
    fn endpoint(&self, pod: &PodConfig, connection: &Connection) -> Result<Endpoint, Error> {
        let mut names = vec![pod.name.to_string()];
        if let Some(found) = Pod::read(&self.roots.pod(&pod.id))? {
            for container in found.containers.iter().filter(|it| it.config.shares_pod_network()) {
                names.push(container.config.name.to_string());
                names.push(container.config.id.short().to_owned());
            }
        }
        names.extend(connection.aliases.iter().cloned());
        let mut known: Vec<String> = Vec::new();
        for name in names {
            let name = name.to_ascii_lowercase();
            // A pod's name may be what no name in DNS can be.
            let is_label = |label: &str| (1..=63).contains(&label.len());
            if name.split('.').all(is_label) && !known.contains(&name) {
                known.push(name);
            }
        }
        let connections = pod::connections(&self.roots.pod(&pod.id))?;
        let named = connections.iter().filter(|it| it.names);
        let networks: Vec<String> = named.map(|it| it.network.to_string()).collect();
        Ok(Endpoint {
            addresses: connection.addresses().collect(),
            names: known,
            networks: if networks.len() > 1 { networks } else { Vec::new() },
            forwards: connection.internal && connections.iter().any(|it| !it.internal),
        })
    }

    /// Tells the resolvers that know a pod what it is called now and on which networks it is, after a container or
    /// a network came or went.
    pub(crate) fn refresh_names(&self, pod: &PodConfig) -> Result<(), Error> {
        for connection in pod::connections(&self.roots.pod(&pod.id))? {
            let directory = self.roots.resolver(&connection.network);
            let is_known = directory.join("names").join(pod.id.as_str()).exists();
            if connection.names && is_known {
                let endpoint = self.endpoint(pod, &connection)?;
                let directory = sandbar_resolver::NetworkDirectory::new(directory);
                directory.put_endpoint(pod.id.as_str(), &endpoint)?;
            }
        }
        Ok(())
    }

    /// Has every resolver forget a pod.
    pub(crate) fn forget_names(&self, pod: &PodId) -> Result<(), Error> {
        for directory in self.all_names() {
            directory.remove_endpoint(pod.as_str())?;
        }
        Ok(())
    }
}

/// The wanted address that another pod has, and that pod's id.
fn wanted_by_another(leases: &Leases, wanted: Wanted, own: &PodId) -> Option<(String, String)> {
    let v4 = wanted.v4.map(std::net::IpAddr::V4);
    let v6 = wanted.v6.map(std::net::IpAddr::V6);
    [v4, v6].into_iter().flatten().find_map(|address| {
        let owner = leases.owner(address).filter(|owner| owner != own.as_str())?;
        Some((address.to_string(), owner))
    })
}

/// The pod's end: what is asked for, else the first `eth…` that is free.
fn pod_interface(membership: &Membership, others: &[Connection]) -> Result<String, Error> {
    let is_taken = |name: &str| others.iter().any(|other| other.interface == name);
    match &membership.interface {
        Some(name) => {
            let name = name.parse::<InterfaceName>()?.to_string();
            if name == "lo" || is_taken(&name) {
                let message = format!("the pod has an interface '{name}' already");
                return Err(Error::new(Kind::Invalid, message));
            }
            Ok(name)
        }
        None => (0..=others.len())
            .map(|number| format!("eth{number}"))
            .find(|name| !is_taken(name))
            .ok_or_else(|| Error::new(Kind::Invalid, "the pod has no interface name left")),
    }
}

/// The host's end: the first of the pod's names that is free.
fn host_interface(pod: &PodId, others: &[Connection]) -> Result<String, Error> {
    let first = InterfaceName::for_pod(pod.as_str())?;
    let is_free = |name: &str| !others.iter().any(|other| other.host_interface == name);
    if is_free(first.as_str()) {
        return Ok(first.to_string());
    }
    for number in 1..=99 {
        let name = InterfaceName::for_pod_further(pod.as_str(), number)?;
        if is_free(name.as_str()) {
            return Ok(name.to_string());
        }
    }
    Err(Error::new(Kind::Invalid, "a pod can be on 100 networks at most"))
}
