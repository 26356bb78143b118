//! Entering a container's namespaces.

use std::os::fd::{AsFd, OwnedFd};

use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType};
use rustix::fs::{Mode, OFlags};
use rustix::thread::LinkNameSpaceType;
use sandbar_sys::{During, Namespaces, bring_up_loopback, unshare};

use crate::error::{Error, Step};

/// Joins the namespaces that have a path and makes those that have none; the PID namespace is not among
/// them, for a process is born into it. The mount namespace comes last, so that every path is the host's.
pub(crate) fn enter(namespaces: &[LinuxNamespace]) -> Result<(), Error> {
    let mut new = Namespaces::NEWNS;
    let mut joined: Vec<(OwnedFd, LinkNameSpaceType)> = Vec::new();
    for namespace in namespaces {
        let (flag, link) = match namespace.typ() {
            LinuxNamespaceType::Network => (Namespaces::NEWNET, LinkNameSpaceType::Network),
            LinuxNamespaceType::Ipc => {
                (Namespaces::NEWIPC, LinkNameSpaceType::InterProcessCommunication)
            }
            LinuxNamespaceType::Uts => {
                (Namespaces::NEWUTS, LinkNameSpaceType::HostNameAndNISDomainName)
            }
            LinuxNamespaceType::Cgroup => (Namespaces::NEWCGROUP, LinkNameSpaceType::ControlGroup),
            // Refused or placed before (check, PidNamespace); a mount namespace is always new.
            LinuxNamespaceType::Mount
            | LinuxNamespaceType::Pid
            | LinuxNamespaceType::User
            | LinuxNamespaceType::Time => continue,
        };
        match namespace.path() {
            None => new |= flag,
            Some(path) => {
                let flags = OFlags::RDONLY | OFlags::CLOEXEC;
                let opened = rustix::fs::open(path, flags, Mode::empty())
                    .during("open", || path.display().to_string())
                    .step(|| format!("join the {} namespace", namespace.typ()))?;
                joined.push((opened, link));
            }
        }
    }
    for (namespace, kind) in &joined {
        rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(*kind))
            .during("setns", || format!("{kind:?}"))?;
    }
    unshare(new).during("unshare", || format!("{new:?}"))?;
    if new.contains(Namespaces::NEWNET) {
        bring_up_loopback().during("ioctl", || "SIOCSIFFLAGS lo up".into())?;
    }
    Ok(())
}
