//! A pod: what it is asked to be, and what it is.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ContainerId, PodId, PodName, PortMapping, Shared};

/// The network of a pod's sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// An address on Sandbar's own bridge.
    Bridge,
    /// The host's own network.
    Host,
    /// Loopback alone.
    None,
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
    /// Its pause: the container that holds it open and that `pid: pod` joins. It is brought back when it
    /// ends without being asked to.
    pub pause: Option<ContainerId>,
    /// Whether `run` made it around a container, and so it goes when its last container is removed.
    pub implicit: bool,
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

/// Where a pod is on its network. Written before the address is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Its address.
    pub ip: Ipv4Addr,
    /// The length of its network's prefix.
    pub prefix: u8,
    /// Where it sends what is for elsewhere.
    pub gateway: Ipv4Addr,
    /// Its interface's hardware address.
    pub mac: String,
    /// The host's end of its interface pair.
    pub interface: String,
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
