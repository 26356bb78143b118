//! Which namespaces a container joins, and what is said of the pod that is made for it if it joins none.

use sandbar_engine::{ContainerOptions, Sharing};
use sandbar_spec::{Membership, NetworkMode};

use super::membership::{self, Addressing};

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
        help = "bridge, a network, host, none, ns:PATH,\ncontainer:NAME, pod:NAME; also --net"
    )]
    network: Vec<Network>,
    #[command(flatten)]
    addressing: Addressing,
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
        let (memberships, other) = membership::sort(self.network)?;
        options.own_pod.network = match &other {
            Some(Network::Host) => NetworkMode::Host,
            Some(Network::None) => NetworkMode::None,
            Some(Network::Path(path)) => NetworkMode::Path(path.clone()),
            _ => NetworkMode::Bridge,
        };
        let asked = match (&other, memberships.first()) {
            (Some(Network::Path(_)), _) => Some("ns"),
            (None, Some(first)) if first.network.is_empty() => Some("bridge"),
            (None, Some(first)) => Some(first.network.as_str()),
            _ => None,
        };
        let asked = asked.map(str::to_owned);
        options.net = match other {
            None | Some(Network::On(_) | Network::Path(_)) => None,
            Some(Network::Host) => Some(Sharing::Host),
            Some(Network::None) => Some(Sharing::Private),
            Some(Network::Container(name)) => Some(Sharing::Container(name)),
            Some(Network::Pod(name)) => Some(Sharing::Pod(name)),
        };
        if let (Some(asked), Some(joined)) = (asked, joined(options)) {
            let message = format!("--network={asked}: {joined} has a network of its own already");
            return Err(Failure::new(message).hint("leave --network out"));
        }
        if let (Some(option), Some(joined)) = (self.addressing.given(), joined(options)) {
            let message =
                format!("{option} is a matter of the whole pod, and {joined} is there already");
            return Err(
                Failure::new(message).hint(format!("give {option} to 'sandbar pod create'"))
            );
        }
        options.own_pod.memberships =
            addressing(self.addressing, memberships, &options.own_pod.network)?;
        Ok(())
    }
}

/// The networks of a pod in `mode`, with what is asked for there.
pub(crate) fn addressing(
    addressing: Addressing,
    memberships: Vec<Membership>,
    mode: &NetworkMode,
) -> Result<Vec<Membership>> {
    match addressing.given().filter(|_| *mode != NetworkMode::Bridge) {
        Some(option) => {
            let message = format!("{option} is for a network of Sandbar's own");
            Err(Failure::new(message).hint("leave it or --network out"))
        }
        None => addressing.resolve(memberships),
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
