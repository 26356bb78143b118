//! Removing pods and containers, half-made and half-removed ones among them.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use sandbar_cgroup::{CgroupPath, Hierarchy};
use sandbar_network::Lingering;
use sandbar_spec::control::{Reply, Request};
use sandbar_spec::{ContainerState, NamespaceMode, PodConfig, PodId};
use sandbar_supervisor::{container_cgroup, pod_cgroup};

use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::find::directories;
use crate::lifecycle::wait_for_end;
use crate::pod::Pod;
use crate::supervision::{Reached, reach};
use crate::{directories, find, names};

/// How long what is killed may take to end.
const TO_END: Duration = Duration::from_secs(10);

impl Engine {
    /// Removes a container, and its pod if that was made for it and has no other. With `force` one that runs
    /// is ended first.
    ///
    /// # Errors
    /// [`Kind::InUse`] if it runs, or others have joined it; [`Kind::NotFound`] if it is gone.
    pub fn remove_container(&self, container: &Container, force: bool) -> Result<(), Error> {
        let pod_directory = self.roots.pod(&container.pod.id);
        let lock = match directories::lock(&pod_directory.lock()) {
            Err(_) if !pod_directory.path().is_dir() => {
                return Err(find::not_found("container", container.config.name.as_str()));
            }
            lock => lock?,
        };
        let Some(pod) = Pod::read(&pod_directory)? else {
            return Err(find::not_found("container", container.config.name.as_str()));
        };
        let id = &container.config.id;
        let Some(now) = pod.containers.iter().find(|other| other.config.id == *id) else {
            return Err(find::not_found("container", container.config.name.as_str()));
        };
        check_removable(&pod, now, force)?;
        // One that is being started is not on record as running yet.
        if force && self.stop_container(now, Some(0)).is_err() {
            // No supervisor can be had: it is ended without one.
            self.end_cgroup(&container_cgroup(&pod.config.id, id)?)?;
        }
        let forget = Request::Forget { container: id.clone() };
        match self.ask(&pod.config, &forget) {
            Ok(Some((_, Reply::Failed { message, .. }))) => {
                return Err(Error::new(Kind::InUse, message));
            }
            // Who does not answer does not remember either.
            Err(error) if !force => return Err(error),
            _ => {}
        }
        self.unmake_container(&now.config);
        self.refresh_names(&pod.config)?;
        if pod.config.implicit && pod.containers.len() == 1 {
            self.clear_pod(&pod.config.id)?;
        }
        drop(lock);
        Ok(())
    }

    /// Removes a pod with all its containers. With `force` what runs is ended first.
    ///
    /// # Errors
    /// [`Kind::InUse`] if something of it runs.
    pub fn remove_pod(&self, pod: &Pod, force: bool) -> Result<(), Error> {
        let running = pod.containers.iter().find(|container| container.is_active());
        if let Some(container) = running.filter(|_| !force) {
            let (pod, container) = (&pod.config.name, &container.config.name);
            let message = format!("pod '{pod}' is running (container '{container}')");
            return Err(Error::new(Kind::InUse, message));
        }
        if force && self.stop_pod(pod, Some(0)).is_err() {
            // No supervisor can be had: it is ended without one.
            self.end_cgroup(&pod_cgroup(&pod.config.id)?)?;
        }
        let lock = directories::lock(&self.roots.pod(&pod.config.id).lock())?;
        self.clear_pod(&pod.config.id)?;
        drop(lock);
        Ok(())
    }

    /// Removes whatever there is of a pod, from its id alone: it may be half made, half removed, or left by a
    /// process that was killed.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if there is nothing of it.
    pub fn remove_remains(&self, name: &str) -> Result<(), Error> {
        let id: PodId = directories(&self.roots.pods())
            .into_iter()
            .find(|id| id.starts_with(name) && name.len() >= 4)
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| find::not_found("pod", name))?;
        self.clear_pod(&id)
    }

    /// Ends what lives of a pod and removes all that is named after it.
    pub(crate) fn clear_pod(&self, id: &PodId) -> Result<(), Error> {
        let directory = self.roots.pod(id);
        let lock = loop {
            match reach(&directory)? {
                Reached::Lock(lock) => break lock,
                // Whatever it was about to start is not wanted any more.
                Reached::Supervisor(client) => {
                    client.send(&Request::StopPod { timeout: Some(0) }, &[])?;
                    wait_for_end(&client, false);
                }
            }
        };
        self.end_cgroup(&pod_cgroup(id)?)?;
        let config = Pod::read(&directory).ok().flatten();
        if let Some(pod) = &config {
            for container in &pod.containers {
                self.unmake_container(&container.config);
            }
        }
        let mut broken = config.is_none();
        for container in directories(&directory.containers()) {
            if let Ok(container) = container.parse() {
                directories::remove(&self.roots.storage_of(&container))?;
                broken = true;
            }
        }
        if broken {
            // Whose names these are their records no longer say.
            names::release_below(&self.roots.container_names(), directory.path());
            names::release_below(&self.roots.pod_names(), directory.path());
        }
        // Whoever may not change the network has not made any.
        let disconnected = self.detach_and_unpublish(id);
        match &disconnected {
            // Plugins that can't undo what they did are told of at the end: their records stay for the next boot.
            Err(_) if self.is_connected_by_cni(id) => {}
            Err(error) if error.kind() != Kind::NoNetwork => return disconnected,
            _ => self.release(id)?,
        }
        if let Some(pod) = config {
            names::release(&self.roots.pod_names(), pod.config.name.as_str(), directory.path());
        }
        directories::remove(directory.path())?;
        drop(lock);
        if self.is_connected_by_cni(id) { disconnected } else { Ok(()) }
    }

    /// Ends every process in a cgroup of ours and removes it.
    fn end_cgroup(&self, path: &CgroupPath) -> Result<(), Error> {
        let Ok(hierarchy) = Hierarchy::detect() else { return Ok(()) };
        let cgroup = hierarchy.open(path);
        if !cgroup.exists() {
            return Ok(());
        }
        if cgroup.is_populated()? {
            cgroup.kill(TO_END)?;
        }
        Ok(cgroup.remove(TO_END)?)
    }

    /// What is left to do when nothing of a pod runs any more, and somebody waits for: its ports are free
    /// again, and what was to be removed is. Says whether the pod itself is gone; the other result is to be
    /// closed when nobody waits any more.
    pub(crate) fn pod_ended(
        &self,
        pod: &PodConfig,
        netns: Option<BorrowedFd<'_>>,
    ) -> (Result<bool, Error>, Lingering) {
        // Plugins that can't undo what they did keep no pod from going: their records stay.
        let _disconnected = self.disconnect_by_cni(&pod.id, netns);
        let unpublished = self.forget_names(&pod.id).and_then(|()| self.unpublish_all(&pod.id));
        match unpublished {
            Ok(lingering) => (self.remove_what_is_to_be(pod), lingering),
            Err(error) => (Err(error), Lingering::default()),
        }
    }

    fn remove_what_is_to_be(&self, pod: &PodConfig) -> Result<bool, Error> {
        let directory = self.roots.pod(&pod.id);
        let Some(found) = Pod::read(&directory)? else { return Ok(true) };
        let (gone, kept): (Vec<_>, Vec<_>) = found.containers.iter().partition(|container| {
            container.config.auto_remove && container.status.state != ContainerState::Created
        });
        if gone.is_empty() {
            return Ok(false);
        }
        // Whoever changes the pod now sees to it himself.
        let Some(lock) = directories::try_lock(&directory.lock())? else { return Ok(false) };
        for container in gone {
            self.unmake_container(&container.config);
        }
        let pod_goes = pod.implicit && kept.is_empty();
        if pod_goes {
            self.release(&pod.id)?;
            names::release(&self.roots.pod_names(), pod.name.as_str(), directory.path());
            directories::remove(directory.path())?;
        }
        drop(lock);
        Ok(pod_goes)
    }
}

/// Refuses to remove what runs, unless forced, and what others need, always.
fn check_removable(pod: &Pod, container: &Container, force: bool) -> Result<(), Error> {
    let (id, name) = (&container.config.id, &container.config.name);
    if container.is_pause() && !pod.config.implicit {
        let pod = &pod.config.name;
        let message = format!("container '{name}' is the pause of pod '{pod}' and goes with it");
        return Err(Error::new(Kind::InUse, message));
    }
    let joins = |other: &&Container| {
        let of = &other.config.namespaces;
        let named = [&of.net, &of.ipc, &of.uts, &of.pid]
            .into_iter()
            .any(|mode| *mode == NamespaceMode::Container(id.clone()));
        let joined = other.config.joined.contains(id);
        other.config.id != *id && (named || joined || container.is_pause())
    };
    if let Some(other) = pod.containers.iter().find(joins) {
        let message = format!(
            "container '{}' has joined '{name}': remove it first, or the whole pod '{}'",
            other.config.name, pod.config.name
        );
        return Err(Error::new(Kind::InUse, message));
    }
    if container.is_active() && !force {
        return Err(Error::new(Kind::InUse, format!("container '{name}' is running")));
    }
    Ok(())
}
