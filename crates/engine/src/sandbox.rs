//! The namespaces of a pod's sandbox, made by a thread that enters them and ends.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use sandbar_spec::{NetworkMode, PodConfig};
use sandbar_supervisor::SandboxNamespaces;
use sandbar_sys::{During, Failure, Namespaces, unshare};

use crate::bridges::Connected;
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::firewall::{self, Watches};
use crate::netns::open_namespace;

/// A pod's namespaces, and the firewall connections that its supervisor closes when there is time.
#[derive(Debug, Default)]
pub(crate) struct Sandbox {
    pub(crate) namespaces: SandboxNamespaces,
    pub(crate) lingering: Vec<OwnedFd>,
    /// What is worth knowing of how they were connected.
    pub(crate) told: Vec<String>,
    /// What the supervisor watches the firewall by, from before the pod was connected.
    pub(crate) watches: Watches,
}

impl Engine {
    /// Makes the namespaces of `pod`, with its host name, and connects them to its network.
    pub(crate) fn make_sandbox(&self, pod: &PodConfig) -> Result<Sandbox, Error> {
        let namespaces = make(pod)?;
        let Some(net) = &namespaces.net else {
            return Ok(Sandbox { namespaces, ..Sandbox::default() });
        };
        if matches!(pod.network, NetworkMode::Path(_)) {
            return Ok(Sandbox { namespaces, ..Sandbox::default() });
        }
        let watches = firewall::watch(pod);
        match self.attach_and_publish(pod, net.as_fd()) {
            Ok(Connected { lingering, told }) => {
                Ok(Sandbox { namespaces, lingering, told, watches })
            }
            Err(error) => {
                // What was connected is disconnected; what can't be goes with the namespace.
                let _disconnected = self.detach_and_unpublish(&pod.id);
                Err(error)
            }
        }
    }
}

fn make(pod: &PodConfig) -> Result<SandboxNamespaces, Error> {
    let mut wanted = Namespaces::NEWIPC | Namespaces::NEWUTS;
    let given = match &pod.network {
        NetworkMode::Path(path) => Some(open_namespace(path)?),
        NetworkMode::Host => None,
        NetworkMode::Bridge | NetworkMode::None => {
            wanted |= Namespaces::NEWNET;
            None
        }
    };
    let hostname = pod.hostname.clone();
    let thread =
        std::thread::Builder::new().spawn(move || -> Result<SandboxNamespaces, Failure> {
            unshare(wanted).during("unshare", || format!("{wanted:?}"))?;
            rustix::system::sethostname(hostname.as_bytes())
                .during("sethostname", || hostname.clone())?;
            if wanted.contains(Namespaces::NEWNET) {
                // As Docker has it: who is not root may listen on port 80 of the pod's own network; as Podman
                // has it: who lacks CAP_NET_RAW may ping. A kernel without one of them keeps its own rule.
                let directory = Path::new("/proc/sys/net/ipv4");
                let _kept = std::fs::write(directory.join("ip_unprivileged_port_start"), "0");
                let _kept = std::fs::write(directory.join("ping_group_range"), "0 2147483647");
            }
            let open = |name: &str| {
                let path = format!("/proc/thread-self/ns/{name}");
                rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                    .during("open", || path.clone())
            };
            let net: Option<OwnedFd> =
                if wanted.contains(Namespaces::NEWNET) { Some(open("net")?) } else { given };
            Ok(SandboxNamespaces { net, ipc: Some(open("ipc")?), uts: Some(open("uts")?) })
        });
    let joined = thread
        .map_err(|error| Error::caused(Kind::System, "start a thread", error))?
        .join()
        .map_err(|_panic| Error::new(Kind::System, "the thread that makes namespaces panicked"))?;
    Ok(joined?)
}
