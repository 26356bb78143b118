//! Where a pod and its containers keep what they are: the names of files, in one place.

use std::path::{Path, PathBuf};

use crate::ContainerId;

/// A pod's directory below the run root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodDirectory(PathBuf);

impl PodDirectory {
    /// The pod's directory at `path`.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// [`PodConfig`](crate::PodConfig).
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.0.join("pod.json")
    }

    /// [`PodStatus`](crate::PodStatus).
    #[must_use]
    pub fn status(&self) -> PathBuf {
        self.0.join("status.json")
    }

    /// A list of [`Connection`](crate::Connection)s, the one with the default route first.
    #[must_use]
    pub fn networks(&self) -> PathBuf {
        self.0.join("networks.json")
    }

    /// The [`PortMapping`](crate::PortMapping)s that are just being added or removed. What is here and not in the
    /// pod's configuration is published by accident, if at all: who changed them was killed.
    #[must_use]
    pub fn port_change(&self) -> PathBuf {
        self.0.join("port-change.json")
    }

    /// The supervisor's control socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.0.join("supervisor.sock")
    }

    /// Locked by the supervisor for as long as it lives.
    #[must_use]
    pub fn supervisor_lock(&self) -> PathBuf {
        self.0.join("supervisor.lock")
    }

    /// Locked by whoever changes the pod.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// A file that the pod's containers see in `/etc`: `hosts`, `hostname` or `resolv.conf`.
    #[must_use]
    pub fn etc(&self, name: &str) -> PathBuf {
        self.0.join("etc").join(name)
    }

    /// Where the memory that its containers share (`/dev/shm`) is mounted, in the supervisor's mount
    /// namespace.
    #[must_use]
    pub fn shared_memory(&self) -> PathBuf {
        self.0.join("shm")
    }

    /// The directory with a directory a container.
    #[must_use]
    pub fn containers(&self) -> PathBuf {
        self.0.join("containers")
    }

    /// A container's directory.
    #[must_use]
    pub fn container(&self, id: &ContainerId) -> ContainerDirectory {
        ContainerDirectory(self.containers().join(id.as_str()))
    }
}

/// A container's directory, which is its OCI bundle too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerDirectory(PathBuf);

impl ContainerDirectory {
    /// The container's directory at `path`.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// [`ContainerConfig`](crate::ContainerConfig).
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.0.join("container.json")
    }

    /// The OCI bundle's configuration.
    #[must_use]
    pub fn bundle(&self) -> PathBuf {
        self.0.join("config.json")
    }

    /// [`ContainerStatus`](crate::ContainerStatus).
    #[must_use]
    pub fn status(&self) -> PathBuf {
        self.0.join("status.json")
    }

    /// Where its root filesystem is mounted, in its own mount namespace.
    #[must_use]
    pub fn mount_point(&self) -> PathBuf {
        self.0.join("rootfs")
    }

    /// The FIFO that its standard output or error goes through.
    #[must_use]
    pub fn stream(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}
