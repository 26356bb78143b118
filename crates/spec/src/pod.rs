//! A pod: what it is asked to be, and what it is.

use std::net::IpAddr;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Bandwidth, ContainerId, PodId, PodName, PortMapping, Shared};

/// The network of a pod's sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// Addresses on one or several of Sandbar's networks: its [`Connection`](crate::Connection)s.
    Bridge,
    /// The host's own network.
    Host,
    /// Loopback alone.
    None,
    /// A network namespace that somebody else made, at this path.
    #[serde(rename = "ns")]
    Path(PathBuf),
}

/// What a pod is asked to be. Written before its first resource exists; of it only the published ports change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodConfig {
    /// Its id.
    pub id: PodId,
    /// Its name.
    pub name: PodName,
    /// When it was made.
    pub created_at: Timestamp,
    /// The host name in its UTS namespace.
    pub hostname: String,
    /// What its containers share unless they say otherwise.
    pub shared: Shared,
    /// Its sandbox's network.
    pub network: NetworkMode,
    /// The network of CNI plugins that it is on in place of Sandbar's bridge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cni: Option<CniNetwork>,
    /// Its published ports, random ones as they were chosen. Changed by who has locked the pod
    /// ([`PodDirectory::lock`](crate::layout::PodDirectory::lock)) alone.
    pub ports: Vec<PortMapping>,
    /// What its containers find in `/etc/hosts` beside the usual.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<(String, IpAddr)>,
    /// Its name servers; the host's if none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<IpAddr>,
    /// The domains that its containers search for names; those of the host or the network if none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_search: Vec<String>,
    /// Options of its containers' resolvers; the host's if none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_options: Vec<String>,
    /// How fast it may send and receive, where it is on a network of CNI plugins.
    #[serde(default, skip_serializing_if = "Bandwidth::is_unlimited")]
    pub bandwidth: Bandwidth,
    /// Its pause: the container that holds it open and that `pid: pod` joins. It is brought back when it
    /// ends without being asked to.
    pub pause: Option<ContainerId>,
    /// Whether `run` made it around a container, and so it goes when its last container is removed.
    pub implicit: bool,
}

impl PodConfig {
    /// Whether its networks are Sandbar's own, with bridges: neither those of CNI plugins, nor the host's, nor none.
    #[must_use]
    pub fn is_bridged(&self) -> bool {
        self.network == NetworkMode::Bridge && self.cni.is_none()
    }
}

/// A network of CNI plugins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CniNetwork {
    /// Its name in its configuration.
    pub name: String,
    /// The directory of configurations.
    pub configurations: PathBuf,
    /// The directories of plugins.
    pub plugins: Vec<PathBuf>,
}

/// What a pod is, as its supervisor last wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PodStatus {
    /// The supervisor's process id.
    pub supervisor: Option<i32>,
    /// What became of pauses that ended without being asked to.
    pub pause: PauseStatus,
}

/// What the supervisor did about pause.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PauseStatus {
    /// How often it was brought back.
    pub restarts: u32,
    /// The last time, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_event: Option<String>,
}
