//! Putting a pod that is there on a network, and taking it off.

use std::os::fd::{AsFd, OwnedFd};

use sandbar_network::{DefaultRoute, PublishedPort};
use sandbar_spec::control::Request;
use sandbar_spec::{Connection, Membership, NetworkConfig, NetworkMode, PodConfig, PodId};
use sandbar_supervisor::{Client, replace_record};

use crate::bridges::Connected;
use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::network::addresses;
use crate::networks::bridge_of;
use crate::pod::{self, Pod};
use crate::ports::{no_ports_on, published};
use crate::roots::Roots;
use crate::supervision::{Reached, reach};
use crate::{directories, etc, find, netns};

/// A pod whose networks nobody else changes, and whether it runs.
struct Held {
    _lock: OwnedFd,
    /// What keeps it from being started, or runs it.
    state: Reached,
    pod: Pod,
}

impl Held {
    fn runs(&self) -> bool {
        matches!(self.state, Reached::Supervisor(_))
    }
}

/// A pod's new place on a network.
#[derive(Debug)]
pub struct Joined {
    /// The place.
    pub connection: Connection,
    /// What is worth knowing, in words.
    pub told: Vec<String>,
}

impl Engine {
    /// Puts a pod on a network more, at once if it runs. The same again finishes what was cut short.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::AddressTaken`], [`Kind::Invalid`], [`Kind::NoNetwork`]; [`Kind::Unsupported`] for a pod
    /// on a network of CNI plugins; then nothing has changed.
    pub fn connect(&self, pod: &Pod, membership: &Membership) -> Result<Joined, Error> {
        let held = self.hold(pod)?;
        let config = &held.pod.config;
        if config.network != NetworkMode::Bridge {
            let message =
                format!("pod '{}' has no network of its own to be on another", config.name);
            return Err(Error::new(Kind::Invalid, message));
        }
        if let Some(network) = &config.cni {
            let (name, network) = (&config.name, &network.name);
            let message =
                format!("pod '{name}' is on the CNI network '{network}', and on no other");
            return Err(Error::new(Kind::Unsupported, message));
        }
        let directory = self.roots.pod(&config.id);
        let before = pod::connections(&directory)?;
        let lock = Self::lock_networks(std::slice::from_ref(membership))?;
        if let Some(joined) = self.resume(&held, membership, &before)? {
            return Ok(joined);
        }
        let connection = self.lease_on(&config.id, membership, &before)?;
        let after = [before.clone(), vec![connection.clone()]].concat();
        if !config.ports.is_empty() && Connection::gateway_of(&after).is_none() {
            let _undone = release_on(&self.network_at(&connection)?, &config.id);
            return Err(no_ports_on(after.iter().map(|it| &it.network)));
        }
        let is_gateway = Connection::gateway_of(&after) == Some(&connection);
        let connected = replace_record(&directory.networks(), &after)
            .map_err(Error::from)
            .and_then(|()| self.attach_now(&held, &connection, is_gateway))
            .and_then(|told| self.refresh_names(config).map(|()| told))
            .and_then(|told| Ok([told, self.publish_now(&held, is_gateway)?].concat()));
        let told = match connected {
            Ok(told) => told,
            Err(error) => {
                // An undoing that fails leaves what the same `network connect` goes on with.
                let _undone = self.take_off(config, &before, &connection);
                return Err(error);
            }
        };
        etc::adapt(&directory, config, &before, &after);
        tell(&held.state);
        drop(lock);
        Ok(Joined { connection, told })
    }

    /// Goes on where somebody who put the pod on this network was killed. `None`: there is nothing to go on with.
    fn resume(
        &self,
        held: &Held,
        membership: &Membership,
        connections: &[Connection],
    ) -> Result<Option<Joined>, Error> {
        let network = self.network_of(membership)?;
        let found = connections.iter().find(|it| it.network_id == network.id);
        let Some(connection) = found.filter(|it| held.runs() && is_asked(it, membership)) else {
            return Ok(None);
        };
        let config = &held.pod.config;
        let bridge = bridge_of(&network)?;
        let Connected { mut told, lingering } = self.ensure_bridge(&network, &bridge)?;
        drop(lingering);
        let is_known = || {
            let names = self.names_of(&network).path().join("names");
            !network.names || names.join(config.id.as_str()).exists()
        };
        let is_whole = sandbar_network::is_plugged(&bridge, &connection.host_interface.parse()?)?
            && is_known();
        if is_whole && told.is_empty() {
            return Ok(None);
        }
        if !is_whole {
            let is_gateway = Connection::gateway_of(connections) == Some(connection);
            told.extend(self.attach_now(held, connection, is_gateway)?);
            told.extend(self.publish_now(held, is_gateway)?);
            let before: Vec<Connection> =
                connections.iter().filter(|it| *it != connection).cloned().collect();
            etc::adapt(&self.roots.pod(&config.id), config, &before, connections);
        }
        Ok(Some(Joined { connection: connection.clone(), told }))
    }

    /// Takes a pod off a network, at once if it runs. Where that was its way to the world, the first of its other
    /// networks that is not internal becomes that, and its ports are published there.
    ///
    /// # Errors
    /// [`Kind::NotConnected`] if it is not on it; [`Kind::InUse`] if its ports can be published nowhere else.
    pub fn disconnect(&self, pod: &Pod, network: &NetworkConfig) -> Result<(), Error> {
        let held = self.hold(pod)?;
        let config = &held.pod.config;
        let lock = Self::lock_networks(&[])?;
        let directory = self.roots.pod(&config.id);
        let before = pod::connections(&directory)?;
        let Some(index) = before.iter().position(|it| it.network_id == network.id) else {
            // Of somebody who was killed while taking it off, or putting it on.
            release_on(network, &config.id)?;
            let message = format!("pod '{}' is not on the network '{}'", config.name, network.name);
            return Err(Error::new(Kind::NotConnected, message));
        };
        let mut after = before.clone();
        let connection = after.remove(index);
        let was_gateway = Connection::gateway_of(&before) == Some(&connection);
        let next = Connection::gateway_of(&after).filter(|_| was_gateway);
        if was_gateway && next.is_none() && !config.ports.is_empty() {
            let message = format!(
                "pod '{}' publishes ports on '{}', and is on no other network that could have them",
                config.name, network.name
            );
            return Err(Error::new(Kind::InUse, message));
        }
        let moved = next.map_or(Ok(()), |next| self.move_gateway(&held, next));
        let gone = moved.and_then(|()| self.take_off(config, &after, &connection));
        if let Err(error) = gone {
            if next.is_some() && pod::connections(&directory).is_ok_and(|now| now == before) {
                // An undoing that fails leaves what the same `network disconnect` goes on with.
                let _undone = self.move_gateway(&held, &connection);
            }
            return Err(error);
        }
        if let (Some(_), Reached::Supervisor(client)) = (next, &held.state) {
            // What could not be relayed was told when the ports were published.
            let _told = self.relay(client, config, &config.ports);
        }
        etc::adapt(&directory, config, &before, &after);
        tell(&held.state);
        drop(lock);
        Ok(())
    }

    /// Removes a pod's interface on a network, its names there, the record of it, and then gives its addresses back.
    fn take_off(
        &self,
        pod: &PodConfig,
        others: &[Connection],
        connection: &Connection,
    ) -> Result<(), Error> {
        sandbar_network::detach(&connection.host_interface.parse()?)?;
        let network = self.network(connection.network.as_str())?;
        if let Some(gateway) = Connection::gateway_of(others) {
            let _closed = bridge_of(&network)?.unshare(addresses(gateway))?;
        }
        // Where it was the pod's way to the world, how others came to its ports there, too: the next pod with these
        // addresses is to see who they are.
        drop(sandbar_network::unpublish_address(addresses(connection))?);
        if network.names {
            self.names_of(&network).remove_endpoint(pod.id.as_str())?;
        }
        replace_record(&self.roots.pod(&pod.id).networks(), &others)?;
        self.refresh_names(pod)?;
        release_on(&network, &pod.id)
    }

    /// Has a pod that runs reach the world, and be reached by its ports, by another of its networks.
    fn move_gateway(&self, held: &Held, to: &Connection) -> Result<(), Error> {
        if !held.runs() {
            return Ok(());
        }
        let bridge = bridge_of(&self.network_at(to)?)?;
        let netns = netns::of_pod(&held.pod)?;
        let interface = to.interface.parse()?;
        sandbar_network::set_default_route(&bridge, netns.as_fd(), &interface, addresses(to))?;
        // Of all its networks: who comes from the others is answered past the host, and has to know it by this address.
        let bridges = self.bridges_of(&pod::connections(&self.roots.pod(&held.pod.config.id))?)?;
        let ports: Vec<PublishedPort> = held.pod.config.ports.iter().flat_map(published).collect();
        drop(sandbar_network::put_back(&bridges, addresses(to), &ports)?);
        Ok(())
    }

    /// Publishes the ports of a pod that was on no network where they could have been. Returns what is worth knowing.
    fn publish_now(&self, held: &Held, is_gateway: bool) -> Result<Vec<String>, Error> {
        if let Reached::Supervisor(client) = &held.state
            && is_gateway
        {
            let config = &held.pod.config;
            drop(self.publish(config, &config.ports)?);
            return Ok(self.relay(client, config, &config.ports));
        }
        Ok(Vec::new())
    }

    fn attach_now(
        &self,
        held: &Held,
        connection: &Connection,
        is_gateway: bool,
    ) -> Result<Vec<String>, Error> {
        if !held.runs() {
            return Ok(Vec::new());
        }
        let default = if is_gateway { DefaultRoute::Here } else { DefaultRoute::Elsewhere };
        let netns = netns::of_pod(&held.pod)?;
        let connected = self.attach_one(&held.pod.config, connection, default, netns.as_fd())?;
        Ok(connected.told)
    }

    /// Keeps others from changing the pod, and one that does not run from being started.
    fn hold(&self, pod: &Pod) -> Result<Held, Error> {
        let directory = self.roots.pod(&pod.config.id);
        let gone = || find::not_found("pod", pod.config.name.as_str());
        let lock = match directories::lock(&directory.lock()) {
            Err(_) if !directory.path().is_dir() => return Err(gone()),
            lock => lock?,
        };
        let state = reach(&directory)?;
        let pod = Pod::read(&directory)?.ok_or_else(gone)?;
        let state = match state {
            // Killed, and what it started lives on: another takes over.
            Reached::Lock(held) if pod.containers.iter().any(Container::is_running) => {
                drop(held);
                let client: Option<Client> = self.find_supervisor(&pod.config)?;
                client
                    .map_or_else(|| reach(&directory), |client| Ok(Reached::Supervisor(client)))?
            }
            state => state,
        };
        Ok(Held { _lock: lock, state, pod })
    }
}

/// Whether what a pod has on a network is what is asked for.
fn is_asked(connection: &Connection, membership: &Membership) -> bool {
    let Membership { network: _, ip, ip6, mac, aliases, interface } = membership;
    ip.is_none_or(|ip| ip == connection.ip)
        && ip6.is_none_or(|ip| connection.ipv6.as_ref().is_some_and(|has| has.ip == ip))
        && mac.as_ref().is_none_or(|mac| mac.eq_ignore_ascii_case(&connection.mac))
        && *aliases == connection.aliases
        && interface.as_ref().is_none_or(|interface| *interface == connection.interface)
}

/// Tells a pod's supervisor that the pod's networks have changed. One that is gone by now finds that by itself.
fn tell(state: &Reached) {
    if let Reached::Supervisor(client) = state
        && client.send(&Request::NetworksChanged, &[]).is_ok()
    {
        let _done = client.receive();
    }
}

/// Gives back what a pod has leased on a network.
fn release_on(network: &NetworkConfig, pod: &PodId) -> Result<(), Error> {
    let leases = Roots::leases_on(&network.interface);
    Ok(sandbar_network::Leases::open(&leases)?.release(pod.as_str())?)
}
