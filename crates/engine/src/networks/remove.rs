//! Removing networks.

use sandbar_network::Leases;
use sandbar_resolver::NetworkDirectory;
use sandbar_spec::NetworkConfig;

use super::{bridge_of, networks_lock};
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::pod::{self, Pod};
use crate::roots::Roots;
use crate::{directories, find};

/// A network that no pod is on.
#[derive(Debug)]
pub struct Pruned {
    /// The network.
    pub network: NetworkConfig,
    /// Whether it is gone now.
    pub outcome: Result<(), Error>,
}

impl Engine {
    /// Removes a network with its bridge. With `force` the pods on it are removed first.
    ///
    /// # Errors
    /// [`Kind::InUse`], with the names of the pods on it; [`Kind::Invalid`] for the one that is always there.
    pub fn remove_network(&self, network: &NetworkConfig, force: bool) -> Result<(), Error> {
        if network.is_default() {
            let message = format!("the network '{}' is always there", network.name);
            return Err(Error::new(Kind::Invalid, message));
        }
        if force {
            for pod in self.pods_on(network)? {
                self.remove_pod(&pod, true)?;
            }
        }
        let lock = directories::lock(&networks_lock()?)?;
        let leases = Leases::open(&Roots::leases_on(&network.interface))?;
        let pods = self.pods_on(network)?;
        let mut users: Vec<String> = pods.iter().map(|pod| pod.config.name.to_string()).collect();
        for owner in leases.owners()? {
            if !self.roots.pods().join(&owner).is_dir() {
                // Killed while the pod was made.
                leases.release(&owner)?;
            } else if !pods.iter().any(|pod| pod.config.id.as_str() == owner) {
                let is_on = |id| {
                    let connections = pod::connections(&self.roots.pod(&id))?;
                    Ok::<_, Error>(connections.iter().any(|it| it.network_id == network.id))
                };
                match owner.parse().map(is_on) {
                    // Killed while the pod was put on it or taken off: nobody does either now.
                    Ok(Ok(false)) => leases.release(&owner)?,
                    // One whose other records are broken.
                    _ => users.push(owner),
                }
            }
        }
        users.dedup();
        if !users.is_empty() {
            let message = format!("network '{}' is in use by {}", network.name, users.join(", "));
            return Err(Error::new(Kind::InUse, message));
        }
        bridge_of(network)?.remove()?.close_at_leisure();
        leases.remove()?;
        directories::remove(self.names_of(network).path())?;
        // Last, so that what a kill leaves is found by its name.
        match std::fs::remove_file(self.roots.network(&network.name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let path = self.roots.network(&network.name);
                Err(Error::caused(Kind::System, format!("unlink {}", path.display()), error))
            }
            _ => {
                drop(lock);
                Ok(())
            }
        }
    }

    /// Removes every network that no pod is on, but for the one that is always there. Returns what became of each, as
    /// [`Engine::remove_network`] has it.
    ///
    /// # Errors
    /// As [`Engine::networks`].
    pub fn prune_networks(&self) -> Result<Vec<Pruned>, Error> {
        let mut pruned = Vec::new();
        for network in self.networks()?.into_iter().filter(|network| !network.is_default()) {
            match self.remove_network(&network, false) {
                Err(error) if error.kind() == Kind::InUse => {}
                outcome => pruned.push(Pruned { network, outcome }),
            }
        }
        Ok(pruned)
    }

    /// The pods that are on a network, whether they run or not.
    ///
    /// # Errors
    /// As [`Engine::pods`].
    pub fn pods_on(&self, network: &NetworkConfig) -> Result<Vec<Pod>, Error> {
        let mut pods = self.pods()?;
        pods.retain(|pod| pod.connections.iter().any(|it| it.network_id == network.id));
        Ok(pods)
    }

    /// Where the network's resolver finds who is on it.
    pub(crate) fn names_of(&self, network: &NetworkConfig) -> NetworkDirectory {
        NetworkDirectory::new(self.roots.resolver(&network.name))
    }

    /// All such directories.
    pub(crate) fn all_names(&self) -> impl Iterator<Item = NetworkDirectory> {
        let directory = self.roots.resolvers();
        let names = find::directories(&directory).into_iter();
        names.map(move |name| NetworkDirectory::new(directory.join(name)))
    }
}
