//! `sandbar pod create`.

use sandbar_engine::PodOptions;
use sandbar_spec::{NetworkMode, PodName, Shared};

use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Failure, Result};
use crate::options::{Addressing, Publishing, addressing, sort};
use crate::output;
use crate::values::Network;

/// Make a pod without starting it, and print its id
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// Its name
    // Podman takes it as an argument too.
    #[arg(long, conflicts_with = "given")]
    name: Option<PodName>,
    /// What is shared: net, ipc, uts, pid; or none
    #[arg(long, value_name = "LIST")]
    share: Option<Shared>,
    // Docker has both spellings.
    #[arg(
        long = "network",
        alias = "net",
        value_name = "MODE",
        help = "bridge, a network, host, none or ns:PATH;\nalso --net"
    )]
    network: Vec<Network>,
    #[command(flatten)]
    addressing: Addressing,
    #[command(flatten)]
    publishing: Publishing,
    /// Its name
    #[arg(value_name = "NAME")]
    given: Option<PodName>,
}

impl Create {
    fn resolve(self) -> Result<PodOptions> {
        let mut options = PodOptions {
            name: self.name.or(self.given),
            shared: self.share.unwrap_or_default(),
            ..PodOptions::default()
        };
        let (memberships, other) = sort(self.network)?;
        options.network = match other {
            None | Some(Network::On(_)) => NetworkMode::Bridge,
            Some(Network::Path(path)) => NetworkMode::Path(path),
            Some(Network::Host) => NetworkMode::Host,
            Some(Network::None) => NetworkMode::None,
            Some(Network::Container(_) | Network::Pod(_)) => {
                let message = "a pod has a network of its own, the host's or none";
                return Err(Failure::new(message).hint("--network=bridge, host or none"));
            }
        };
        options.memberships = addressing(self.addressing, memberships, &options.network)?;
        self.publishing.resolve(&mut options)?;
        Ok(options)
    }

    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let options = self.resolve()?;
        let action = match &options.name {
            Some(name) => format!("create the pod {name}"),
            None => "create a pod".to_owned(),
        };
        let pod = context.engine()?.create_pod(options).doing(action)?;
        output::line(&pod.config.id)?;
        Ok(Exit::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        create: Create,
    }

    fn resolve(words: &[&str]) -> Result<PodOptions> {
        let words = ["create"].iter().chain(words);
        Line::try_parse_from(words).unwrap().create.resolve()
    }

    #[test]
    fn a_pod_shares_what_kubernetes_shares() {
        let pod = resolve(&[]).unwrap();
        assert_eq!((pod.shared, pod.network), (Shared::default(), NetworkMode::Bridge));
    }

    #[test]
    fn options_of_pods() {
        let line = ["--name", "p", "--share", "net,pid", "-p", "80:80", "--hostname", "h"];
        let pod = resolve(&line).unwrap();
        assert_eq!(pod.name.unwrap().as_str(), "p");
        assert_eq!(pod.shared.names(), ["net", "pid"]);
        assert_eq!(pod.ports.len(), 1);
        assert_eq!(pod.hostname.as_deref(), Some("h"));
        assert_eq!(resolve(&["q"]).unwrap().name.unwrap().as_str(), "q");
        assert_eq!(resolve(&["--network", "none"]).unwrap().network, NetworkMode::None);
        assert!(resolve(&["--net", "container:a"]).is_err());
        assert!(resolve(&["--net", "host", "-p", "80:80"]).is_err());
    }
}
