//! The namespaces that a pod's sandbox consists of, held open by descriptor.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;

use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType, Spec};
use rustix::fs::{Mode, OFlags};
use sandbar_spec::{ContainerConfig, NamespaceMode};

use crate::Error;

/// A pod's own namespaces; what is `None` it does not have.
#[derive(Debug, Default)]
pub struct SandboxNamespaces {
    /// Network.
    pub net: Option<OwnedFd>,
    /// System V IPC and POSIX message queues.
    pub ipc: Option<OwnedFd>,
    /// Host name.
    pub uts: Option<OwnedFd>,
}

impl SandboxNamespaces {
    /// Opens the namespaces of the process `pid` that `config` says are its pod's, where not held yet.
    pub(crate) fn adopt_from(&mut self, pid: i32, config: &ContainerConfig) {
        let modes = &config.namespaces;
        let slots = [
            (&mut self.net, &modes.net, "net"),
            (&mut self.ipc, &modes.ipc, "ipc"),
            (&mut self.uts, &modes.uts, "uts"),
        ];
        for (slot, mode, name) in slots {
            if slot.is_none() && *mode == NamespaceMode::Pod {
                let path = format!("/proc/{pid}/ns/{name}");
                // A process that ended meanwhile has none; another may.
                *slot =
                    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok();
            }
        }
    }

    /// Writes into `spec` which namespaces `config` asks for: new, the sandbox's, or those of the process
    /// that `process_of` finds for a container. The PID namespace is chosen when the process is cloned.
    pub(crate) fn write_to(
        &self,
        spec: &mut Spec,
        config: &ContainerConfig,
        process_of: impl Fn(&NamespaceMode) -> Result<i32, Error>,
    ) -> Result<(), Error> {
        let modes = &config.namespaces;
        let mut list = vec![namespace(LinuxNamespaceType::Mount, None)];
        list.push(namespace(LinuxNamespaceType::Cgroup, None));
        for (kind, mode, held, name) in [
            (LinuxNamespaceType::Network, &modes.net, &self.net, "net"),
            (LinuxNamespaceType::Ipc, &modes.ipc, &self.ipc, "ipc"),
            (LinuxNamespaceType::Uts, &modes.uts, &self.uts, "uts"),
        ] {
            let path = match mode {
                NamespaceMode::Host => continue,
                NamespaceMode::Private => None,
                NamespaceMode::Pod => {
                    let held = held.as_ref().ok_or_else(|| {
                        Error::new(format!(
                            "the pod's {name} namespace is gone; stop and start the pod"
                        ))
                    })?;
                    Some(format!("/proc/self/fd/{}", held.as_fd().as_raw_fd()).into())
                }
                NamespaceMode::Container(_) => {
                    Some(format!("/proc/{}/ns/{name}", process_of(mode)?).into())
                }
            };
            list.push(namespace(kind, path));
        }
        let mut linux = spec.linux().clone().unwrap_or_default();
        linux.set_namespaces(Some(list));
        spec.set_linux(Some(linux));
        Ok(())
    }
}

fn namespace(kind: LinuxNamespaceType, path: Option<PathBuf>) -> LinuxNamespace {
    let mut namespace = LinuxNamespace::default();
    namespace.set_typ(kind);
    namespace.set_path(path);
    namespace
}
