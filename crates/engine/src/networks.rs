//! Networks: made, found, listed, removed.

mod broken;
mod default;
mod free;
mod options;
mod remove;

use std::path::PathBuf;

use jiff::Timestamp;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use sandbar_network::{Access, Bridge, InterfaceName, Pool, Subnet, Subnet6};
use sandbar_spec::{AddressPlan, Cidr, NetworkAccess, NetworkConfig, NetworkId, NetworkName};
use sandbar_supervisor::{read_record, replace_record};

use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::roots::Roots;
use crate::{directories, find, names};

pub use options::NetworkOptions;
pub use remove::Pruned;

/// What `--network` takes for something else than a network's name.
const RESERVED: [&str; 8] =
    ["bridge", "container", "default", "host", "none", "ns", "pod", "private"];

impl Engine {
    /// The settings of the host that a network's bridge depends on, as they are now.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a network whose record makes no sense.
    pub fn host_settings(
        &self,
        network: &NetworkConfig,
    ) -> Result<Vec<sandbar_network::Setting>, Error> {
        Ok(bridge_of(network)?.settings())
    }

    /// Makes a network and its bridge. Returns what could not be had of it, in words, beside it.
    ///
    /// # Errors
    /// [`Kind::NameTaken`]; [`Kind::Invalid`] for a subnet, an interface or anything else that can't be; and
    /// [`Kind::NoNetwork`]. Nothing is left behind.
    pub fn create_network(
        &self,
        options: NetworkOptions,
    ) -> Result<(NetworkConfig, Vec<String>), Error> {
        self.prepare()?;
        directories::ensure(&self.roots.networks())?;
        let lock = directories::lock(&networks_lock()?)?;
        let existing = self.networks()?;
        let config = configuration(options, &existing)?;
        let bridge = bridge_of(&config)?;
        pool_of(&config, &bridge)?;
        let path = self.roots.network(&config.name);
        replace_record(&path, &config)?;
        let made = bridge.ensure();
        if made.is_err() {
            // An undoing that fails leaves what `network rm` clears.
            let _removed = bridge.remove();
            let _removed = std::fs::remove_file(&path);
        }
        let ensured = made?;
        drop(lock);
        let told = ensured.without_ipv6.map(|why| format!("the network has no IPv6: {why}"));
        ensured.lingering.close_at_leisure();
        Ok((config, told.into_iter().collect()))
    }

    /// All networks: the one that is always there, then the others, the oldest first. One whose record is broken is left
    /// out: [`Engine::broken_networks`] has it.
    ///
    /// # Errors
    /// None today.
    pub fn networks(&self) -> Result<Vec<NetworkConfig>, Error> {
        let mut networks: Vec<_> = self.records().filter_map(|(_, read)| read.ok()?).collect();
        networks.sort_by_key(|network| network.created_at);
        networks.insert(0, default::network()?);
        Ok(networks)
    }

    /// Why the networks whose records are broken can't be used.
    #[must_use]
    pub fn broken_networks(&self) -> Vec<Error> {
        self.records().filter_map(|(_, read)| read.err()).collect()
    }

    fn records(&self) -> impl Iterator<Item = (NetworkName, Result<Option<NetworkConfig>, Error>)> {
        let files = find::directories(&self.roots.networks()).into_iter();
        files.filter_map(|file| {
            let name = file.strip_suffix(".json")?.parse().ok()?;
            let read = self.read_network(&name);
            Some((name, read))
        })
    }

    /// Whether a network's bridge is there, as the host's network namespace has it.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a network whose record makes no sense; [`Kind::NoNetwork`].
    pub fn bridge_is_there(&self, network: &NetworkConfig) -> Result<bool, Error> {
        Ok(bridge_of(network)?.is_there()?)
    }

    /// The network called `name`, or whose id begins with it. `bridge` is the one that is always there.
    ///
    /// # Errors
    /// [`Kind::NoSuchNetwork`], [`Kind::BrokenNetwork`], [`Kind::Ambiguous`].
    pub fn network(&self, name: &str) -> Result<NetworkConfig, Error> {
        if matches!(name, "bridge" | NetworkConfig::DEFAULT_NAME) {
            return default::network();
        }
        if let Ok(name) = name.parse()
            && let Some(network) = self.read_network(&name)?
        {
            return Ok(network);
        }
        let networks = self.networks()?;
        let ids: Vec<String> =
            networks.iter().map(|network| network.id.as_str().to_owned()).collect();
        let unknown = || Error::new(Kind::NoSuchNetwork, format!("there is no network '{name}'"));
        let found = match find::by_prefix(&ids, name, "network") {
            Err(error) if error.kind() == Kind::NotFound => return Err(unknown()),
            found => found?,
        };
        networks.iter().find(|network| network.id.as_str() == found).cloned().ok_or_else(unknown)
    }

    fn read_network(&self, name: &NetworkName) -> Result<Option<NetworkConfig>, Error> {
        read_record(&self.roots.network(name)).map_err(|error| {
            let message = format!("the record of the network '{name}' is broken");
            Error::caused(Kind::BrokenNetwork, message, error)
        })
    }
}

/// Held by whoever makes or removes a network, and shared by whoever puts a pod on one. Networks of all roots are the
/// host's.
pub(crate) fn networks_lock() -> Result<PathBuf, Error> {
    directories::ensure(&Roots::leases())?;
    Ok(Roots::networks_lock())
}

/// The bridge of a network.
pub(crate) fn bridge_of(network: &NetworkConfig) -> Result<Bridge, Error> {
    let AddressPlan { subnet: Cidr { base, prefix }, gateway } = network.ipv4;
    let name: InterfaceName = network.interface.parse()?;
    let mut bridge = Bridge::new(name, Subnet::new(base, prefix)?).with_gateway(gateway)?;
    if let Some(AddressPlan { subnet: Cidr { base, prefix }, gateway }) = network.ipv6 {
        bridge = bridge.with_ipv6(Subnet6::new(base, prefix)?, Some(gateway))?;
    }
    if let Some(mtu) = network.mtu {
        bridge = bridge.with_mtu(mtu)?;
    }
    Ok(bridge.with_access(match network.access {
        NetworkAccess::Open => Access::Open,
        NetworkAccess::Isolated => Access::Isolated,
        NetworkAccess::Internal => Access::Internal,
    }))
}

/// What addresses pods can have on a network, on this host.
pub(crate) fn pool_of(network: &NetworkConfig, bridge: &Bridge) -> Result<Pool, Error> {
    let mut pool = Pool::new(bridge)?;
    if let Some(Cidr { base, prefix }) = network.range {
        pool = pool.with_range(base, prefix)?;
    }
    match sandbar_network::without_ipv6() {
        Some(_) => Ok(pool.without_ipv6()),
        None => Ok(pool),
    }
}

/// The configuration of a new network, checked against those that there are.
fn configuration(
    options: NetworkOptions,
    existing: &[NetworkConfig],
) -> Result<NetworkConfig, Error> {
    let name = check_name(options.name.clone(), options.names)?;
    if existing.iter().any(|network| network.name == name) {
        let message = format!("the name '{name}' is taken by another network");
        return Err(Error::new(Kind::NameTaken, message));
    }
    options.check()?;
    let id = NetworkId::from_random(names::random()?);
    let interface = match options.interface {
        Some(interface) => check_interface(&interface, existing)?,
        None => format!("sb-{}", id.as_str().get(..10).unwrap_or_default()),
    };
    let subnet = match options.subnet {
        Some(subnet) => subnet,
        None => free::subnet(existing)?,
    };
    let v4 = Subnet::new(subnet.base, subnet.prefix)?;
    let subnet6 = match options.subnet6 {
        Some(subnet) => Some(subnet),
        None if options.ipv6 => Some(free::subnet6(&names::random()?)),
        None => None,
    };
    let ipv6 = match subnet6 {
        None => None,
        Some(subnet) => {
            let first = Subnet6::new(subnet.base, subnet.prefix)?.gateway();
            Some(AddressPlan { subnet, gateway: options.gateway6.unwrap_or(first) })
        }
    };
    let config = NetworkConfig {
        id,
        name,
        created_at: Timestamp::now(),
        interface,
        ipv4: AddressPlan { subnet, gateway: options.gateway.unwrap_or_else(|| v4.gateway()) },
        ipv6,
        range: options.range,
        mtu: options.mtu,
        access: options.access,
        names: options.names,
        labels: options.labels,
    };
    free::check(&config, existing)?;
    Ok(config)
}

fn check_name(name: NetworkName, has_names: bool) -> Result<NetworkName, Error> {
    let refuse = |why: &str| {
        Err(Error::new(Kind::Invalid, format!("a network can't be called '{name}': {why}")))
    };
    if RESERVED.contains(&name.as_str()) {
        return refuse("--network takes this for something else");
    }
    let is_label = |label: &str| (1..=63).contains(&label.len());
    if has_names && !name.as_str().split('.').all(is_label) {
        return refuse("as a domain, it can have no label of none or more than 63 characters");
    }
    Ok(name)
}

fn check_interface(name: &str, existing: &[NetworkConfig]) -> Result<String, Error> {
    let name = name.parse::<InterfaceName>()?.to_string();
    if let Some(network) = existing.iter().find(|network| network.interface == name) {
        let message = format!("interface '{name}' is that of the network '{}'", network.name);
        return Err(Error::new(Kind::Invalid, message));
    }
    let socket = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(|errno| Error::caused(Kind::System, "socket(AF_INET, SOCK_DGRAM)", errno))?;
    match rustix::net::netdevice::name_to_index(&socket, &name) {
        Ok(_) => {
            let message = format!("interface '{name}' is one of the host's already");
            Err(Error::new(Kind::Invalid, message))
        }
        Err(_) => Ok(name),
    }
}
