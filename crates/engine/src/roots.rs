//! The two directories that hold everything: one kept, one gone at reboot.

use std::path::PathBuf;

use sandbar_spec::layout::PodDirectory;
use sandbar_spec::{ContainerId, NetworkName, PodId};

/// Where the state is. Two pairs of roots never see each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// Kept: images, volumes, what containers wrote, logs.
    pub root: PathBuf,
    /// Gone at reboot: pods, names, addresses.
    pub run_root: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self { root: "/var/lib/sandbar".into(), run_root: "/run/sandbar".into() }
    }
}

impl Roots {
    /// The image store.
    pub(crate) fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// Named volumes.
    pub(crate) fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    /// What containers wrote, and their logs.
    pub(crate) fn storage(&self) -> PathBuf {
        self.root.join("containers")
    }

    /// What one container wrote, and its log.
    pub(crate) fn storage_of(&self, container: &ContainerId) -> PathBuf {
        self.storage().join(container.as_str())
    }

    /// Pods.
    pub(crate) fn pods(&self) -> PathBuf {
        self.run_root.join("pods")
    }

    /// One pod.
    pub(crate) fn pod(&self, id: &PodId) -> PodDirectory {
        PodDirectory::at(self.pods().join(id.as_str()))
    }

    /// Addresses in use, a directory a bridge: bridges are the host's, so all roots share them.
    pub(crate) fn leases() -> PathBuf {
        PathBuf::from("/run/sandbar/addresses")
    }

    /// Records of pods on networks of CNI plugins, kept: what plugins lease outlives a reboot.
    pub(crate) fn cni(&self) -> PathBuf {
        self.root.join("cni")
    }

    /// Addresses in use on one bridge.
    pub(crate) fn leases_on(interface: &str) -> PathBuf {
        Self::leases().join(interface)
    }

    /// Locked by whoever makes or removes a network.
    pub(crate) fn networks_lock() -> PathBuf {
        PathBuf::from("/run/sandbar/networks.lock")
    }

    /// Networks.
    pub(crate) fn networks(&self) -> PathBuf {
        self.root.join("networks")
    }

    /// One network.
    pub(crate) fn network(&self, name: &NetworkName) -> PathBuf {
        self.networks().join(format!("{name}.json"))
    }

    /// What resolvers know of the networks' pods.
    pub(crate) fn resolvers(&self) -> PathBuf {
        self.run_root.join("networks")
    }

    /// What one network's resolver knows.
    pub(crate) fn resolver(&self, network: &NetworkName) -> PathBuf {
        self.resolvers().join(network.as_str())
    }

    /// The names of pods, each a link to its pod.
    pub(crate) fn pod_names(&self) -> PathBuf {
        self.run_root.join("names/pods")
    }

    /// The names of containers, each a link to its container.
    pub(crate) fn container_names(&self) -> PathBuf {
        self.run_root.join("names/containers")
    }
}
