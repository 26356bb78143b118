//! Making pods: ports that are free, a directory, then what it names.

use jiff::Timestamp;
use sandbar_spec::{ContainerId, NetworkMode, PodConfig, PodId, PodName, PortRequest};
use sandbar_supervisor::replace_record;

use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::options::PodOptions;
use crate::pod::Pod;
use crate::ports::{Chosen, check_requests};
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
        let mut config = configuration(id, name, options, Some(pause), false)?;
        config.cni = self.cni_network(&config)?;
        let config = self.make_pod(config, &ports)?;
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
        let made = made.and_then(|()| self.fill_pod(&config));
        if made.is_err() {
            self.unmake_pod(&config);
        }
        made.map(|()| config)
    }

    fn fill_pod(&self, config: &PodConfig) -> Result<(), Error> {
        let directory = self.roots.pod(&config.id);
        let names = self.roots.pod_names();
        names::claim(&names, "pod", config.name.as_str(), directory.path())?.keep();
        directories::make(&directory.containers())?;
        directories::make(&directory.shared_memory())?;
        let address = self.lease(config)?;
        etc::write(&directory, config, address.map(|address| address.ip))
    }

    /// Removes a pod that nothing was started of.
    pub(crate) fn unmake_pod(&self, config: &PodConfig) {
        let directory = self.roots.pod(&config.id);
        // An undoing that fails leaves what `pod rm -f` clears by the directory's name.
        let _released = self.release(&config.id);
        names::release(&self.roots.pod_names(), config.name.as_str(), directory.path());
        let _removed = directories::remove(directory.path());
    }
}

/// The configuration of a new pod, checked; its ports are chosen when it is made.
pub(crate) fn configuration(
    id: PodId,
    name: PodName,
    options: PodOptions,
    pause: Option<ContainerId>,
    implicit: bool,
) -> Result<PodConfig, Error> {
    let PodOptions { hostname, shared, network, ports, hosts, dns, .. } = options;
    if !ports.is_empty() && network != NetworkMode::Bridge {
        let mode = if network == NetworkMode::Host { "host" } else { "none" };
        let message = format!("ports can't be published with --network {mode}");
        return Err(Error::new(Kind::Invalid, message));
    }
    check_requests(&ports, &[])?;
    let hostname = match hostname {
        Some(name) => check_hostname(name)?,
        None => name.as_str().chars().take(LONGEST_HOSTNAME).collect(),
    };
    for (name, _) in &hosts {
        check_hostname(name.clone())?;
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
