//! Making pods: ports that are free, a directory, then what it names.

use std::net::{IpAddr, Ipv4Addr};

use jiff::Timestamp;
use sandbar_spec::{
    ContainerId, Membership, NetworkAccess, NetworkMode, PodConfig, PodId, PodName, PortRequest,
};
use sandbar_supervisor::replace_record;

use crate::cni::check_asked;
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::netns::open_namespace;
use crate::options::{HostAddress, PodOptions};
use crate::pod::Pod;
use crate::ports::{Chosen, check_requests, no_ports_on};
use crate::{directories, etc, names};

/// The longest host name that the kernel takes.
const LONGEST_HOSTNAME: usize = 64;

impl Engine {
    /// Makes a pod with a pause; nothing of it runs yet.
    ///
    /// # Errors
    /// [`Kind::NameTaken`], [`Kind::PortTaken`], [`Kind::Invalid`], [`Kind::NoNetwork`]; nothing is left
    /// behind.
    pub fn create_pod(&self, options: PodOptions) -> Result<Pod, Error> {
        self.prepare()?;
        let random = names::random()?;
        let name = match options.name.clone() {
            Some(name) => name,
            None => names::made_up(&random).parse()?,
        };
        let pause = ContainerId::from_random(names::random()?);
        let ports = options.ports.clone();
        let id = PodId::from_random(random);
        let (config, memberships) = self.configuration(id, name, options, Some(pause), false)?;
        let config = self.make_pod(config, &memberships, &ports)?;
        let made = self.make_pause(&config).and_then(|()| self.pod(config.id.as_str()));
        if made.is_err() {
            self.unmake_pod(&config);
        }
        made
    }

    /// Makes the pod `config` and all that it has of its own, with ports of the host as they are asked for. What was
    /// made goes again on failure.
    pub(crate) fn make_pod(
        &self,
        mut config: PodConfig,
        memberships: &[Membership],
        ports: &[PortRequest],
    ) -> Result<PodConfig, Error> {
        let directory = self.roots.pod(&config.id);
        let names = self.roots.pod_names();
        if names::owner_of(&names, config.name.as_str()).is_some() {
            // Told before the ports that its owner may have as well.
            names::claim(&names, "pod", config.name.as_str(), directory.path())?;
        }
        // Taken until they are on record: a port that another has is told now, not when the pod starts, and no two
        // pods choose one random port.
        let Chosen { ports, sockets } = self.choose_ports(ports)?;
        config.ports = ports;
        directories::make(directory.path())?;
        let made = replace_record(&directory.config(), &config).map_err(Error::from);
        drop(sockets);
        let made = made.and_then(|()| self.fill_pod(&config, memberships));
        if made.is_err() {
            self.unmake_pod(&config);
        }
        made.map(|()| config)
    }

    fn fill_pod(&self, config: &PodConfig, memberships: &[Membership]) -> Result<(), Error> {
        let directory = self.roots.pod(&config.id);
        let names = self.roots.pod_names();
        names::claim(&names, "pod", config.name.as_str(), directory.path())?.keep();
        directories::make(&directory.containers())?;
        directories::make(&directory.shared_memory())?;
        let connections = self.lease(config, memberships)?;
        etc::write(&directory, config, &connections)
    }

    /// Removes a pod that nothing was started of.
    pub(crate) fn unmake_pod(&self, config: &PodConfig) {
        let directory = self.roots.pod(&config.id);
        // An undoing that fails leaves what `pod rm -f` clears by the directory's name.
        let _released = self.release(&config.id);
        names::release(&self.roots.pod_names(), config.name.as_str(), directory.path());
        let _removed = directories::remove(directory.path());
    }

    /// The configuration of a new pod, checked, and the networks that it is to be on.
    pub(crate) fn configuration(
        &self,
        id: PodId,
        name: PodName,
        options: PodOptions,
        pause: Option<ContainerId>,
        implicit: bool,
    ) -> Result<(PodConfig, Vec<Membership>), Error> {
        let mut memberships = options.memberships.clone();
        if let NetworkMode::Path(path) = &options.network {
            open_namespace(path)?;
        }
        if options.network == NetworkMode::Bridge && memberships.is_empty() {
            memberships.push(Membership::default());
        }
        if options.network != NetworkMode::Bridge && !memberships.is_empty() {
            let message = "a pod without a network of its own can't be on one";
            return Err(Error::new(Kind::Invalid, message));
        }
        let mut hosts = Vec::new();
        for (name, address) in &options.hosts {
            check_hostname(name.clone())?;
            let address = match address {
                HostAddress::Ip(address) => *address,
                HostAddress::Gateway => self.gateway(&options.network, &memberships)?,
            };
            hosts.push((name.clone(), address));
        }
        let asked = options.memberships.clone();
        let has_ports = !options.ports.is_empty();
        let mut config = configuration(id, name, options, hosts, (pause, implicit))?;
        config.cni = self.cni_network(&config)?;
        if let Some(network) = &config.cni {
            check_asked(network, &asked)?;
            memberships.clear();
        } else if !config.bandwidth.is_unlimited() {
            let message =
                "bandwidth is limited by CNI plugins alone, and the pod is on no network of such";
            return Err(Error::new(Kind::Invalid, message));
        }
        if has_ports && !memberships.is_empty() {
            let networks = memberships.iter().map(|it| self.network_of(it));
            let networks = networks.collect::<Result<Vec<_>, _>>()?;
            if networks.iter().all(|it| it.access == NetworkAccess::Internal) {
                return Err(no_ports_on(networks.iter().map(|it| &it.name)));
            }
        }
        Ok((config, memberships))
    }

    /// The host's address as a pod reaches it.
    fn gateway(&self, mode: &NetworkMode, memberships: &[Membership]) -> Result<IpAddr, Error> {
        match (mode, memberships.first()) {
            (NetworkMode::Bridge, _) if self.cni.is_some() => {
                let message = "host-gateway: the host's address on a CNI network is its plugins' to \
                               choose, and not known before; write the address";
                Err(Error::new(Kind::Invalid, message))
            }
            (NetworkMode::Host, _) => Ok(Ipv4Addr::LOCALHOST.into()),
            (NetworkMode::Bridge, Some(first)) => Ok(self.network_of(first)?.ipv4.gateway.into()),
            _ => {
                let message = "host-gateway: the pod is on no network on which the host could be";
                Err(Error::new(Kind::Invalid, message))
            }
        }
    }
}

/// The configuration of a new pod, checked; its ports are chosen when it is made.
fn configuration(
    id: PodId,
    name: PodName,
    options: PodOptions,
    hosts: Vec<(String, IpAddr)>,
    (pause, implicit): (Option<ContainerId>, bool),
) -> Result<PodConfig, Error> {
    let PodOptions { hostname, shared, network, ports, dns, dns_search, dns_options, .. } = options;
    let bandwidth = options.bandwidth;
    if !ports.is_empty() && network != NetworkMode::Bridge {
        let mode = match network {
            NetworkMode::Host => "host",
            NetworkMode::Path(_) => "ns",
            NetworkMode::Bridge | NetworkMode::None => "none",
        };
        let message = format!("ports can't be published with --network {mode}");
        return Err(Error::new(Kind::Invalid, message));
    }
    check_requests(&ports, &[])?;
    let hostname = match hostname {
        Some(name) => check_hostname(name)?,
        None => name.as_str().chars().take(LONGEST_HOSTNAME).collect(),
    };
    for word in dns_search.iter().chain(&dns_options) {
        check_word(word)?;
    }
    Ok(PodConfig {
        id,
        name,
        created_at: Timestamp::now(),
        hostname,
        shared,
        network,
        cni: None,
        ports: Vec::new(),
        hosts,
        dns,
        dns_search,
        dns_options,
        bandwidth,
        pause,
        implicit,
    })
}

/// A host name: it becomes a line of a file, so it holds nothing that could begin another.
fn check_hostname(name: String) -> Result<String, Error> {
    let fits = !name.is_empty() && name.len() <= LONGEST_HOSTNAME;
    if fits && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        return Ok(name);
    }
    let message =
        format!("host name {name:?}: 1 to 64 letters, digits, '-', '.' and '_' are allowed");
    Err(Error::new(Kind::Invalid, message))
}

/// A word of `resolv.conf`: it can't begin another, or another line.
fn check_word(word: &str) -> Result<(), Error> {
    if !word.is_empty() && word.len() <= 255 && word.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let message = format!("{word:?} in resolv.conf: 1 to 255 characters are allowed, and no space");
    Err(Error::new(Kind::Invalid, message))
}
