//! Network namespaces: that of a pod which runs, and those that others made.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use sandbar_spec::NamespaceMode;
use sandbar_sys::During;

use crate::container::Container;
use crate::error::{Error, Kind};
use crate::pod::Pod;

/// The network namespace of a pod, held by a process of it: by its pause, if it has one.
pub(crate) fn of_pod(pod: &Pod) -> Result<OwnedFd, Error> {
    let is_in = |container: &&Container| {
        container.is_running() && container.config.namespaces.net == NamespaceMode::Pod
    };
    let (pauses, others): (Vec<_>, Vec<_>) =
        pod.containers.iter().filter(is_in).partition(|container| container.is_pause());
    for container in pauses.into_iter().chain(others) {
        let Some(pid) = container.status.pid else { continue };
        let path = format!("/proc/{pid}");
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(process) = rustix::fs::openat(CWD, &path, flags, Mode::empty()) else { continue };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let Ok(netns) = rustix::fs::openat(&process, "ns/net", flags, Mode::empty()) else {
            continue;
        };
        // The number may be another process's by now: this one's cgroup is named after its container.
        let cgroup = rustix::fs::openat(&process, "cgroup", flags, Mode::empty())
            .during("open", || format!("{path}/cgroup"))?;
        let text = std::io::read_to_string(std::fs::File::from(cgroup))
            .during("read", || format!("{path}/cgroup"))?;
        if text.contains(container.config.id.as_str()) {
            return Ok(netns);
        }
    }
    let message = format!("no container of pod '{}' runs on its network", pod.config.name);
    Err(Error::new(Kind::NotRunning, message))
}

/// Opens a network namespace that somebody else made.
pub(crate) fn open_namespace(path: &Path) -> Result<OwnedFd, Error> {
    let netns = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .during("open", || path.display().to_string())?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&netns);
    let link = std::fs::read_link(format!("/proc/self/fd/{number}")).unwrap_or_default();
    // As namespaces(7) has it; a path in a file system begins with '/'.
    match link.as_os_str().as_bytes().starts_with(b"net:[") || is_bound(&netns, &link)? {
        true => Ok(netns),
        false => {
            let message = format!("{}: not a network namespace", path.display());
            Err(Error::new(Kind::Invalid, message))
        }
    }
}

/// Whether a file that is a bind mount of a namespace (`ip netns add`) is one of a network namespace.
fn is_bound(file: &OwnedFd, link: &Path) -> Result<bool, Error> {
    let shown = || link.display().to_string();
    let found = rustix::fs::fstatfs(file).during("fstatfs", shown)?;
    /// `NSFS_MAGIC` of `linux/magic.h`.
    const NSFS: rustix::fs::FsWord = 0x6e73_6673;
    Ok(link.is_absolute() && found.f_type == NSFS)
}
