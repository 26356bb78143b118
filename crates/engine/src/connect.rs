//! Putting a pod that is there on a network, and taking it off.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use sandbar_network::DefaultRoute;
use sandbar_spec::{Connection, Membership, NamespaceMode, NetworkConfig, NetworkMode, PodConfig};
use sandbar_supervisor::{Client, replace_record};
use sandbar_sys::During;

use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::networks::networks_lock;
use crate::pod::{self, Pod};
use crate::supervision::{Reached, reach};
use crate::{directories, etc, find};

/// A pod whose networks nobody else changes, and whether it runs.
struct Held {
    _lock: OwnedFd,
    /// What keeps it from being started, or runs it.
    state: Reached,
    pod: Pod,
}

impl Engine {
    /// Puts a pod on a network more, at once if it runs.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::AddressTaken`], [`Kind::Invalid`], [`Kind::NoNetwork`]; then nothing has changed.
    pub fn connect(&self, pod: &Pod, membership: &Membership) -> Result<Connection, Error> {
        let held = self.hold(pod)?;
        let config = &held.pod.config;
        if config.network != NetworkMode::Bridge {
            let message =
                format!("pod '{}' has no network of its own to be on another", config.name);
            return Err(Error::new(Kind::Invalid, message));
        }
        let directory = self.roots.pod(&config.id);
        let before = pod::connections(&directory)?;
        let lock = directories::lock_shared(&networks_lock()?)?;
        let connection = self.lease_on(&config.id, membership, &before)?;
        let after = [before.clone(), vec![connection.clone()]].concat();
        let connected = replace_record(&directory.networks(), &after)
            .map_err(Error::from)
            .and_then(|()| self.attach_now(&held, &connection, before.is_empty()))
            .and_then(|()| self.refresh_names(config))
            .and_then(|()| self.publish_now(&held, before.is_empty()));
        if let Err(error) = connected {
            // An undoing that fails leaves what `network disconnect` does again.
            let _undone = self.take_off(config, &before, &connection);
            return Err(error);
        }
        etc::adapt(&directory, config, &before, &after);
        drop(lock);
        Ok(connection)
    }

    /// Takes a pod off a network, at once if it runs.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if it is not on it; [`Kind::InUse`] if its ports are published there.
    pub fn disconnect(&self, pod: &Pod, network: &NetworkConfig) -> Result<(), Error> {
        let held = self.hold(pod)?;
        let config = &held.pod.config;
        let directory = self.roots.pod(&config.id);
        let before = pod::connections(&directory)?;
        let Some(index) = before.iter().position(|it| it.network_id == network.id) else {
            let message = format!("pod '{}' is not on the network '{}'", config.name, network.name);
            return Err(Error::new(Kind::NotFound, message));
        };
        if index == 0 && !config.ports.is_empty() {
            let message =
                format!("pod '{}' publishes its ports on '{}'", config.name, network.name);
            return Err(Error::new(Kind::InUse, message));
        }
        let mut after = before.clone();
        let connection = after.remove(index);
        self.take_off(config, &after, &connection)?;
        // The next network has the default route now: its interface is made again with it.
        if let (0, Some(next)) = (index, after.first())
            && matches!(held.state, Reached::Supervisor(_))
        {
            sandbar_network::detach(&next.host_interface.parse()?)?;
            self.attach_now(&held, next, true)?;
        }
        etc::adapt(&directory, config, &before, &after);
        Ok(())
    }

    /// Removes a pod's interface on a network, its names there, the record of it, and then gives its addresses back.
    fn take_off(
        &self,
        pod: &PodConfig,
        others: &[Connection],
        connection: &Connection,
    ) -> Result<(), Error> {
        sandbar_network::detach(&connection.host_interface.parse()?)?;
        let network = self.network(connection.network.as_str())?;
        if network.names {
            self.names_of(&network).remove_endpoint(pod.id.as_str())?;
        }
        replace_record(&self.roots.pod(&pod.id).networks(), &others)?;
        self.refresh_names(pod)?;
        let leases = crate::roots::Roots::leases_on(&network.interface);
        Ok(sandbar_network::Leases::open(&leases)?.release(pod.id.as_str())?)
    }

    /// Publishes the ports of a pod that was on no network where they could have been.
    fn publish_now(&self, held: &Held, is_first: bool) -> Result<(), Error> {
        if is_first && matches!(held.state, Reached::Supervisor(_)) {
            let config = &held.pod.config;
            let _closed = self.publish(config, &config.ports)?;
        }
        Ok(())
    }

    fn attach_now(
        &self,
        held: &Held,
        connection: &Connection,
        is_first: bool,
    ) -> Result<(), Error> {
        if matches!(held.state, Reached::Lock(_)) {
            return Ok(());
        }
        let default = if is_first { DefaultRoute::Here } else { DefaultRoute::Elsewhere };
        let netns = network_namespace(&held.pod)?;
        self.attach_one(&held.pod.config, connection, default, netns.as_fd())?.close_at_leisure();
        Ok(())
    }

    /// Keeps others from changing the pod, and one that does not run from being started.
    fn hold(&self, pod: &Pod) -> Result<Held, Error> {
        let directory = self.roots.pod(&pod.config.id);
        let gone = || find::not_found("pod", pod.config.name.as_str());
        let lock = match directories::lock(&directory.lock()) {
            Err(_) if !directory.path().is_dir() => return Err(gone()),
            lock => lock?,
        };
        let state = reach(&directory)?;
        let pod = Pod::read(&directory)?.ok_or_else(gone)?;
        let state = match state {
            // Killed, and what it started lives on: another takes over.
            Reached::Lock(held) if pod.containers.iter().any(Container::is_running) => {
                drop(held);
                let client: Option<Client> = self.find_supervisor(&pod.config)?;
                client
                    .map_or_else(|| reach(&directory), |client| Ok(Reached::Supervisor(client)))?
            }
            state => state,
        };
        Ok(Held { _lock: lock, state, pod })
    }
}

/// The network namespace of a pod, held by a process of it: by its pause, if it has one.
fn network_namespace(pod: &Pod) -> Result<OwnedFd, Error> {
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
    const NSFS: i64 = 0x6e73_6673;
    Ok(link.is_absolute() && found.f_type == NSFS)
}
