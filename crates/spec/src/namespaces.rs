//! Which namespaces a container shares, and with whom.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{ContainerId, Invalid};

/// Where a container finds one of its namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamespaceMode {
    /// A new one of its own.
    Private,
    /// The host's.
    Host,
    /// The one that its pod's sandbox holds.
    Pod,
    /// The one of a container of the same pod.
    Container(ContainerId),
}

/// A container's namespaces that can be shared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    /// Network.
    pub net: NamespaceMode,
    /// System V IPC and POSIX message queues.
    pub ipc: NamespaceMode,
    /// Host name.
    pub uts: NamespaceMode,
    /// Processes.
    pub pid: NamespaceMode,
}

/// The namespaces that all containers of a pod share (`pod create --share`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "four independent choices, each with a name")]
pub struct Shared {
    /// Network.
    pub net: bool,
    /// System V IPC and POSIX message queues.
    pub ipc: bool,
    /// Host name.
    pub uts: bool,
    /// Processes: pause is PID 1 and reaps.
    pub pid: bool,
}

impl Default for Shared {
    /// What Kubernetes and Podman share.
    fn default() -> Self {
        Self { net: true, ipc: true, uts: true, pid: false }
    }
}

impl FromStr for Shared {
    type Err = Invalid;

    /// A comma-separated list of `net`, `ipc`, `uts` and `pid`; `none` for none.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut shared = Self { net: false, ipc: false, uts: false, pid: false };
        if text == "none" || text.is_empty() {
            return Ok(shared);
        }
        for word in text.split(',') {
            match word {
                "net" => shared.net = true,
                "ipc" => shared.ipc = true,
                "uts" => shared.uts = true,
                "pid" => shared.pid = true,
                _ => {
                    let reason = "a list of net, ipc, uts and pid, or none, is needed";
                    return Err(Invalid::new("shared namespaces", text, reason));
                }
            }
        }
        Ok(shared)
    }
}

impl Shared {
    /// The names of the shared ones, in a fixed order.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        [(self.net, "net"), (self.ipc, "ipc"), (self.uts, "uts"), (self.pid, "pid")]
            .into_iter()
            .filter_map(|(shared, name)| shared.then_some(name))
            .collect()
    }
}
