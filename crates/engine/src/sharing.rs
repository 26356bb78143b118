//! Which pod a new container is in, and which namespaces it shares there.

use sandbar_spec::{ContainerId, NamespaceMode, Namespaces, NetworkMode, PodConfig};

use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::options::{ContainerOptions, Sharing};
use crate::pod::Pod;

/// The four namespaces by the names of their options.
const KINDS: [&str; 4] = ["net", "ipc", "uts", "pid"];

/// What a new container's options come to.
pub(crate) struct Placed {
    /// The pod it joins; `None` for a pod of its own.
    pub(crate) pod: Option<Pod>,
    /// The containers that it joins.
    pub(crate) joined: Vec<ContainerId>,
    /// What it asked for, by kind, resolved; `None` where it leaves that to the pod.
    asked: [Option<NamespaceMode>; 4],
}

impl Engine {
    /// Resolves the pod and the namespaces that `options` ask for.
    pub(crate) fn place(&self, options: &ContainerOptions) -> Result<Placed, Error> {
        let mut pod: Option<Pod> = options.pod.as_deref().map(|name| self.pod(name)).transpose()?;
        let mut asked = [const { None }; 4];
        let mut containers = Vec::new();
        let sharings = [&options.net, &options.ipc, &options.uts, &options.pid];
        for (index, sharing) in sharings.into_iter().enumerate() {
            let Some(sharing) = sharing else { continue };
            let kind = KINDS.get(index).copied().unwrap_or_default();
            let (mode, joined) = match sharing {
                Sharing::Private => (NamespaceMode::Private, None),
                Sharing::Host => (NamespaceMode::Host, None),
                Sharing::Pod(name) => (NamespaceMode::Pod, Some(self.pod(name)?)),
                Sharing::Container(name) => {
                    let container = self.container(name)?;
                    let mode = mode_of(&container, index);
                    must_run(&container, kind)?;
                    if !containers.contains(&container.config.id) {
                        containers.push(container.config.id.clone());
                    }
                    (mode, Some(self.pod(container.pod.id.as_str())?))
                }
            };
            if let (Some(pod), Some(joined)) = (&pod, &joined)
                && pod.config.id != joined.config.id
            {
                let message = format!(
                    "--{kind} joins pod '{}', but another option joins pod '{}': a container is in one pod",
                    joined.config.name, pod.config.name
                );
                return Err(Error::new(Kind::Invalid, message));
            }
            pod = joined.or(pod);
            if let Some(slot) = asked.get_mut(index) {
                *slot = Some(mode);
            }
        }
        Ok(Placed { pod, joined: containers, asked })
    }
}

impl Placed {
    /// The namespaces of the container in `pod`. In a pod that it was explicitly put in, it shares what the
    /// pod shares; in that of a container that it joined, what was named and nothing more.
    pub(crate) fn namespaces(&self, pod: &PodConfig, explicit: bool) -> Namespaces {
        let shared = [pod.shared.net, pod.shared.ipc, pod.shared.uts, pod.shared.pid];
        let host_network = pod.network == NetworkMode::Host;
        let mode = |index: usize| -> NamespaceMode {
            match self.asked.get(index).cloned().flatten() {
                Some(mode) => mode,
                None if explicit && index == 0 && host_network => NamespaceMode::Host,
                None if explicit && shared.get(index) == Some(&true) => NamespaceMode::Pod,
                None => NamespaceMode::Private,
            }
        };
        Namespaces { net: mode(0), ipc: mode(1), uts: mode(2), pid: mode(3) }
    }
}

/// The namespace of `container` that another shares by joining it.
fn mode_of(container: &Container, kind: usize) -> NamespaceMode {
    let of = &container.config.namespaces;
    let mode = [&of.net, &of.ipc, &of.uts, &of.pid].get(kind).copied().cloned();
    match mode {
        // Pause's own PID namespace is the pod's.
        Some(NamespaceMode::Private) if kind == 3 && container.is_pause() => NamespaceMode::Pod,
        Some(NamespaceMode::Private) | None => {
            NamespaceMode::Container(container.config.id.clone())
        }
        Some(mode) => mode,
    }
}

/// A container that is joined must run: it is what holds the namespace.
fn must_run(container: &Container, kind: &str) -> Result<(), Error> {
    if container.is_running() {
        return Ok(());
    }
    let name = &container.config.name;
    let message = format!("--{kind}=container:{name}: container '{name}' is not running");
    Err(Error::new(Kind::NotRunning, message))
}
