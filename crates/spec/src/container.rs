//! A container: what it is asked to be, and what it is.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    ContainerId, ContainerName, ExposedPort, Limits, NamespaceMode, Namespaces, PodId,
    RestartPolicy, SignalNumber,
};

/// What a container is asked to be, beside its OCI bundle's `config.json`. Written once, before its first
/// resource exists, and never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerConfig {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: ContainerName,
    /// The pod it belongs to.
    pub pod: PodId,
    /// When it was made.
    pub created_at: Timestamp,
    /// The image as it was asked for; the directory after `--rootfs` if that was.
    pub image: String,
    /// The image's id; none for `--rootfs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// The program and its arguments, as lists show them.
    pub command: Vec<String>,
    /// Which namespaces it shares.
    pub namespaces: Namespaces,
    /// The containers that it joined by name: they must run for it to start, and stay as long as it does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<ContainerId>,
    /// Where its root filesystem comes from.
    pub rootfs: Rootfs,
    /// Whether it has a terminal.
    pub terminal: bool,
    /// When it is started again by itself.
    pub restart: RestartPolicy,
    /// The signal that asks it to end.
    pub stop_signal: SignalNumber,
    /// How many seconds it then has.
    pub stop_timeout: u32,
    /// What it may use at most.
    pub limits: Limits,
    /// The ports that it listens at, as its image and who made it say (`EXPOSE`, `--expose`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exposed: Vec<ExposedPort>,
    /// Whether it is removed when it has ended (`--rm`).
    pub auto_remove: bool,
    /// Its labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The file that its output goes to, in the CRI log format.
    pub log_path: PathBuf,
}

impl ContainerConfig {
    /// Whether it is its pod's sandbox alone that gives it an address.
    #[must_use]
    pub fn shares_pod_network(&self) -> bool {
        self.namespaces.net == NamespaceMode::Pod
    }
}

/// Where a root filesystem comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rootfs {
    /// A directory, seen read-only.
    ReadOnly(PathBuf),
    /// An overlay: read-only directories, the top one first, beneath a writable one.
    Overlay {
        /// The read-only directories, the top one first.
        lower: Vec<PathBuf>,
        /// What the container wrote.
        upper: PathBuf,
        /// overlayfs's own work directory, on the file system of `upper`.
        work: PathBuf,
    },
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitCode {
    /// Its exit status, or 128 and the number of the signal that ended it.
    Known(i32),
    /// Nobody was there to see it: its supervisor was gone.
    Unknown,
}

impl ExitCode {
    /// The code, if it is known.
    #[must_use]
    pub const fn known(self) -> Option<i32> {
        match self {
            Self::Known(code) => Some(code),
            Self::Unknown => None,
        }
    }
}

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerState {
    /// Made, never started.
    #[default]
    Created,
    /// Its process runs.
    Running,
    /// It ended, and its supervisor is about to start it again.
    Restarting,
    /// It ended.
    Exited,
}

/// What a container is, as its supervisor last wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ContainerStatus {
    /// Where it is in its life.
    pub state: ContainerState,
    /// Its first process, as the host numbers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// When that process began, in clock ticks since boot (`/proc/PID/stat`, field 22): with it the number
    /// means one process only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid_start: Option<u64>,
    /// When it was last started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it last ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// How it last ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<ExitCode>,
    /// Why it could not be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether the kernel ended it for want of memory.
    #[serde(default)]
    pub oom_killed: bool,
    /// How often its supervisor started it again.
    #[serde(default)]
    pub restarts: u32,
}
