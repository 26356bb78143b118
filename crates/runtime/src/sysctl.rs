//! Kernel parameters of the namespaces that a container owns.

use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType};

use crate::error::{Error, Kind, Step};
use crate::files;

/// Refuses a parameter that is not part of a namespace that the container has to itself, and a name that
/// could lead elsewhere.
pub(crate) fn check(
    parameters: &HashMap<String, String>,
    namespaces: &[LinuxNamespace],
) -> Result<(), Error> {
    for (name, value) in parameters {
        let wrong = |why: &str| {
            Err(Error::new(Kind::InvalidSpec, format!("linux.sysctl {name}={value:?}: {why}")))
        };
        let simple = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !name.bytes().all(simple) || name.split('.').any(str::is_empty) {
            return wrong("a name is words joined by dots, as in net.ipv4.ip_forward");
        }
        if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return wrong("control characters are not allowed");
        }
        let Some(kind) = namespace_of(name) else {
            return wrong("it is not part of any namespace, so it would change the host");
        };
        let own = |it: &LinuxNamespace| it.typ() == kind && !is_callers(it);
        if !namespaces.iter().any(own) {
            return wrong("the container shares that namespace with the host");
        }
    }
    Ok(())
}

/// Whether what is to be joined is the namespace that this process is in, the host's.
fn is_callers(namespace: &LinuxNamespace) -> bool {
    let name = match namespace.typ() {
        LinuxNamespaceType::Network => "net",
        LinuxNamespaceType::Ipc => "ipc",
        _ => "uts",
    };
    let Some(path) = namespace.path() else { return false };
    let identity = |path: &Path| rustix::fs::stat(path).ok().map(|stat| (stat.st_dev, stat.st_ino));
    // One that can't be told from the host's is taken for it.
    identity(path).is_none_or(|it| Some(it) == identity(&Path::new("/proc/self/ns").join(name)))
}

/// The namespace that a parameter belongs to.
fn namespace_of(name: &str) -> Option<LinuxNamespaceType> {
    const IPC: [&str; 9] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
        "kernel.auto_msgmni",
    ];
    if name.starts_with("net.") {
        Some(LinuxNamespaceType::Network)
    } else if name.starts_with("fs.mqueue.") || IPC.contains(&name) {
        Some(LinuxNamespaceType::Ipc)
    } else if name == "kernel.domainname" || name == "kernel.hostname" {
        Some(LinuxNamespaceType::Uts)
    } else {
        None
    }
}

/// Sets the parameters through `proc`, a procfs that we mounted ourselves.
pub(crate) fn apply(
    parameters: &HashMap<String, String>,
    proc: BorrowedFd<'_>,
) -> Result<(), Error> {
    for (name, value) in parameters {
        let path = PathBuf::from("sys").join(name.replace('.', "/"));
        files::write_below(proc, &path, value).step(|| format!("set the sysctl {name}={value}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::get_default_namespaces;

    #[test]
    fn row_23_only_parameters_of_own_namespaces_are_set() {
        let namespaces = get_default_namespaces();
        let one = |name: &str, value: &str| HashMap::from([(name.to_owned(), value.to_owned())]);
        assert!(check(&one("net.ipv4.ip_forward", "1"), &namespaces).is_ok());
        assert!(check(&one("kernel.shmmax", "1"), &namespaces).is_ok());
        for (name, value) in [
            ("kernel.core_pattern", "|/evil"),
            ("vm.swappiness", "1"),
            ("net/../kernel/core_pattern", "x"),
            ("net..x", "1"),
            ("net.ipv4.ip_forward", "1\nkernel.x=1"),
        ] {
            assert!(check(&one(name, value), &namespaces).is_err(), "{name}");
        }
        assert!(check(&one("net.ipv4.ip_forward", "1"), &[]).is_err(), "the host's network");
    }
}
