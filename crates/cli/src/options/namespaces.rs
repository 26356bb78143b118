//! Which namespaces a container joins, and what is said of the pod that is made for it if it joins none.

use sandbar_engine::{ContainerOptions, Sharing};
use sandbar_spec::NetworkMode;

use crate::failure::{Failure, Result};
use crate::values::{Namespace, Network};

/// Namespaces.
#[derive(Debug, clap::Args)]
pub(crate) struct Joining {
    /// The pod to join
    #[arg(long, value_name = "POD")]
    pod: Option<String>,
    // Docker has both spellings.
    #[arg(
        long = "network",
        alias = "net",
        value_name = "MODE",
        help = "bridge, host, none, container:NAME or\npod:NAME; also --net"
    )]
    network: Option<Network>,
    /// private, host, container:NAME, pod:NAME
    #[arg(long, value_name = "MODE")]
    ipc: Option<Namespace>,
    /// private, host, container:NAME, pod:NAME
    #[arg(long, value_name = "MODE")]
    uts: Option<Namespace>,
    /// private, host, container:NAME, pod:NAME
    #[arg(long, value_name = "MODE")]
    pid: Option<Namespace>,
}

impl Joining {
    /// Into the engine's options.
    pub(crate) fn resolve(self, options: &mut ContainerOptions) -> Result<()> {
        let own = |namespace: Option<Namespace>| namespace.map(|namespace| namespace.0);
        options.pod = self.pod;
        options.ipc = own(self.ipc);
        options.uts = own(self.uts);
        options.pid = own(self.pid);
        let asked_for_bridge = self.network == Some(Network::Bridge);
        options.net = match self.network {
            None | Some(Network::Bridge) => None,
            Some(Network::Host) => Some(Sharing::Host),
            Some(Network::None) => Some(Sharing::Private),
            Some(Network::Container(name)) => Some(Sharing::Container(name)),
            Some(Network::Pod(name)) => Some(Sharing::Pod(name)),
        };
        // The pod that is made for the container has the network that the container asks for.
        options.own_pod.network = match options.net {
            Some(Sharing::Host) => NetworkMode::Host,
            Some(Sharing::Private) => NetworkMode::None,
            _ => NetworkMode::Bridge,
        };
        if let (true, Some(joined)) = (asked_for_bridge, joined(options)) {
            let message = format!("--network=bridge: {joined} has a network of its own already");
            return Err(Failure::new(message).hint("leave --network out"));
        }
        Ok(())
    }
}

/// The pod or container whose pod the new container is to be in, in words; `None` if it gets one of its own.
pub(super) fn joined(options: &ContainerOptions) -> Option<String> {
    if let Some(pod) = &options.pod {
        return Some(format!("the pod '{pod}'"));
    }
    [&options.net, &options.ipc, &options.uts, &options.pid].into_iter().flatten().find_map(|it| {
        match it {
            Sharing::Container(name) => Some(format!("the pod of the container '{name}'")),
            Sharing::Pod(name) => Some(format!("the pod '{name}'")),
            Sharing::Private | Sharing::Host => None,
        }
    })
}
